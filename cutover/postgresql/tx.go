package postgresql

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/cutover/query"
)

// Tx is one View or Update, see cutover.Tx.
type Tx struct {
	*cutover.Batch
	store *store
	asker
	failed error // the first question that failed

	// Only an Update has these.
	rows map[cutover.Key]row  // what was put, as it was then
	read map[cutover.Key]bool // what was read, and whether it had rows in child tables
}

// asker puts a question to the database. Errors are faults.
type asker interface {
	ask(ctx context.Context, q question) error
}

func newTx(s *store) *Tx {
	tx := &Tx{store: s, rows: map[cutover.Key]row{}, read: map[cutover.Key]bool{}}
	tx.Batch = cutover.NewBatch(s.kinds, tx.keep)
	return tx
}

// keep encodes a record at the moment of its Put, so that a later change of
// the same value is not written.
func (tx *Tx) keep(w cutover.Write) error {
	if w.Record == nil {
		return nil
	}
	t, err := tx.store.table(w.Key.Kind)
	if err != nil {
		return err
	}
	r, err := t.encode(w.Record)
	if err != nil {
		return fault.Wrap(err, fault.Internal, "%s cannot be stored", w.Key.Kind)
	}
	tx.rows[w.Key] = r
	return nil
}

// Get reads one record.
func (tx *Tx) Get(ctx context.Context, kind string, id cutover.ID) (cutover.Record, error) {
	t, err := tx.store.table(kind)
	if err != nil {
		return nil, err
	}
	found, err := tx.records(ctx, t, quote(t.name), "WHERE id = $1", []any{id}, true)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, t.def.NotFound()
	}
	return found[0], nil
}

// Find asks what q says.
func (tx *Tx) Find(ctx context.Context, kind string, q query.Query) ([]cutover.Record, error) {
	t, err := tx.store.table(kind)
	if err != nil {
		return nil, err
	}
	bound, err := t.def.Plan(q)
	if err != nil || len(bound.Branches) == 0 {
		return nil, err
	}
	w, err := tx.store.whereOf(t, bound)
	if err != nil {
		return nil, err
	}
	source, tail := w.from()
	return tx.records(ctx, t, source, tail, w.args, bound.Whole)
}

// Count asks how many records q leaves.
func (tx *Tx) Count(ctx context.Context, kind string, q query.Query) (int64, error) {
	t, err := tx.store.table(kind)
	if err != nil {
		return 0, err
	}
	bound, err := t.def.Plan(q)
	if err != nil || len(bound.Branches) == 0 {
		return 0, err
	}
	w, err := tx.store.whereOf(t, bound)
	if err != nil {
		return 0, err
	}
	var n int64
	err = tx.pose(ctx, question{w.count(), params(w.args), func(rows pgx.Rows) (err error) {
		n, err = pgx.CollectExactlyOneRow(rows, pgx.RowTo[int64])
		return err
	}})
	return n, err
}

// eachPage is how many records Each has in memory at a time.
const eachPage = 500

// Each calls do with every record of a kind in id order; its memory stays flat
// whatever the number.
func (tx *Tx) Each(ctx context.Context, kind string, do func(cutover.Record) error) error {
	t, err := tx.store.table(kind)
	if err != nil {
		return err
	}
	var after cutover.ID
	for {
		tail := fmt.Sprintf("WHERE id > $1 ORDER BY id LIMIT %d", eachPage)
		page, err := tx.records(ctx, t, quote(t.name), tail, []any{after}, true)
		if err != nil {
			return err
		}
		for _, r := range page {
			if err := do(r); err != nil {
				return err
			}
		}
		if len(page) < eachPage {
			return nil
		}
		after = page[len(page)-1].RecordMeta().ID
	}
}

// records reads records, child tables included. In a View it leaves out what is
// not readable, unless the whole is asked for.
func (tx *Tx) records(ctx context.Context, t *table, source, tail string, args []any, whole bool) ([]cutover.Record, error) {
	list, err := tx.fetch(ctx, t, source, tail, args)
	if err != nil {
		return nil, err
	}
	out := make([]cutover.Record, 0, len(list))
	for _, f := range list {
		switch {
		case f.err == nil:
			out = append(out, f.record())
		case whole || tx.read != nil:
			return nil, fault.Wrap(fmt.Errorf("%s/%s: %w", t.kind, f.id, f.err), fault.Internal, "a stored record cannot be read")
		default:
			tx.store.unreadable.Add(ctx, t.kind+"/"+f.id, f.err)
		}
	}
	return out, nil
}

// fetch reads records and, in an Update, remembers them.
func (tx *Tx) fetch(ctx context.Context, t *table, source, tail string, args []any) ([]*found, error) {
	var list []*found
	if err := tx.pose(ctx, t.fetch(&list, source, tail, params(args)...)); err != nil || tx.read == nil {
		return list, err
	}
	for _, f := range list {
		if id, err := cutover.ParseID(f.id); err == nil {
			tx.read[cutover.Key{Kind: t.kind, ID: id}] = f.parted
		}
	}
	return list, nil
}

// pose asks, and remembers the first failure.
func (tx *Tx) pose(ctx context.Context, q question) error {
	err := tx.asker.ask(ctx, q)
	if err != nil && tx.failed == nil {
		tx.failed = err
	}
	return err
}

// result is what a closure returned, unless that hides a question that the
// database did not answer: what came of it is worth nothing then.
func (tx *Tx) result(err error) error {
	if err == nil {
		return tx.failed
	}
	return err
}

// params lets identities be passed as they are.
func params(args []any) []any {
	out := make([]any, len(args))
	for i, a := range args {
		if id, ok := a.(cutover.ID); ok {
			a = id.String()
		}
		out[i] = a
	}
	return out
}
