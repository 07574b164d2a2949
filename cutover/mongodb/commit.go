package mongodb

import (
	"context"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/failpoint"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/cutover/shape"
)

// commit is the record of an Update of several documents. Its change from
// pending to committed is the one instant at which the Update happens. A
// commit whose record is gone was rolled back, or is entirely over: so the
// record of a committed one goes only when no document carries its lock.
type commit struct {
	ID      bson.ObjectID `bson:"_id"`
	Domain  string        `bson:"domain"`
	Epoch   int64         `bson:"epoch"`
	Process string        `bson:"process"`
	State   string        `bson:"state"`
	At      time.Time     `bson:"at"` // by the server's clock
	Keys    []commitKey   `bson:"keys"`
	// Of an aborted one: its documents were all restored, and when, by the
	// server's clock. Until then it has no EndedAt.
	Settled bool      `bson:"settled"`
	EndedAt time.Time `bson:"endedAt,omitempty"`
}

type commitKey struct {
	Kind string        `bson:"kind"`
	ID   bson.ObjectID `bson:"id"`
}

func (k commitKey) key() cutover.Key { return cutover.Key{Kind: k.Kind, ID: cutover.ID(k.ID)} }

const (
	pending   = "pending"
	committed = "committed"
	aborted   = "aborted"
)

// cleanupTime bounds what is done after an Update has failed or succeeded,
// when the caller may be gone.
const cleanupTime = 5 * time.Second

func detached(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
}

// closeCursor ends a cursor on a server that may have fallen silent.
func closeCursor(ctx context.Context, cur *mongo.Cursor) {
	ctx, cancel := detached(ctx)
	defer cancel()
	_ = cur.Close(ctx) // the server forgets it by itself after a while
}

// writeOne does an Update of one document: a single compare-and-set, note
// included.
func (s *store) writeOne(ctx context.Context, g cutover.Guard, c change) error {
	deadline := time.Now().Add(s.db.waitFor)
	image := c.image(g)
	for {
		if err := s.db.at(failpoint.CommitSingle); err != nil {
			return err
		}
		done, err := c.send(ctx, image)
		if done || err != nil && !fault.Is(err, fault.Conflict) {
			return err
		}
		if err := s.blocked(ctx, c, err, deadline); err != nil {
			return err
		}
	}
}

// send tries the change once. It returns false when the document is not as the
// change expects it, with a conflict when a unique rule may be the reason.
func (c change) send(ctx context.Context, image bson.D) (bool, error) {
	switch {
	case c.insert:
		_, err := c.col.coll.InsertOne(ctx, image)
		return err == nil, translate(err, writing)
	case image == nil:
		res, err := c.col.coll.DeleteOne(ctx, atRev(c.key.ID, c.base))
		return err == nil && res.DeletedCount == 1, translate(err, writing)
	}
	res, err := c.col.coll.ReplaceOne(ctx, atRev(c.key.ID, c.base), image)
	return err == nil && res.MatchedCount == 1, translate(err, writing)
}

// blocked finds out why a change did not go through. No error: what was in its
// way is gone, and it can be tried again.
func (s *store) blocked(ctx context.Context, c change, cause error, deadline time.Time) error {
	doc, err := c.col.get(ctx, c.key.ID)
	if err != nil {
		return err
	}
	if doc != nil {
		if _, locked := lockOf(doc); locked {
			return s.settle(ctx, c.col, c.key, doc, deadline)
		}
	}
	if cause != nil && (doc == nil || !c.insert) {
		return s.clashing(ctx, c, cause, deadline)
	}
	if c.insert || doc == nil || isDeleted(doc) || revOf(doc) != c.base || time.Now().After(deadline) {
		return cutover.ConflictOn(c.key)
	}
	return nil // a lock was there, and is gone
}

// clashing deals with another document that has the change's unique value. If
// that one is locked, it may have to give the value back.
func (s *store) clashing(ctx context.Context, c change, cause error, deadline time.Time) error {
	rule, other, err := c.col.clash(ctx, c)
	if err != nil {
		return err
	}
	if other == nil {
		if time.Now().After(deadline) {
			return fault.Wrap(cause, fault.Conflict, "another %s has a value that must be unique", shape.Words(c.key.Kind))
		}
		sleep(ctx, 10*time.Millisecond)
		return ctx.Err() // it was there, and is gone
	}
	id, _ := idOf(other)
	if _, locked := lockOf(other); locked {
		return s.settle(ctx, c.col, cutover.Key{Kind: c.key.Kind, ID: id}, other, deadline)
	}
	return fault.Wrap(cause, fault.Conflict, "another %s has the same %s", shape.Words(c.key.Kind), rule)
}

