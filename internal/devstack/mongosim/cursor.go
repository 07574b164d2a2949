package mongosim

import (
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// source is where a cursor's documents come from.
type source interface {
	// next hands documents to yield until it returns false; done says that
	// there are no more, now or ever.
	next(o *operation, st *state, yield func(bson.Raw) bool) (done bool, err error)
}

// cursor is a query whose answer did not fit into one reply. It goes on where it
// was, in the documents as they are then: only one with a snapshot does not see
// what was written meanwhile.
type cursor struct {
	id      int64
	ns      string
	source  source
	session string
	txn     *transaction
	pinned  *state    // what a read with a snapshot sees
	used    time.Time // last
	lasting bool
	busy    bool
	tail    *stream // of a change stream
}

// How much comes in one reply, unless the client asks for less.
const (
	firstBatch   = 101
	maxBatchSize = maxDocumentSize
)

// defaultCursorTimeout is MongoDB's.
const defaultCursorTimeout = 10 * time.Minute

// first makes the first reply of a query.
func (o *operation) first(c *cursor, st *state, size *int64, single bool) (bson.D, error) {
	limit := int64(firstBatch)
	if size != nil {
		limit = *size
	}
	if limit < 0 {
		return nil, refuse(codeBadValue, "BatchSize value must be non-negative, but received: %d", limit)
	}
	c.txn, c.session = o.txn, o.session()
	if o.ReadConcern.level() == "snapshot" && o.txn == nil {
		c.pinned = st
	}
	docs, done, err := o.fill(c, st, limit)
	if err != nil {
		return nil, err
	}
	if !done && !single {
		o.open(c)
	}
	body := bson.D{{Key: "firstBatch", Value: docs}, {Key: "id", Value: c.id}, {Key: "ns", Value: c.ns}}
	if c.pinned != nil {
		body = append(body, bson.E{Key: "atClusterTime", Value: st.ts})
	}
	return bson.D{{Key: "cursor", Value: c.tail.token(body)}}, nil
}

// fill takes documents for one reply, up to a number (0 for none at all) and to
// the size of a message.
func (o *operation) fill(c *cursor, st *state, limit int64) (docs bson.A, done bool, err error) {
	docs = bson.A{}
	if limit == 0 {
		return docs, false, nil
	}
	size := 0
	done, err = c.source.next(o, st, func(doc bson.Raw) bool {
		docs = append(docs, doc)
		size += len(doc)
		return int64(len(docs)) < limit && size < maxBatchSize
	})
	return docs, done, err
}

func (o *operation) open(c *cursor) {
	s := o.node.server
	s.mu.Lock()
	defer s.mu.Unlock()
	for c.id == 0 || o.node.cursors[c.id] != nil {
		c.id = s.rng.Int64()
	}
	c.used = time.Now()
	o.node.cursors[c.id] = c
}

// getMore makes the next reply.
func (o *operation) getMore() (bson.D, error) {
	args, err := decode[struct {
		ID         int64  `bson:"getMore"`
		Collection string `bson:"collection"`
		BatchSize  int64  `bson:"batchSize"`
	}](o)
	if err != nil {
		return nil, err
	}
	c, err := o.take(args.ID, o.DB+"."+args.Collection)
	if err != nil {
		return nil, err
	}
	if args.BatchSize == 0 {
		args.BatchSize = 1 << 40
	}
	st, err := o.seenBy(c)
	var docs bson.A
	var done bool
	if err == nil {
		docs, done, err = o.fillWaiting(c, st, args.BatchSize)
	}
	id := o.put(c, done || err != nil)
	if err != nil {
		return nil, err
	}
	body := bson.D{{Key: "nextBatch", Value: docs}, {Key: "id", Value: id}, {Key: "ns", Value: c.ns}}
	return bson.D{{Key: "cursor", Value: c.tail.token(body)}}, nil
}

// seenBy returns the state that a cursor goes on in.
func (o *operation) seenBy(c *cursor) (*state, error) {
	switch {
	case c.pinned != nil:
		return c.pinned, nil
	case c.tail != nil:
		return o.node.committed.Load(), nil
	case c.txn != o.txn:
		return nil, refuse(50738, "Cannot run getMore on cursor %d, which was created in another transaction", c.id)
	}
	return o.snapshot()
}

// take finds a cursor and keeps others from it.
func (o *operation) take(id int64, ns string) (*cursor, error) {
	s := o.node.server
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropIdle(o.node)
	c := o.node.cursors[id]
	switch {
	case c == nil || c.busy:
		return nil, refuse(codeCursorNotFound, "cursor id %d not found", id)
	case c.ns != ns:
		return nil, refuse(13, "Requested getMore on namespace '%s', but cursor belongs to a different namespace %s", ns, c.ns)
	}
	c.busy = true
	return c, nil
}

// put returns a cursor back, or ends it, and returns its id.
func (o *operation) put(c *cursor, done bool) int64 {
	s := o.node.server
	s.mu.Lock()
	defer s.mu.Unlock()
	c.busy, c.used = false, time.Now()
	if done {
		delete(o.node.cursors, c.id)
		return 0
	}
	return c.id
}

// dropIdle ends cursors that nobody has asked for too long. The lock is held.
func (s *Server) dropIdle(n *node) {
	limit := s.o.CursorTimeout
	if limit == 0 {
		limit = defaultCursorTimeout
	}
	for id, c := range n.cursors {
		if !c.busy && !c.lasting && time.Since(c.used) > limit {
			delete(n.cursors, id)
		}
	}
}

// killCursors ends cursors.
func (o *operation) killCursors() (bson.D, error) {
	args, err := decode[struct {
		Collection string  `bson:"killCursors"`
		Cursors    []int64 `bson:"cursors"`
	}](o)
	if err != nil {
		return nil, err
	}
	s := o.node.server
	s.mu.Lock()
	defer s.mu.Unlock()
	killed, unknown := bson.A{}, bson.A{}
	for _, id := range args.Cursors {
		if o.node.cursors[id] == nil {
			unknown = append(unknown, id)
			continue
		}
		delete(o.node.cursors, id)
		killed = append(killed, id)
	}
	return bson.D{{Key: "cursorsKilled", Value: killed}, {Key: "cursorsNotFound", Value: unknown},
		{Key: "cursorsAlive", Value: bson.A{}}, {Key: "cursorsUnknown", Value: bson.A{}}}, nil
}
