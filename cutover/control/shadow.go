package control

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/amanat-dev/amanat/cutover"
)

const (
	// samplesKept per query: the newest.
	samplesKept = 20
	// sampleLimit in bytes of one side's answer.
	sampleLimit = 16 << 10
)

// timestamp is a nullable time.
type timestamp = time.Time

func orZero(t *timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

func orNone(t time.Time) *timestamp {
	if t.IsZero() {
		return nil
	}
	return &t
}

// AddShadow: see cutover.ShadowControl. The newest samples of each query are
// kept, and cut when they are long.
func (p *Plane) AddShadow(ctx context.Context, domain string, since int64, counts []cutover.ShadowCount, samples []cutover.ShadowSample) error {
	b := new(pgx.Batch)
	queueCounts(b, domain, since, counts)
	queueSamples(b, domain, since, samples)
	if b.Len() == 0 {
		return nil
	}
	return p.call(ctx, func(ctx context.Context, c *pgxpool.Conn) error {
		return c.SendBatch(ctx, b).Close()
	})
}

// queueCounts goes in the order of queries, in which two processes lock rows.
func queueCounts(b *pgx.Batch, domain string, since int64, counts []cutover.ShadowCount) {
	byQuery := func(a, b cutover.ShadowCount) int { return cmp.Compare(a.Query, b.Query) }
	for _, c := range slices.SortedStableFunc(slices.Values(counts), byQuery) {
		b.Queue(`INSERT INTO cutover_shadow_counts AS s (domain, since, query, compared, matched, diffs, errors, dropped,
				first_seen, last_seen)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
			ON CONFLICT (domain, since, query) DO UPDATE SET compared = s.compared + excluded.compared,
			matched = s.matched + excluded.matched, diffs = s.diffs + excluded.diffs,
			errors = s.errors + excluded.errors, dropped = s.dropped + excluded.dropped,
			first_seen = least(s.first_seen, excluded.first_seen), last_seen = greatest(s.last_seen, excluded.last_seen)`,
			domain, since, c.Query, c.Compared, c.Matched, c.Diffs, c.Errors, c.Dropped, orNone(c.First), orNone(c.Last))
	}
}

func queueSamples(b *pgx.Batch, domain string, since int64, samples []cutover.ShadowSample) {
	seen := map[string]bool{}
	for _, s := range samples {
		seen[s.Query] = true
		b.Queue(`INSERT INTO cutover_shadow_samples (domain, since, query, at, "primary", secondary)
			VALUES ($1, $2, $3, $4, $5, $6)`, domain, since, s.Query, s.At, text(s.Primary, sampleLimit), text(s.Secondary, sampleLimit))
	}
	for query := range seen {
		b.Queue(`DELETE FROM cutover_shadow_samples WHERE id IN (SELECT id FROM cutover_shadow_samples
			WHERE domain = $1 AND since = $2 AND query = $3 ORDER BY id DESC OFFSET $4 FOR UPDATE SKIP LOCKED)`,
			domain, since, query, samplesKept)
	}
}

// Shadow: see cutover.ShadowControl. Ordered by query.
func (p *Plane) Shadow(ctx context.Context, domain string, since int64) ([]cutover.ShadowCount, error) {
	return list(ctx, p, func(row pgx.CollectableRow) (c cutover.ShadowCount, err error) {
		var first, last *timestamp
		err = row.Scan(&c.Query, &c.Compared, &c.Matched, &c.Diffs, &c.Errors, &c.Dropped, &first, &last)
		c.First, c.Last = orZero(first), orZero(last)
		return c, err
	}, `SELECT query, sum(compared)::bigint, sum(matched)::bigint, sum(diffs)::bigint, sum(errors)::bigint,
			sum(dropped)::bigint, min(first_seen), max(last_seen)
		FROM cutover_shadow_counts WHERE domain = $1 AND since >= $2 GROUP BY query ORDER BY query`, domain, since)
}

// ShadowSamples: see cutover.ShadowControl. The newest first; a limit of 0
// gives all that are kept.
func (p *Plane) ShadowSamples(ctx context.Context, domain string, since int64, limit int) ([]cutover.ShadowSample, error) {
	return list(ctx, p, func(row pgx.CollectableRow) (s cutover.ShadowSample, err error) {
		err = row.Scan(&s.Query, &s.At, &s.Primary, &s.Secondary)
		s.At = s.At.UTC()
		return s, err
	}, `SELECT query, at, "primary", secondary FROM cutover_shadow_samples
		WHERE domain = $1 AND since >= $2 ORDER BY id DESC LIMIT nullif($3::bigint, 0)`, domain, since, limit)
}