// writeMany does an Update of several documents, see the package's
// introduction.
func (s *store) writeMany(ctx context.Context, g cutover.Guard, changes []change) error {
	rec, err := s.announce(ctx, g, changes)
	if err != nil {
		return err
	}
	deadline := time.Now().Add(s.db.waitFor)
	for i, c := range changes {
		if err := s.prepare(ctx, rec, g, c, deadline); err != nil {
			return s.giveUp(ctx, rec, changes[:i+1], err)
		}
	}
	if err := s.mark(ctx, rec); err != nil {
		return s.giveUp(ctx, rec, changes, err)
	}
	return s.wrapUp(ctx, rec, g, changes)
}

// announce inserts the commit record.
func (s *store) announce(ctx context.Context, g cutover.Guard, changes []change) (*commit, error) {
	now, err := s.db.clock.now(ctx, s.db)
	if err != nil {
		return nil, err
	}
	rec := &commit{ID: bson.NewObjectID(), Domain: s.domain, Epoch: g.Epoch, Process: g.Process, State: pending, At: now}
	for _, c := range changes {
		rec.Keys = append(rec.Keys, commitKey{c.key.Kind, oid(c.key.ID)})
	}
	if err := s.db.at(failpoint.CommitInsert); err != nil {
		return nil, err
	}
	if _, err := s.db.commits.InsertOne(ctx, rec); err != nil {
		// Even if it did arrive: without locks it means nothing.
		return nil, translate(err, reading)
	}
	return rec, nil
}

// prepare writes a change's new content under the commit's lock.
func (s *store) prepare(ctx context.Context, rec *commit, g cutover.Guard, c change, deadline time.Time) error {
	image := c.image(g)
	if image == nil {
		image = tombstone(c.key.ID, c.base+1)
	}
	image = append(image[:len(image):len(image)], bson.E{Key: fieldLock, Value: rec.ID})
	for {
		undo, err := s.undoImage(ctx, c, deadline)
		if err != nil {
			return err
		}
		if err := s.db.at(failpoint.CommitPrepare); err != nil {
			return err
		}
		done, err := c.send(ctx, append(image[:len(image):len(image)], bson.E{Key: fieldUndo, Value: undo}))
		if done || err != nil && !fault.Is(err, fault.Conflict) {
			return err
		}
		if err := s.blocked(ctx, c, err, deadline); err != nil {
			return err
		}
	}
}

// undoImage returns the document that a change replaces, nil for a new one.
// What this Update has read will do if it is of the right revision: only a
// note may have gone since, and one too many does no harm.
func (s *store) undoImage(ctx context.Context, c change, deadline time.Time) (any, error) {
	if c.insert {
		return nil, nil
	}
	if c.old != nil && revOf(c.old) == c.base {
		return without(c.old, fieldLock, fieldUndo), nil
	}
	for {
		doc, err := c.col.get(ctx, c.key.ID)
		if err != nil {
			return nil, err
		}
		if doc != nil {
			if _, locked := lockOf(doc); locked {
				if err := s.settle(ctx, c.col, c.key, doc, deadline); err != nil {
					return nil, err
				}
				continue
			}
		}
		if doc == nil || isDeleted(doc) || revOf(doc) != c.base {
			return nil, cutover.ConflictOn(c.key)
		}
		return without(doc, fieldLock, fieldUndo), nil
	}
}

// mark makes the commit happen. Its outcome can always be found out, unless
// the database stays away.
func (s *store) mark(ctx context.Context, rec *commit) error {
	if err := s.db.at(failpoint.CommitMark); err != nil {
		return err
	}
	done, err := s.db.advance(ctx, rec.ID, committed)
	if err == nil && !done {
		return cutover.Stale(fmt.Errorf("commit %s took too long, and somebody else gave it up", rec.ID.Hex()))
	}
	if err == nil {
		return nil
	}
	ctx, cancel := detached(ctx)
	defer cancel()
	return s.outcome(ctx, rec, err)
}

