package mongosim

import (
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// path is a field's name, cut at its dots.
type path []string

func parsePath(name string) path { return strings.Split(name, ".") }

func (p path) String() string { return strings.Join(p, ".") }

// isIndex says that a part of a path may be a place in a list.
func isIndex(part string) bool {
	return part != "" && strings.Trim(part, "0123456789") == "" && (part == "0" || part[0] != '0')
}

// visit calls yield with each value that a condition on p is about, until it
// returns true, and says whether it did. A field that is not there counts as
// one missing value. A list counts by its elements, and then as a whole; on the
// way to a field, only by those elements that are documents, and by its places.
// https://www.mongodb.com/docs/v7.0/tutorial/query-arrays/
func (p path) visit(doc []byte, yield func(bson.RawValue) bool) bool {
	v := field(doc, p[0])
	rest := p[1:]
	switch {
	case isArray(v):
		return rest.visitList(v, yield)
	case len(rest) == 0:
		return yield(v)
	case isDocument(v):
		return rest.visit(v.Value, yield)
	}
	return yield(missing)
}

func (p path) visitList(list bson.RawValue, yield func(bson.RawValue) bool) bool {
	for e := range elements(list.Value) {
		v := e.Value()
		switch {
		case len(p) == 0:
			if yield(v) {
				return true
			}
			continue
		case isDocument(v) && p.visit(v.Value, yield):
			return true
		}
		if isIndex(p[0]) && e.Key() == p[0] && p[1:].visitPlace(v, yield) {
			return true
		}
	}
	return len(p) == 0 && yield(list)
}

// visitPlace goes on at the element that a path names by its place.
func (p path) visitPlace(v bson.RawValue, yield func(bson.RawValue) bool) bool {
	switch {
	case isArray(v):
		return p.visitList(v, yield)
	case len(p) == 0:
		return yield(v)
	case isDocument(v):
		return p.visit(v.Value, yield)
	}
	return false
}

// lookup follows a path through documents alone.
func (p path) lookup(doc []byte) bson.RawValue {
	v := field(doc, p[0])
	for _, part := range p[1:] {
		if !isDocument(v) {
			return missing
		}
		v = field(v.Value, part)
	}
	return v
}
