package query

import (
	"cmp"
	"reflect"
	"slices"

	"github.com/amanat-dev/amanat/cutover/shape"
)

// Match says whether a record is asked for. v is its struct. This is what a
// query means: the stores' answers are held against it.
func (b Bound) Match(v reflect.Value) bool {
	return slices.ContainsFunc(b.Branches, func(br Branch) bool { return br.match(v) })
}

func (br Branch) match(v reflect.Value) bool {
	for _, t := range br {
		if !t.match(v) {
			return false
		}
	}
	return true
}

func (t Term) match(v reflect.Value) bool {
	switch t.Op {
	case IsAbsent:
		return !t.Path.present(v)
	case IsPresent:
		return t.Path.present(v)
	}
	return slices.ContainsFunc(t.Path.Values(v), t.Holds)
}

// Holds says whether the term is true of a value that is there.
func (t Term) Holds(have any) bool {
	switch t.Op {
	case Below:
		return compare(have, t.Values[0]) < 0
	case UpTo:
		return compare(have, t.Values[0]) <= 0
	case Above:
		return compare(have, t.Values[0]) > 0
	case From:
		return compare(have, t.Values[0]) >= 0
	}
	return slices.ContainsFunc(t.Values, func(want any) bool { return compare(have, want) == 0 })
}

// Compare compares two records in the query's order.
func (b Bound) Compare(x, y reflect.Value) int {
	c := cmp.Or(compareAbsent(b.Order.Values(x), b.Order.Values(y)), compareAbsent(b.id.Values(x), b.id.Values(y)))
	if b.Desc {
		return -c
	}
	return c
}

// compareAbsent puts what is absent first.
func compareAbsent(x, y []any) int {
	if len(x) == 0 || len(y) == 0 {
		return cmp.Compare(len(x), len(y))
	}
	return compare(x[0], y[0])
}

// Values returns what a record has in a field: nothing when it is absent, each
// element of a list that is there.
func (p Path) Values(v reflect.Value) []any {
	v, ok := p.value(v)
	if !ok {
		return nil
	}
	f := p.Last()
	if f.Class != shape.List {
		return appendValue(nil, f, v)
	}
	var out []any
	for i := range v.Len() {
		out = appendValue(out, *f.Elem, v.Index(i))
	}
	return out
}

// value follows the path; false when a group on the way is absent.
func (p Path) value(v reflect.Value) (reflect.Value, bool) {
	for _, g := range p[:len(p)-1] {
		v = v.FieldByIndex(g.Index)
		if !g.Pointer {
			continue
		}
		if g.Empty(v) {
			return v, false
		}
		v = v.Elem()
	}
	return v.FieldByIndex(p.Last().Index), true
}

// present says that there is something in a field. A list is there when it has
// elements, whatever they are.
func (p Path) present(v reflect.Value) bool {
	v, ok := p.value(v)
	return ok && !p.Last().Empty(v)
}

// appendValue leaves out what is absent. A record's own field is of the type
// that shape read, so there is no other error.
func appendValue(to []any, f shape.Field, v reflect.Value) []any {
	value, there, err := valueOf(f, v)
	if err != nil || !there {
		return to
	}
	return append(to, value)
}
