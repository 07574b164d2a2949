package mongo

import (
	"context"
	"maps"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/amanat-dev/amanat/cutover"
)

// A query by anything but the ID may come upon the new content of a commit
// that is pending or was rolled back, and then misses a document whose
// committed content it should have found. So after a query the commit records
// of the domain are looked at: the documents that such commits touch, and they
// alone, are read one by one, and the filter is applied to their committed
// content here. A commit that came and went during the query is noticed too:
// records of rolled back commits stay for a while.

// slack is how many more documents than asked for a limited query reads, so
// that a few may turn out not to count.
const slack = 4

// find gives the committed content of the documents that filter matches.
func (s *store) find(ctx context.Context, col *collection, filter bson.D, m matcher, sort bson.D, limit int) ([]bson.Raw, error) {
	o := options.Find()
	if len(sort) > 0 {
		o.SetSort(sort)
	}
	if limit == 0 {
		docs, _, err := s.findWindow(ctx, col, filter, m, sort, o)
		return docs, err
	}
	for window := limit + slack; ; window *= 2 {
		o.SetLimit(int64(window))
		docs, read, err := s.findWindow(ctx, col, filter, m, sort, o)
		if err != nil {
			return nil, err
		}
		// Past a full window there may be more, to be taken before those that
		// were in doubt.
		if read.all < window || read.sure >= limit {
			return docs[:min(limit, len(docs))], nil
		}
	}
}

// tally counts what a window of a query read, and how much of it is not in
// doubt.
type tally struct {
	all, sure int
	settled   bool // no commit was met that could have been seen in part
}

// glances is how often a window is read at most until two in a row are alike.
const glances = 20

// findWindow reads one window of a query. While a commit is under way its
// documents are read one by one, and may show it in part: so the window is read
// until it is the same twice. A record's revision never comes back; so what is
// the same twice was there as a whole, at the moment between. Where commits of
// the same records follow each other without a pause, the last glance counts.
func (s *store) findWindow(ctx context.Context, col *collection, filter bson.D, m matcher, sort bson.D, o *options.FindOptionsBuilder) ([]bson.Raw, tally, error) {
	var before map[cutover.ID]int64
	for n := 1; ; n++ {
		docs, read, err := s.glance(ctx, col, filter, m, sort, o)
		if err != nil || read.settled {
			return docs, read, err
		}
		now := revisions(docs)
		if n == glances || before != nil && maps.Equal(before, now) {
			return docs, read, nil
		}
		before = now
	}
}

func revisions(docs []bson.Raw) map[cutover.ID]int64 {
	revs := make(map[cutover.ID]int64, len(docs))
	for _, doc := range docs {
		if id, ok := idOf(doc); ok {
			revs[id] = revOf(doc)
		}
	}
	return revs
}

// glance reads one window once.
func (s *store) glance(ctx context.Context, col *collection, filter bson.D, m matcher, sort bson.D, o *options.FindOptionsBuilder) ([]bson.Raw, tally, error) {
	started, err := s.db.clock.now(ctx, s.db)
	if err != nil {
		return nil, tally{}, err
	}
	docs, err := col.query(ctx, filter, o)
	if err != nil {
		return nil, tally{}, err
	}
	doubtful, err := s.unsettled(ctx, col.Kind, started)
	if err != nil {
		return nil, tally{}, err
	}
	sure := setAside(docs, doubtful)
	read := tally{len(docs), len(sure), len(doubtful) == 0}
	if read.settled {
		return docs, read, nil
	}
	matching, err := s.matching(ctx, col, doubtful, m)
	return inOrder(append(sure, matching...), sort), read, err
}

// oneBatch is how many documents a query takes at a time: nearly every answer
// is then whole in the first reply, and no cursor stays open on the server.
const oneBatch = 5000

