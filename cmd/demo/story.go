package main

import (
	"slices"
	"strings"
)

// story tells of one domain's move: of the first in every step with the command
// above it, of the others, which go the same way, what came of the steps.
type story struct {
	*screen
	first bool
	told  map[string]int // how often of each step
}

// asides are only told of the first domain, and a verify that comes again of none.
var asides = []string{"settings", "gate"}

func (s story) Write(p []byte) (int, error) { return s.log.Write(p) }

func (s story) Typed(command string) {
	s.wait(command)
	if s.first && !(s.told["verify"] > 0 && strings.HasPrefix(command, "amanat verify")) {
		s.typed(command)
		return
	}
	s.note("  $ " + command)
}

func (s story) Waits(what string) { s.wait(what) }

func (s story) Said(what, line string) {
	s.wait("")
	s.told[what]++
	again := s.told[what] > 1 && (what == "verify" || what == "gate")
	if again || !s.first && slices.Contains(asides, what) {
		s.note("  " + what + ": " + line)
		return
	}
	s.say(what, "%s", line)
}
