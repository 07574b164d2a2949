package postgresql

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/amanat-dev/amanat/cutover"
)

// Get reads records by key, all from one snapshot. The result has one Item
// per key, in order.
func (s *store) Get(ctx context.Context, keys []cutover.Key) ([]cutover.Item, error) {
	found := map[cutover.Key]cutover.Item{}
	err := s.inTx(ctx, snapshot, func(q pgx.Tx) error {
		for kind, ids := range byKind(keys) {
			if err := s.getKind(ctx, q, kind, ids, found); err != nil {
				return err
			}
		}
		return s.getTombstones(ctx, q, keys, found)
	})
	if err != nil {
		return nil, translate(err)
	}
	items := make([]cutover.Item, len(keys))
	for i, k := range keys {
		items[i] = found[k]
		items[i].Key = k
	}
	return items, nil
}

func byKind(keys []cutover.Key) map[string][]string {
	out := map[string][]string{}
	for _, k := range keys {
		out[k.Kind] = append(out[k.Kind], k.ID.String())
	}
	return out
}

func (s *store) getKind(ctx context.Context, q pgx.Tx, kind string, ids []string, into map[cutover.Key]cutover.Item) error {
	t, err := s.table(kind)
	if err != nil {
		return err
	}
	var list []*found
	if err := ask(ctx, q, t.fetchKeyed(&list, "WHERE id = ANY($1)", ids)); err != nil {
		return err
	}
	for _, f := range list {
		item := t.item(f)
		into[item.Key] = item
	}
	return nil
}

// getTombstones adds what was deleted among the keys that were not found.
func (s *store) getTombstones(ctx context.Context, q pgx.Tx, keys []cutover.Key, into map[cutover.Key]cutover.Item) error {
	var missing noteColumns
	for _, k := range keys {
		if _, ok := into[k]; !ok {
			missing.add(k, 0)
		}
	}
	if len(missing.ids) == 0 {
		return nil
	}
	rows, err := q.Query(ctx, `SELECT t.kind, t.id, t.rev FROM cutover_tombstones t
		JOIN unnest($1::text[], $2::text[]) AS n(kind, id) ON n.kind = t.kind AND n.id = t.id`, missing.kinds, missing.ids)
	if err != nil {
		return err
	}
	var kind, id string
	var rev int64
	_, err = pgx.ForEachRow(rows, []any{&kind, &id, &rev}, func() error {
		key := cutover.Key{Kind: kind}
		err := key.ID.UnmarshalText([]byte(id))
		into[key] = cutover.Item{Key: key, Rev: rev, Deleted: true}
		return err
	})
	return err
}

// item makes a read record fit for the engine.
func (t *table) item(f *found) cutover.Item {
	item := cutover.Item{Key: cutover.Key{Kind: t.kind}, Rev: f.rev, Err: f.err, Stale: f.stale}
	if err := item.Key.ID.UnmarshalText([]byte(f.id)); err != nil {
		item.RawID, item.Err = f.id, err // the type object_id does not allow it
	}
	if item.Err == nil {
		item.Record = f.record()
	}
	return item
}

// Scan reads records of a kind in id order. See cutover.Store.
func (s *store) Scan(ctx context.Context, kind string, after, until cutover.ID, limit int) ([]cutover.Item, error) {
	t, err := s.table(kind)
	if err != nil {
		return nil, err
	}
	w := where{table: t, either: []string{"true"}, order: "id", limit: limit}
	if !after.IsZero() {
		w.either[0] += " AND id > " + w.arg(after, "object_id")
	}
	if !until.IsZero() {
		w.either[0] += " AND id <= " + w.arg(until, "object_id")
	}
	var list []*found
	err = s.again(ctx, func() error {
		return ask(ctx, s.pool, t.fetchKeyed(&list, w.tail(w.either), params(w.args)...))
	})
	if err != nil {
		return nil, translate(err)
	}
	items := make([]cutover.Item, len(list))
	for i, f := range list {
		items[i] = t.item(f)
	}
	return items, nil
}

// Foreign has nothing to list: the type object_id allows no other identities.
func (s *store) Foreign(context.Context, string, int) ([]cutover.Item, error) { return nil, nil }

// Count counts the records of a kind, readable or not.
func (s *store) Count(ctx context.Context, kind string) (int64, error) {
	t, err := s.table(kind)
	if err != nil {
		return 0, err
	}
	var n int64
	err = s.atLeisure(ctx, func(q pgx.Tx) error {
		return q.QueryRow(ctx, "SELECT count(*) FROM "+quote(t.name)).Scan(&n)
	})
	return n, err
}

// Bounds cuts the kind's ids into ranges. See cutover.Store.
func (s *store) Bounds(ctx context.Context, kind string, size int) ([]cutover.ID, error) {
	t, err := s.table(kind)
	if err != nil {
		return nil, err
	}
	var bounds []cutover.ID
	err = s.atLeisure(ctx, func(q pgx.Tx) error {
		rows, err := q.Query(ctx, fmt.Sprintf(`SELECT id FROM (
			SELECT id, row_number() OVER (ORDER BY id) AS n, lead(id) OVER (ORDER BY id) IS NULL AS last FROM %s
		) AS ids WHERE n %% $1 = 0 OR last ORDER BY id`, quote(t.name)), size)
		if err != nil {
			return err
		}
		var id string
		_, err = pgx.ForEachRow(rows, []any{&id}, func() error {
			parsed, err := cutover.ParseID(id)
			bounds = append(bounds, parsed)
			return err
		})
		return err
	})
	return bounds, err
}

// Analyze refreshes the planner's statistics of the kind's tables.
func (s *store) Analyze(ctx context.Context, kind string) error {
	t, err := s.table(kind)
	if err != nil {
		return err
	}
	return s.inTx(ctx, current, func(q pgx.Tx) error {
		if err := unhurried(ctx, q); err != nil {
			return err
		}
		_, err := q.Exec(ctx, "ANALYZE "+quote(t.name))
		for _, c := range t.children {
			if err == nil {
				_, err = q.Exec(ctx, "ANALYZE "+quote(c.name))
			}
		}
		return translate(err)
	})
}

// atLeisure reads what may take longer than a request's statement.
func (s *store) atLeisure(ctx context.Context, fn func(pgx.Tx) error) error {
	return s.inTx(ctx, snapshot, func(q pgx.Tx) error {
		if err := unhurried(ctx, q); err != nil {
			return err
		}
		return translate(fn(q))
	})
}

// unhurried lifts the limit on a statement's time for this transaction.
func unhurried(ctx context.Context, q pgx.Tx) error {
	_, err := q.Exec(ctx, "SET LOCAL statement_timeout = 0")
	return translate(err)
}
