package mongosim

import (
	"slices"
	"strings"

	"github.com/tidwall/btree"
	"go.mongodb.org/mongo-driver/v2/bson"
)

// index is one index of a collection, in one version. An entry's name is the
// keys of its fields and then that of the document's _id, which is also what it
// holds.
type index struct {
	name     string
	fields   order
	unique   bool
	sparse   bool
	partial  filter // nil for all documents
	ttl      int64  // seconds; negative for none
	multikey bool   // some document has a list in it
	spec     bson.Raw
	entries  *btree.Map[string, string]
}

func (x *index) clone() *index {
	c := *x
	c.entries = x.entries.Copy()
	return &c
}

func (x *index) keyPattern() bson.Raw { return field(x.spec, "key").Document() }

// indexKey is one combination of a document's values in an index.
type indexKey struct {
	text   string
	values []bson.RawValue // for the message about a duplicate
}

// keys returns what a document has in the index: nothing where a sparse or
// partial index leaves it out.
// https://www.mongodb.com/docs/v7.0/core/indexes/index-types/index-multikey/
func (x *index) keys(doc bson.Raw) (keys []indexKey, multikey bool, err error) {
	if x.partial != nil && !x.partial.match(doc) {
		return nil, false, nil
	}
	e := expansion{index: x}
	at := make([]place, len(x.fields))
	for i, f := range x.fields {
		at[i] = place{value: asDocument(doc), rest: f.path}
	}
	err = e.expand(at)
	slices.SortFunc(e.keys, func(a, b indexKey) int { return strings.Compare(a.text, b.text) })
	e.keys = slices.CompactFunc(e.keys, func(a, b indexKey) bool { return a.text == b.text })
	return e.keys, e.multikey, err
}

// place is how far the path of one field was followed.
type place struct {
	value bson.RawValue
	rest  path
	done  bool
}

// step follows the path up to its end, a list, or nothing.
func (p place) step() place {
	for !p.done && !isArray(p.value) {
		switch {
		case len(p.rest) == 0:
			p.done = true
		case !isDocument(p.value):
			p.value, p.done = missing, true
		default:
			p.value, p.rest = field(p.value.Value, p.rest[0]), p.rest[1:]
		}
	}
	return p
}

// into goes on at an element of the list that p stands at.
func (p place) into(element bson.RawValue) place {
	if len(p.rest) == 0 {
		return place{value: element, done: true}
	}
	if isArray(element) { // a list within a list is not gone into
		return place{value: missing, done: true}
	}
	return place{value: element, rest: p.rest}
}

// expansion collects the keys of one document.
type expansion struct {
	index    *index
	keys     []indexKey
	multikey bool
}

// expand goes into the one list that the fields may be in; those of the same
// list go through it together.
func (e *expansion) expand(at []place) error {
	var list []byte
	for i := range at {
		at[i] = at[i].step()
		if at[i].done {
			continue
		}
		if list != nil && &list[0] != &at[i].value.Value[0] {
			return refuse(codeParallelArrays, "cannot index parallel arrays [%s]", e.index.name)
		}
		list = at[i].value.Value
	}
	if list == nil {
		e.add(at)
		return nil
	}
	e.multikey = true
	return e.expandList(at, list)
}

func (e *expansion) expandList(at []place, list []byte) error {
	empty := true
	for element := range elements(list) {
		empty = false
		if err := e.expand(entered(at, element.Value())); err != nil {
			return err
		}
	}
	if empty {
		return e.expand(entered(at, bson.RawValue{Type: bson.TypeUndefined}))
	}
	return nil
}

func entered(at []place, element bson.RawValue) []place {
	next := slices.Clone(at)
	for i := range next {
		if !next[i].done {
			next[i] = next[i].into(element)
		}
	}
	return next
}

func (e *expansion) add(at []place) {
	var text []byte
	values := make([]bson.RawValue, len(at))
	absent := 0
	for i, p := range at {
		values[i] = p.value
		if p.value.Type == 0 {
			absent++
		}
		text = appendDirected(text, keyOf(p.value), e.index.fields[i].desc)
	}
	if !e.index.sparse || absent < len(at) {
		e.keys = append(e.keys, indexKey{string(text), values})
	}
}

// indexValues are the keys of one field of a document, as an index has them.
func indexValues(doc bson.Raw, p path) []string {
	if v := p.lookup(doc); !isArray(v) && v.Type != 0 {
		return []string{keyOf(v)}
	}
	one := index{fields: order{{path: p}}}
	keys, _, _ := one.keys(doc) // one field has no parallel lists
	out := make([]string, len(keys))
	for i, k := range keys {
		out[i] = k.text
	}
	return out
}

// owner returns the _id's key of a document other than id that has a key.
func (x *index) owner(key, id string) (string, bool) {
	for it, ok := x.seek(key); ok; ok = it.Next() {
		other := it.Value()
		if it.Key() != key+other {
			return "", false
		}
		if other != id {
			return other, true
		}
	}
	return "", false
}

func (x *index) seek(key string) (btree.MapIter[string, string], bool) {
	it := x.entries.Iter()
	ok := it.Seek(key)
	return it, ok
}

// duplicate is the error of a document that has a value which another one has.
func (x *index) duplicate(ns string, k indexKey) error {
	names := newBuilder()
	for i, f := range x.fields {
		v := k.values[i]
		if v.Type == 0 || v.Type == bson.TypeUndefined {
			v = bson.RawValue{Type: bson.TypeNull}
		}
		names.add(f.path.String(), v)
	}
	value := names.done()
	text, err := bson.MarshalExtJSON(value, false, false)
	if err != nil {
		text = []byte("{}")
	}
	return &refusal{code: codeDuplicateKey,
		msg:  "E11000 duplicate key error collection: " + ns + " index: " + x.name + " dup key: " + string(text),
		more: bson.D{{Key: "keyPattern", Value: x.keyPattern()}, {Key: "keyValue", Value: value}}}
}
