package mongo

import (
	"context"
	"sort"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/fault"
)

// Tx is one View or Update. A domain's transaction type embeds it.
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

// changes gives what is to be written: first what replaces and deletes, in key
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

// Get reads one record by its ID; fault.NotFound when it is not there.
func Get[T any](ctx context.Context, tx *Tx, kind string, id cutover.ID) (T, error) {
	var none T
	col, err := tx.store.of(kind)
	if err != nil {
		return none, err
	}
	doc, err := tx.store.current(ctx, col, id)
	if err != nil {
		return none, err
	}
	if doc == nil || isDeleted(doc) {
		return none, notFound(kind)
	}
	return readAs[T](tx, col, doc)
}

// GetMany reads records by their IDs: those that are there, in the order of ids.
// In a View it leaves out what is not readable.
func GetMany[T any](ctx context.Context, tx *Tx, kind string, ids []cutover.ID) ([]T, error) {
	col, err := tx.store.of(kind)
	if err != nil {
		return nil, err
	}
	docs, err := tx.store.currentMany(ctx, col, ids)
	if err != nil {
		return nil, err
	}
	out, _, err := readAll[T](ctx, tx, col, docs)
	return out, err
}

// Find returns the records that filter matches, in the order of sort; limit 0
// means all. Filters may use what match.go knows. In a View it leaves out what
// is not readable, and fills a page up with what comes after.
func Find[T any](ctx context.Context, tx *Tx, kind string, filter, sort bson.D, limit int) ([]T, error) {
	col, err := tx.store.of(kind)
	if err != nil {
		return nil, err
	}
	for ask := limit; ; {
		docs, err := tx.store.find(ctx, col, filter, sort, ask)
		if err != nil {
			return nil, err
		}
		found, left, err := readAll[T](ctx, tx, col, docs)
		if err != nil || left == 0 || len(docs) < ask || len(found) >= limit {
			return first(found, limit), err
		}
		ask = limit + 2*left
	}
}

// readAll decodes documents, and says how many it left out.
func readAll[T any](ctx context.Context, tx *Tx, col *collection, docs []bson.Raw) (out []T, left int, err error) {
	for _, doc := range docs {
		t, err := readAs[T](tx, col, doc)
		switch {
		case err == nil:
			out = append(out, t)
		case tx.mayLeaveOut(ctx, err):
			left++
		default:
			return nil, 0, err
		}
	}
	return out, left, nil
}

// FindOne returns a record that filter matches; fault.NotFound when there is
// none.
func FindOne[T any](ctx context.Context, tx *Tx, kind string, filter bson.D) (T, error) {
	found, err := Find[T](ctx, tx.whole(), kind, filter, nil, 1)
	if err != nil || len(found) == 0 {
		var none T
		if err == nil {
			err = notFound(kind)
		}
		return none, err
	}
	return found[0], nil
}

// Count counts the records that filter matches.
func Count(ctx context.Context, tx *Tx, kind string, filter bson.D) (int64, error) {
	col, err := tx.store.of(kind)
	if err != nil {
		return 0, err
	}
	return tx.store.count(ctx, col, filter)
}

// Each calls fn with every record of a kind in ID order, however many there
// are. What is to be written is read again with Get.
func Each[T any](ctx context.Context, tx *Tx, kind string, fn func(T) error) error {
	col, err := tx.store.of(kind)
	if err != nil {
		return err
	}
	return tx.store.walk(ctx, col, cutover.ID{}, cutover.ID{}, 0, func(doc bson.Raw) (bool, error) {
		t, err := readAs[T](nil, col, doc)
		if err != nil {
			return false, err
		}
		return true, fn(t)
	})
}

// readAs decodes a document that a transaction read; nil for one that need not
// remember it. What is not readable is an error that names the document.
func readAs[T any](tx *Tx, col *collection, doc bson.Raw) (T, error) {
	var none T
	r, err := col.decode(doc)
	if err != nil {
		return none, fault.Wrap(unreadableIn(col, doc, err), fault.Internal, "a stored record is not readable")
	}
	t, ok := any(r).(*T)
	if !ok {
		return none, fault.New(fault.Internal, "a %s is a %T", col.Kind, r)
	}
	if tx != nil {
		tx.remember(col.Kind, doc)
	}
	return *t, nil
}

func notFound(kind string) error {
	return fault.New(fault.NotFound, "there is no such %s", spaced(kind))
}
