package audit

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
)

// Report is what an audit found.
type Report struct {
	PostgresOnly bool
	MongoOnly    bool
	Kinds        []KindReport
	Mongo        Side
	Postgres     Side
	Unaudited    []string // tables with records that no kind of ours names
}

// KindReport compares one kind.
type KindReport struct {
	Kind            string
	Mongo, Postgres int // records
	Different       int // on one side only, or not the same on both
	Fields          int // values compared
	Samples         []string
}

const maxSamples = 5

// compare adds one kind.
func (r *Report) compare(k kind, m, p map[string]record) {
	c := KindReport{Kind: k.name, Mongo: len(m), Postgres: len(p)}
	for _, id := range slices.Sorted(maps.Keys(m)) {
		row, ok := p[id]
		if !ok {
			c.differ("%s %s is missing in PostgreSQL", k.name, id)
			continue
		}
		c.Fields += len(m[id])
		if d := differing(m[id], row); len(d) > 0 {
			slices.Sort(d)
			c.differ("%s %s: %v", k.name, id, d)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(p)) {
		if _, ok := m[id]; !ok {
			c.differ("%s %s is missing in MongoDB", k.name, id)
		}
	}
	r.Kinds = append(r.Kinds, c)
}

func (c *KindReport) differ(format string, args ...any) {
	c.Different++
	if len(c.Samples) < maxSamples {
		c.Samples = append(c.Samples, fmt.Sprintf(format, args...))
	}
}

// Differences counts the records that are not the same on both sides.
func (r *Report) Differences() int {
	n := 0
	for _, k := range r.Kinds {
		n += k.Different
	}
	return n
}

// Lost counts the acknowledged statements that do not hold on a side.
func (r *Report) Lost() int { return len(r.Mongo.Lost) + len(r.Postgres.Lost) }

// Twice counts what is there more often than it was asked for.
func (r *Report) Twice() int { return len(r.Mongo.Twice) + len(r.Postgres.Twice) }

// Unbalanced counts what is wrong in the ledgers, a difference between them
// included.
func (r *Report) Unbalanced() int {
	n := len(r.Mongo.Ledger.Unbalanced) + len(r.Postgres.Ledger.Unbalanced)
	for _, side := range []Side{r.Mongo, r.Postgres} {
		for _, sum := range side.Ledger.Sums {
			if sum != "0" {
				n++
			}
		}
	}
	if !r.PostgresOnly && !r.MongoOnly && !maps.Equal(r.Mongo.Ledger.Held, r.Postgres.Ledger.Held) {
		n++
	}
	return n
}

// OK says that nothing is wrong, and that there was something to look at.
func (r *Report) OK() bool {
	return r.Mongo.Records+r.Postgres.Records > 0 && r.Lost() == 0 && r.Twice() == 0 && r.Differences() == 0 && r.Unbalanced() == 0 && len(r.Unaudited) == 0
}

// Print writes the report as a table, and what is wrong below it.
func (r *Report) Print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	if !r.PostgresOnly {
		fmt.Fprintln(t, "kind\tMongoDB\tPostgreSQL\tvalues\tdifferent\t")
	}
	for _, k := range r.Kinds {
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t\n", k.Kind, k.Mongo, k.Postgres, k.Fields, k.Different)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, line := range r.Problems() {
		if _, err := fmt.Fprintln(w, "  ✗", line); err != nil {
			return err
		}
	}
	return nil
}

// Problems lists what is wrong, some of each sort.
func (r *Report) Problems() []string {
	var out []string
	for _, k := range r.Kinds {
		out = append(out, k.Samples...)
	}
	for _, s := range []Side{r.Mongo, r.Postgres} {
		out = append(out, named(s.Name, s.Lost)...)
		out = append(out, named(s.Name, s.Twice)...)
		out = append(out, named(s.Name, s.Ledger.Unbalanced)...)
	}
	for _, table := range r.Unaudited {
		out = append(out, "table "+table+" holds records that the audit does not know")
	}
	return out
}

func named(side string, problems []string) []string {
	var out []string
	for _, p := range problems[:min(len(problems), maxSamples)] {
		out = append(out, side+": "+p)
	}
	return out
}
