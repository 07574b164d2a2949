package mongodb

import (
	"context"
	"maps"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
)

// A query by anything but the ID is answered from the documents as they stand.
// One that a commit has locked stands in its new content, committed or not: so
// the answer may show what is not committed, and miss what is. Three steps put
// that right, whatever others write meanwhile:
//
//  1. The query is read, once.
//  2. The records of the commits that touch the kind are read: those that are
//     open, and those that were rolled back since the query began. Nearly always
//     there are none, and the answer stands.
//  3. What was met without a lock was committed when it was met. What was met
//     with one counts by its commit's record: as it stands if that happened, else
//     as it was before, if that matches. Only the rest is read again, in one
//     command where the server is good at that: the documents that commits which
//     have not happened may have hidden, and those with a lock of which step 2
//     found no commit.
//
// So each record of the answer was committed at some moment between question
// and answer, and one that matched all the while is in it; but the moment is
// not the same for all, and while a commit happens an answer may show a part of
// it. Why step 2 finds all that matter:
//
//   - Only a lock of a commit that has not happened hides anything. The record
//     was there before the lock, and goes last of all. So a record that is not
//     there after the query, or says that the commit happened, is of a commit
//     that happened before step 2, and from then on what it hid does not match;
//     or of one that was rolled back, and that is kept for a while (keepAborted).
//   - A commit that begins after step 2 locks nothing before it.
//   - Which ones were rolled back since the query began, the server's clock
//     says: the server itself sets when the last document was restored, and this
//     process never takes the server for later than it is. A query that lasts
//     longer than the records are kept fails.
//   - A rollback that cannot be sure that the owner's last write will not still
//     arrive leaves the record open, see giveUp.
//
// What is read again need not be looked up again in turn: if a document is locked
// by then, and step 2 did not find that its commit had happened, then what it was
// before was committed at step 2, or at the moment of the lock if that came later.
//
// Nobody is waited for here, and nothing is cleared away.

// slack is how many more documents than asked for a limited query reads, so
// that a few may turn out not to count.
const slack = 4

// matcher says whether a document that the server was not asked about is one
// that a query asks for.
type matcher func(doc bson.Raw) bool

func everything(bson.Raw) bool { return true }

// find returns the committed content of the documents that filter matches; m
// says the same of a document here. A limited query is read again only if more
// of its documents than slack turned out not to count.
func (s *store) find(ctx context.Context, col *collection, filter bson.D, m matcher, sort bson.D, limit int) ([]bson.Raw, error) {
	window := 0
	if limit > 0 {
		window = limit + slack
	}
	for {
		o := options.Find().SetSort(sortOrNil(sort)).SetLimit(int64(window))
		a, err := s.read(ctx, col, filter, m, o)
		if err != nil {
			return nil, err
		}
		docs := a.inOrder(sort, window)
		if len(a.met) < window || len(docs) >= limit {
			if limit > 0 && len(docs) > limit {
				docs = docs[:limit]
			}
			return docs, nil
		}
		window = 2*window + a.doubted
	}
}

// sortOrNil returns no order at all for an empty one.
func sortOrNil(sort bson.D) any {
	if len(sort) == 0 {
		return nil
	}
	return sort
}

// answer is what one reading of a query has found.
type answer struct {
	met       []bson.Raw // as the server has them, in its order
	committed []bson.Raw // what is committed of that, and of what was hidden
	shuffled  bool       // not in the server's order
	doubted   int        // how many documents were in doubt
}

// read reads a query, as said above.
func (s *store) read(ctx context.Context, col *collection, filter bson.D, m matcher, o *options.FindOptionsBuilder) (*answer, error) {
	w, err := s.watch(ctx)
	if err != nil {
		return nil, err
	}
	met, err := col.query(ctx, filter, o)
	if err != nil {
		return nil, err
	}
	f, err := w.flight(ctx, col.Kind)
	if err != nil {
		return nil, err
	}
	a := &answer{met: met}
	again := a.sift(f, m)
	docs, err := s.byIDs(ctx, col, again)
	for _, doc := range docs {
		a.admit(f.content(doc), m)
	}
	return a, err
}

// sift keeps what of the documents that were met is committed, and returns the
// ids of those that are to be read again.
func (a *answer) sift(f flight, m matcher) []cutover.ID {
	again := maps.Clone(f.hidden)
	for _, doc := range a.met {
		id, _ := idOf(doc)
		lock, locked := lockOf(doc)
		state, known := f.states[lock]
		if locked && !known {
			again[id] = true
			continue
		}
		delete(again, id)
		if !locked || state == committed {
			a.committed = append(a.committed, doc)
			continue
		}
		a.doubted++
		a.admit(undoOf(doc), m)
	}
	a.doubted += len(again)
	return slices.Collect(maps.Keys(again))
}

// admit takes committed content that the server did not match.
func (a *answer) admit(doc bson.Raw, m matcher) {
	if doc != nil && !isDeleted(doc) && m(doc) {
		a.committed, a.shuffled = append(a.committed, doc), true
	}
}

// inOrder returns what is committed in order, but for what comes after the end
// of a full window: others may belong before that.
func (a *answer) inOrder(sort bson.D, window int) []bson.Raw {
	if !a.shuffled {
		return a.committed
	}
	docs := inOrder(a.committed, sort)
	if window == 0 || len(a.met) < window {
		return docs
	}
	last := a.met[window-1]
	return slices.DeleteFunc(docs, func(doc bson.Raw) bool { return compareDocs(doc, last, sort) > 0 })
}

