package mongodb

import (
	"context"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/cutover/shape"
)

// collection is where one kind of a domain is.
type collection struct {
	Kind    string // its name
	Name    string // the collection's
	Indexes []cutover.Index
	kind    cutover.Kind
	derived []cutover.Unique
	fields  []shape.Field
	coll    *mongo.Collection
}

// isInternal says that a field of a document is not its record's. Derived keys
// are told by their form: a rule that is no more has left some.
func isInternal(name string) bool {
	rule, derived := strings.CutPrefix(name, uniquePrefix)
	return internalFields[name] || derived && rule != "" && rule[0] >= 'A' && rule[0] <= 'Z'
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

// store is one domain in one database: a Side.
type store struct {
	db     *DB
	domain string
	kinds  cutover.Kinds
	cols   map[string]*collection // by kind
}

// Side is a domain in MongoDB.
func (db *DB) Side(d cutover.Definition) cutover.Side {
	s := &store{db: db, domain: d.Name, kinds: d.Kinds, cols: map[string]*collection{}}
	for _, kind := range d.Kinds {
		s.cols[kind.Name] = db.register(kind)
	}
	return s
}

func newCollection(kind cutover.Kind) *collection {
	return &collection{Kind: kind.Name, Name: kind.Collection, Indexes: kind.Made(), kind: kind, derived: kind.Derived(), fields: shape.Of(kind.Type)}
}

// register makes a collection known to EnsureIndexes. It panics when a kind has
// none: that is a mistake in the program, found by its first test.
func (db *DB) register(kind cutover.Kind) *collection {
	if kind.Collection == "" {
		panic("mongo: no collection is named for the kind " + kind.Name)
	}
	col := newCollection(kind)
	col.coll = db.db.Collection(kind.Collection)
	db.mu.Lock()
	defer db.mu.Unlock()
	db.collections[kind.Collection] = col
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
func (s *store) View(ctx context.Context, fn func(context.Context, cutover.Tx) error) error {
	return fn(ctx, &Tx{Batch: cutover.ReadOnly(s.kinds), store: s})
}

// Update runs fn and commits what it put. ErrMoved is never its answer: with
// MongoDB as the primary a lease does the fencing.
func (s *store) Update(ctx context.Context, g cutover.Guard, fn func(context.Context, cutover.Tx) error) error {
	tx := newTx(s)
	if err := fn(ctx, tx); err != nil {
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
