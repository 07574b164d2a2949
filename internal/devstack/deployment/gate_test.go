package deployment

import (
	"strings"
	"testing"
)

// line makes a line of a gate that holds the step.
func line(name, evidence string) gateLine { return gateLine{Name: name, Evidence: evidence} }

func TestAGateGetsOnByItsShadowReadsAlone(t *testing.T) {
	t.Parallel()
	far := func(matched, lag string) string {
		return gate{line("gaps", "0 open gaps, copy lag "+lag), line("shadow", matched)}.far()
	}
	first := far("3 matched of 30 asked, 0 diffs, 0 errors, over 2s; not seen: user.list", "2s")
	for name, c := range map[string]struct {
		far   string
		moved bool
	}{
		"more of what was asked for": {far("4 matched of 30 asked, 0 diffs, 0 errors, over 2s; not seen: user.list", "2s"), true},
		"a query seen":               {far("3 matched of 30 asked, 0 diffs, 0 errors, over 2s", "2s"), true},
		"another lag":                {far("3 matched of 30 asked, 0 diffs, 0 errors, over 2s; not seen: user.list", "4s"), false},
		"only time":                  {far("3 matched of 30 asked, 0 diffs, 0 errors, over 9s; not seen: user.list", "2s"), false},
	} {
		if moved := c.far != first; moved != c.moved {
			t.Errorf("%s: want it to count as getting on: %v; got %q after %q", name, c.moved, c.far, first)
		}
	}
	if far("30 matched of 30 asked; not seen: user.list", "1s") != far("900 matched of 30 asked; not seen: user.list", "1s") {
		t.Error("more than was asked for is not getting on while a query was never seen")
	}
}

func TestAGateIsWaitedForOnlyWhereWaitingHelps(t *testing.T) {
	t.Parallel()
	passed := gateLine{Name: "processes", OK: true, Evidence: "3 on epoch 4"}
	rehearsed := line("rehearsal", "pause of about 377ms (acknowledge 3 × 117ms), budget 250ms")
	for name, c := range map[string]struct {
		gate         gate
		open, broken bool
	}{
		"no gate":                      {gate{}, false, false},
		"all pass":                     {gate{passed}, true, false},
		"a rehearsal that was slow":    {gate{passed, rehearsed}, true, false},
		"a waived line":                {gate{{Name: "verify", Waived: "not of this test"}}, true, false},
		"few shadow reads":             {gate{passed, line("shadow", "3 matched of 30 asked, 0 diffs")}, false, false},
		"shadow reads that differ":     {gate{passed, line("shadow", "3 matched of 30 asked, 1 diffs")}, false, true},
		"a long lag":                   {gate{passed, line("gaps", "0 open gaps, copy lag 2.155s")}, false, false},
		"a verify with a difference":   {gate{passed, line("verify", "1 differences in 30 records")}, false, true},
		"a verify that was not waived": {gate{passed, line("verify", "no verify since phase dual began")}, false, true},
	} {
		if c.gate.open() != c.open || c.gate.broken() != c.broken {
			t.Errorf("%s: want open %v and broken %v, got %v and %v", name, c.open, c.broken, c.gate.open(), c.gate.broken())
		}
	}
	if text := (gate{passed, line("gaps", "copy lag 2s"), line("shadow", "none")}).held(); text != "gaps: copy lag 2s; shadow: none" {
		t.Errorf("want the lines that hold, got %q", text)
	}
}

func TestAnOpenGateIsToldInHalfALine(t *testing.T) {
	t.Parallel()
	g := gate{
		{Name: "gaps", OK: true, Evidence: "0 open gaps, copy lag 12ms"},
		{Name: "shadow", OK: true, Evidence: "41 matched of 40 asked, 0 diffs, 0 errors, over 5s (at most 7.3 % differ, at 95 %)"},
		{Name: "rehearsal", OK: true, Evidence: "pause of about 46ms (acknowledge 3 × 15ms, drain 2ms, compare 0s), budget 250ms"},
	}
	if want := "copy lag 12ms; 41 matched of 40 asked, 0 diffs; pause of about 46ms"; g.brief() != want {
		t.Errorf("want %q, got %q", want, g.brief())
	}
}

// recorder is an audience.
type recorder struct {
	strings.Builder
	waits []string
}

func (r *recorder) Typed(string)          {}
func (r *recorder) Waits(what string)     { r.waits = append(r.waits, what) }
func (r *recorder) Said(string, string)   {}
func (r *recorder) Undone(string, string) {}

func TestWhatACommandSaysIsPassedOnLineByLine(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	l := &listener{m: &Move{Domain: "user", Audience: r}, what: "backfill"}
	for _, part := range []string{"user: 1 of ", "2 chunks\n\n", "user: 2 of 2 chunks\nuser: done"} {
		if n, err := l.Write([]byte(part)); err != nil || n != len(part) {
			t.Fatalf("want all of it written, got %d, %v", n, err)
		}
	}
	if got := strings.Join(r.waits, "|"); got != "backfill: 1 of 2 chunks|backfill: 2 of 2 chunks" || l.last != "2 of 2 chunks" {
		t.Errorf("want whole lines and the last of them, got %q and %q", got, l.last)
	}
	if r.String() != "user: 1 of 2 chunks\n\nuser: 2 of 2 chunks\nuser: done" {
		t.Errorf("want all of it passed on, got %q", r.String())
	}
}
