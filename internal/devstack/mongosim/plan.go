package mongosim

import (
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// span is a part of an index: from ≤ name < to.
type span struct{ from, to string }

// scan goes through spans of one index; what it meets is held against the whole
// filter, so that it may be too much.
type scan struct {
	index   string
	spans   []span
	reverse bool
}

// everySpan is a whole index.
var everySpan = []span{{"", "\xff"}}

// plan is how the documents of a filter are found.
type plan struct {
	scans  []scan
	sorted bool // they come in the order that was asked for
	repeat bool // one may come twice
}

// terms are the tests that all must hold, and what else must.
type terms struct {
	tests []*test
	ors   []or
}

func termsOf(f filter) terms {
	var t terms
	t.collect(f)
	return t
}

func (t *terms) collect(f filter) {
	switch f := f.(type) {
	case and:
		for _, sub := range f {
			t.collect(sub)
		}
	case *test:
		t.tests = append(t.tests, f)
	case or:
		t.ors = append(t.ors, f)
	}
}

// planFor finds the index that serves a filter best. A filter that none serves,
// but each branch of an $or in it is served, takes an index for each.
func (c *collection) planFor(f filter, o order, hint *index) plan {
	if hint != nil {
		return c.through(hint, termsOf(f), o).plan
	}
	t := termsOf(f)
	best := c.best(t, o)
	if best.worth >= worthRange {
		return best.plan
	}
	for _, branches := range t.ors {
		if union, ok := c.union(branches); ok {
			return union
		}
	}
	return best.plan
}

// candidate is a plan and what it is worth.
type candidate struct {
	plan
	worth int
}

// What speaks for an index: fields that are told exactly, then a range, then
// that it returns the order.
const (
	worthExact = 10
	worthRange = 5
	worthOrder = 3
)

func (c *collection) best(t terms, o order) candidate {
	var best candidate
	for i, x := range c.indexes {
		if !x.covers(t) {
			continue
		}
		if now := c.through(x, t, o); i == 0 || now.worth > best.worth {
			best = now
		}
	}
	return best
}

// union finds each branch of an $or by an index of its own.
func (c *collection) union(branches or) (plan, bool) {
	all := plan{repeat: true}
	for _, branch := range branches {
		best := c.best(termsOf(branch), nil)
		if best.worth < worthRange {
			return plan{}, false
		}
		all.scans = append(all.scans, best.scans...)
	}
	return all, true
}

// covers says that every document that the terms let through is in the index.
func (x *index) covers(t terms) bool {
	if x.sparse && !t.present(x.fields[0].path) {
		return false
	}
	if x.partial == nil {
		return true
	}
	must := termsOf(x.partial)
	return len(must.ors) == 0 && !slices.ContainsFunc(must.tests, func(m *test) bool {
		return !(m.op == opExists && t.present(m.path)) && !t.has(m)
	})
}

// present says that the terms want something to be in a field.
func (t terms) present(p path) bool {
	return slices.ContainsFunc(t.tests, func(s *test) bool {
		return slices.Equal(s.path, p) && !slices.Contains(s.accepts(), rankNull)
	})
}

func (t terms) has(m *test) bool {
	return slices.ContainsFunc(t.tests, func(s *test) bool {
		return slices.Equal(s.path, m.path) && s.op == m.op && s.op != opIn && s.op != opType && s.key == m.key
	})
}

// accepts are the types of which values a test lets through.
func (t *test) accepts() []byte {
	switch t.op {
	case opIn:
		var all []byte
		for _, v := range t.list {
			all = append(all, rankOf(v))
		}
		return all
	case opExists:
		return nil
	case opType:
		return []byte{rankNull} // not told apart: no index serves it
	}
	return []byte{rankOf(t.value)}
}

// through plans to go through an index.
func (c *collection) through(x *index, t terms, o order) candidate {
	prefixes, worth, exact := []string{""}, 0, 0
	for _, f := range x.fields {
		points := t.points(f)
		if points == nil || len(points)*len(prefixes) > 10_000 {
			break
		}
		prefixes = product(prefixes, points)
		worth, exact = worth+worthExact, exact+1
		if x.multikey { // the next may be about another element of a list
			break
		}
	}
	spans := spansOf(prefixes)
	if exact < len(x.fields) && (exact == 0 || !x.multikey) {
		if r, ok := t.interval(x.fields[exact], x.multikey); ok {
			spans, worth = within(prefixes, r), worth+worthRange
		}
	} else if x.unique && exact == len(x.fields) {
		worth++
	}
	p := plan{scans: []scan{{index: x.name, spans: spans}}, repeat: x.multikey}
	if len(o) > 0 && !x.multikey && len(prefixes) == 1 {
		if reverse, ok := x.gives(o, exact); ok {
			p.sorted, p.scans[0].reverse = true, reverse
			worth += worthOrder
		}
	}
	return candidate{p, worth}
}

func product(prefixes, points []string) []string {
	var all []string
	for _, p := range prefixes {
		for _, q := range points {
			all = append(all, p+q)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func spansOf(prefixes []string) []span {
	if len(prefixes) == 1 && prefixes[0] == "" {
		return everySpan
	}
	spans := make([]span, len(prefixes))
	for i, p := range prefixes {
		spans[i] = span{p, p + "\xff"}
	}
	return spans
}

func within(prefixes []string, r span) []span {
	spans := make([]span, len(prefixes))
	for i, p := range prefixes {
		spans[i] = span{p + r.from, p + r.to}
	}
	return spans
}

// points returns the keys that a field must have one of, as they stand in the
// index; nil when no term says so.
func (t terms) points(f orderField) []string {
	for _, s := range t.tests {
		if !slices.Equal(s.path, f.path) || !s.pointed() {
			continue
		}
		list := s.list
		if s.op == opEqual {
			list = []bson.RawValue{s.value}
		}
		points := make([]string, len(list))
		for i, v := range list {
			points[i] = string(appendDirected(nil, keyOf(v), f.desc))
		}
		return append([]string{}, points...)
	}
	return nil
}

// pointed says that a test names values that an index can be asked for: not
// lists, whose elements it has, and no nothing behind a dot, which may hide in a
// list.
func (t *test) pointed() bool {
	if t.op != opEqual && t.op != opIn {
		return false
	}
	ranks := t.accepts()
	return !slices.Contains(ranks, rankArray) && (len(t.path) == 1 || !slices.Contains(ranks, rankNull))
}

// interval returns the part of one field's keys that the terms leave. Of a
// field with lists each term may be about another element, so that only one
// counts.
func (t terms) interval(f orderField, multikey bool) (span, bool) {
	low, high, found := "", "", false
	for _, s := range t.tests {
		if !slices.Equal(s.path, f.path) || !s.ranged() || found && multikey {
			continue
		}
		from, to := s.bounds()
		if !found || from > low {
			low = from
		}
		if !found || to < high {
			high = to
		}
		found = true
	}
	if f.desc {
		from := appendDirected(nil, strings.TrimSuffix(high, "\xff"), true)
		to := appendDirected(nil, strings.TrimSuffix(low, "\xff"), true)
		return span{string(from), string(to) + "\xff"}, found
	}
	return span{low, high}, found
}

func (t *test) ranged() bool {
	switch t.op {
	case opBelow, opUpTo, opAbove, opFrom:
		r := rankOf(t.value)
		return r != rankNull && r != rankArray && r != rankDocument
	}
	return false
}

// bounds are those of a comparison within the values of its type.
func (t *test) bounds() (from, to string) {
	rank := rankOf(t.value)
	from, to = string([]byte{rank}), string([]byte{rank + 1})
	switch t.op {
	case opBelow:
		to = t.key
	case opUpTo:
		to = t.key + "\xff"
	case opAbove:
		from = t.key + "\xff"
	case opFrom:
		from = t.key
	}
	return from, to
}

// gives says that the index, behind fields that are told exactly, gives an
// order, upwards or downwards. Behind its fields it goes by _id.
func (x *index) gives(o order, exact int) (reverse, ok bool) {
	fields := slices.Clone(x.fields[exact:])
	if last := x.fields[len(x.fields)-1]; last.path[0] != "_id" {
		fields = append(fields, orderField{path: path{"_id"}})
	}
	if len(o) > len(fields) {
		return false, false
	}
	reverse = o[0].desc != fields[0].desc
	for i, f := range o {
		if !slices.Equal(f.path, fields[i].path) || (f.desc != fields[i].desc) != reverse {
			return false, false
		}
	}
	return reverse, true
}
