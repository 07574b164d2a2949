package postgresql

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/failpoint"
)

// update is one Update under way.
type update struct {
	*session
	guard cutover.Guard
	tx    *Tx
}

// write writes what the closure has put, its notes and the commit: one round
// trip, unless the order matters. An Update that has read nothing begins with
// one of its own all the same: a connection that was cut meanwhile must show
// before there is a commit whose outcome could be in doubt.
func (u *update) write(ctx context.Context) error {
	writes := u.tx.ordered()
	if len(writes) == 0 {
		return nil
	}
	if err := u.begun(ctx); err != nil {
		return err
	}
	failpoint.At(failpoint.TransactionBegun)
	b := new(pgx.Batch)
	u.queueDeleteLocks(b, writes)
	for _, w := range writes {
		u.tx.queue(b, w)
	}
	queueNotes(b, u.guard, writes)
	err := u.commit(ctx, b)
	if len(writes) == 1 || !orderMatters(err) {
		return err
	}
	return u.untangle(ctx, writes)
}

// orderMatters says that a write broke a rule that it may keep after another.
func orderMatters(err error) bool {
	v := violationOf(err)
	return v != nil && (v.Rule == Unique || v.Rule == ForeignKey)
}

// queueDeleteLocks keeps a delete apart from copies of its kind, as queueLocks
// does: a copier that has not heard yet that this database is the primary now
// would bring the record back.
func (u *update) queueDeleteLocks(b *pgx.Batch, writes []cutover.Write) {
	if !u.guard.Journal {
		return
	}
	locked := map[string]bool{}
	for _, w := range writes {
		if w.Record == nil && !locked[w.Key.Kind] {
			locked[w.Key.Kind] = true
			u.tx.store.queueLock(b, w.Key.Kind, true)
		}
	}
}

// ordered returns the writes parents first, then the deletes children first,
// each kind in id order.
func (tx *Tx) ordered() []cutover.Write {
	writes := tx.Sorted()
	slices.SortStableFunc(writes, func(a, b cutover.Write) int {
		switch gone := a.Record == nil; {
		case gone != (b.Record == nil):
			if gone {
				return 1
			}
			return -1
		case gone:
			return tx.store.byPlace(b.Key, a.Key)
		}
		return tx.store.byPlace(a.Key, b.Key)
	})
	return writes
}

// untangle is write for writes of which one must come before another although
// the order of write has it after: a unique value passed from one record to
// another, a reference dropped before its target goes. The rules are checked
// after each statement, so whatever violates one is tried again after the
// rest, as long as that gets on.
//
// What failed has taken the transaction with it, so there is a second one, held
// to the same epoch. What the closure read is guarded as before: by revision.
func (u *update) untangle(ctx context.Context, writes []cutover.Write) error {
	u.end()
	if err := u.send(ctx, func(b *pgx.Batch) { u.queueDeleteLocks(b, writes) }); err != nil {
		return err
	}
	err := inRounds(writes, func(w cutover.Write) error { return u.writeAlone(ctx, w) })
	if err != nil {
		return err
	}
	b := new(pgx.Batch)
	queueNotes(b, u.guard, writes)
	return u.commit(ctx, b)
}

// inRounds runs do on each element, and again on those that violated a rule,
// until all are done or a round has done none.
func inRounds[E any](todo []E, do func(E) error) error {
	for {
		var left []E
		var first error
		for _, e := range todo {
			err := do(e)
			switch {
			case violationOf(err) != nil:
				left = append(left, e)
				if first == nil {
					first = err
				}
			case err != nil:
				return err
			}
		}
		if len(left) == 0 || len(left) == len(todo) {
			return first
		}
		todo = left
	}
}

// writeAlone makes one write; after a violation it is as if it had not been
// tried.
func (u *update) writeAlone(ctx context.Context, w cutover.Write) error {
	err := u.send(ctx, func(b *pgx.Batch) {
		b.Queue("SAVEPOINT write")
		u.tx.queue(b, w)
		b.Queue("RELEASE SAVEPOINT write")
	})
	if violationOf(err) == nil {
		return err
	}
	if back := u.send(ctx, func(b *pgx.Batch) { b.Queue("ROLLBACK TO SAVEPOINT write") }); back != nil {
		return back
	}
	return err
}

// queue adds the statements of one write.
func (tx *Tx) queue(b *pgx.Batch, w cutover.Write) {
	t, id := tx.store.tables[w.Key.Kind], w.Key.ID.String()
	parted, read := tx.read[w.Key]
	// Revision 0 is a new record, unless this transaction has read one: a copy
	// of a legacy record without a revision.
	fresh := w.Base == 0 && !read
	if w.Record == nil {
		if fresh { // it was put and deleted in this same Update
			b.Queue(t.sql.remove, id, w.Base)
		} else {
			b.Queue(t.sql.delete, id, w.Base)
		}
		return
	}
	r := tx.rows[w.Key]
	if fresh {
		b.Queue(t.sql.insert, r.values...)
	} else {
		b.Queue(t.sql.update, append(slices.Clip(r.values), w.Base)...)
	}
	t.queueChildren(b, id, r, !fresh && (parted || !read))
}

// queueChildren adds the statements that write a record's child tables;
// replace says that there may be rows already.
func (t *table) queueChildren(b *pgx.Batch, id string, r row, replace bool) {
	for i, c := range t.children {
		if replace {
			b.Queue(c.deleteSQL(), id)
		}
		insert := c.insertSQL()
		for position, values := range r.children[i] {
			b.Queue(insert, append([]any{id, position}, values...)...)
		}
	}
}