// query runs a query as the server sees the documents.
func (c *collection) query(ctx context.Context, filter bson.D, o *options.FindOptionsBuilder) ([]bson.Raw, error) {
	cur, err := c.coll.Find(ctx, alive(filter), o.SetBatchSize(oneBatch))
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
func (s *store) count(ctx context.Context, col *collection, filter bson.D) (int64, error) {
	started, err := s.db.clock.now(ctx, s.db)
	if err != nil {
		return 0, err
	}
	n, err := col.coll.CountDocuments(ctx, alive(filter))
	if err != nil {
		return 0, translate(err, reading)
	}
	doubtful, err := s.unsettled(ctx, col.Kind, started)
	if err != nil || len(doubtful) == 0 {
		return n, err
	}
	return s.countAround(ctx, col, filter)
}

// countAround counts while some documents are in doubt.
func (s *store) countAround(ctx context.Context, col *collection, filter bson.D) (int64, error) {
	m, err := compile(filter)
	if err != nil {
		return 0, err
	}
	o := options.Find().SetProjection(bson.D{{Key: fieldLock, Value: 1}, {Key: fieldRev, Value: 1}})
	docs, _, err := s.findWindow(ctx, col, filter, m, nil, o)
	return int64(len(docs)), err
}

// setAside gives the documents that are not in doubt; a locked one is.
func setAside(docs []bson.Raw, doubtful map[cutover.ID]bool) (sure []bson.Raw) {
	for _, doc := range docs {
		id, ok := idOf(doc)
		if _, locked := lockOf(doc); locked && ok {
			doubtful[id] = true
		}
		if !ok || !doubtful[id] {
			sure = append(sure, doc)
		}
	}
	return sure
}

// matching reads documents one by one and gives those whose committed content
// matches.
func (s *store) matching(ctx context.Context, col *collection, ids map[cutover.ID]bool, m matcher) ([]bson.Raw, error) {
	var out []bson.Raw
	for id := range ids {
		doc, err := s.current(ctx, col, id)
		if err != nil {
			return nil, err
		}
		if doc != nil && !isDeleted(doc) && m.matches(doc) {
			out = append(out, doc)
		}
	}
	return out, nil
}

// clockError is more than two processes' measurements of the server's time
// can differ by.
const clockError = time.Second

// unsettled gives the ids of a kind whose documents a query that began at
// started may have seen with content that was not committed. On the way it
// concludes what dead writers left.
func (s *store) unsettled(ctx context.Context, kind string, started time.Time) (map[cutover.ID]bool, error) {
	recs, err := s.commitRecords(ctx)
	if err != nil {
		return nil, err
	}
	ids := map[cutover.ID]bool{}
	for i := range recs {
		rec := &recs[i]
		// An error here is met again below, or by the next one who comes.
		_ = s.conclude(ctx, rec, started)
		if rec.Settled && rec.EndedAt.Add(clockError).Before(started) || !rec.touches(kind) {
			continue
		}
		for _, k := range rec.Keys {
			if k.Kind == kind {
				ids[k.key().ID] = true
			}
		}
	}
	return ids, nil
}

// walk calls do with the committed content of every record of a kind in id
// order, after < id ≤ until (a zero until: to the end), until do gives false.
// batch is how many to fetch at a time, 0 for the server's own measure.
func (s *store) walk(ctx context.Context, col *collection, after, until cutover.ID, batch int, do func(bson.Raw) (bool, error)) error {
	// An ObjectID bound excludes identities of other types.
	bound := bson.D{{Key: "$gt", Value: oid(after)}}
	if after.IsZero() {
		bound = bson.D{{Key: "$gte", Value: bson.ObjectID{}}}
	}
	if !until.IsZero() {
		bound = append(bound, bson.E{Key: "$lte", Value: oid(until)})
	}
	o := options.Find().SetSort(bson.D{{Key: fieldID, Value: 1}})
	if batch > 0 {
		o.SetBatchSize(int32(batch))
	}
	cur, err := col.coll.Find(ctx, bson.D{{Key: fieldID, Value: bound}}, o)
	if err != nil {
		return translate(err, reading)
	}
	defer cur.Close(context.WithoutCancel(ctx))
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
