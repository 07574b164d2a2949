package main

import "slices"

// story tells of one domain's move: of the first in every step with the command
// above it, of the others, which go the same way, what came of the steps.
type story struct {
	*screen
	first bool
}

// asides are only told of the first domain.
var asides = []string{"settings", "gate"}

func (s story) Write(p []byte) (int, error) { return s.log.Write(p) }

func (s story) Typed(command string) {
	s.wait(command)
	if s.first {
		s.typed(command)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log.Write([]byte("  $ " + command + "\n"))
}

func (s story) Waits(what string) { s.wait(what) }

func (s story) Said(what, line string) {
	s.wait("")
	if s.first || !slices.Contains(asides, what) {
		s.say(what, "%s", line)
	}
}
