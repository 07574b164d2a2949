package mongosim

import (
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// order is a parsed sort.
type order []orderField

type orderField struct {
	path path
	desc bool
}

func parseOrder(doc bson.Raw) (order, error) {
	var o order
	for e := range elements(doc) {
		direction, ok := e.Value().AsFloat64OK()
		if !ok || direction != 1 && direction != -1 {
			return nil, refuse(codeBadValue, "$sort key ordering must be 1 (for ascending) or -1 (for descending)")
		}
		o = append(o, orderField{parsePath(e.Key()), direction < 0})
	}
	return o, nil
}

// key is a document's place in the order: of a list, upwards its least element
// counts and downwards its greatest.
func (o order) key(doc bson.Raw) string {
	var all []byte
	for _, f := range o {
		best, found := "", false
		for _, k := range indexValues(doc, f.path) {
			if !found || (k > best) == f.desc {
				best, found = k, true
			}
		}
		all = appendDirected(all, best, f.desc)
	}
	return string(append(all, 1)) // so that what is longer stays behind or before
}

// appendDirected adds a key, turned around when it goes downwards.
func appendDirected(b []byte, key string, desc bool) []byte {
	from := len(b)
	b = append(b, key...)
	if desc {
		for i := from; i < len(b); i++ {
			b[i] = ^b[i]
		}
	}
	return b
}

// sorted returns documents in an order; those that are alike stay as they were.
func (o order) sorted(docs []bson.Raw) []bson.Raw {
	type keyed struct {
		key string
		doc bson.Raw
	}
	all := make([]keyed, len(docs))
	for i, doc := range docs {
		all[i] = keyed{o.key(doc), doc}
	}
	slices.SortStableFunc(all, func(a, b keyed) int { return strings.Compare(a.key, b.key) })
	out := make([]bson.Raw, len(docs))
	for i, k := range all {
		out[i] = k.doc
	}
	return out
}