// outcome finds out whether a commit happened whose mark had no answer; it
// marks again, which changes nothing if the first mark arrived.
func (s *store) outcome(ctx context.Context, rec *commit, cause error) error {
	for {
		done, err := s.db.advance(ctx, rec.ID, committed)
		if done {
			return nil
		}
		if err == nil {
			var now *commit
			if now, err = s.db.commit(ctx, rec.ID); err == nil {
				switch {
				case now == nil: // over, one way or the other
					return &unknown{fault.Wrap(cause, fault.Unavailable, messageUnknown)}
				case now.State == committed:
					return nil
				}
				return fault.Wrap(cause, fault.Unavailable, messageAway)
			}
		}
		if !sleep(ctx, 100*time.Millisecond) {
			return &unknown{fault.Wrap(cause, fault.Unavailable, messageUnknown)}
		}
	}
}

// unknown is the error of a commit that nothing may be done about: whoever
// meets it finds out what became of it.
type unknown struct{ why *fault.Error }

func (u *unknown) Error() string { return u.why.Error() }
func (u *unknown) Unwrap() error { return u.why }

// advance moves a commit out of pending; false when it is not there any more.
func (db *DB) advance(ctx context.Context, id bson.ObjectID, state string) (bool, error) {
	res, err := db.commits.UpdateOne(ctx,
		bson.D{{Key: fieldID, Value: id}, {Key: "state", Value: pending}},
		bson.D{{Key: "$set", Value: bson.D{{Key: "state", Value: state}}}})
	if err != nil {
		return false, translate(err, writing)
	}
	return res.MatchedCount == 1, nil
}

// commit reads a commit record; nil when it is not there.
func (db *DB) commit(ctx context.Context, id bson.ObjectID) (*commit, error) {
	var c commit
	err := db.commits.FindOne(ctx, bson.D{{Key: fieldID, Value: id}}).Decode(&c)
	if err == mongo.ErrNoDocuments {
		return nil, nil
	}
	if err != nil {
		return nil, translate(err, reading)
	}
	return &c, nil
}

// wrapUp takes the locks off after the commit has happened. What it cannot do
// is left to whoever comes next: the Update has succeeded.
func (s *store) wrapUp(ctx context.Context, rec *commit, g cutover.Guard, changes []change) error {
	ctx, cancel := detached(ctx)
	defer cancel()
	for _, c := range changes {
		if err := s.db.at(failpoint.CommitUnlock); err != nil {
			return err
		}
		if c.release(ctx, rec.ID, c.image(g) == nil) != nil {
			return nil
		}
	}
	if err := s.db.at(failpoint.CommitForget); err != nil {
		return err
	}
	s.db.dropCommit(ctx, rec.ID, committed)
	return nil
}

func (c change) release(ctx context.Context, commit bson.ObjectID, remove bool) error {
	return release(ctx, c.col, c.key.ID, commit, remove)
}

// giveUp rolls an Update back that failed before it happened, and returns why.
func (s *store) giveUp(ctx context.Context, rec *commit, sent []change, cause error) error {
	if isCrash(cause) || isUnknown(cause) {
		return cause
	}
	ctx, cancel := detached(ctx)
	defer cancel()
	if len(sent) == 1 && fault.Is(cause, fault.Conflict) {
		// Nothing was prepared, and nothing is under way.
		s.db.dropCommit(ctx, rec.ID, pending)
		return cause
	}
	_, err := s.db.advance(ctx, rec.ID, aborted)
	if fault.Is(cause, fault.Unavailable) {
		// Only a prepared write's outcome was open. It may still arrive after all
		// are restored, and hide its document again: so the record stays open
		// until Recover has looked once more, when it is too late for that.
		if err == nil {
			_ = s.restoreAll(ctx, rec)
		}
		return fault.Wrap(cause, fault.Unavailable, messageAway)
	}
	if err == nil {
		_ = s.rollBack(ctx, rec) // what it cannot do is left to whoever comes next
	}
	return cause
}

// dropCommit removes a commit record that is over. If that fails, whoever
// finds it does it.
func (db *DB) dropCommit(ctx context.Context, id bson.ObjectID, state string) {
	_, _ = db.commits.DeleteOne(ctx, bson.D{{Key: fieldID, Value: id}, {Key: "state", Value: state}})
}
