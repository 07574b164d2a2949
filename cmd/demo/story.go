package main

import (
	"slices"
	"strings"
)

// story tells of one domain's move: of the first in every step with the command
// above it, of the others, which go the same way, what came of the steps. The log
// has all of it.
type story struct {
	*screen
	first bool
	told  map[string]int // how often of each step
	again bool           // a step was undone and is tried once more
}

// asides are only told of the first domain, and once.
var asides = []string{"settings", "gate"}

func (s *story) Write(p []byte) (int, error) { return s.log.Write(p) }

func (s *story) Typed(command string) {
	s.wait(command)
	verified := s.told["verify"] > 0 && strings.HasPrefix(command, "amanat verify")
	if s.first && !s.again && !verified {
		s.typed(command)
		return
	}
	s.note("  $ " + command)
}

func (s *story) Waits(what string) { s.wait(what) }

func (s *story) Undone(what, why string) {
	s.again = true
	s.note("  " + what + " undone: " + why)
	s.wait(what + ": " + why + "; once more")
}

func (s *story) Said(what, line string) {
	s.wait("")
	aside := slices.Contains(asides, what)
	if !s.first && aside || s.told[what] > 0 && (aside || what == "verify") {
		s.note("  " + what + ": " + line)
		return
	}
	s.told[what]++
	if !aside {
		s.again = false
	}
	s.say(what, "%s", line)
}
