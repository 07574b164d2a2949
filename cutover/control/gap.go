package control

import (
	"cmp"
	"context"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
)

// reasonLimit in bytes keeps a reason readable in a table.
const reasonLimit = 2000

// RecordGaps: see cutover.GapControl. A gap that was resolved and comes again
// is open even if it was waived before: the waiver was for the former failure.
func (p *Plane) RecordGaps(ctx context.Context, gaps []cutover.Gap) error {
	if len(gaps) == 0 {
		return nil
	}
	b := new(pgx.Batch)
	for _, g := range inKeyOrder(gaps) {
		b.Queue(`INSERT INTO pg_dualwrite_gaps AS g (domain, kind, id, reason) VALUES ($1, $2, $3, $4)
			ON CONFLICT (domain, kind, id) DO UPDATE SET reason = excluded.reason, last_seen = excluded.last_seen,
			attempts = g.attempts + 1, resolved_at = NULL,
			waived_by = CASE WHEN g.resolved_at IS NULL THEN g.waived_by END,
			waived_reason = CASE WHEN g.resolved_at IS NULL THEN g.waived_reason END`,
			g.Domain, g.Kind, text(g.ID, 0), text(g.Reason, reasonLimit))
	}
	return p.call(ctx, func(ctx context.Context, c *pgxpool.Conn) error {
		return c.SendBatch(ctx, b).Close()
	})
}

// inKeyOrder sorts, so that two processes that record the same gaps at once
// lock them in the same order.
func inKeyOrder(gaps []cutover.Gap) []cutover.Gap {
	return slices.SortedStableFunc(slices.Values(gaps), func(a, b cutover.Gap) int {
		return cmp.Or(cmp.Compare(a.Domain, b.Domain), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID))
	})
}

// ResolveGaps: see cutover.GapControl.
func (p *Plane) ResolveGaps(ctx context.Context, domain string, keys []cutover.Key) error {
	if len(keys) == 0 {
		return nil
	}
	kinds, ids := columns(keys)
	// Locked in key order, as RecordGaps does.
	_, err := p.exec(ctx, `WITH these AS MATERIALIZED (
			SELECT g.kind, g.id FROM pg_dualwrite_gaps g JOIN unnest($2::text[], $3::text[]) AS k(kind, id)
			ON g.kind = k.kind AND g.id = k.id WHERE g.domain = $1 AND g.resolved_at IS NULL
			ORDER BY g.kind COLLATE "C", g.id COLLATE "C" FOR UPDATE OF g)
		UPDATE pg_dualwrite_gaps g SET resolved_at = now() FROM these
		WHERE g.domain = $1 AND g.kind = these.kind AND g.id = these.id`, domain, kinds, ids)
	return err
}

// Gaps: see cutover.GapControl. A limit of 0 gives all.
func (p *Plane) Gaps(ctx context.Context, domain string, openOnly bool, limit int) ([]cutover.Gap, error) {
	return list(ctx, p, scanGap, `SELECT domain, kind, id, reason, first_seen, last_seen, attempts, resolved_at,
			coalesce(waived_by, ''), coalesce(waived_reason, '')
		FROM pg_dualwrite_gaps
		WHERE ($1 = '' OR domain = $1) AND (NOT $2 OR resolved_at IS NULL AND waived_by IS NULL)
		ORDER BY first_seen, domain, kind, id LIMIT nullif($3::bigint, 0)`, domain, openOnly, limit)
}

// GapsOf: see cutover.GapControl.
func (p *Plane) GapsOf(ctx context.Context, domain string, keys []cutover.Key) ([]cutover.Gap, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	kinds, ids := columns(keys)
	return list(ctx, p, scanGap, `SELECT g.domain, g.kind, g.id, reason, first_seen, last_seen, attempts, resolved_at,
			coalesce(waived_by, ''), coalesce(waived_reason, '')
		FROM pg_dualwrite_gaps g JOIN unnest($2::text[], $3::text[]) AS k(kind, id) ON g.kind = k.kind AND g.id = k.id
		WHERE g.domain = $1 AND g.resolved_at IS NULL`, domain, kinds, ids)
}

func scanGap(row pgx.CollectableRow) (g cutover.Gap, err error) {
	var resolved *timestamp
	err = row.Scan(&g.Domain, &g.Kind, &g.ID, &g.Reason, &g.FirstSeen, &g.LastSeen, &g.Attempts, &resolved,
		&g.WaivedBy, &g.WaivedWhy)
	g.FirstSeen, g.LastSeen = g.FirstSeen.UTC(), g.LastSeen.UTC()
	g.Resolved = orZero(resolved)
	return g, err
}

// CountOpenGaps: see cutover.GapControl.
func (p *Plane) CountOpenGaps(ctx context.Context, domain string) (n int64, err error) {
	err = p.call(ctx, func(ctx context.Context, c *pgxpool.Conn) error {
		return c.QueryRow(ctx, `SELECT count(*) FROM pg_dualwrite_gaps
			WHERE domain = $1 AND resolved_at IS NULL AND waived_by IS NULL`, domain).Scan(&n)
	})
	return n, err
}

// WaiveGap: see cutover.GapControl. With an id "" a kind that is not "" narrows
// it to that kind. It fails with fault.Invalid without who or why.
func (p *Plane) WaiveGap(ctx context.Context, domain, kind, id, who, why string) (int64, error) {
	switch {
	case who == "":
		return 0, fault.Field("who", "a waiver needs a name")
	case why == "":
		return 0, fault.Field("why", "a waiver needs a reason")
	}
	return p.exec(ctx, `UPDATE pg_dualwrite_gaps SET waived_by = $4, waived_reason = $5
		WHERE domain = $1 AND ($2 = '' OR kind = $2) AND ($3 = '' OR id = $3)
		AND resolved_at IS NULL AND waived_by IS NULL`,
		domain, kind, text(id, 0), text(who, 0), text(why, reasonLimit))
}

// ResolveForeignGap: see cutover.GapControl.
func (p *Plane) ResolveForeignGap(ctx context.Context, domain, kind, id string) error {
	_, err := p.exec(ctx, `UPDATE pg_dualwrite_gaps SET resolved_at = now()
		WHERE domain = $1 AND kind = $2 AND id = $3 AND resolved_at IS NULL`, domain, kind, text(id, 0))
	return err
}
