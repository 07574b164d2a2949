package mongosim

import (
	"fmt"
	"strconv"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// stream is a change stream: it tells what a majority has, in order, from a
// place in the log. Its tokens are such places. Of an update it tells whole
// fields of the document, where MongoDB may tell parts of them.
// https://www.mongodb.com/docs/v7.0/reference/change-events/
type stream struct {
	db, coll string // coll "" for the whole database
	at       int64  // the change that was told last
	full     bool   // an update comes with the document as it is
	stages   []bson.Raw
	over     bool
}

type streamArgs struct {
	FullDocument string          `bson:"fullDocument"`
	ResumeAfter  bson.Raw        `bson:"resumeAfter"`
	StartAfter   bson.Raw        `bson:"startAfter"`
	StartAt      *bson.Timestamp `bson:"startAtOperationTime"`
}

// watch opens a change stream.
func (o *operation) watch(collection bson.RawValue, pipeline []bson.Raw, size *int64) (bson.D, error) {
	if !o.node.server.o.ReplicaSet {
		return nil, refuse(40573, "The $changeStream stage is only supported on replica sets")
	}
	if o.txn != nil {
		return nil, refuse(codeNotInTransaction, "$changeStream cannot be used in a transaction")
	}
	spec, _ := field(pipeline[0], "$changeStream").DocumentOK()
	args, err := decodePart[streamArgs]("$changeStream", spec)
	if err != nil {
		return nil, err
	}
	coll, _ := collection.StringValueOK()
	s := &stream{db: o.DB, coll: coll, full: args.FullDocument == "updateLookup", stages: pipeline[1:]}
	if !s.full && args.FullDocument != "" && args.FullDocument != "default" {
		return nil, refuse(codeNotImplemented, "mongosim: fullDocument %q is not implemented", args.FullDocument)
	}
	st := o.node.committed.Load()
	if s.at, err = args.start(st); err != nil {
		return nil, err
	}
	name := coll
	if coll == "" {
		name = "$cmd.aggregate"
	}
	return o.first(&cursor{ns: o.DB + "." + name, source: s, tail: s, lasting: true}, st, size, false)
}

// start returns the change after which a stream begins.
func (a streamArgs) start(st *state) (int64, error) {
	token := a.ResumeAfter
	if token == nil {
		token = a.StartAfter
	}
	first, _, ok := st.log.Min()
	if !ok {
		first = st.logged + 1
	}
	switch {
	case token != nil:
		at, err := placeOf(token)
		if err == nil && at < first-1 {
			err = refuse(codeHistoryLost, "Resume of change stream was not possible, as the resume point may no longer be in the oplog.")
		}
		return at, err
	case a.StartAt != nil:
		at := st.logged
		st.log.Scan(func(n int64, c *change) bool {
			if c.ts.Before(*a.StartAt) {
				return true
			}
			at = n - 1
			return false
		})
		return at, nil
	}
	return st.logged, nil
}

// tokenOf names a place in the log.
func tokenOf(at int64) bson.D { return bson.D{{Key: "_data", Value: fmt.Sprintf("%016x", at)}} }

func placeOf(token bson.Raw) (int64, error) {
	text, _ := field(token, "_data").StringValueOK()
	at, err := strconv.ParseInt(text, 16, 64)
	if err != nil {
		return 0, refuse(50811, "Bad resume token: _data of missing or of wrong type")
	}
	return at, nil
}

// token adds to a reply from where to resume.
func (s *stream) token(body bson.D) bson.D {
	if s == nil {
		return body
	}
	return append(body, bson.E{Key: "postBatchResumeToken", Value: tokenOf(s.at)})
}

// next tells what came since. A stream ends with its collection alone.
func (s *stream) next(_ *operation, st *state, yield func(bson.Raw) bool) (bool, error) {
	var failed error
	st.log.Ascend(s.at+1, func(n int64, c *change) bool {
		s.at = n
		if s.over || !s.about(c) {
			return !s.over
		}
		events, err := s.pass(s.events(st, n, c))
		failed = err
		more := err == nil
		for _, e := range events {
			more = yield(e) && more
		}
		return more
	})
	return s.over, failed
}

func (s *stream) about(c *change) bool {
	db, coll := splitNS(c.ns)
	return db == s.db && (s.coll == "" || s.coll == coll)
}

// pass runs the rest of the pipeline over events.
func (s *stream) pass(events []bson.Raw) ([]bson.Raw, error) {
	var err error
	for _, stage := range s.stages {
		if events, err = carryOutStage(stage, events); err != nil {
			return nil, err
		}
	}
	return events, nil
}

// events tells a change.
func (s *stream) events(st *state, n int64, c *change) []bson.Raw {
	db, coll := splitNS(c.ns)
	event := func(kind string, more ...bson.E) bson.Raw {
		return rawDoc(append(bson.D{
			{Key: "_id", Value: tokenOf(n)}, {Key: "operationType", Value: kind}, {Key: "clusterTime", Value: c.ts},
			{Key: "wallTime", Value: bson.NewDateTimeFromTime(time.Unix(int64(c.ts.T), 0))},
			{Key: "ns", Value: bson.D{{Key: "db", Value: db}, {Key: "coll", Value: coll}}}}, more...))
	}
	if c.drop {
		if s.coll == "" {
			return []bson.Raw{event("drop")}
		}
		s.over = true
		return []bson.Raw{event("drop"), event("invalidate")}
	}
	doc := c.doc
	if doc == nil {
		doc = c.old
	}
	key := bson.E{Key: "documentKey", Value: bson.D{{Key: "_id", Value: field(doc, "_id")}}}
	switch {
	case c.doc == nil:
		return []bson.Raw{event("delete", key)}
	case c.old == nil:
		return []bson.Raw{event("insert", key, bson.E{Key: "fullDocument", Value: c.doc})}
	case c.replaced:
		return []bson.Raw{event("replace", key, bson.E{Key: "fullDocument", Value: c.doc})}
	}
	more := []bson.E{key, {Key: "updateDescription", Value: difference(c.old, c.doc)}}
	if s.full {
		more = append(more, s.fullDocument(st, c))
	}
	return []bson.Raw{event("update", more...)}
}

// fullDocument looks the document up as it is now, which may be later.
func (s *stream) fullDocument(st *state, c *change) bson.E {
	e := bson.E{Key: "fullDocument"}
	if coll := st.collection(c.ns); coll != nil {
		if doc, ok := coll.docs.Get(c.id); ok {
			e.Value = doc
		}
	}
	return e
}

// difference says which fields of a document changed, and which are gone.
func difference(old, doc bson.Raw) bson.D {
	updated, removed := bson.D{}, bson.A{}
	for e := range elements(doc) {
		was := field(old, e.Key())
		if now := e.Value(); was.Type != now.Type || string(was.Value) != string(now.Value) {
			updated = append(updated, bson.E{Key: e.Key(), Value: now})
		}
	}
	for e := range elements(old) {
		if field(doc, e.Key()).Type == 0 {
			removed = append(removed, e.Key())
		}
	}
	return bson.D{{Key: "updatedFields", Value: updated}, {Key: "removedFields", Value: removed}, {Key: "truncatedArrays", Value: bson.A{}}}
}

// defaultAwait is how long a change stream waits for news.
const defaultAwait = time.Second

// fillWaiting is fill; a change stream that has nothing to tell waits a little.
func (o *operation) fillWaiting(c *cursor, st *state, limit int64) (docs bson.A, done bool, err error) {
	if c.tail == nil {
		return o.fill(c, st, limit)
	}
	until := o.deadline
	if until.IsZero() {
		until = time.Now().Add(defaultAwait)
	}
	o.deadline = time.Time{}
	s := o.node.server
	for {
		s.mu.Lock()
		gone, changed := o.node.cursors[c.id] != c, s.wait()
		s.mu.Unlock()
		if gone {
			return nil, true, &refusal{code: codeInterrupted, msg: "operation was interrupted", labels: []string{"ResumableChangeStreamError"}}
		}
		docs, done, err = o.fill(c, o.node.committed.Load(), limit)
		if err != nil || len(docs) > 0 || done || !time.Now().Before(until) {
			return docs, done, err
		}
		if err := o.await(changed, until); err != nil {
			return nil, true, err
		}
	}
}
