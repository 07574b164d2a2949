package mongodb

import (
	"context"
	"sort"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/cutover/query"
)

// Tx is one View or Update, see cutover.Tx.
type Tx struct {
	*cutover.Batch
	store *store
	// complete: no list leaves out what is not readable.
	complete bool

	// In an Update only: the documents that were read, which tell a legacy
	// record of revision 0 from a new one and serve as undo images; and the
	// documents to write.
	read   map[cutover.Key]bson.Raw
	write  map[cutover.Key]bson.D
	undone map[cutover.Key]bool // put here, then deleted
}

func newTx(s *store) *Tx {
	tx := &Tx{store: s, complete: true, read: map[cutover.Key]bson.Raw{}, write: map[cutover.Key]bson.D{}, undone: map[cutover.Key]bool{}}
	tx.Batch = cutover.NewBatch(s.kinds, tx.seen)
	return tx
}

// seen encodes a record at the moment it is put.
func (tx *Tx) seen(w cutover.Write) error {
	if w.Record == nil {
		if tx.write[w.Key] != nil {
			tx.undone[w.Key] = true
		}
		delete(tx.write, w.Key)
		return nil
	}
	col, err := tx.store.of(w.Key.Kind)
	if err != nil {
		return err
	}
	doc, err := col.encode(w.Record)
	if err != nil {
		return fault.Wrap(err, fault.Internal, "%s cannot be stored", w.Key)
	}
	tx.write[w.Key] = doc
	return nil
}

// remember keeps a document that was read in an Update.
func (tx *Tx) remember(kind string, doc bson.Raw) {
	if tx.read == nil {
		return
	}
	if id, ok := idOf(doc); ok {
		tx.read[cutover.Key{Kind: kind, ID: id}] = doc
	}
}

// change is one write of an Update.
type change struct {
	key    cutover.Key
	col    *collection
	base   int64
	insert bool     // there is no such record yet
	doc    bson.D   // nil for a delete
	old    bson.Raw // as it was read in this Update, or nil
}

// changes returns what is to be written: first what replaces and deletes, in key
// order, so that two Updates cannot wait for each other; then what is new,
// after what may have given up a unique value for it.
func (tx *Tx) changes() ([]change, error) {
	var out []change
	for _, w := range tx.Sorted() {
		col, err := tx.store.of(w.Key.Kind)
		if err != nil {
			return nil, err
		}
		c := change{key: w.Key, col: col, base: w.Base, doc: tx.write[w.Key], old: tx.read[w.Key]}
		isNew := w.Base == 0 && c.old == nil
		if isNew && c.doc == nil && tx.undone[w.Key] {
			continue // it was never there
		}
		c.insert = isNew && c.doc != nil
		out = append(out, c)
	}
	sort.SliceStable(out, func(i, j int) bool { return !out[i].insert && out[j].insert })
	return out, nil
}

// image is the document that a change leaves, nil when it leaves none.
func (c change) image(g cutover.Guard) bson.D {
	switch {
	case c.doc != nil:
		return noted(c.doc[:len(c.doc):len(c.doc)], g)
	case g.Journal:
		return noted(tombstone(c.key.ID, c.base+1), g)
	}
	return nil
}

// Get reads one record.
func (tx *Tx) Get(ctx context.Context, kind string, id cutover.ID) (cutover.Record, error) {
	col, err := tx.store.of(kind)
	if err != nil {
		return nil, err
	}
	doc, err := tx.store.current(ctx, col, id)
	if err != nil {
		return nil, err
	}
	if doc == nil || isDeleted(doc) {
		return nil, col.kind.NotFound()
	}
	r, err := col.readable(doc)
	if err == nil {
		tx.remember(kind, doc)
	}
	return r, err
}

// Find asks what q says.
func (tx *Tx) Find(ctx context.Context, kind string, q query.Query) ([]cutover.Record, error) {
	col, bound, err := tx.plan(ctx, kind, q)
	if err != nil {
		return nil, err
	}
	found, err := tx.ask(ctx, col, bound)
	if err != nil {
		return nil, err
	}
	out := make([]cutover.Record, len(found))
	for i, f := range found {
		out[i] = f.record
		tx.remember(kind, f.doc)
	}
	return out, nil
}

// Count counts what the server finds, or goes through it where the server alone
// cannot tell.
func (tx *Tx) Count(ctx context.Context, kind string, q query.Query) (int64, error) {
	col, bound, err := tx.plan(ctx, kind, q.Limit(0))
	if err != nil {
		return 0, err
	}
	if filter, exact := filterOf(bound); exact {
		return tx.store.count(ctx, col, filter, col.asks(bound))
	}
	found, err := tx.ask(ctx, col, bound)
	return int64(len(found)), err
}

func (tx *Tx) plan(ctx context.Context, kind string, q query.Query) (*collection, query.Bound, error) {
	col, err := tx.store.of(kind)
	if err != nil {
		return nil, query.Bound{}, err
	}
	q, err = cutover.Resolved(ctx, tx, q)
	if err != nil {
		return nil, query.Bound{}, err
	}
	bound, err := col.kind.Plan(q)
	return col, bound, err
}

// Each goes through every record of a kind in the order of identities, however
// many there are. What is to be written is read again with Get.
func (tx *Tx) Each(ctx context.Context, kind string, do func(cutover.Record) error) error {
	col, err := tx.store.of(kind)
	if err != nil {
		return err
	}
	return tx.store.walk(ctx, col, cutover.ID{}, cutover.ID{}, 0, func(doc bson.Raw) (bool, error) {
		r, err := col.readable(doc)
		if err != nil {
			return false, err
		}
		return true, do(r)
	})
}

// readable decodes a document. What is not readable is an error that names it.
func (c *collection) readable(doc bson.Raw) (cutover.Record, error) {
	r, err := c.decode(doc)
	if err != nil {
		return nil, fault.Wrap(unreadableIn(c, doc, err), fault.Internal, "a stored record is not readable")
	}
	return r, nil
}
