package model

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"github.com/amanat-dev/amanat/cutover/fault"
)

// resource is what a step needs on the other end of a wire.
type resource string

const (
	none  resource = "" // a step within the process
	mongo resource = "mongo"
	pg    resource = "pg" // the target and the control plane, which lives beside it
)

// verdict is what becomes of one step.
type verdict int

const (
	done    verdict = iota // it happens and is answered
	lost                   // it never arrives; the caller hears of a failure
	unheard                // it happens, and its answer is lost
	late                   // the caller hears of a failure, and it happens some time later
	stop                   // for a client that waits for its next turn: there is none
)

func (v verdict) String() string {
	return [...]string{"", "LOST", "ANSWER LOST", "LATE", "no more"}[v]
}

// request is one step that waits to be granted.
type request struct {
	p         *process
	actor, op string
	arg       any
	on        resource
	read      bool // it changes nothing: when nobody waits for it, it is forgotten
	effect    func() error
	drop      func() // instead of the effect, when it never happens
	grant     chan verdict
	orphan    bool // nobody waits for its answer any more
	sent      bool // it had left the process before that froze
	born      int
	notStep   int
	delay     int // in steps, of one that comes late
	notBefore time.Time
	met       bool // by the plan
	line      int  // in the history
}

func (r *request) compare(o *request) int {
	first := cmp.Or(cmp.Compare(r.p.n, o.p.n), strings.Compare(r.actor, o.actor),
		strings.Compare(r.op, o.op), cmp.Compare(r.born, o.born))
	if first != 0 || r == o || r.arg == nil || o.arg == nil {
		return first
	}
	return strings.Compare(fmt.Sprint(r.arg), fmt.Sprint(o.arg))
}

type actorKey struct{}

// as names who works in ctx: requests of one actor come one after the other.
func as(ctx context.Context, actor string) context.Context {
	return context.WithValue(ctx, actorKey{}, actor)
}

func actorOf(ctx context.Context) string {
	a, _ := ctx.Value(actorKey{}).(string)
	return a
}

// line is one line of a history. It is put into words when somebody reads it.
type line struct {
	step    int
	at      time.Duration
	p       string
	actor   string
	op      string
	arg     any
	verdict verdict
	result  any
	err     error
}

func (l line) String() string {
	text := fmt.Sprintf("%5d %9.3fs  %-5s %-12s %s", l.step, l.at.Seconds(), l.p, l.actor, l.op)
	if l.arg != nil {
		text += fmt.Sprintf(" %v", l.arg)
	}
	if l.result != nil {
		text += fmt.Sprintf(" → %v", l.result)
	}
	if v := l.verdict.String(); v != "" {
		text += "  [" + v + "]"
	}
	if l.err != nil {
		text += "  error: " + l.err.Error()
	}
	return text
}

// scheduler has every step of every process wait until it is granted.
type scheduler struct {
	seed uint64
	rnd  *rand.Rand
	plan plan

	began   time.Time
	step    int
	arrived chan struct{} // something waits, or may

	mu      sync.Mutex
	pending []*request
	history []line
	told    []told
	events  []event
	wires   map[resource]time.Time // away until then
	quiet   bool                   // no more faults: oldest first
	over    bool                   // nothing more happens
	weight  map[string]int         // of actors, where the plan is to have some starve
	marks   map[string][]int       // what has happened, at which steps
	ready   []*request             // scratch
}

// event is something that the schedule does at a time or step.
type event struct {
	at   time.Time
	name string
	do   func()
}

func newScheduler(seed uint64) *scheduler {
	s := &scheduler{
		seed: seed, rnd: rand.New(rand.NewPCG(seed, 0x5eed)), began: time.Now(),
		arrived: make(chan struct{}, 1), wires: map[resource]time.Time{}, weight: map[string]int{},
		marks: map[string][]int{},
	}
	s.plan = newPlan(s.rnd, situation(seed>>32))
	return s
}

func (s *scheduler) chance(of float64) bool { return s.rnd.Float64() < of }

func (s *scheduler) note(p, actor, op string, arg any) int {
	s.history = append(s.history, line{step: s.step, at: time.Since(s.began), p: p, actor: actor, op: op, arg: arg})
	return len(s.history) - 1
}

// after has do called once d has passed. Call it on the scheduler's goroutine.
func (s *scheduler) after(d time.Duration, name string, do func()) {
	s.events = append(s.events, event{time.Now().Add(d), name, do})
}

func (s *scheduler) enter(r *request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.p.gone || s.over {
		return false
	}
	r.born = s.step
	s.pending = append(s.pending, r)
	select {
	case s.arrived <- struct{}{}:
	default:
	}
	return true
}

