package mongosim

import (
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
