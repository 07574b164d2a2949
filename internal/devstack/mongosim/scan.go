package mongosim

import (
	"slices"
	"strings"

	"github.com/tidwall/btree"
	"go.mongodb.org/mongo-driver/v2/bson"
)

// walker goes through what a plan finds, and can stop and go on in a later
// version of the collection: it then goes on behind what it met last.
type walker struct {
	plan
	scan, span int
	last       string // the name of the entry that was met last; "" for none
	seen       map[string]bool
}

func newWalker(p plan) *walker {
	w := &walker{plan: p}
	if p.repeat {
		w.seen = map[string]bool{}
	}
	return w
}

// walk calls yield with documents until it returns false; done says that there
// are no more.
func (w *walker) walk(c *collection, yield func(id string, doc bson.Raw) bool) (done bool, err error) {
	for ; w.scan < len(w.scans); w.scan, w.span, w.last = w.scan+1, 0, "" {
		s := w.scans[w.scan]
		for ; w.span < len(s.spans); w.span, w.last = w.span+1, "" {
			at := w.span
			if s.reverse {
				at = len(s.spans) - 1 - w.span
			}
			more, err := w.walkSpan(c, s, s.spans[at], yield)
			if err != nil || !more {
				return false, err
			}
		}
	}
	return true, nil
}

func (w *walker) walkSpan(c *collection, s scan, part span, yield func(string, bson.Raw) bool) (bool, error) {
	if s.index == "_id_" {
		return walkTree(c.docs, part, s.reverse, w.last, func(id string, doc bson.Raw) bool {
			w.last = id
			return w.repeated(id) || yield(id, doc)
		}), nil
	}
	x := c.byName(s.index)
	if x == nil {
		return false, refuse(codePlanKilled, "query plan killed: index %s dropped", s.index)
	}
	return walkTree(x.entries, part, s.reverse, w.last, func(name, id string) bool {
		w.last = name
		if w.repeated(id) {
			return true
		}
		doc, _ := c.docs.Get(id)
		return yield(id, doc)
	}), nil
}

// repeated says that a document was met before.
func (w *walker) repeated(id string) bool {
	if w.seen == nil {
		return false
	}
	before := w.seen[id]
	w.seen[id] = true
	return before
}

// walkTree goes through a part of a tree, behind last if that is given, until
// yield returns false, and says whether it came to the end.
func walkTree[V any](tree *btree.Map[string, V], part span, reverse bool, last string, yield func(string, V) bool) bool {
	it := tree.Iter()
	if reverse {
		return walkBack(it, part, last, yield)
	}
	from := part.from
	if last != "" {
		from = last + "\x00"
	}
	for ok := it.Seek(from); ok && it.Key() < part.to; ok = it.Next() {
		if !yield(it.Key(), it.Value()) {
			return false
		}
	}
	return true
}

func walkBack[V any](it btree.MapIter[string, V], part span, last string, yield func(string, V) bool) bool {
	to := part.to
	if last != "" {
		to = last
	}
	ok := it.Seek(to)
	if ok {
		ok = it.Prev()
	} else {
		ok = it.Last()
	}
	for ; ok && it.Key() >= part.from; ok = it.Prev() {
		if !yield(it.Key(), it.Value()) {
			return false
		}
	}
	return true
}

// hinted finds the index that a hint names.
func (c *collection) hinted(hint bson.RawValue) (*index, error) {
	if hint.Type == 0 {
		return nil, nil
	}
	at := slices.IndexFunc(c.indexes, func(x *index) bool {
		if name, ok := hint.StringValueOK(); ok {
			return x.name == name
		}
		return isDocument(hint) && sameKeyPattern(x.keyPattern(), hint.Value)
	})
	if at < 0 {
		return nil, refuse(codeBadValue, "error processing query: hint provided does not correspond to an existing index")
	}
	return c.indexes[at], nil
}

// sameKeyPattern compares names, order and directions.
func sameKeyPattern(a, b bson.Raw) bool {
	return patternText(a) == patternText(b)
}

func patternText(p bson.Raw) string {
	var b strings.Builder
	for e := range elements(p) {
		b.WriteString(e.Key() + "\x00" + keyOf(e.Value()))
	}
	return b.String()
}
