package postgres

import (
	"context"
	"fmt"
	"reflect"

	"github.com/jackc/pgx/v5"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/fault"
)

// Tx is a transaction of one domain; the domain's own transaction type embeds
// it for its Put and Delete.
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

// Get reads one record of a kind; T is its struct type. Errors:
// fault.NotFound.
func Get[T any](ctx context.Context, tx *Tx, kind string, id cutover.ID) (T, error) {
	return SelectOne[T](ctx, tx, kind, "WHERE id = $1", id.String())
}

// Select reads records of a kind, child tables included. tail is what follows
// "SELECT … FROM table": WHERE, ORDER BY (a total order, ties by id), LIMIT.
// The table has no alias. IDs may be passed as they are or as text.
func Select[T any](ctx context.Context, tx *Tx, kind, tail string, args ...any) ([]T, error) {
	t, err := tableOf[T](tx, kind)
	if err != nil {
		return nil, err
	}
	return records[T](ctx, tx, t, quote(t.name), tail, args)
}

// tableOf finds the table of a kind whose records are of type T.
func tableOf[T any](tx *Tx, kind string) (*table, error) {
	t, err := tx.store.table(kind)
	if err == nil && t.typ != reflect.TypeFor[T]() {
		err = fault.New(fault.Internal, "records of the kind %s are of type %s", kind, t.typ)
	}
	return t, err
}

func records[T any](ctx context.Context, tx *Tx, t *table, source, tail string, args []any) ([]T, error) {
	list, err := tx.fetch(ctx, t, source, tail, args)
	if err != nil {
		return nil, err
	}
	out := make([]T, len(list))
	for i, f := range list {
		if f.err != nil {
			return nil, fault.Wrap(fmt.Errorf("%s/%s: %w", t.kind, f.id, f.err), fault.Internal, "a stored record cannot be read")
		}
		out[i] = f.value.Elem().Interface().(T)
	}
	return out, nil
}

// SelectOne is Select for at most one record. Errors: fault.NotFound.
func SelectOne[T any](ctx context.Context, tx *Tx, kind, tail string, args ...any) (T, error) {
	list, err := Select[T](ctx, tx, kind, tail, args...)
	if err != nil || len(list) > 0 {
		return first(list), err
	}
	return first(list), fault.New(fault.NotFound, "%s not found", words(kind))
}

func first[T any](list []T) (v T) {
	if len(list) > 0 {
		v = list[0]
	}
	return v
}

// Count counts the records of a kind; tail is a WHERE, or "" for all.
func Count(ctx context.Context, tx *Tx, kind, tail string, args ...any) (int64, error) {
	t, err := tx.store.table(kind)
	if err != nil {
		return 0, err
	}
	var n int64
	err = tx.pose(ctx, question{"SELECT count(*) FROM " + quote(t.name) + " " + tail, params(args), func(rows pgx.Rows) (err error) {
		n, err = pgx.CollectExactlyOneRow(rows, pgx.RowTo[int64])
		return err
	}})
	return n, err
}

// eachPage is how many records Each has in memory at a time.
const eachPage = 500

// Each calls fn with every record of a kind in id order; its memory stays flat
// whatever the number.
func Each[T any](ctx context.Context, tx *Tx, kind string, fn func(T) error) error {
	var after cutover.ID
	for {
		var w where
		w.id("id > %s", after)
		w.sorted("id", eachPage)
		page, err := Find[T](ctx, tx, kind, w)
		if err != nil {
			return err
		}
		for i := range page {
			if err := fn(page[i]); err != nil {
				return err
			}
		}
		if len(page) < eachPage {
			return nil
		}
		after = any(&page[len(page)-1]).(cutover.Record).RecordMeta().ID
	}
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
