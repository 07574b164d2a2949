package mongosim

import (
	"time"
)

// recentKept is how far back Crash can go.
const recentKept = 10 * time.Second

// publish makes a draft the present state of a member, and sends it on its way
// to the others. The lock is held.
func (n *node) publish(d *draft) {
	s := n.server
	now := time.Now()
	st := d.finish(now)
	n.last.Store(st)
	if !s.o.ReplicaSet {
		n.committed.Store(st)
		s.keep(now, st)
	} else if s.o.Lag == 0 {
		s.replicate()
	} else if !s.lagging {
		s.lagging = true
		time.AfterFunc(s.o.Lag, s.catchUp)
	}
	s.wake()
}

// keep notes when a state came about, every ten milliseconds.
func (s *Server) keep(now time.Time, st *state) {
	if k := len(s.recent); k > 1 && now.Sub(s.recent[k-2].at) < 10*time.Millisecond {
		s.recent[k-1] = moment{now, st}
		return
	}
	s.recent = append(s.recent, moment{now, st})
	for now.Sub(s.recent[0].at) > recentKept {
		s.recent = s.recent[1:]
	}
}

// catchUp is a round of replication that was put off.
func (s *Server) catchUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lagging = false
	s.replicate()
	s.wake()
}

// replicate hands each primary's state to those members that hear of it, and
// counts who has what.
func (s *Server) replicate() {
	for _, p := range s.nodes {
		if !p.primary {
			continue
		}
		st := p.last.Load()
		followers := s.followers(p)
		for _, m := range followers {
			m.last.Store(st)
		}
		if 2*(len(followers)+1) > len(s.nodes) {
			p.committed.Store(st)
			for _, m := range followers {
				m.committed.Store(st)
			}
		}
	}
}

// followers are those who hear of a primary.
func (s *Server) followers(p *node) (out []*node) {
	for _, m := range s.nodes {
		if m != p && !m.primary && !m.cut && !p.cut {
			out = append(out, m)
		}
	}
	return out
}

// holding counts the members that have a state of a primary's.
func (s *Server) holding(p *node, seq int64) int {
	have := 1
	for _, m := range s.followers(p) {
		if m.last.Load().seq >= seq {
			have++
		}
	}
	return have
}

// deposed says that a member is not the primary of a term any more.
func (n *node) deposed(term int64) bool { return !n.primary || n.term != term }

// Election says how one goes.
type Election struct {
	// Stale is how long the old primary goes on as if nothing had happened: it
	// answers, takes writes that no majority will have, and is then told.
	Stale time.Duration
	// Until, when it is set, ends that instead.
	Until <-chan struct{}
	// Hidden keeps the new primary from clients meanwhile, as when they are on
	// the old one's side of a broken network.
	Hidden bool
}

// Elect has the other members elect one of themselves, and returns when the old
// primary has joined them again. What only the old one had is rolled back then.
func (s *Server) Elect(e Election) {
	s.mu.Lock()
	old := s.primary()
	next := s.elect(old, e.Hidden)
	s.mu.Unlock()
	if next == nil {
		return
	}
	s.pass(e)
	s.mu.Lock()
	defer s.mu.Unlock()
	old.stepDown(next)
	next.quiet = false
	s.announce()
}

// pass waits for the end of an election.
func (s *Server) pass(e Election) {
	until := e.Until
	if until == nil {
		t := time.NewTimer(e.Stale)
		defer t.Stop()
		select {
		case <-t.C:
		case <-s.closed:
		}
		return
	}
	select {
	case <-until:
	case <-s.closed:
	}
}

// Settle hands what is written to all members at once.
func (s *Server) Settle() { s.catchUp() }

// elect makes the member with the latest state the primary; a single server has
// nobody to elect.
func (s *Server) elect(old *node, hidden bool) *node {
	var next *node
	for _, m := range s.nodes {
		if m != old && (next == nil || m.last.Load().seq > next.last.Load().seq) {
			next = m
		}
	}
	if next == nil {
		return nil
	}
	old.cut = true
	s.term++
	next.primary, next.term, next.quiet = true, s.term, hidden
	next.publish(next.last.Load().draft(next)) // a new primary begins with an entry that says nothing
	s.announce()
	return next
}

// stepDown has a primary join the others again.
func (n *node) stepDown(next *node) {
	lost := n.last.Load().seq > n.committed.Load().seq
	n.primary, n.cut = false, false
	st := next.last.Load()
	n.adopt(st)
	n.committed.Store(next.committed.Load())
	if lost { // a rollback ends all connections
		n.dropConns()
	}
	n.server.replicate()
}

// announce tells those who wait for news of the members.
func (s *Server) announce() {
	for _, m := range s.nodes {
		m.version++
	}
	s.wake()
}
