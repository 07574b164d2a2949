package postgres

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/amanat-dev/amanat/cutover"
)

// flush writes what the Update has collected, and its notes: one round trip,
// unless the order matters.
func (tx *Tx) flush(ctx context.Context, g cutover.Guard) error {
	writes := tx.ordered()
	if len(writes) == 0 {
		return nil
	}
	b := new(pgx.Batch)
	tx.queueDeleteLocks(b, g, writes)
	b.Queue("SAVEPOINT flush")
	for _, w := range writes {
		tx.queue(b, w)
	}
	queueNotes(b, g, writes)
	err := translate(tx.q.SendBatch(ctx, b).Close())
	if len(writes) == 1 || violationOf(err) == nil {
		return err
	}
	return tx.untangle(ctx, g, writes)
}

// queueDeleteLocks keeps a delete apart from copies of its kind, as queueLocks
// does: a copier that has not heard yet that this database is the primary now
// would bring the record back.
func (tx *Tx) queueDeleteLocks(b *pgx.Batch, g cutover.Guard, writes []cutover.Write) {
	if !g.Journal {
		return
	}
	locked := map[string]bool{}
	for _, w := range writes {
		if w.Record == nil && !locked[w.Key.Kind] {
			locked[w.Key.Kind] = true
			tx.store.queueLock(b, w.Key.Kind, true)
		}
	}
}

// ordered gives the writes parents first, then the deletes children first,
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

// untangle is flush for writes of which one must come before another although
// the order of flush has it after: a unique value passed from one record to
// another, a reference dropped before its target goes. The rules are checked
// after each statement, so whatever violates one is tried again after the
// rest, as long as that gets on.
func (tx *Tx) untangle(ctx context.Context, g cutover.Guard, writes []cutover.Write) error {
	b := new(pgx.Batch)
	b.Queue("ROLLBACK TO SAVEPOINT flush")
	if err := tx.q.SendBatch(ctx, b).Close(); err != nil {
		return err
	}
	err := inRounds(writes, func(w cutover.Write) error { return tx.writeAlone(ctx, w) })
	if err != nil {
		return err
	}
	b = new(pgx.Batch)
	queueNotes(b, g, writes)
	return tx.q.SendBatch(ctx, b).Close()
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
func (tx *Tx) writeAlone(ctx context.Context, w cutover.Write) error {
	b := new(pgx.Batch)
	b.Queue("SAVEPOINT write")
	tx.queue(b, w)
	b.Queue("RELEASE SAVEPOINT write")
	err := translate(tx.q.SendBatch(ctx, b).Close())
	if violationOf(err) == nil {
		return err
	}
	if _, back := tx.q.Exec(ctx, "ROLLBACK TO SAVEPOINT write"); back != nil {
		return translate(back)
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
		gone := b.Queue(t.sql.delete, id, w.Base)
		if !fresh { // else it was put and deleted in this same Update
			gone.Exec(mustTouch(w.Key))
		}
		return
	}
	r := tx.rows[w.Key]
	if fresh {
		b.Queue(t.sql.insert, r.values...).Exec(mustTouch(w.Key))
	} else {
		b.Queue(t.sql.update, append(slices.Clip(r.values), w.Base)...).Exec(mustTouch(w.Key))
	}
	t.queueChildren(b, id, r, !fresh && (parted || !read))
}

// mustTouch makes a write that found no row of its revision a conflict.
func mustTouch(key cutover.Key) func(pgconn.CommandTag) error {
	return func(tag pgconn.CommandTag) error {
		if tag.RowsAffected() == 0 {
			return cutover.ConflictOn(key)
		}
		return nil
	}
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
