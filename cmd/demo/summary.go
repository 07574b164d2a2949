package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/amanat-dev/amanat/devstack/audit"
)

// line is one statement of the summary: what was wanted, and what came.
type line struct {
	what, came string
	ok         bool
}

// sumUp prints the short table, and gives an error unless everything held.
func (s *show) sumUp(r *audit.Report) error {
	if err := r.Print(s.screen.indented()); err != nil {
		return err
	}
	s.screen.heading("What came of it")
	bad := 0
	for _, l := range append(s.results(r), s.pauses()...) {
		mark := s.screen.paint("32", "✓")
		if !l.ok {
			mark = s.screen.paint("31", "✗")
			bad++
		}
		s.screen.say("%s %-32s %s", mark, l.what, l.came)
	}
	for _, sample := range s.traffic.Counts().Samples {
		s.screen.warn("%s", sample)
	}
	if bad > 0 {
		return fmt.Errorf("%d of these did not hold", bad)
	}
	return nil
}

func (s *show) results(r *audit.Report) []line {
	c, writes := s.traffic.Counts(), s.traffic.Account().Writes()
	failed := c.Failed + c.Unexpected
	return []line{
		{"requests served", fmt.Sprintf("%d (p50 %.1f ms, p99 %.1f ms, max %.0f ms)", c.Requests-failed,
			millis(c.Latency["p50"]), millis(c.Latency["p99"]), millis(c.Latency["max"])), c.Requests > 0},
		{"requests failed", fmt.Sprint(failed), failed == 0},
		{"deals", stages(s.traffic.Stages()), s.traffic.Stages()["released"] > 0},
		{"lost writes", fmt.Sprintf("%d of %d acknowledged", r.Lost(), writes), r.Lost() == 0 && writes > 0},
		{"writes made twice", fmt.Sprint(r.Twice()), r.Twice() == 0},
		{"differences", fmt.Sprintf("%d in %d records", r.Differences(), r.Postgres.Records), r.Differences() == 0 && r.Postgres.Records > 0},
		balanced(r.Mongo), balanced(r.Postgres),
		{"ledgers alike, nothing unchecked", fmt.Sprint(r.OK()), r.OK()},
	}
}

func balanced(s audit.Side) line {
	var held []string
	for _, asset := range slices.Sorted(maps.Keys(s.Ledger.Held)) {
		held = append(held, fmt.Sprintf("%s units of %s in escrow", s.Ledger.Held[asset], asset))
	}
	n := len(s.Ledger.Unbalanced)
	came := fmt.Sprintf("%d entries, %s", s.Ledger.Entries, strings.Join(held, ", "))
	return line{"ledger balanced in " + s.Name, came, n == 0 && s.Ledger.Entries > 0}
}

// pauses lists how long writes waited in each turn.
func (s *show) pauses() []line {
	var out []line
	for _, t := range s.turns {
		came := fmt.Sprintf("%.0f ms", t.PauseMS)
		if t.Tries > 1 {
			came += fmt.Sprintf(" (at the %d. try)", t.Tries)
		}
		out = append(out, line{"pause of " + t.Domain + " " + t.Action, came, true})
	}
	return out
}

// stages says how many deals ended where.
func stages(all map[string]int) string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if name != "" {
			out = append(out, fmt.Sprintf("%d %s", all[name], name))
		}
	}
	return strings.Join(out, ", ")
}

func millis(micros int64) float64 { return float64(micros) / 1000 }
