package mongodb

import (
	"context"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/amanat-dev/amanat/cutover"
)

// Ranges is what findsLists says: a server that goes through the whole
// collection for a list of identities does so for a range of them.
func (s *store) Ranges(ctx context.Context) (bool, error) { return s.db.findsLists(ctx) }

// Stream reads by one cursor, see cutover.Streamer.
func (s *store) Stream(ctx context.Context, kind string, after, until cutover.ID, page func() int, do func([]cutover.Item) error) error {
	col, err := s.of(kind)
	if err != nil {
		return err
	}
	st := &streaming{store: s, col: col, page: page, do: do, foreign: map[string]bool{}}
	filter := between(after, until)
	if whole := after.IsZero() && until.IsZero(); whole {
		st.whole, filter = true, bson.D{}
	}
	return st.run(ctx, filter)
}

// streaming is one Stream under way.
type streaming struct {
	*store
	col     *collection
	page    func() int
	do      func([]cutover.Item) error
	whole   bool
	foreign map[string]bool // what the stream has had of them, by RawID

	items []cutover.Item
	size  int // of the page at hand
}

func (st *streaming) run(ctx context.Context, filter bson.D) error {
	st.size = st.page()
	o := options.Find().SetSort(bson.D{{Key: fieldID, Value: 1}}).SetBatchSize(int32(st.size))
	cur, err := st.col.coll.Find(ctx, filter, o)
	if err != nil {
		return translate(err, reading)
	}
	defer closeCursor(ctx, cur)
	for cur.Next(ctx) {
		if err := st.take(ctx, cur); err != nil {
			return err
		}
	}
	if err := cur.Err(); err != nil {
		return translate(err, reading)
	}
	if err := st.addAside(ctx); err != nil {
		return err
	}
	return st.pass()
}

// take adds a document to the page at hand. What it keeps is decoded: the driver
// uses the document's memory again.
func (st *streaming) take(ctx context.Context, cur *mongo.Cursor) error {
	if _, ok := idOf(cur.Current); !ok {
		item := foreignItem(st.col, cur.Current)
		st.foreign[item.RawID] = true
		return st.add(item, cur)
	}
	doc, err := st.resolve(ctx, st.col, cur.Current)
	if err != nil || doc == nil || isDeleted(doc) {
		return err
	}
	return st.add(itemOf(st.col, doc), cur)
}

func (st *streaming) add(item cutover.Item, cur *mongo.Cursor) error {
	st.items = append(st.items, item)
	if len(st.items) < st.size {
		return nil
	}
	err := st.pass()
	st.size = st.page()
	cur.SetBatchSize(int32(st.size))
	return err
}

// pass hands the page at hand on.
func (st *streaming) pass() error {
	if len(st.items) == 0 {
		return nil
	}
	items := st.items
	st.items = make([]cutover.Item, 0, len(items))
	return st.do(items)
}

// addAside adds what Foreign lists and no query finds.
func (st *streaming) addAside(ctx context.Context) error {
	if !st.whole {
		return nil
	}
	items, err := st.asideOf(ctx, st.col, st.foreign)
	st.items = append(st.items, items...)
	return err
}
