package mongosim

import (
	"fmt"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// alter changes the catalogue in one state of its own.
func (o *operation) alter(do func(d *draft) error) error {
	s := o.node.server
	s.mu.Lock()
	defer s.mu.Unlock()
	d, err := o.draft()
	if err != nil {
		return err
	}
	if err := do(d); err != nil {
		return err
	}
	o.node.publish(d)
	o.wrote, o.term = o.node.last.Load().seq, o.node.term
	return nil
}

// create makes an empty collection.
func (o *operation) create() (bson.D, error) {
	args, err := decode[struct {
		Create string `bson:"create"`
	}](o)
	if err != nil {
		return nil, err
	}
	ns, err := o.ns(args.Create)
	if err != nil {
		return nil, err
	}
	return nil, o.alter(func(d *draft) error {
		if d.collection(ns) != nil {
			return refuse(codeNamespaceExists, "Collection %s already exists.", ns)
		}
		d.writable(ns)
		return nil
	})
}

// drop removes a collection.
func (o *operation) drop() (bson.D, error) {
	args, err := decode[struct {
		Drop string `bson:"drop"`
	}](o)
	if err != nil {
		return nil, err
	}
	ns, err := o.ns(args.Drop)
	if err != nil {
		return nil, err
	}
	return bson.D{{Key: "ns", Value: ns}}, o.alter(func(d *draft) error {
		if d.collection(ns) == nil {
			return refuse(codeNamespaceNotFound, "ns not found")
		}
		d.remove(ns)
		return nil
	})
}

func (d *draft) remove(ns string) {
	d.colls.Delete(ns)
	d.changes = append(d.changes, &change{ns: ns, drop: true})
}

// dropDatabase removes all collections of a database.
func (o *operation) dropDatabase() (bson.D, error) {
	if _, err := decode[struct {
		Drop bson.RawValue `bson:"dropDatabase"`
	}](o); err != nil {
		return nil, err
	}
	return bson.D{{Key: "dropped", Value: o.DB}}, o.alter(func(d *draft) error {
		for _, c := range d.of(o.DB) {
			d.remove(c.ns)
		}
		return nil
	})
}

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

// listIndexes tells a collection's indexes.
func (o *operation) listIndexes() (bson.D, error) {
	args, err := decode[struct {
		Collection string   `bson:"listIndexes"`
		Cursor     bson.Raw `bson:"cursor"`
	}](o)
	if err != nil {
		return nil, err
	}
	ns, err := o.ns(args.Collection)
	if err != nil {
		return nil, err
	}
	st, err := o.snapshot()
	if err != nil {
		return nil, err
	}
	c := st.collection(ns)
	if c == nil {
		return nil, refuse(codeNamespaceNotFound, "ns does not exist: %s", ns)
	}
	var specs []bson.Raw
	for _, x := range c.indexes {
		specs = append(specs, x.spec)
	}
	return o.all(ns, st, specs)
}

// all answers with everything at once.
func (o *operation) all(ns string, st *state, docs []bson.Raw) (bson.D, error) {
	everything := int64(len(docs) + 1)
	return o.first(&cursor{ns: ns, source: &listed{docs}}, st, &everything, true)
}

// listCollections tells a database's collections.
func (o *operation) listCollections() (bson.D, error) {
	args, err := decode[struct {
		List                  bson.RawValue `bson:"listCollections"`
		Filter                bson.Raw      `bson:"filter"`
		NameOnly              bool          `bson:"nameOnly"`
		AuthorizedCollections bool          `bson:"authorizedCollections"`
		Cursor                bson.Raw      `bson:"cursor"`
	}](o)
	if err != nil {
		return nil, err
	}
	f, err := parseFilter(args.Filter)
	if err != nil {
		return nil, err
	}
	st, err := o.snapshot()
	if err != nil {
		return nil, err
	}
	var docs []bson.Raw
	for _, c := range st.of(o.DB) {
		_, name := splitNS(c.ns)
		docs = append(docs, rawDoc(bson.D{{Key: "name", Value: name}, {Key: "type", Value: "collection"},
			{Key: "options", Value: bson.D{}},
			{Key: "info", Value: bson.D{{Key: "readOnly", Value: false}, {Key: "uuid", Value: c.uuid}}},
			{Key: "idIndex", Value: c.indexes[0].spec}}))
	}
	return o.all(o.DB+".$cmd.listCollections", st, matching(f, docs))
}

// listDatabases tells the databases that have collections.
func (o *operation) listDatabases() (bson.D, error) {
	args, err := decode[struct {
		List                bson.RawValue `bson:"listDatabases"`
		Filter              bson.Raw      `bson:"filter"`
		NameOnly            bool          `bson:"nameOnly"`
		AuthorizedDatabases bool          `bson:"authorizedDatabases"`
	}](o)
	if err != nil {
		return nil, err
	}
	f, err := parseFilter(args.Filter)
	if err != nil {
		return nil, err
	}
	st, err := o.snapshot()
	if err != nil {
		return nil, err
	}
	var docs []bson.Raw
	last := ""
	st.colls.Scan(func(ns string, _ *collection) bool {
		if db, _ := splitNS(ns); db != last {
			last = db
			docs = append(docs, rawDoc(bson.D{{Key: "name", Value: db}, {Key: "sizeOnDisk", Value: int64(1)}, {Key: "empty", Value: false}}))
		}
		return true
	})
	list := bson.A{}
	for _, doc := range matching(f, docs) {
		list = append(list, doc)
	}
	return bson.D{{Key: "databases", Value: list}, {Key: "totalSize", Value: int64(len(list))}}, nil
}

// defaultTTLInterval is MongoDB's.
const defaultTTLInterval = time.Minute

// removeExpired removes documents whose time is over, and ends transactions that
// are open for too long, until the server stops.
// https://www.mongodb.com/docs/v7.0/core/index-ttl/
func (s *Server) removeExpired() {
	every := s.o.TTLInterval
	if every == 0 {
		every = defaultTTLInterval
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-s.closed:
			return
		case <-tick.C:
			s.mu.Lock()
			s.endOld()
			s.primary().removeExpired(time.Now())
			s.mu.Unlock()
		}
	}
}

// removeExpired removes what is expired on a member. What a transaction has
// claimed it leaves for later. The lock is held.
func (n *node) removeExpired(now time.Time) {
	d := n.last.Load().draft(n)
	for _, ns := range d.colls.Keys() {
		for _, x := range d.collection(ns).indexes {
			for id := range x.expired(d.collection(ns), now) {
				_ = d.set(ns, id, nil, false) // claimed: later
			}
		}
	}
	if len(d.changes) > 0 {
		n.publish(d)
	}
}

// expired returns the ids of documents whose time is over: by the earliest date
// of a list. What is no date never expires.
func (x *index) expired(c *collection, now time.Time) map[string]bool {
	if x.ttl < 0 {
		return nil
	}
	out := map[string]bool{}
	date := string([]byte{rankDate})
	end := keyOf(raw(bson.NewDateTimeFromTime(now.Add(-time.Duration(x.ttl)*time.Second)))) + "\xff"
	part := span{date, end}
	if x.fields[0].desc {
		part = span{string(appendDirected(nil, strings.TrimSuffix(end, "\xff"), true)), string(appendDirected(nil, date, true)) + "\xff"}
	}
	walkTree(x.entries, part, false, "", func(_, id string) bool {
		out[id] = true
		return true
	})
	return out
}

// String names an index in messages.
func (x *index) String() string { return fmt.Sprintf("%s %v", x.name, x.spec) }