// forsake is for a request whose caller no longer waits.
func (s *scheduler) forsake(r *request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.read {
		s.remove(r)
		return
	}
	r.orphan = true
}

func (s *scheduler) remove(r *request) {
	if i := slices.Index(s.pending, r); i >= 0 {
		s.pending = slices.Delete(s.pending, i, i+1)
	}
}

var errDead = fault.New(fault.Unavailable, "this process is dead")

func away(why string) error { return fault.New(fault.Unavailable, "%s", why) }

// step is one step on a wire, or within the process: it waits until the
// scheduler grants it, and returns the error that the caller would see.
func (p *process) step(ctx context.Context, on resource, op string, arg any, effect func() error) error {
	_, err := p.request(ctx, &request{on: on, op: op, arg: arg, effect: effect})
	return err
}

// look is a step that changes nothing.
func (p *process) look(ctx context.Context, on resource, op string, arg any, effect func() error) error {
	_, err := p.request(ctx, &request{on: on, op: op, arg: arg, effect: effect, read: true})
	return err
}

// request returns false when nobody knows yet whether the step will happen.
func (p *process) request(ctx context.Context, r *request) (settled bool, err error) {
	if ctx.Err() != nil {
		return true, fault.Wrap(ctx.Err(), fault.Unavailable, "given up")
	}
	s := p.world.sched
	r.p, r.actor, r.grant = p, actorOf(ctx), make(chan verdict, 1)
	if !s.enter(r) {
		return true, errDead
	}
	var v verdict
	select {
	case v = <-r.grant:
	case <-p.dead:
		s.forsake(r)
		return r.read, errDead
	case <-ctx.Done():
		s.forsake(r)
		return r.read, fault.Wrap(ctx.Err(), fault.Unavailable, "given up")
	}
	switch v {
	case lost:
		return true, away("it did not arrive")
	case late:
		return false, away("no answer")
	case stop:
		return true, errStop
	}
	err = p.world.happen(r)
	if v == unheard {
		return true, away("the answer was lost")
	}
	return true, err
}

// happen is a granted step.
func (w *world) happen(r *request) error {
	if r.effect == nil {
		return nil
	}
	err := r.effect()
	w.sched.mu.Lock()
	w.sched.history[r.line].err = err
	w.sched.mu.Unlock()
	return err
}

// told is what somebody says of himself between two steps.
type told struct {
	p    *process
	text string
}

// tell puts a line into the history, once all have come to wait again: of
// several that speak at once it is not known who does so first.
func (p *process) tell(format string, args ...any) {
	s := p.world.sched
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told = append(s.told, told{p, fmt.Sprintf(format, args...)})
}

// turn grants the next step, or lets time pass. All else waits when it is
// called.
func (s *scheduler) turn(w *world) {
	s.mu.Lock()
	s.fire()
	ready := s.eligible()
	if len(ready) == 0 || !s.quiet && s.chance(s.plan.pass) {
		s.mu.Unlock()
		s.pass(len(ready) > 0)
		return
	}
	r := s.choose(ready)
	if r == nil {
		s.mu.Unlock()
		s.pass(false)
		return
	}
	s.step++
	s.remove(r)
	v := s.judge(r)
	r.line = s.note(r.p.name, r.actor, r.op, r.arg)
	s.history[r.line].verdict = v
	w.seen(r, v)
	if !s.quiet {
		s.plan.after(w)
	}
	orphan := r.orphan // its caller may leave it while it is carried out
	s.mu.Unlock()
	s.carryOut(w, r, v, orphan)
}

func (s *scheduler) carryOut(w *world, r *request, v verdict, orphan bool) {
	switch {
	case orphan && (v == lost || v == stop):
		if r.drop != nil {
			r.drop()
		}
	case orphan:
		go w.happen(r) // it may have to wait for others
	case v == late:
		s.mu.Lock()
		r.orphan = true
		r.notStep = s.step + max(r.delay, s.rnd.IntN(60))
		s.pending = append(s.pending, r)
		s.mu.Unlock()
		r.grant <- v
	default:
		r.grant <- v
	}
}

