package mongosim

import (
	"slices"
	"time"
)

// HangUp says when a connection breaks.
type HangUp int

const (
	// BeforeIt breaks the connection before the command is carried out.
	BeforeIt HangUp = iota + 1
	// AfterIt breaks it instead of the answer.
	AfterIt
)

// Fault is something that goes wrong with commands.
type Fault struct {
	Commands []string // which; empty for all but hello and ping
	Skip     int      // so many pass before
	Times    int      // it happens so often; 0 for ever
	Chance   float64  // with this chance, by the seed; 0 for always
	HangUp   HangUp   // what happens: the connection breaks,
	Code     int      // or this error is the answer, and nothing is done
	Labels   []string // with these labels
	Delay    time.Duration
}

// Fault has something go wrong from now on.
func (s *Server) Fault(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &f)
}

// Heal ends all faults.
func (s *Server) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// faultFor returns what goes wrong with a command; nil for nothing.
func (s *Server) faultFor(command string) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range s.faults {
		if !f.about(command) || f.Chance > 0 && s.rng.Float64() >= f.Chance {
			continue
		}
		if f.Skip > 0 {
			f.Skip--
			continue
		}
		if f.Times > 0 {
			if f.Times--; f.Times == 0 {
				s.faults = slices.Delete(s.faults, i, i+1)
			}
		}
		return f
	}
	return nil
}

func (f *Fault) about(command string) bool {
	if len(f.Commands) > 0 {
		return slices.Contains(f.Commands, command)
	}
	return !slices.Contains([]string{"hello", "isMaster", "ismaster", "ping", "endSessions"}, command)
}

// delay is how long the network takes.
func (s *Server) delay(f *Fault) {
	var d time.Duration
	if s.o.Latency > 0 {
		s.mu.Lock()
		d = time.Duration(s.rng.Int64N(int64(s.o.Latency)))
		s.mu.Unlock()
	}
	if f != nil {
		d += f.Delay
	}
	if d > 0 {
		time.Sleep(d)
	}
}

// Freeze has the server take connections and commands, and answer nothing until
// Thaw.
func (s *Server) Freeze() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.frozen == nil {
		s.frozen = make(chan struct{})
	}
}

// Thaw ends Freeze.
func (s *Server) Thaw() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.frozen != nil {
		close(s.frozen)
		s.frozen = nil
	}
}

// awaitThaw waits while the server is frozen; false when it went down so.
func (s *Server) awaitThaw(down <-chan struct{}) bool {
	s.mu.Lock()
	frozen := s.frozen
	s.mu.Unlock()
	if frozen == nil {
		return true
	}
	select {
	case <-frozen:
		return true
	case <-down:
		return false
	}
}
