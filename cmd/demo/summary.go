package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/amanat-dev/amanat/internal/devstack/audit"
	"github.com/amanat-dev/amanat/internal/devstack/deployment"
	"github.com/amanat-dev/amanat/internal/devstack/traffic"
)

// line is one statement of the summary: what was wanted, and what came.
type line struct {
	what, came string
	ok         bool
}

// sumUp prints the short table and the verdict, and returns an error unless
// everything held.
func (s *show) sumUp(r *audit.Report) error {
	if err := r.Print(s.screen.log); err != nil {
		return err
	}
	for _, problem := range r.Problems() {
		s.screen.warn("%s", problem)
	}
	s.screen.heading("What came of it")
	bad := 0
	for _, l := range s.results(r) {
		s.row(l)
		if !l.ok {
			bad++
		}
	}
	s.screen.print("", "")
	s.screen.print(dim, "  What every command said, the servers' logs, members' mail: %s", s.dir)
	if bad > 0 {
		s.screen.print(red, "  ✗ %d of these did not hold.", bad)
		return fmt.Errorf("%d of these did not hold; see %s", bad, s.logFile())
	}
	s.screen.print(bold, "  ✓ Three domains moved to PostgreSQL, back, and over again; nothing failed, and nothing was lost.")
	return nil
}

func (s *show) row(l line) {
	mark, color := "✓", ""
	if !l.ok {
		mark, color = "✗", red
	}
	s.screen.print(color, "  %s %-17s %s", mark, l.what, l.came)
}

func (s *show) results(r *audit.Report) []line {
	c, writes := s.traffic.Counts(), s.traffic.Account().Writes()
	failed := c.Failed + c.Unexpected
	return []line{
		{"requests served", fmt.Sprintf("%s, half within %s, 99 %% within %s, all within %s", count(c.Requests-failed),
			latency(c, "p50"), latency(c, "p99"), latency(c, "max")), c.Requests > 0},
		{"requests failed", fmt.Sprint(failed), failed == 0},
		deals(s.traffic.Stages()),
		{"lost writes", fmt.Sprintf("%d of %s that were acknowledged", r.Lost(), count(writes)), r.Lost() == 0 && writes > 0},
		{"writes made twice", fmt.Sprint(r.Twice()), r.Twice() == 0},
		{"differences", fmt.Sprintf("%d in %s records", r.Differences(), count(r.Postgres.Records)), r.Differences() == 0 && r.Postgres.Records > 0},
		ledgers(r), s.pauses(),
	}
}

// ledgers says what the ledgers of both sides add up to.
func ledgers(r *audit.Report) line {
	l := r.Mongo.Ledger
	var held []string
	for _, asset := range slices.Sorted(maps.Keys(l.Held)) {
		held = append(held, fmt.Sprintf("%s units of %s", l.Held[asset], asset))
	}
	came := fmt.Sprintf("balanced and alike: %s entries, %s held", count(l.Entries), strings.Join(held, ", "))
	if !r.OK() {
		came = fmt.Sprintf("%d entries or accounts off balance, %d tables unchecked", r.Unbalanced(), len(r.Unaudited))
	}
	return line{"ledgers", came, r.OK() && l.Entries > 0}
}

// pauses says how long writes waited in the turns of each domain.
func (s *show) pauses() line {
	var out []string
	undone := 0
	for _, domain := range deployment.Domains {
		var ms []float64
		for _, t := range s.turns {
			if t.Domain == domain {
				ms = append(ms, t.PauseMS)
				undone += t.Tries - 1
			}
		}
		out = append(out, fmt.Sprintf("%s %.0f to %.0f ms", domain, slices.Min(ms), slices.Max(ms)))
	}
	text := strings.Join(out, ", ")
	if undone > 0 {
		text += fmt.Sprintf("; %d undone", undone)
	}
	return line{"pauses of writes", text, true}
}

// deals says how they ended.
func deals(stages map[string]int) line {
	off := 0
	for stage, n := range stages {
		if stage != "released" && stage != "refunded" {
			off += n
		}
	}
	return line{"deals", fmt.Sprintf("%s paid out, %s refunded, %s called off or under way at the end",
		count(stages["released"]), count(stages["refunded"]), count(off)), stages["released"] > 0}
}

// latency writes one of the times that requests took.
func latency(c traffic.Counts, which string) string {
	d := time.Duration(c.Latency[which]) * time.Microsecond
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}