// eligible returns what could happen now, in an order that does not depend on
// which goroutine came first.
func (s *scheduler) eligible() []*request {
	now := time.Now()
	s.ready = s.ready[:0]
	held := false
	slices.SortStableFunc(s.pending, (*request).compare)
	for _, r := range s.pending {
		if !r.met && !s.quiet {
			s.plan.meet(s, r)
		}
		r.met = true
		switch {
		case r.p.frozen && !r.sent && !r.orphan, now.Before(r.notBefore):
		case r.notStep > s.step && !s.quiet:
			held = true
		default:
			s.ready = append(s.ready, r)
		}
	}
	onlyClients := !slices.ContainsFunc(s.ready, func(r *request) bool { return r.op != opThink })
	if held && onlyClients && s.chance(0.5) {
		// Nothing else goes on: the steps for which these wait do not come.
		for _, r := range s.pending {
			if r.notStep > s.step {
				r.notStep = s.step
			}
		}
		return s.eligible()
	}
	return s.ready
}

// choose returns nil when time is to pass.
func (s *scheduler) choose(ready []*request) *request {
	if s.quiet {
		return slices.MinFunc(ready, func(a, b *request) int { return cmp.Compare(a.born, b.born) })
	}
	var work, idle []*request
	for _, r := range ready {
		if r.op == opThink {
			idle = append(idle, r)
			continue
		}
		work = append(work, r)
	}
	switch {
	case len(work) == 0 && s.chance(0.85):
		return nil
	case len(idle) > 0 && (len(work) == 0 || s.chance(s.think())):
		return idle[s.rnd.IntN(len(idle))]
	case s.plan.starve:
		return s.heaviest(work)
	}
	return work[s.rnd.IntN(len(work))]
}

// think is the chance of a client's turn: lower before the first seal, so that
// clients have turns left around the flip.
func (s *scheduler) think() float64 {
	if len(s.marks["seal"]) == 0 {
		return s.plan.think / 4
	}
	return s.plan.think
}

// heaviest prefers actors by weights that change now and then, so that some
// fall far behind the others.
func (s *scheduler) heaviest(work []*request) *request {
	best, most := work[0], -1
	for _, r := range work {
		name := r.p.name + r.actor + r.op
		if r.actor != "" {
			name = r.p.name + r.actor
		}
		weight, known := s.weight[name]
		if !known || s.chance(0.01) {
			weight = s.rnd.IntN(1000)
			s.weight[name] = weight
		}
		if weight > most {
			best, most = r, weight
		}
	}
	if s.chance(0.1) {
		return work[s.rnd.IntN(len(work))]
	}
	return best
}

// judge says what becomes of a step that is granted.
func (s *scheduler) judge(r *request) verdict {
	if r.op == opThink {
		if s.quiet {
			return stop
		}
		return done
	}
	if r.orphan {
		if s.quiet || s.chance(0.3) {
			return lost
		}
		return done
	}
	if s.quiet || r.on == none {
		return done
	}
	if s.unreachable(r) {
		return lost
	}
	if v, planned := s.plan.verdict(r); planned {
		return v
	}
	if s.chance(s.plan.trouble) {
		return s.troubled(r)
	}
	return done
}

func (s *scheduler) troubled(r *request) verdict {
	if r.read {
		return lost
	}
	return []verdict{lost, unheard, late}[s.rnd.IntN(3)]
}

func (s *scheduler) unreachable(r *request) bool {
	now := time.Now()
	return now.Before(s.wires[r.on]) || now.Before(s.wires[resource(r.p.name)+r.on])
}

// pass lets time go on: until something waits or the next event, or, busy,
// while others wait.
func (s *scheduler) pass(busy bool) {
	if busy {
		time.Sleep([]time.Duration{time.Millisecond, 20 * time.Millisecond, 300 * time.Millisecond, 2 * time.Second}[s.rnd.IntN(4)])
		return
	}
	until := time.Now().Add(5 * time.Second)
	s.mu.Lock()
	for _, e := range s.events {
		if e.at.Before(until) {
			until = e.at
		}
	}
	for _, r := range s.pending {
		if r.notBefore.After(time.Now()) && r.notBefore.Before(until) {
			until = r.notBefore
		}
	}
	s.mu.Unlock()
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.arrived:
	}
}

// fire has the events happen whose time has come.
func (s *scheduler) fire() {
	now := time.Now()
	for i := 0; i < len(s.events); {
		e := s.events[i]
		if e.at.After(now) {
			i++
			continue
		}
		s.events = slices.Delete(s.events, i, i+1)
		s.note("", "", e.name, nil)
		e.do()
	}
}

// settle waits until every goroutine of the schedule waits.
func (s *scheduler) settle() {
	synctest.Wait()
	select {
	case <-s.arrived:
	default:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	slices.SortStableFunc(s.told, func(a, b told) int { return cmp.Or(cmp.Compare(a.p.n, b.p.n), strings.Compare(a.text, b.text)) })
	for _, t := range s.told {
		s.note(t.p.name, "", t.text, nil)
	}
	s.told = s.told[:0]
}
