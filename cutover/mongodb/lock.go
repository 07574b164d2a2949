package mongodb

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/amanat-dev/amanat/cutover"
)

// current reads a document as far as it is committed; nil when there is none.
func (s *store) current(ctx context.Context, col *collection, id cutover.ID) (bson.Raw, error) {
	doc, err := col.get(ctx, id)
	if err != nil || doc == nil {
		return nil, err
	}
	return s.resolve(ctx, col, doc)
}

// currentMany is current for many: those that are there and not deleted, in the
// order of ids.
func (s *store) currentMany(ctx context.Context, col *collection, ids []cutover.ID) ([]bson.Raw, error) {
	docs, err := s.byIDs(ctx, col, ids)
	if err != nil {
		return nil, err
	}
	there := make(map[cutover.ID]bson.Raw, len(docs))
	for _, doc := range docs {
		if doc, err = s.resolve(ctx, col, doc); err != nil {
			return nil, err
		}
		if doc != nil && !isDeleted(doc) {
			id, _ := idOf(doc)
			there[id] = doc
		}
	}
	var out []bson.Raw
	for _, id := range ids {
		if doc := there[id]; doc != nil {
			out = append(out, doc)
		}
	}
	return out, nil
}

// resolve returns the committed content of a document that was read: itself, or
// while its commit is pending, or was rolled back, what it was before.
func (s *store) resolve(ctx context.Context, col *collection, doc bson.Raw) (bson.Raw, error) {
	for {
		lock, locked := lockOf(doc)
		id, ok := idOf(doc)
		if !locked || !ok {
			return doc, nil
		}
		rec, err := s.db.commit(ctx, lock)
		switch {
		case err != nil:
			return nil, err
		case rec == nil:
			// Its commit is over: either entirely, then so is the lock, or it was
			// rolled back.
			again, err := col.get(ctx, id)
			if err != nil || again == nil {
				return nil, err
			}
			if still, _ := lockOf(again); still == lock {
				_ = restore(ctx, col, again, lock)
				return undoOf(again), nil
			}
			doc = again
		case rec.State == committed:
			return doc, nil
		default:
			return undoOf(doc), nil
		}
	}
}

// release takes a committed document's lock off, or removes the document.
func release(ctx context.Context, col *collection, id cutover.ID, lock bson.ObjectID, remove bool) error {
	var err error
	if remove {
		_, err = col.coll.DeleteOne(ctx, lockedBy(id, lock))
	} else {
		_, err = col.coll.UpdateOne(ctx, lockedBy(id, lock), unlock)
	}
	return translate(err, writing)
}

// releaseDoc is release for who does not know the change: a tombstone without
// a note has nothing left to tell.
func releaseDoc(ctx context.Context, col *collection, doc bson.Raw, lock bson.ObjectID) error {
	id, _ := idOf(doc)
	return release(ctx, col, id, lock, isDeleted(doc) && !hasNote(doc))
}

// restore puts a document back as it was before a commit that was rolled
// back. It fails if a unique value that the commit gave up was taken since;
// then the lock stays, and readers see the old content through it.
func restore(ctx context.Context, col *collection, doc bson.Raw, lock bson.ObjectID) error {
	id, _ := idOf(doc)
	var err error
	if undo := undoOf(doc); undo == nil {
		_, err = col.coll.DeleteOne(ctx, lockedBy(id, lock))
	} else {
		_, err = col.coll.ReplaceOne(ctx, lockedBy(id, lock), undo)
	}
	return translate(err, writing)
}

// settle ends the lock that a writer has met: it finishes a committed commit's
// work on the document, undoes a rolled back one's, waits for a pending one
// until deadline, and rolls back one whose owner is gone.
func (s *store) settle(ctx context.Context, col *collection, key cutover.Key, doc bson.Raw, deadline time.Time) error {
	lock, _ := lockOf(doc)
	pause := 4 * time.Millisecond
	for first := true; ; first = false {
		rec, err := s.db.commit(ctx, lock)
		switch {
		case err != nil:
			return err
		case rec == nil || rec.State == aborted:
			return s.restoreIfLocked(ctx, col, key.ID, lock)
		case rec.State == committed:
			return releaseDoc(ctx, col, doc, lock)
		}
		if first {
			gone, err := s.abortAbandoned(ctx, rec)
			if err != nil {
				return err
			}
			if gone {
				continue
			}
		}
		if time.Now().After(deadline) {
			return cutover.ConflictOn(key)
		}
		if !sleep(ctx, pause) {
			return ctx.Err()
		}
		pause = min(pause*3/2, 40*time.Millisecond)
	}
}

func (s *store) restoreIfLocked(ctx context.Context, col *collection, id cutover.ID, lock bson.ObjectID) error {
	doc, err := col.get(ctx, id)
	if err != nil || doc == nil {
		return err
	}
	if still, _ := lockOf(doc); still != lock {
		return nil
	}
	return restore(ctx, col, doc, lock)
}

// abortAbandoned rolls a pending commit back whose owner has had more than
// enough time. If the owner is alive after all, its own mark fails then.
func (s *store) abortAbandoned(ctx context.Context, rec *commit) (bool, error) {
	now, err := s.db.clock.measure(ctx, s.db)
	if err != nil || now.Sub(rec.At) < s.db.abandonAfter {
		return false, err
	}
	done, err := s.db.advance(ctx, rec.ID, aborted)
	if err != nil || !done {
		return true, err // somebody else was first: look again
	}
	return true, s.rollBack(ctx, rec)
}

