package mongodb

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
)

// workers is how many documents one call reads or writes at a time.
const workers = 8

// inParallel calls do for 0 to n-1 and returns the errors, joined.
func inParallel(n int, do func(i int) error) error {
	var wg sync.WaitGroup
	next := make(chan int)
	errs := make([]error, n)
	for range min(workers, n) {
		wg.Go(func() {
			for i := range next {
				errs[i] = do(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
	return errors.Join(errs...)
}

// Get reads records by key, see cutover.Store.
func (s *store) Get(ctx context.Context, keys []cutover.Key) ([]cutover.Item, error) {
	lists, err := s.db.findsLists(ctx)
	if err != nil {
		return nil, err
	}
	if lists {
		return s.itemsByLists(ctx, keys)
	}
	return s.itemsOneByOne(ctx, keys)
}

// itemsByLists reads with one command per kind, and one for all tombstones.
func (s *store) itemsByLists(ctx context.Context, keys []cutover.Key) ([]cutover.Item, error) {
	ids := map[string][]cutover.ID{}
	for _, k := range keys {
		ids[k.Kind] = append(ids[k.Kind], k.ID)
	}
	there := map[cutover.Key]cutover.Item{}
	for kind, ids := range ids {
		if err := s.itemsOf(ctx, kind, ids, there); err != nil {
			return nil, err
		}
	}
	gone := slices.DeleteFunc(slices.Clone(keys), func(k cutover.Key) bool { _, ok := there[k]; return ok })
	tombstones, err := s.tombstonesOf(ctx, gone)
	if err != nil {
		return nil, err
	}
	items := make([]cutover.Item, len(keys))
	for i, k := range keys {
		item, ok := there[k]
		if !ok {
			rev, buried := tombstones[k.String()]
			item = cutover.Item{Key: k, Rev: rev, Deleted: buried}
		}
		items[i] = item
	}
	return items, nil
}

// itemsOf adds the items of one kind that are there.
func (s *store) itemsOf(ctx context.Context, kind string, ids []cutover.ID, there map[cutover.Key]cutover.Item) error {
	col, err := s.of(kind)
	if err != nil {
		return err
	}
	docs, err := s.byIDs(ctx, col, ids)
	if err != nil {
		return err
	}
	for _, doc := range docs {
		if doc, err = s.resolve(ctx, col, doc); err != nil {
			return err
		}
		if doc != nil {
			item := itemOf(col, doc)
			there[item.Key] = item
		}
	}
	return nil
}

// tombstonesOf reads tombstones; it returns their revisions by key.
func (s *store) tombstonesOf(ctx context.Context, keys []cutover.Key) (map[string]int64, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	names := make(bson.A, len(keys))
	for i, k := range keys {
		names[i] = k.String()
	}
	cur, err := s.db.tombstones.Find(ctx, bson.D{{Key: fieldID, Value: bson.D{{Key: "$in", Value: names}}}})
	if err != nil {
		return nil, translate(err, reading)
	}
	revs := map[string]int64{}
	for cur.Next(ctx) {
		revs[rawID(cur.Current)] = revOf(cur.Current)
	}
	return revs, translate(errors.Join(cur.Err(), cur.Close(ctx)), reading)
}

func (s *store) itemsOneByOne(ctx context.Context, keys []cutover.Key) ([]cutover.Item, error) {
	items := make([]cutover.Item, len(keys))
	err := inParallel(len(keys), func(i int) error {
		var err error
		items[i], err = s.item(ctx, keys[i])
		return err
	})
	if err != nil {
		return nil, err
	}
	return items, nil
}

func (s *store) item(ctx context.Context, key cutover.Key) (cutover.Item, error) {
	col, err := s.of(key.Kind)
	if err != nil {
		return cutover.Item{}, err
	}
	doc, err := s.current(ctx, col, key.ID)
	if err != nil {
		return cutover.Item{}, err
	}
	if doc != nil {
		return itemOf(col, doc), nil
	}
	rev, buried, err := s.tombstone(ctx, key)
	return cutover.Item{Key: key, Rev: rev, Deleted: buried}, err
}

func itemOf(col *collection, doc bson.Raw) cutover.Item {
	id, _ := idOf(doc)
	item := cutover.Item{Key: cutover.Key{Kind: col.Kind, ID: id}, Rev: revOf(doc), Deleted: isDeleted(doc)}
	if !item.Deleted {
		item.Record, item.Err = col.decode(doc)
	}
	// Without a revision it is somebody else's, who knows of no keys.
	if item.Record != nil && item.Rev > 0 {
		item.Stale = cutover.RuleNames(staleKeys(col.derived, item.Record, doc))
	}
	return item
}

// Scan reads records in id order, see cutover.Store.
func (s *store) Scan(ctx context.Context, kind string, after, until cutover.ID, limit int) ([]cutover.Item, error) {
	col, err := s.of(kind)
	if err != nil || limit <= 0 {
		return nil, err
	}
	var items []cutover.Item
	err = s.walk(ctx, col, after, until, limit, func(doc bson.Raw) (bool, error) {
		items = append(items, itemOf(col, doc))
		return len(items) < limit, nil
	})
	return items, err
}

// Foreign lists documents whose _id is no ObjectID, and those that an Adopt
// which died has set aside. Their records, where they decode, have no ID.
func (s *store) Foreign(ctx context.Context, kind string, limit int) ([]cutover.Item, error) {
	col, err := s.of(kind)
	if err != nil {
		return nil, err
	}
	noID := bson.D{{Key: fieldID, Value: bson.D{{Key: "$not", Value: bson.D{{Key: "$type", Value: "objectId"}}}}}}
	docs, err := col.query(ctx, noID, options.Find().SetLimit(int64(limit)).SetSort(bson.D{{Key: fieldID, Value: 1}}))
	if err != nil {
		return nil, err
	}
	var items []cutover.Item
	seen := map[string]bool{}
	for _, doc := range docs {
		item := foreignItem(col, doc)
		items, seen[item.RawID] = append(items, item), true
	}
	aside, err := s.asideOf(ctx, col, seen)
	return append(items, aside...), err
}

// asideOf lists what adoptions under way have set aside of a kind, but for those
// identities that were seen in their place.
func (s *store) asideOf(ctx context.Context, col *collection, seen map[string]bool) (items []cutover.Item, err error) {
	aside, err := s.setAside(ctx)
	for _, a := range aside {
		if a.Kind == col.Kind && !seen[rawID(a.Old)] {
			items = append(items, foreignItem(col, a.Old))
		}
	}
	return items, err
}

func foreignItem(col *collection, doc bson.Raw) cutover.Item {
	item := cutover.Item{Key: cutover.Key{Kind: col.Kind}, RawID: rawID(doc), Rev: revOf(doc)}
	bare, err := bson.Marshal(without(doc, fieldID))
	if err != nil {
		item.Err = err
		return item
	}
	item.Record, item.Err = col.decode(bare)
	return item
}

// rawID returns a stored identity as text.
func rawID(doc bson.Raw) string { return identityText(doc.Lookup(fieldID)) }

// identityText returns an identity of any type as text.
func identityText(v bson.RawValue) string {
	if s, ok := v.StringValueOK(); ok {
		return s
	}
	if id, ok := v.ObjectIDOK(); ok {
		return id.Hex()
	}
	return v.String()
}

// Count counts the records of a kind, readable or not.
func (s *store) Count(ctx context.Context, kind string) (int64, error) {
	col, err := s.of(kind)
	if err != nil {
		return 0, err
	}
	return s.count(ctx, col, nil, everything)
}

// Bounds cuts a kind's ids into ranges, see cutover.Store.
func (s *store) Bounds(ctx context.Context, kind string, size int) ([]cutover.ID, error) {
	col, err := s.of(kind)
	if err != nil {
		return nil, err
	}
	o := options.Find().SetSort(bson.D{{Key: fieldID, Value: 1}}).SetProjection(bson.D{{Key: fieldID, Value: 1}}).SetBatchSize(oneBatch)
	cur, err := col.coll.Find(ctx, bson.D{}, o)
	if err != nil {
		return nil, translate(err, reading)
	}
	defer closeCursor(ctx, cur)
	var bounds []cutover.ID
	var last cutover.ID
	n := 0
	for cur.Next(ctx) {
		id, ok := idOf(cur.Current)
		if !ok {
			continue
		}
		last = id
		if n++; n%max(size, 1) == 0 {
			bounds = append(bounds, id)
		}
	}
	if n%max(size, 1) != 0 {
		bounds = append(bounds, last)
	}
	return bounds, translate(cur.Err(), reading)
}

// Apply brings copies in, see cutover.Store. They are written without notes.
func (s *store) Apply(ctx context.Context, items []cutover.Item, o cutover.ApplyOptions) ([]error, error) {
	errs := make([]error, len(items))
	o.Ahead = inTurn(o.Ahead)
	fatal := inParallel(len(items), func(i int) error {
		err := s.apply(ctx, items[i], o)
		if fault.Is(err, fault.Unavailable) || err != nil && ctx.Err() != nil {
			return err
		}
		errs[i] = err
		return nil
	})
	return errs, fatal
}

// inTurn has one call wait for another; nil stays nil.
func inTurn(tell func(cutover.Key, int64)) func(cutover.Key, int64) {
	if tell == nil {
		return nil
	}
	var mu sync.Mutex
	return func(k cutover.Key, rev int64) {
		mu.Lock()
		defer mu.Unlock()
		tell(k, rev)
	}
}

func (s *store) apply(ctx context.Context, item cutover.Item, o cutover.ApplyOptions) error {
	col, err := s.of(item.Key.Kind)
	if err != nil {
		return err
	}
	deadline := time.Now().Add(s.db.waitFor)
	if item.Deleted {
		return s.bury(ctx, col, item, o, deadline)
	}
	if item.Record == nil {
		return fault.New(fault.Internal, "%s: no record to apply", item.Key)
	}
	doc, err := col.encode(item.Record)
	if err != nil {
		return err
	}
	for {
		done, err := s.applyOnce(ctx, col, item, doc, o, deadline)
		if done || err != nil {
			return err
		}
	}
}

// applyOnce tries to bring a copy in; false when somebody else was quicker
// and it must look again.
func (s *store) applyOnce(ctx context.Context, col *collection, item cutover.Item, doc bson.D, o cutover.ApplyOptions, deadline time.Time) (bool, error) {
	here, err := col.get(ctx, item.Key.ID)
	if err != nil {
		return false, err
	}
	if here != nil {
		if _, locked := lockOf(here); locked {
			return false, s.settle(ctx, col, item.Key, here, deadline)
		}
		if rev := revOf(here); rev >= item.Rev && !o.Force {
			if o.Ahead != nil && rev > item.Rev && !isDeleted(here) {
				o.Ahead(item.Key, rev)
			}
			return true, s.yieldToTombstone(ctx, col, item.Key)
		}
	} else if !o.Force {
		rev, buried, err := s.tombstone(ctx, item.Key)
		if err != nil || buried && rev >= item.Rev {
			return true, err
		}
	}
	c := change{key: item.Key, col: col, insert: here == nil, base: revOf(here), doc: doc}
	done, err := c.send(ctx, doc)
	switch {
	case fault.Is(err, fault.Conflict):
		return false, s.blockedCopy(ctx, c, err, deadline)
	case err != nil || !done:
		return false, err
	case o.Force:
		return true, s.unbury(ctx, item.Key)
	}
	return true, s.yieldToTombstone(ctx, col, item.Key)
}

// blockedCopy looks into a duplicate key: of the identity, then it was another
// copier; or of a unique rule.
func (s *store) blockedCopy(ctx context.Context, c change, cause error, deadline time.Time) error {
	here, err := c.col.get(ctx, c.key.ID)
	if err != nil || c.insert && here != nil {
		return err
	}
	return s.clashing(ctx, c, cause, deadline)
}

// tombstone reads a tombstone.
func (s *store) tombstone(ctx context.Context, key cutover.Key) (rev int64, found bool, err error) {
	doc, err := s.db.tombstones.FindOne(ctx, bson.D{{Key: fieldID, Value: key.String()}}).Raw()
	if errors.Is(err, mongo.ErrNoDocuments) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, translate(err, reading)
	}
	return revOf(doc), true, nil
}

// bury removes a record that was deleted in the other database. The tombstone
// comes first: whoever inserts a slower copy looks for it afterwards.
func (s *store) bury(ctx context.Context, col *collection, item cutover.Item, o cutover.ApplyOptions, deadline time.Time) error {
	if err := s.raiseTombstone(ctx, item, o); err != nil {
		return err
	}
	for {
		here, err := col.get(ctx, item.Key.ID)
		if err != nil || here == nil {
			return err
		}
		if _, locked := lockOf(here); locked {
			if err := s.settle(ctx, col, item.Key, here, deadline); err != nil {
				return err
			}
			continue
		}
		if rev := revOf(here); rev >= item.Rev && !isDeleted(here) && !o.Force {
			if o.Ahead != nil {
				o.Ahead(item.Key, rev)
			}
			return nil
		}
		res, err := col.coll.DeleteOne(ctx, atRev(item.Key.ID, revOf(here)))
		if err != nil || res.DeletedCount == 1 {
			return translate(err, writing)
		}
	}
}

func (s *store) raiseTombstone(ctx context.Context, item cutover.Item, o cutover.ApplyOptions) error {
	operator := "$max"
	if o.Force {
		operator = "$set"
	}
	now, err := s.db.clock.now(ctx, s.db)
	if err != nil {
		return err
	}
	update := bson.D{
		{Key: operator, Value: bson.D{{Key: fieldRev, Value: item.Rev}}},
		{Key: "$setOnInsert", Value: bson.D{{Key: "kind", Value: item.Key.Kind}, {Key: "at", Value: now}}},
	}
	filter := bson.D{{Key: fieldID, Value: item.Key.String()}}
	_, err = s.db.tombstones.UpdateOne(ctx, filter, update, options.UpdateOne().SetUpsert(true))
	if isDuplicate(err) { // two at once: now it is there
		_, err = s.db.tombstones.UpdateOne(ctx, filter, update)
	}
	return translate(err, writing)
}

func (s *store) unbury(ctx context.Context, key cutover.Key) error {
	_, err := s.db.tombstones.DeleteOne(ctx, bson.D{{Key: fieldID, Value: key.String()}})
	return translate(err, writing)
}

// yieldToTombstone takes copies back that came in after their record's deletion
// had removed what was there.
func (s *store) yieldToTombstone(ctx context.Context, col *collection, key cutover.Key) error {
	rev, buried, err := s.tombstone(ctx, key)
	if err != nil || !buried {
		return err
	}
	for {
		here, err := col.get(ctx, key.ID)
		if err != nil || here == nil || isDeleted(here) || revOf(here) >= rev {
			return err
		}
		if _, locked := lockOf(here); locked {
			return nil // no copy
		}
		res, err := col.coll.DeleteOne(ctx, atRev(key.ID, revOf(here)))
		if err != nil || res.DeletedCount == 1 {
			return translate(err, writing)
		}
	}
}

// loadBatch is how many documents Load sends at once.
const loadBatch = 500

// Load inserts many copies at once, see cutover.Store.
func (s *store) Load(ctx context.Context, kind string, items []cutover.Item) error {
	col, err := s.of(kind)
	if err != nil {
		return err
	}
	for batch := range slices.Chunk(items, loadBatch) {
		docs := make([]bson.D, len(batch))
		for i, item := range batch {
			if item.Record == nil {
				return fault.New(fault.Internal, "%s: no record to load", item.Key)
			}
			if docs[i], err = col.encode(item.Record); err != nil {
				return err
			}
		}
		_, err := col.coll.InsertMany(ctx, docs, options.InsertMany().SetOrdered(false))
		if isDuplicate(err) {
			err = s.loadOneByOne(ctx, batch) // some are here already
		}
		if err != nil {
			return translate(err, writing)
		}
	}
	return s.yieldToTombstones(ctx, col, items)
}

func (s *store) loadOneByOne(ctx context.Context, items []cutover.Item) error {
	errs, err := s.Apply(ctx, items, cutover.ApplyOptions{})
	return errors.Join(append(errs, err)...)
}

// yieldToTombstones is yieldToTombstone for all that Load brought in.
func (s *store) yieldToTombstones(ctx context.Context, col *collection, items []cutover.Item) error {
	n, err := s.db.tombstones.CountDocuments(ctx, bson.D{{Key: "kind", Value: col.Kind}})
	if err != nil || n == 0 {
		return translate(err, reading)
	}
	return inParallel(len(items), func(i int) error { return s.yieldToTombstone(ctx, col, items[i].Key) })
}

// Analyze does nothing: MongoDB keeps no statistics to refresh.
func (s *store) Analyze(context.Context, string) error { return nil }

// ForgetTombstones removes old tombstones of this domain's copies. What this
// database's own writes leave is part of their notes, and goes with those.
func (s *store) ForgetTombstones(ctx context.Context, olderThan time.Duration) error {
	now, err := s.db.clock.now(ctx, s.db)
	if err != nil {
		return err
	}
	old := bson.D{{Key: "$lte", Value: now.Add(-olderThan)}}
	for kind := range s.cols {
		if _, err := s.db.tombstones.DeleteMany(ctx, bson.D{{Key: "kind", Value: kind}, {Key: "at", Value: old}}); err != nil {
			return translate(err, writing)
		}
	}
	return nil
}
