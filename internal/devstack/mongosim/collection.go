package mongosim

import (
	"slices"
	"strings"

	"github.com/tidwall/btree"
	"go.mongodb.org/mongo-driver/v2/bson"
)

// collection is one collection in one version, which changes no more once it
// was published.
type collection struct {
	ns      string // database.collection
	uuid    bson.Binary
	docs    *btree.Map[string, bson.Raw] // by the key of _id
	indexes []*index                     // the first is that of _id, and has no entries
}

func newCollection(ns string) *collection {
	id := bson.NewObjectID()
	uuid := bson.Binary{Subtype: bson.TypeBinaryUUID, Data: append(id[:], "sim."...)}
	c := &collection{ns: ns, uuid: uuid, docs: new(btree.Map[string, bson.Raw])}
	c.indexes = []*index{{name: "_id_", fields: order{{path: path{"_id"}}}, unique: true, ttl: -1,
		entries: new(btree.Map[string, string]),
		spec:    rawDoc(bson.D{{Key: "v", Value: int32(2)}, {Key: "key", Value: bson.D{{Key: "_id", Value: int32(1)}}}, {Key: "name", Value: "_id_"}})}}
	return c
}

// clone makes a version that may be changed; the trees are shared until then.
func (c *collection) clone() *collection {
	n := *c
	n.docs = c.docs.Copy()
	n.indexes = make([]*index, len(c.indexes))
	for i, x := range c.indexes {
		n.indexes[i] = x.clone()
	}
	return &n
}

func splitNS(ns string) (db, name string) {
	db, name, _ = strings.Cut(ns, ".")
	return db, name
}

func (c *collection) byName(name string) *index {
	for _, x := range c.indexes {
		if x.name == name {
			return x
		}
	}
	return nil
}

// entry is what a document is to have in one index.
type entry struct {
	index *index
	keys  []indexKey
	multi bool
}

// entriesOf works out what a document has in all indexes, nothing for none.
func (c *collection) entriesOf(doc bson.Raw) ([]entry, error) {
	if doc == nil {
		return nil, nil
	}
	var all []entry
	for _, x := range c.indexes[1:] {
		keys, multi, err := x.keys(doc)
		if err != nil {
			return nil, err
		}
		all = append(all, entry{x, keys, multi})
	}
	return all, nil
}

// set puts a document in place of the one that is there, or removes that when
// doc is nil. It changes nothing when a unique rule is broken.
func (c *collection) set(id string, doc bson.Raw) error {
	old, _ := c.docs.Get(id)
	gone, err := c.entriesOf(old)
	if err != nil {
		return err
	}
	come, err := c.entriesOf(doc)
	if err != nil {
		return err
	}
	if err := c.unbroken(come, id); err != nil {
		return err
	}
	for _, e := range gone {
		for _, k := range e.keys {
			e.index.entries.Delete(k.text + id)
		}
	}
	for _, e := range come {
		e.index.add(e, id)
	}
	if doc == nil {
		c.docs.Delete(id)
	} else {
		c.docs.Set(id, doc)
	}
	return nil
}

func (x *index) add(e entry, id string) {
	x.multikey = x.multikey || e.multi
	for _, k := range e.keys {
		name := k.text + id
		x.entries.Set(name, name[len(k.text):])
	}
}

// unbroken says which unique rule entries would break.
func (c *collection) unbroken(entries []entry, id string) error {
	for _, e := range entries {
		if !e.index.unique {
			continue
		}
		for _, k := range e.keys {
			if _, taken := e.index.owner(k.text, id); taken {
				return e.index.duplicate(c.ns, k)
			}
		}
	}
	return nil
}

// insert adds a document that must not be there.
func (c *collection) insert(id string, doc bson.Raw) error {
	if _, there := c.docs.Get(id); there {
		return c.indexes[0].duplicate(c.ns, indexKey{"", []bson.RawValue{field(doc, "_id")}})
	}
	return c.set(id, doc)
}

// build makes a new index over the documents that are there.
func (c *collection) build(x *index) error {
	x.entries = new(btree.Map[string, string])
	var broken error
	c.docs.Scan(func(id string, doc bson.Raw) bool {
		var e entry
		if e.keys, e.multi, broken = x.keys(doc); broken != nil {
			return false
		}
		e.index = x
		if broken = c.unbroken([]entry{e}, id); broken == nil {
			x.add(e, id)
		}
		return broken == nil
	})
	if broken == nil {
		c.indexes = append(slices.Clip(c.indexes), x)
	}
	return broken
}