// rollBack restores all documents of an aborted commit. Its record stays for
// queries that ran meanwhile, see query.go.
func (s *store) rollBack(ctx context.Context, rec *commit) error {
	if err := s.restoreAll(ctx, rec); err != nil {
		return err
	}
	_, err := s.db.commits.UpdateOne(ctx, bson.D{{Key: fieldID, Value: rec.ID}, {Key: "state", Value: aborted}}, bson.D{
		{Key: "$set", Value: bson.D{{Key: "settled", Value: true}}},
		{Key: "$currentDate", Value: bson.D{{Key: "endedAt", Value: true}}}})
	return translate(err, writing)
}

// restoreAll takes all documents back that an aborted commit still holds.
func (s *store) restoreAll(ctx context.Context, rec *commit) error {
	for _, k := range rec.Keys {
		col, err := s.of(k.Kind)
		if err != nil {
			return err
		}
		if err := s.restoreIfLocked(ctx, col, k.key().ID, rec.ID); err != nil {
			return err
		}
	}
	return nil
}

// finish takes all locks of a committed commit off, and then its record.
func (s *store) finish(ctx context.Context, rec *commit) error {
	for _, k := range rec.Keys {
		col, err := s.of(k.Kind)
		if err != nil {
			return err
		}
		doc, err := col.get(ctx, k.key().ID)
		if err != nil {
			return err
		}
		if doc == nil {
			continue
		}
		if lock, _ := lockOf(doc); lock != rec.ID {
			continue
		}
		if err := releaseDoc(ctx, col, doc, rec.ID); err != nil {
			return err
		}
	}
	s.db.dropCommit(ctx, rec.ID, committed)
	return nil
}

// keepAborted is how long the record of a rolled back commit stays: longer
// than any query takes, since the engine bounds Views below that.
const keepAborted = 30 * time.Second

// conclude does what is left to do about a commit that is not its caller's.
// It leaves one alone whose owner may be at work.
func (s *store) conclude(ctx context.Context, rec *commit, now time.Time) error {
	old := now.Sub(rec.At) >= s.db.abandonAfter
	switch {
	case rec.State == aborted && rec.Settled && now.Sub(rec.EndedAt) > keepAborted:
		s.db.dropCommit(ctx, rec.ID, aborted)
	case !old, rec.Settled:
	case rec.State == committed:
		return s.finish(ctx, rec)
	case rec.State == aborted:
		return s.rollBack(ctx, rec)
	default:
		_, err := s.abortAbandoned(ctx, rec)
		return err
	}
	return nil
}

// Recover finishes or rolls back what dead writers of this domain left, see
// cutover.Recoverer.
func (s *store) Recover(ctx context.Context) (found bool, err error) {
	recs, err := s.commitRecords(ctx)
	if err != nil {
		return false, err
	}
	aside, err := s.setAside(ctx)
	if err != nil || len(recs)+len(aside) == 0 {
		return false, err
	}
	now, err := s.db.clock.within(ctx, s.db, trustFor/2)
	if err != nil {
		return true, err
	}
	var errs []error
	for i := range recs {
		errs = append(errs, s.conclude(ctx, &recs[i], now))
	}
	return true, errors.Join(append(errs, s.concludeAdoptions(ctx, aside, now))...)
}

// commitRecords reads those of the domain's commit records for which more
// holds: of commits under way, and what is left of others.
func (s *store) commitRecords(ctx context.Context, more ...bson.E) ([]commit, error) {
	cur, err := s.db.commits.Find(ctx, append(bson.D{{Key: "domain", Value: s.domain}}, more...))
	if err != nil {
		return nil, translate(err, reading)
	}
	var recs []commit
	err = cur.All(ctx, &recs)
	return recs, translate(err, reading)
}

// serverClock tells the server's time, so that processes agree on how old a
// commit is whatever their own clocks say.
type serverClock struct {
	mu       sync.Mutex
	measured time.Time // of this process, monotonic
	server   time.Time
}

// trustFor is how long a measurement is good for.
const trustFor = 20 * time.Second

// now returns the server's time by a recent measurement, never a later one than
// it is.
func (c *serverClock) now(ctx context.Context, db *DB) (time.Time, error) {
	return c.within(ctx, db, trustFor)
}

// within is now by a measurement that is not older than that.
func (c *serverClock) within(ctx context.Context, db *DB, age time.Duration) (time.Time, error) {
	c.mu.Lock()
	measured, server := c.measured, c.server
	c.mu.Unlock()
	if since := time.Since(measured); !measured.IsZero() && since < age {
		return server.Add(since), nil
	}
	return c.measure(ctx, db)
}

// measure asks the server, whose answer is older than its arrival.
func (c *serverClock) measure(ctx context.Context, db *DB) (time.Time, error) {
	var hello struct {
		LocalTime time.Time `bson:"localTime"`
	}
	err := db.db.RunCommand(ctx, bson.D{{Key: "hello", Value: 1}}).Decode(&hello)
	if err != nil {
		return time.Time{}, translate(err, reading)
	}
	if hello.LocalTime.IsZero() {
		hello.LocalTime = time.Now()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.measured, c.server = time.Now(), hello.LocalTime
	return c.server, nil
}

// sleep waits; false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
