package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/amanat-dev/amanat/devstack/audit"
	"github.com/amanat-dev/amanat/devstack/deployment"
	"github.com/amanat-dev/amanat/devstack/traffic"
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
	for _, l := range append(s.results(r), s.pauses()...) {
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
	s.screen.print(color, "  %s %-22s %s", mark, l.what, l.came)
}

func (s *show) results(r *audit.Report) []line {
	c, writes := s.traffic.Counts(), s.traffic.Account().Writes()
	failed := c.Failed + c.Unexpected
	return []line{
		{"requests served", fmt.Sprintf("%s, half within %s, 99 %% within %s, all within %s", count(c.Requests-failed),
			latency(c, "p50"), latency(c, "p99"), latency(c, "max")), c.Requests > 0},
		{"requests failed", fmt.Sprint(failed), failed == 0},
		{"deals", stages(s.traffic.Stages()), s.traffic.Stages()["released"] > 0},
		{"lost writes", fmt.Sprintf("%d of %s that were acknowledged", r.Lost(), count(writes)), r.Lost() == 0 && writes > 0},
		{"writes made twice", fmt.Sprint(r.Twice()), r.Twice() == 0},
		{"differences", fmt.Sprintf("%d in %s records", r.Differences(), count(r.Postgres.Records)), r.Differences() == 0 && r.Postgres.Records > 0},
		balanced(r.Mongo), balanced(r.Postgres),
		{"ledgers", alike(r.OK()), r.OK()},
	}
}

func alike(ok bool) string {
	if ok {
		return "alike, and no table was left unchecked"
	}
	return "not alike, or a table was left unchecked"
}

func balanced(s audit.Side) line {
	var held []string
	for _, asset := range slices.Sorted(maps.Keys(s.Ledger.Held)) {
		held = append(held, fmt.Sprintf("%s of %s", s.Ledger.Held[asset], asset))
	}
	n := len(s.Ledger.Unbalanced)
	came := fmt.Sprintf("balanced: %s entries, %s in escrow", count(s.Ledger.Entries), strings.Join(held, ", "))
	if n > 0 {
		came = fmt.Sprintf("%d entries or accounts are off balance", n)
	}
	return line{"ledger in " + s.Name, came, n == 0 && s.Ledger.Entries > 0}
}

// pauses says how long writes waited in the turns of each domain.
func (s *show) pauses() []line {
	var out []line
	for _, domain := range deployment.Domains {
		turns := slices.DeleteFunc(slices.Clone(s.turns), func(t deployment.Turn) bool { return t.Domain != domain })
		out = append(out, line{"pauses of " + domain, pausesOf(turns), true})
	}
	return out
}

func pausesOf(turns []deployment.Turn) string {
	var ms []float64
	undone := 0
	for _, t := range turns {
		ms = append(ms, t.PauseMS)
		undone += t.Tries - 1
	}
	text := fmt.Sprintf("writes waited %.0f to %.0f ms in %d switches and rollbacks", slices.Min(ms), slices.Max(ms), len(ms))
	if undone > 0 {
		text += fmt.Sprintf("; %d would have been longer, and was not done", undone)
	}
	return text
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

// latency writes one of the times that requests took.
func latency(c traffic.Counts, which string) string {
	d := time.Duration(c.Latency[which]) * time.Microsecond
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}
