package model

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// plan is what the seed has in store: how steps are chosen, and what goes
// wrong when.
type plan struct {
	servers int
	pass    float64 // chance that time passes although work waits
	think   float64 // chance that a client takes its next turn rather than others
	trouble float64 // chance that a step on a wire goes wrong by itself
	starve  bool    // by weights rather than evenly
	remote  bool    // commands are processes of their own
	shadow  bool
	mix     mix
	script  []string
	faults  []*mishap
}

// mix is how many in twenty of a client's turns append to one record, append to
// two, create and delete; the rest read.
type mix [4]int

var (
	mixed   = mix{10, 3, 2, 2}
	deleter = mix{6, 2, 3, 6}
	reader  = mix{7, 1, 1, 0}
)

// mishap is one thing that goes wrong, so many steps after something else.
type mishap struct {
	what  string
	mark  string // "" is the start
	count int    // its first, second … time
	wait  int    // steps after it
	who   int    // which server; -1 who gives the commands
	op    string
	on    resource
	steps int
	last  time.Duration
	v     verdict
	state int // 0 to come, 1 armed, 2 over
}

func (m *mishap) String() string {
	return fmt.Sprintf("%s server=%d op=%s on=%s %s for %v or %d steps (%d steps after %s %d)",
		m.what, m.who, m.op, m.on, m.v, m.last, m.steps, m.wait, m.mark, m.count)
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

var scripts = [][]string{
	{"start", "backfill", "verify", "switch"},
	{"start", "backfill", "verify", "switch"},
	{"start", "backfill", "verify", "switch", "verify", "rollback"},
	{"start", "backfill", "verify", "switch", "verify", "rollback"},
	{"start", "backfill", "verify", "switch", "verify", "rollback", "verify", "switch"},
	{"start", "backfill", "verify", "switch", "finish"},
	{"start", "backfill", "abandon", "start", "backfill", "verify", "switch"},
}

func newPlan(r *rand.Rand, given situation) plan {
	p := plan{
		servers: pick(r, 1, 2, 2, 3),
		pass:    pick(r, 0, 0.003, 0.02),
		think:   pick(r, 0.03, 0.1, 0.25),
		trouble: pick(r, 0, 0, 0.003, 0.02),
		starve:  r.IntN(5) < 2,
		remote:  r.IntN(2) == 0,
		shadow:  r.IntN(16) == 0,
		script:  scripts[r.IntN(len(scripts))],
	}
	p.mix = pick(r, mixed, mixed, deleter, reader)
	for range r.IntN(5) {
		p.faults = append(p.faults, newMishap(r, p.servers))
	}
	switch {
	case given != anything:
		p.narrow(r, given)
	case r.IntN(2) == 0:
		p.narrow(r, situation(1+r.IntN(6)))
	}
	return p
}

// situation is one in which a protocol of this sort breaks when it does. The
// upper half of a seed may ask for one.
type situation uint64

const (
	anything  situation = iota
	slowCopy            // while its record is deleted
	asleep              // a process in the middle of a write or a read, until others have gone on
	deaf                // a process hears late, or not at all, of the flip
	headless            // the coordinator dies around the flip
	longOnWay           // a write whose sender has given up
	cutOff              // a process is cut off, and its lease runs out
)

// of returns a seed in this situation.
func (s situation) of(seed uint64) uint64 { return uint64(s)<<32 | seed }

// narrow has a situation come about.
func (p *plan) narrow(r *rand.Rand, s situation) {
	m := newMishap(r, p.servers)
	m.wait = r.IntN(15)
	switch s {
	case slowCopy:
		p.mix = deleter
		m.mark, m.count, m.what = pick(r, "plan", "start", "open"), 1, "hold"
		m.op, m.steps, m.last = pick(r, "load", "load", "apply"), 30+r.IntN(150), pick(r, 0, time.Second)
	case asleep:
		p.servers = max(p.servers, 2)
		m.mark, m.what = pick(r, "seal", "start", "flip"), "freeze-at"
		m.op, m.last = pick(r, "begin", "commit", "commit", "answer", "read", "beat", "states"), pick(r, 3*time.Second, 8*time.Second)
		p.think = 0.25
	case deaf:
		p.servers = max(p.servers, 2)
		p.mix = reader
		p.think = 0.4
		m.mark, m.wait, m.what = pick(r, "seal", "flip", "flip"), r.IntN(3), pick(r, "hold", "hold", "cut", "wrong")
		m.op, m.on, m.who = pick(r, "states", "states", "notify", "beat"), pg, r.IntN(p.servers)
		m.steps, m.last = 30+r.IntN(150), pick(r, 0, 0, time.Second, 4*time.Second)
	case headless:
		m.mark, m.wait, m.what, m.who = pick(r, "seal", "flip", "open"), r.IntN(8), pick(r, "crash", "session", "restart-pg", "freeze"), -1
		p.think = 0.25
	case longOnWay:
		m.mark, m.what, m.op, m.v, m.steps = pick(r, "plan", "start", "seal", "open"), "wrong", "commit", late, 50+r.IntN(400)
		m.wait = r.IntN(60)
	case cutOff:
		p.servers, p.think = max(p.servers, 2), 0.4
		m.mark, m.wait, m.what, m.on, m.who = "seal", r.IntN(3), "cut", pg, r.IntN(p.servers)
		m.last = pick(r, 2500*time.Millisecond, 3500*time.Millisecond)
	}
	if r.IntN(2) == 0 {
		p.script = []string{"start", "backfill", "verify", "switch", "verify", "rollback"}
		m.count = pick(r, 1, 2, 2)
	}
	p.faults = append(p.faults, m)
}

func newMishap(r *rand.Rand, servers int) *mishap {
	m := &mishap{
		what:  pick(r, "crash", "crash", "freeze", "freeze-at", "freeze-at", "away", "cut", "hold", "hold", "hold", "wrong", "wrong", "session", "restart-pg", "leave"),
		mark:  pick(r, "", "start", "plan", "seal", "seal", "seal", "seal", "flip", "flip", "open"),
		count: pick(r, 1, 1, 2),
		wait:  r.IntN(40),
		who:   r.IntN(servers+1) - 1,
		op:    pick(r, "commit", "commit", "commit", "begin", "answer", "answer", "apply", "load", "load", "forget", "notes", "get", "scan", "notify", "beat", "states", "advance", "write-state", "read", "lead", "processes"),
		on:    pick(r, mongo, pg),
		steps: r.IntN(120),
		last:  pick(r, 0, 100*time.Millisecond, time.Second, 6*time.Second, 15*time.Second),
		v:     pick(r, lost, unheard, late, late),
	}
	if m.mark == "" {
		m.wait = r.IntN(400)
	}
	return m
}

// mark remembers that something has happened.
func (s *scheduler) mark(what string) { s.marks[what] = append(s.marks[what], s.step) }

func (m *mishap) due(s *scheduler) bool {
	if m.state != 0 {
		return false
	}
	if m.mark == "" {
		return s.step >= m.wait
	}
	times := s.marks[m.mark]
	return len(times) >= m.count && s.step >= times[m.count-1]+m.wait
}

// after lets happen what is due after a step. s.mu is held.
func (p *plan) after(w *world) {
	for _, m := range p.faults {
		if m.due(w.sched) {
			m.state = 2
			m.begin(w)
		}
	}
}

func (m *mishap) begin(w *world) {
	s := w.sched
	victim := w.victim(m.who)
	said := s.note("", "", "* "+m.String(), nil)
	switch m.what {
	case "freeze-at", "hold", "wrong":
		m.state = 1
	case "away":
		s.wires[m.on] = time.Now().Add(m.last)
	case "restart-pg":
		w.restartPG(m.last)
	default:
		if victim == nil {
			return
		}
		s.history[said].p = victim.name
		m.strike(w, victim)
	}
}

func (m *mishap) strike(w *world, victim *process) {
	s := w.sched
	switch m.what {
	case "crash":
		w.crash(victim, m.last)
	case "freeze":
		w.freeze(victim, m.last)
	case "cut":
		s.wires[resource(victim.name)+m.on] = time.Now().Add(m.last)
	case "session":
		w.cutSessions(victim)
	case "leave":
		w.leave(victim)
	}
}

// meet lets armed mishaps happen to a request that comes in.
func (p *plan) meet(s *scheduler, r *request) {
	for _, m := range p.faults {
		if m.state != 1 || m.op != r.op || r.orphan {
			continue
		}
		switch {
		case m.what == "hold":
			m.state = 2
			r.notStep = s.step + m.steps
			r.notBefore = time.Now().Add(m.last)
			s.note(r.p.name, r.actor, "* held back: "+r.op, r.arg)
		case m.what == "freeze-at" && r.p.server:
			m.state = 2
			s.note(r.p.name, r.actor, "* frozen at "+r.op, r.arg)
			r.p.world.freeze(r.p, max(m.last, time.Second))
		}
	}
}

// verdict lets an armed mishap happen to a step that is granted.
func (p *plan) verdict(r *request) (verdict, bool) {
	for _, m := range p.faults {
		if m.state == 1 && m.what == "wrong" && m.op == r.op {
			m.state = 2
			if r.read {
				return lost, true
			}
			r.delay = m.steps
			return m.v, true
		}
	}
	return done, false
}
