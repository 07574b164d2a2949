package control

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/amanat-dev/amanat/cutover"
)

// PlanChunks: see cutover.BackfillControl. Seq is given out here, in the order
// of chunks, from 1.
func (p *Plane) PlanChunks(ctx context.Context, domain string, since int64, kind string, chunks []cutover.Chunk) error {
	return p.inTx(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `INSERT INTO cutover_chunk_plans (domain, since, kind) VALUES ($1, $2, $3)
			ON CONFLICT DO NOTHING`, domain, since, kind)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		_, err = tx.CopyFrom(ctx, pgx.Identifier{"cutover_chunks"},
			[]string{"domain", "since", "kind", "seq", "after_id", "until_id"},
			pgx.CopyFromSlice(len(chunks), func(i int) ([]any, error) {
				return []any{domain, since, kind, int64(i + 1), chunks[i].After.String(), chunks[i].Until.String()}, nil
			}))
		return err
	})
}

// Planned: see cutover.BackfillControl.
func (p *Plane) Planned(ctx context.Context, domain string, since int64) (map[string]bool, error) {
	kinds, err := list(ctx, p, pgx.RowTo[string],
		"SELECT kind FROM cutover_chunk_plans WHERE domain = $1 AND since = $2", domain, since)
	planned := make(map[string]bool, len(kinds))
	for _, kind := range kinds {
		planned[kind] = true
	}
	return planned, err
}

// WithChunk: see cutover.BackfillControl. The claim is a row lock held on a
// connection of its own; when that breaks, do's context ends. do may then have
// done its work, and somebody does it again. The error is do's own, or a fault;
// it is cutover.ErrClaimLost when the claim ended and nobody asked for it.
func (p *Plane) WithChunk(ctx context.Context, domain string, since int64, kind string, do func(context.Context, cutover.Chunk) (rows, gaps int64, err error)) (bool, error) {
	held, err := p.hold(ctx)
	if err != nil {
		return false, err
	}
	defer held.Release()
	tx, err := held.Begin(ctx)
	if err != nil {
		return false, translate(claimLost(ctx, held.Conn(), err))
	}
	defer giveUp(tx)
	chunk, err := claim(ctx, tx, domain, since, kind)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, translate(claimLost(ctx, held.Conn(), err))
	}
	err = whileAlive(ctx, held.Conn(), func(ctx context.Context) (err error) {
		chunk.Rows, chunk.Gaps, err = do(ctx, chunk)
		return err
	})
	if err == nil {
		err = finish(ctx, tx, domain, since, chunk)
	}
	return true, claimLost(ctx, held.Conn(), err)
}

// claimLost says of what went wrong while a chunk was claimed over conn that the
// claim is lost, when conn has ended and nobody asked for that.
func claimLost(ctx context.Context, conn *pgx.Conn, err error) error {
	if err != nil && ctx.Err() == nil && conn.IsClosed() {
		return away(errors.Join(cutover.ErrClaimLost, err))
	}
	return err
}

// giveUp ends a transaction that was not committed; after a commit it does
// nothing.
func giveUp(tx pgx.Tx) {
	ctx, cancel := context.WithTimeout(context.Background(), reachTime)
	defer cancel()
	_ = tx.Rollback(ctx) // a connection that fails here is not used again
}

func claim(ctx context.Context, tx pgx.Tx, domain string, since int64, kind string) (c cutover.Chunk, err error) {
	var after, until string
	err = tx.QueryRow(ctx, `SELECT seq, after_id, until_id FROM cutover_chunks
		WHERE domain = $1 AND since = $2 AND kind = $3 AND done_at IS NULL
		ORDER BY seq LIMIT 1 FOR UPDATE SKIP LOCKED`, domain, since, kind).Scan(&c.Seq, &after, &until)
	if err != nil {
		return c, err
	}
	c.Kind = kind
	return c, errors.Join(c.After.UnmarshalText([]byte(after)), c.Until.UnmarshalText([]byte(until)))
}

func finish(ctx context.Context, tx pgx.Tx, domain string, since int64, c cutover.Chunk) error {
	_, err := tx.Exec(ctx, `UPDATE cutover_chunks SET done_at = clock_timestamp(), row_count = $5, gap_count = $6
		WHERE domain = $1 AND since = $2 AND kind = $3 AND seq = $4`, domain, since, c.Kind, c.Seq, c.Rows, c.Gaps)
	if err != nil {
		return translate(err)
	}
	return translate(tx.Commit(ctx))
}

// Progress: see cutover.BackfillControl.
func (p *Plane) Progress(ctx context.Context, domain string, since int64) ([]cutover.KindProgress, error) {
	return list(ctx, p, pgx.RowToStructByPos[cutover.KindProgress], `SELECT kind, count(c.seq), count(c.done_at),
			coalesce(sum(c.row_count), 0)::bigint, coalesce(sum(c.gap_count), 0)::bigint
		FROM cutover_chunk_plans p LEFT JOIN cutover_chunks c USING (domain, since, kind)
		WHERE domain = $1 AND since = $2 GROUP BY kind, p.ordinal ORDER BY p.ordinal`, domain, since)
}
