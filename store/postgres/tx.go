package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/query"
	"github.com/amanat-dev/amanat/fault"
)

// Tx is one View or Update, see cutover.Tx.
type Tx struct {
	*cutover.Batch
	store *store
	q     pgx.Tx

	// Only an Update has these.
	rows map[cutover.Key]row  // what was put, as it was then
	read map[cutover.Key]bool // what was read, and whether it had rows in child tables
}

func newTx(s *store, q pgx.Tx) *Tx {
	tx := &Tx{store: s, q: q, rows: map[cutover.Key]row{}, read: map[cutover.Key]bool{}}
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
	found, err := tx.fetch(ctx, t, "WHERE id = $1", []any{id})
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
	w := &where{table: t}
	tail := w.find(bound)
	return tx.fetch(ctx, t, tail, w.args)
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
	w := &where{table: t}
	sql := "SELECT count(*) FROM " + quote(t.name) + " WHERE " + w.anyOf(bound.Branches)
	var n int64
	err = tx.q.QueryRow(ctx, sql, params(w.args)...).Scan(&n)
	return n, translate(err)
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
		page, err := tx.fetch(ctx, t, "WHERE id > $1 ORDER BY id LIMIT $2", []any{after.String(), eachPage})
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

// fetch reads records, with their child tables, and in an Update remembers
// them. tail is what follows "SELECT … FROM table".
func (tx *Tx) fetch(ctx context.Context, t *table, tail string, args []any) ([]cutover.Record, error) {
	list, err := t.fetch(ctx, tx.q, tx.read != nil, tail, params(args)...)
	if err != nil {
		return nil, translate(err)
	}
	out := make([]cutover.Record, len(list))
	for i, f := range list {
		if f.err != nil {
			return nil, fault.Wrap(fmt.Errorf("%s/%s: %w", t.kind, f.id, f.err), fault.Internal, "a stored record cannot be read")
		}
		out[i] = f.record()
		if id, err := cutover.ParseID(f.id); err == nil && tx.read != nil {
			tx.read[cutover.Key{Kind: t.kind, ID: id}] = f.parted
		}
	}
	return out, nil
}

// params lets identities be passed as they are.
func params(args []any) []any {
	out := make([]any, len(args))
	for i, a := range args {
		switch a := a.(type) {
		case cutover.ID:
			out[i] = a.String()
		case []cutover.ID:
			out[i] = texts(a)
		default:
			out[i] = a
		}
	}
	return out
}

func texts(ids []cutover.ID) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = id.String()
	}
	return out
}
