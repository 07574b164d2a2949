package mongosim

import (
	"math"

	"go.mongodb.org/mongo-driver/v2/bson"
)

type findArgs struct {
	Collection      string        `bson:"find"`
	Filter          bson.Raw      `bson:"filter"`
	Sort            bson.Raw      `bson:"sort"`
	Projection      bson.Raw      `bson:"projection"`
	Hint            bson.RawValue `bson:"hint"`
	Skip            int64         `bson:"skip"`
	Limit           int64         `bson:"limit"`
	BatchSize       *int64        `bson:"batchSize"`
	SingleBatch     bool          `bson:"singleBatch"`
	NoCursorTimeout bool          `bson:"noCursorTimeout"`
	AllowDiskUse    bool          `bson:"allowDiskUse"`
}

// find begins a query.
func (o *operation) find() (bson.D, error) {
	args, err := decode[findArgs](o)
	if err != nil {
		return nil, err
	}
	ns, err := o.ns(args.Collection)
	if err != nil {
		return nil, err
	}
	q, err := args.query(ns)
	if err != nil {
		return nil, err
	}
	st, err := o.snapshot()
	if err != nil {
		return nil, err
	}
	if err := q.begin(st, args.Hint); err != nil {
		return nil, err
	}
	return o.first(&cursor{ns: ns, source: q, lasting: args.NoCursorTimeout}, st, args.BatchSize, args.SingleBatch)
}

// query is a filter, an order and a part of what they find.
type query struct {
	ns         string
	filter     filter
	order      order
	projection *projection
	skip       int64
	left       int64 // of the limit
	walker     *walker
	sorted     []bson.Raw // what is still to come, where the order had to be made
	blocking   bool
}

func (a findArgs) query(ns string) (*query, error) {
	f, err := parseFilter(a.Filter)
	if err != nil {
		return nil, err
	}
	o, err := parseOrder(a.Sort)
	if err != nil {
		return nil, err
	}
	p, err := parseProjection(a.Projection)
	if err != nil {
		return nil, err
	}
	if a.Skip < 0 || a.Limit < 0 {
		return nil, refuse(codeBadValue, "skip and limit must not be negative")
	}
	q := &query{ns: ns, filter: f, order: o, projection: p, skip: a.Skip, left: a.Limit}
	if q.left == 0 {
		q.left = math.MaxInt64
	}
	return q, nil
}

// begin plans the query. An order that no index gives is made now, of all that
// there is.
func (q *query) begin(st *state, hinted bson.RawValue) error {
	c := st.collection(q.ns)
	if c == nil {
		return nil
	}
	hint, err := c.hinted(hinted)
	if err != nil {
		return err
	}
	p := c.planFor(q.filter, q.order, hint)
	q.walker = newWalker(p)
	if len(q.order) == 0 || p.sorted {
		return nil
	}
	q.blocking = true
	_, err = q.walker.walk(c, func(_ string, doc bson.Raw) bool {
		if q.filter.match(doc) {
			q.sorted = append(q.sorted, doc)
		}
		return true
	})
	q.sorted = q.order.sorted(q.sorted)
	return err
}

// next hands documents to yield until it returns false; done says that there
// are no more.
func (q *query) next(o *operation, st *state, yield func(bson.Raw) bool) (done bool, err error) {
	if q.blocking {
		return q.nextSorted(yield), nil
	}
	c := st.collection(q.ns)
	if c == nil || q.walker == nil {
		return true, nil
	}
	met := 0
	done, err = q.walker.walk(c, func(_ string, doc bson.Raw) bool {
		if met++; met%1000 == 0 && o.expired() != nil {
			return false
		}
		return !q.filter.match(doc) || q.hand(doc, yield) && q.left > 0
	})
	if err == nil {
		err = o.expired()
	}
	return done || q.left == 0, err
}

func (q *query) nextSorted(yield func(bson.Raw) bool) bool {
	for len(q.sorted) > 0 && q.left > 0 {
		doc := q.sorted[0]
		q.sorted = q.sorted[1:]
		if !q.hand(doc, yield) {
			break
		}
	}
	return len(q.sorted) == 0 || q.left == 0
}

// hand passes a document on, unless it is one of those to skip.
func (q *query) hand(doc bson.Raw, yield func(bson.Raw) bool) bool {
	if q.skip > 0 {
		q.skip--
		return true
	}
	q.left--
	return yield(q.projection.apply(doc))
}

// projection is which fields of a document are wanted.
type projection struct {
	paths   []path
	exclude bool
	noID    bool
}

// parseProjection reads a projection; nil for everything.
func parseProjection(doc bson.Raw) (*projection, error) {
	if len(doc) <= 5 {
		return nil, nil
	}
	p := &projection{}
	for e := range elements(doc) {
		v := e.Value()
		_, isBool := v.BooleanOK()
		if _, isNumber := v.AsFloat64OK(); !isBool && !isNumber {
			return nil, refuse(codeNotImplemented, "mongosim: a projection of %q to anything but yes or no is not implemented", e.Key())
		}
		if e.Key() == "_id" {
			p.noID = !truthy(v)
			continue
		}
		if len(p.paths) > 0 && p.exclude == truthy(v) {
			return nil, refuse(31253, "Cannot do inclusion on field %s in exclusion projection", e.Key())
		}
		p.exclude = !truthy(v)
		p.paths = append(p.paths, parsePath(e.Key()))
	}
	if len(p.paths) == 0 && p.noID {
		p.exclude = true
	}
	return p, nil
}

// apply returns what is wanted of a document, in its own order.
func (p *projection) apply(doc bson.Raw) bson.Raw {
	if p == nil {
		return doc
	}
	b := newBuilder()
	for e := range elements(doc) {
		if e.Key() == "_id" {
			if !p.noID {
				b.addRaw(e)
			}
			continue
		}
		if v := p.part(e.Value(), under(p.paths, e.Key())); v.Type != 0 {
			b.add(e.Key(), v)
		}
	}
	return b.done()
}

// under returns what is left of the paths that begin with a name.
func under(paths []path, name string) []path {
	var out []path
	for _, p := range paths {
		if p[0] == name {
			out = append(out, p[1:])
		}
	}
	return out
}

// part returns what is wanted of a value that these paths lead to and on from.
func (p *projection) part(v bson.RawValue, paths []path) bson.RawValue {
	switch {
	case len(paths) == 0:
		if p.exclude {
			return v
		}
		return missing
	case len(paths[0]) == 0:
		if p.exclude {
			return missing
		}
		return v
	case !isDocument(v) && !isArray(v):
		if p.exclude {
			return v
		}
		return missing
	}
	b := newBuilder()
	for e := range elements(v.Value) {
		below := paths
		if isDocument(v) {
			below = under(paths, e.Key())
		}
		if x := p.part(e.Value(), below); x.Type != 0 {
			b.add(e.Key(), x)
		}
	}
	return bson.RawValue{Type: v.Type, Value: b.done()}
}