// oneBatch is how many documents a query takes at a time: nearly every answer
// is then whole in the first reply, and no cursor stays open on the server.
const oneBatch = 5000

// query runs a query as the server sees the documents.
func (c *collection) query(ctx context.Context, filter bson.D, o *options.FindOptionsBuilder) ([]bson.Raw, error) {
	return c.findAll(ctx, alive(filter), o.SetBatchSize(oneBatch))
}

func (c *collection) findAll(ctx context.Context, filter bson.D, o *options.FindOptionsBuilder) ([]bson.Raw, error) {
	cur, err := c.coll.Find(ctx, filter, o)
	if err != nil {
		return nil, translate(err, reading)
	}
	var docs []bson.Raw
	err = cur.All(ctx, &docs)
	return docs, translate(err, reading)
}

// alive adds to a filter that tombstones do not count.
func alive(filter bson.D) bson.D { return append(slices.Clip(filter), present) }

// count counts the committed documents that filter matches.
func (s *store) count(ctx context.Context, col *collection, filter bson.D, m matcher) (int64, error) {
	w, err := s.watch(ctx)
	if err != nil {
		return 0, err
	}
	n, err := col.coll.CountDocuments(ctx, alive(filter))
	if err != nil {
		return 0, translate(err, reading)
	}
	f, err := w.flight(ctx, col.Kind)
	if err != nil || len(f.hidden) == 0 {
		return n, err
	}
	return s.countAround(ctx, col, filter, m)
}

// countAround counts while some documents are in doubt, of which a count does
// not say whether it counted them: so it lists what it counts.
func (s *store) countAround(ctx context.Context, col *collection, filter bson.D, m matcher) (int64, error) {
	o := options.Find().SetProjection(bson.D{{Key: fieldLock, Value: 1}, {Key: fieldUndo, Value: 1}})
	a, err := s.read(ctx, col, filter, m, o)
	if err != nil {
		return 0, err
	}
	return int64(len(a.committed)), nil
}

// watch is what a query has to know of its beginning.
type watch struct {
	store *store
	began time.Time // by the server's clock, or earlier
	since time.Time // by this process's
}

// watch begins a query.
func (s *store) watch(ctx context.Context) (watch, error) {
	began, err := s.db.clock.now(ctx, s.db)
	return watch{s, began, time.Now()}, err
}

// clockError is more than the server's clock is ever set back by, or than two
// servers of a replica set differ by.
const clockError = time.Second

// flight is what was in flight while a query ran, of the commits that touch one
// kind.
type flight struct {
	states map[bson.ObjectID]string // by commit
	hidden map[cutover.ID]bool      // documents of those that have not happened
}

// flight reads step 2, after the query.
func (w watch) flight(ctx context.Context, kind string) (flight, error) {
	f := flight{map[bson.ObjectID]string{}, map[cutover.ID]bool{}}
	recs, err := w.store.commitRecords(ctx,
		bson.E{Key: "keys.kind", Value: kind},
		bson.E{Key: "endedAt", Value: bson.D{{Key: "$not", Value: bson.D{{Key: "$lt", Value: w.began.Add(-clockError)}}}}})
	if err == nil && time.Since(w.since) > w.store.db.longestQuery {
		err = fault.New(fault.Unavailable, "the database did not answer in time")
	}
	for _, rec := range recs {
		f.states[rec.ID] = rec.State
		if rec.State != committed {
			rec.hide(kind, f.hidden)
		}
	}
	return f, err
}

// hide adds the commit's documents of a kind.
func (c *commit) hide(kind string, ids map[cutover.ID]bool) {
	for _, k := range c.Keys {
		if k.Kind == kind {
			ids[k.key().ID] = true
		}
	}
}

// content returns what is committed of a document that was read after f.
func (f flight) content(doc bson.Raw) bson.Raw {
	if lock, locked := lockOf(doc); locked && f.states[lock] != committed {
		return undoOf(doc)
	}
	return doc
}

// walk calls do with the committed content of every record of a kind in id
// order, after < id ≤ until (a zero until: to the end), until do gives false.
// batch is how many to fetch at a time, 0 for the server's own measure.
func (s *store) walk(ctx context.Context, col *collection, after, until cutover.ID, batch int, do func(bson.Raw) (bool, error)) error {
	o := options.Find().SetSort(bson.D{{Key: fieldID, Value: 1}})
	if batch > 0 {
		o.SetBatchSize(int32(batch))
	}
	cur, err := col.coll.Find(ctx, between(after, until), o)
	if err != nil {
		return translate(err, reading)
	}
	defer closeCursor(ctx, cur)
	for cur.Next(ctx) {
		if _, ok := idOf(cur.Current); !ok {
			continue
		}
		doc, err := s.resolve(ctx, col, slices.Clone(cur.Current))
		if err != nil {
			return err
		}
		if doc == nil || isDeleted(doc) {
			continue
		}
		if more, err := do(doc); err != nil || !more {
			return err
		}
	}
	return translate(cur.Err(), reading)
}

// between is the filter for after < id ≤ until; a zero until is no bound. An
// ObjectID bound excludes identities of other types.
func between(after, until cutover.ID) bson.D {
	bound := bson.D{{Key: "$gt", Value: oid(after)}}
	if after.IsZero() {
		bound = bson.D{{Key: "$gte", Value: bson.ObjectID{}}}
	}
	if !until.IsZero() {
		bound = append(bound, bson.E{Key: "$lte", Value: oid(until)})
	}
	return bson.D{{Key: fieldID, Value: bound}}
}
