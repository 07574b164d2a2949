package mongo

import (
	"context"
	"fmt"
	"reflect"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/shape"
	"github.com/amanat-dev/amanat/fault"
)

// collection is where one kind of a domain is.
type collection struct {
	Collection
	kind   cutover.Kind
	fields []shape.Field
	coll   *mongo.Collection
}

// isInternal says that a field of a document is not its record's.
func (c *collection) isInternal(name string) bool {
	if internalFields[name] {
		return true
	}
	for _, index := range c.Indexes {
		if index.Key != nil && name == uniquePrefix+index.Name {
			return true
		}
	}
	return false
}

// get reads one document; nil when it is not there.
func (c *collection) get(ctx context.Context, id cutover.ID) (bson.Raw, error) {
	doc, err := c.coll.FindOne(ctx, byID(id)).Raw()
	if err == mongo.ErrNoDocuments {
		return nil, nil
	}
	return doc, translate(err, reading)
}

// byIDs reads the documents of these ids that are there, locked ones and
// tombstones too: with one command where the server is good at that.
func (s *store) byIDs(ctx context.Context, col *collection, ids []cutover.ID) ([]bson.Raw, error) {
	if len(ids) > 1 {
		lists, err := s.db.findsLists(ctx)
		if err != nil {
			return nil, err
		}
		if lists {
			return col.findAll(ctx, inIDs(ids), options.Find().SetBatchSize(oneBatch))
		}
	}
	docs := make([]bson.Raw, len(ids))
	err := inParallel(len(ids), func(i int) (err error) {
		docs[i], err = col.get(ctx, ids[i])
		return err
	})
	return slices.DeleteFunc(docs, func(doc bson.Raw) bool { return doc == nil }), err
}

// store is one domain in one database: all of a Side but its transaction type.
type store struct {
	db     *DB
	domain string
	kinds  cutover.Kinds
	cols   map[string]*collection // by kind
}

// side is a domain's Side.
type side[T any] struct {
	*store
	wrap func(*Tx) T
}

// newSide makes a domain's Side out of its collections. It panics when a kind
// has none: that is a mistake in the program, found by its first test.
func newSide[T any](db *DB, domain string, kinds cutover.Kinds, cols []Collection, wrap func(*Tx) T) cutover.Side[T] {
	s := &store{db: db, domain: domain, kinds: kinds, cols: map[string]*collection{}}
	for _, c := range cols {
		kind, ok := kinds.Named(c.Kind)
		if !ok {
			panic(fmt.Sprintf("mongo: %s has no kind %q", domain, c.Kind))
		}
		s.cols[c.Kind] = db.register(c, kind)
	}
	for _, kind := range kinds {
		if s.cols[kind.Name] == nil {
			panic(fmt.Sprintf("mongo: kind %q has no collection", kind.Name))
		}
	}
	return &side[T]{s, wrap}
}

// register makes a collection known to EnsureIndexes.
func (db *DB) register(c Collection, kind cutover.Kind) *collection {
	col := &collection{
		Collection: c, kind: kind,
		fields: shape.Of(reflect.TypeOf(kind.New())),
		coll:   db.db.Collection(c.Name),
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	db.collections[c.Name] = col
	return col
}

func (s *store) of(kind string) (*collection, error) {
	if c := s.cols[kind]; c != nil {
		return c, nil
	}
	return nil, fault.New(fault.Internal, "%s has no kind %q", s.domain, kind)
}

// Name is "mongo".
func (s *store) Name() string { return "mongo" }

// Ping says whether the primary answers.
func (s *store) Ping(ctx context.Context) error { return s.db.Ping(ctx) }

// View runs fn on a reading transaction. Each of its reads sees committed
// content; MongoDB alone gives no snapshot over several.
func (s *side[T]) View(ctx context.Context, fn func(context.Context, T) error) error {
	return fn(ctx, s.wrap(&Tx{Batch: cutover.ReadOnly(), store: s.store}))
}

// Update runs fn and commits what it put. ErrMoved is never its answer: with
// MongoDB as the primary a lease does the fencing.
func (s *side[T]) Update(ctx context.Context, g cutover.Guard, fn func(context.Context, T) error) error {
	tx := newTx(s.store)
	if err := fn(ctx, s.wrap(tx)); err != nil {
		return err
	}
	changes, err := tx.changes()
	if err != nil {
		return err
	}
	switch len(changes) {
	case 0:
		return nil
	case 1:
		return s.writeOne(ctx, g, changes[0])
	}
	return s.writeMany(ctx, g, changes)
}
