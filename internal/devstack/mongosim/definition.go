package mongosim

import (
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// indexArgs is what an index is asked for with.
type indexArgs struct {
	Version bson.RawValue `bson:"v"`
	Key     bson.Raw      `bson:"key"`
	Name    string        `bson:"name"`
	Unique  bool          `bson:"unique"`
	Sparse  bool          `bson:"sparse"`
	Partial bson.Raw      `bson:"partialFilterExpression"`
	TTL     *int64        `bson:"expireAfterSeconds"`
}

// createIndexes makes indexes, and the collection if it is not there: all of
// them or none.
func (o *operation) createIndexes() (bson.D, error) {
	args, err := decode[struct {
		Collection   string        `bson:"createIndexes"`
		Indexes      []bson.Raw    `bson:"indexes"`
		CommitQuorum bson.RawValue `bson:"commitQuorum"`
	}](o)
	if err != nil {
		return nil, err
	}
	ns, err := o.ns(args.Collection)
	if err != nil {
		return nil, err
	}
	var before, after int
	err = o.alter(func(d *draft) error {
		c := d.writable(ns)
		before = len(c.indexes)
		for _, spec := range args.Indexes {
			if err := c.createIndex(spec); err != nil {
				return err
			}
		}
		after = len(c.indexes)
		return nil
	})
	return bson.D{{Key: "numIndexesBefore", Value: int32(before)}, {Key: "numIndexesAfter", Value: int32(after)}}, err
}

func (c *collection) createIndex(spec bson.Raw) error {
	a, err := decodePart[indexArgs]("createIndexes.indexes", spec)
	if err != nil {
		return err
	}
	x, err := a.index()
	if err != nil {
		return err
	}
	for _, there := range c.indexes {
		same := there.name == x.name
		switch {
		case !same && !sameKeyPattern(there.keyPattern(), a.Key):
			continue
		case sameKeyPattern(there.keyPattern(), a.Key) && (there.name == "_id_" || same && there.alike(x)):
			return nil
		case same && !sameKeyPattern(there.keyPattern(), a.Key):
			return refuse(codeIndexKeySpecsConflict, "An existing index has the same name as the requested index. Requested index: %v, existing index: %v", x.spec, there.spec)
		case same:
			return refuse(codeIndexKeySpecsConflict, "An existing index has the same name as the requested index but other options. Requested index: %v, existing index: %v", x.spec, there.spec)
		case there.alike(x) || samePartial(there, x):
			return refuse(codeIndexOptionsConflict, "Index already exists with a different name: %s", there.name)
		}
	}
	return c.build(x)
}

// alike says that two indexes over the same fields are the same.
func (x *index) alike(y *index) bool {
	return x.unique == y.unique && x.sparse == y.sparse && x.ttl == y.ttl && samePartial(x, y)
}

// samePartial: indexes over the same fields may stand side by side only where
// they are about different documents.
func samePartial(x, y *index) bool {
	return equal(field(x.spec, "partialFilterExpression"), field(y.spec, "partialFilterExpression")) && x.sparse == y.sparse
}

func (a indexArgs) index() (*index, error) {
	x := &index{name: a.Name, unique: a.Unique, sparse: a.Sparse, ttl: -1}
	for e := range elements(a.Key) {
		direction, ok := e.Value().AsFloat64OK()
		switch {
		case !ok || direction == 0:
			return nil, refuse(codeCannotCreateIndex, "mongosim: an index on %q of this kind is not implemented", e.Key())
		case strings.HasPrefix(e.Key(), "$"), strings.Contains("."+e.Key()+".", ".."):
			return nil, refuse(codeCannotCreateIndex, "Index keys cannot be empty or begin with $: %q", e.Key())
		}
		x.fields = append(x.fields, orderField{parsePath(e.Key()), direction < 0})
	}
	if len(x.fields) == 0 || a.Name == "" {
		return nil, refuse(codeCannotCreateIndex, "an index needs a name and at least one field")
	}
	if a.Partial != nil {
		f, err := parseFilter(a.Partial)
		if err != nil {
			return nil, err
		}
		if a.Sparse {
			return nil, refuse(codeCannotCreateIndex, "cannot mix \"partialFilterExpression\" and \"sparse\" options")
		}
		if err := partialAllowed(f); err != nil {
			return nil, err
		}
		x.partial = f
	}
	if a.TTL != nil {
		if len(x.fields) > 1 || *a.TTL < 0 {
			return nil, refuse(codeCannotCreateIndex, "TTL indexes are single-field indexes, and expireAfterSeconds is not negative")
		}
		x.ttl = *a.TTL
	}
	x.spec = a.spec()
	return x, nil
}

// partialAllowed refuses what the filter of a partial index may not say.
// https://www.mongodb.com/docs/v7.0/core/index-partial/
func partialAllowed(f filter) error {
	switch f := f.(type) {
	case and:
		for _, sub := range f {
			if err := partialAllowed(sub); err != nil {
				return err
			}
		}
		return nil
	case or:
		return partialAllowed(and(f))
	case *test:
		return nil
	}
	return refuse(codeCannotCreateIndex, "Expression not supported in partial index: $not")
}

func (a indexArgs) spec() bson.Raw {
	spec := bson.D{{Key: "v", Value: int32(2)}, {Key: "key", Value: a.Key}, {Key: "name", Value: a.Name}}
	if a.Unique {
		spec = append(spec, bson.E{Key: "unique", Value: true})
	}
	if a.Sparse {
		spec = append(spec, bson.E{Key: "sparse", Value: true})
	}
	if a.Partial != nil {
		spec = append(spec, bson.E{Key: "partialFilterExpression", Value: a.Partial})
	}
	if a.TTL != nil {
		spec = append(spec, bson.E{Key: "expireAfterSeconds", Value: int32(*a.TTL)})
	}
	return rawDoc(spec)
}

// dropIndexes removes an index, or all but that of _id.
func (o *operation) dropIndexes() (bson.D, error) {
	args, err := decode[struct {
		Collection string        `bson:"dropIndexes"`
		Index      bson.RawValue `bson:"index"`
	}](o)
	if err != nil {
		return nil, err
	}
	ns, err := o.ns(args.Collection)
	if err != nil {
		return nil, err
	}
	return nil, o.alter(func(d *draft) error {
		if d.collection(ns) == nil {
			return refuse(codeNamespaceNotFound, "ns not found %s", ns)
		}
		c := d.writable(ns)
		if name, _ := args.Index.StringValueOK(); name == "*" {
			c.indexes = c.indexes[:1]
			return nil
		}
		x, err := c.hinted(args.Index)
		switch {
		case err != nil || x == nil:
			return refuse(codeIndexNotFound, "index not found with name [%v]", args.Index)
		case x.name == "_id_":
			return refuse(codeInvalidOptions, "cannot drop _id index")
		}
		c.indexes = without(c.indexes, x)
		return nil
	})
}

func without(all []*index, x *index) []*index {
	var out []*index
	for _, y := range all {
		if y != x {
			out = append(out, y)
		}
	}
	return out
}
