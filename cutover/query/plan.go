package query

import (
	"fmt"
	"slices"
	"strings"
)

// Index is a list of fields that a store keeps in order, with ties by identity.
// The index on identities alone is always there.
type Index []string

// Plan returns the query with each alternative that names several values of an
// indexed field split into one per value, so that a store can answer every
// alternative from the index in the order asked for. Its error names the
// alternative that no index serves: a store would have to search everything.
func (b Bound) Plan(indexes []Index) (Bound, error) {
	var out []Branch
	for _, br := range b.Branches {
		index, ok := b.serve(br, indexes)
		if !ok {
			return Bound{}, fmt.Errorf("query: no declared index serves %s", b.describe(br))
		}
		out = append(out, split(br, index)...)
	}
	b.Branches = out
	return b, nil
}

// serve finds the index that answers most of a branch. Without a condition,
// what counts is the order alone.
func (b Bound) serve(br Branch, indexes []Index) (Index, bool) {
	best, score := Index{ID}, b.score(br, Index{ID})
	for _, index := range indexes {
		if s := b.score(br, index); s > score {
			best, score = index, s
		}
	}
	return best, score > 0
}

// score rates an index: two for each leading field that is bound to values, one
// more when the next one is what is sorted by or what has bounds. 0: of no use.
func (b Bound) score(br Branch, index Index) int {
	score := 0
	fields := append(slices.Clip(index), ID)
	for i, field := range fields {
		if br.fixes(field) {
			score += 2
			continue
		}
		ordered := field == b.Order.String()
		if ordered || br.bounds(field) {
			score++
		}
		// By identity alone everything may have to be gone through, unless
		// nothing else is asked for.
		if i == 0 && ordered && !br.bounds(field) && br.narrows(field) {
			return 0
		}
		return score
	}
	return score
}

// fixes says that a term binds the field to values, or to absence.
func (br Branch) fixes(field string) bool {
	return slices.ContainsFunc(br, func(t Term) bool {
		return t.Path.String() == field && (t.Op == Equal || t.Op == OneOf || t.Op == IsAbsent || t.Op == IsAmong)
	})
}

// bounds says that a term sets a bound to the field.
func (br Branch) bounds(field string) bool {
	return slices.ContainsFunc(br, func(t Term) bool { return t.Path.String() == field && t.Op >= IsPresent && t.Op <= From })
}

// Bounds says that no record in which the field is absent is asked for.
func (b Bound) Bounds(p Path) bool {
	for _, br := range b.Branches {
		if !br.bounds(p.String()) && !slices.ContainsFunc(br, func(t Term) bool {
			return t.Path.String() == p.String() && (t.Op == Equal || t.Op == OneOf || t.Op == IsAmong)
		}) {
			return false
		}
	}
	return true
}

// narrows says that a term is about another field.
func (br Branch) narrows(field string) bool {
	return slices.ContainsFunc(br, func(t Term) bool { return t.Path.String() != field })
}

// maxSplit is how many values of a field become branches of their own.
const maxSplit = 8

// split makes a branch for each value of the index's fields.
func split(br Branch, index Index) []Branch {
	out := []Branch{br}
	for i, t := range br {
		if t.Op != OneOf || len(t.Values) > maxSplit || t.Path.IsID() || !slices.Contains(index, t.Path.String()) {
			continue
		}
		var more []Branch
		for _, b := range out {
			for _, v := range t.Values {
				with := slices.Clone(b)
				with[i] = Term{Path: t.Path, Op: Equal, Values: []any{v}}
				more = append(more, with)
			}
		}
		out = more
	}
	return out
}

func (b Bound) describe(br Branch) string {
	var parts []string
	for _, t := range br {
		parts = append(parts, t.Path.String()+" "+t.Op.String())
	}
	return fmt.Sprintf("[%s] ordered by %s", strings.Join(parts, ", "), b.Order)
}
