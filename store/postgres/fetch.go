package postgres

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/amanat-dev/amanat/cutover"
)

// querier is what reading needs of a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

// fetch reads the records that tail selects, with their child tables: one more
// round trip for all of those. moving says that others' commits show between
// two statements.
func (t *table) fetch(ctx context.Context, q querier, moving bool, tail string, args ...any) ([]*found, error) {
	rows, err := q.Query(ctx, "SELECT "+t.sql.columns+" FROM "+quote(t.name)+" "+tail, args...)
	if err != nil {
		return nil, err
	}
	list, err := t.scan(rows)
	if err != nil {
		return nil, err
	}
	if len(t.children) > 0 && len(list) > 0 {
		if err := t.fetchChildren(ctx, q, moving, list); err != nil {
			return nil, err
		}
	}
	for _, f := range list {
		t.finish(f)
	}
	return list, nil
}

func (t *table) fetchChildren(ctx context.Context, q querier, moving bool, list []*found) error {
	ids, byID := make([]string, len(list)), make(map[string]*found, len(list))
	for i, f := range list {
		ids[i], byID[f.id] = f.id, f
	}
	b := new(pgx.Batch)
	for _, c := range t.children {
		b.Queue(c.selectSQL(), ids).Query(func(rows pgx.Rows) error { return c.scanInto(rows, byID) })
	}
	if moving {
		b.Queue("SELECT id, rev FROM "+quote(t.name)+" WHERE id = ANY($1)", ids).
			Query(func(rows pgx.Rows) error { return t.checkRevs(rows, byID, len(ids)) })
	}
	return q.SendBatch(ctx, b).Close()
}

// checkRevs finds a record that changed between the reading of its row and of
// its children: revisions only rise, so an equal one afterwards says that
// nothing came between.
func (t *table) checkRevs(rows pgx.Rows, byID map[string]*found, want int) error {
	var id string
	var rev int64
	seen, changed := 0, ""
	_, err := pgx.ForEachRow(rows, []any{&id, &rev}, func() error {
		seen++
		if byID[id].rev != rev {
			changed = id
		}
		return nil
	})
	if err != nil {
		return err
	}
	if changed != "" || seen != want {
		id, _ := cutover.ParseID(changed)
		return cutover.ConflictOn(cutover.Key{Kind: t.kind, ID: id})
	}
	return nil
}

// words makes a kind's name readable: "purchase request".
func words(kind string) string { return strings.ReplaceAll(kind, "_", " ") }
