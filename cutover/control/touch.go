package control

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/amanat-dev/amanat/cutover"
)

// Touch: see cutover.TouchControl.
func (p *Plane) Touch(ctx context.Context, domain string, keys []cutover.Key) error {
	if len(keys) == 0 {
		return nil
	}
	kinds, ids := columns(keys)
	_, err := p.exec(ctx, `INSERT INTO cutover_touched (domain, kind, id, at)
		SELECT $1, kind, id, clock_timestamp() FROM (
			SELECT DISTINCT kind, id FROM unnest($2::text[], $3::text[]) AS u(kind, id)) k ORDER BY kind, id
		ON CONFLICT (domain, kind, id) DO UPDATE SET at = clock_timestamp()`, domain, kinds, ids)
	return err
}

// columns returns keys as two arrays for unnest.
func columns(keys []cutover.Key) (kinds, ids []string) {
	kinds, ids = make([]string, len(keys)), make([]string, len(keys))
	for i, k := range keys {
		kinds[i], ids[i] = k.Kind, k.ID.String()
	}
	return kinds, ids
}

// Touched: see cutover.TouchControl. Ordered by kind and id; a limit of 0
// gives all.
func (p *Plane) Touched(ctx context.Context, domain string, limit int) ([]cutover.Key, error) {
	return list(ctx, p, func(row pgx.CollectableRow) (k cutover.Key, err error) {
		var id string
		err = row.Scan(&k.Kind, &id)
		return k, errors.Join(err, k.ID.UnmarshalText([]byte(id)))
	}, `SELECT kind, id FROM cutover_touched WHERE domain = $1
		ORDER BY kind, id LIMIT nullif($2::bigint, 0)`, domain, limit)
}

// Untouch: see cutover.TouchControl. It takes as long as it takes, within ctx.
func (p *Plane) Untouch(ctx context.Context, domain string, before time.Time) error {
	return p.with(ctx, func(c *pgxpool.Conn) error {
		// Rows are locked in the order in which Touch locks them.
		_, err := c.Exec(ctx, `WITH old AS MATERIALIZED (SELECT kind, id FROM cutover_touched
				WHERE domain = $1 AND at < $2 ORDER BY kind, id FOR UPDATE)
			DELETE FROM cutover_touched t USING old
			WHERE t.domain = $1 AND t.kind = old.kind AND t.id = old.id`, domain, before)
		return err
	})
}

// Clock: see cutover.TouchControl.
func (p *Plane) Clock(ctx context.Context) (now time.Time, err error) {
	err = p.call(ctx, func(ctx context.Context, c *pgxpool.Conn) error {
		return c.QueryRow(ctx, "SELECT clock_timestamp()").Scan(&now)
	})
	return now.UTC(), err
}
