package postgresql

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/amanat-dev/amanat/cutover"
)

// journalCount is how far Journal counts exactly.
const journalCount = 10_000

// queueNotes adds the notes of an Update's writes, and the tombstones of its
// deletes, which tell the copier the revision of what is no longer there.
func queueNotes(b *pgx.Batch, g cutover.Guard, writes []cutover.Write) {
	if !g.Journal {
		return
	}
	var all, gone noteColumns
	for _, w := range writes {
		all.add(w.Key, w.Rev())
		if w.Record == nil {
			gone.add(w.Key, w.Rev())
		}
	}
	b.Queue(`INSERT INTO cutover_notes (domain, kind, id, rev, epoch)
		SELECT $1, n.kind, n.id, n.rev, $2 FROM unnest($3::text[], $4::text[], $5::bigint[]) AS n(kind, id, rev)`,
		g.Domain, g.Epoch, all.kinds, all.ids, all.revs)
	gone.queueTombstones(b, g.Domain)
}

// noteColumns are notes by column, as unnest takes them.
type noteColumns struct {
	kinds, ids []string
	revs       []int64
}

func (c *noteColumns) add(key cutover.Key, rev int64) {
	c.kinds, c.ids, c.revs = append(c.kinds, key.Kind), append(c.ids, key.ID.String()), append(c.revs, rev)
}

func (c *noteColumns) queueTombstones(b *pgx.Batch, domain string) {
	if len(c.ids) == 0 {
		return
	}
	b.Queue(`INSERT INTO cutover_tombstones AS t (domain, kind, id, rev)
		SELECT $1, n.kind, n.id, n.rev FROM unnest($2::text[], $3::text[], $4::bigint[]) AS n(kind, id, rev)
		ON CONFLICT (kind, id) DO UPDATE SET rev = GREATEST(t.rev, EXCLUDED.rev), at = EXCLUDED.at`,
		domain, c.kinds, c.ids, c.revs)
}

// Notes returns the oldest notes. A note is in the same transaction as its
// write, so there is nothing to finish or to roll back.
func (s *store) Notes(ctx context.Context, limit int) ([]cutover.Note, error) {
	rows, err := s.pool.Query(ctx, `SELECT kind, id, rev, seq, at, epoch FROM cutover_notes
		WHERE domain = $1 ORDER BY seq LIMIT $2`, s.domain, limit)
	if err != nil {
		return nil, translate(err)
	}
	notes, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (cutover.Note, error) {
		var n cutover.Note
		var id string
		if err := r.Scan(&n.Key.Kind, &id, &n.Rev, &n.Seq, &n.At, &n.Epoch); err != nil {
			return n, err
		}
		n.At = n.At.UTC()
		return n, n.Key.ID.UnmarshalText([]byte(id))
	})
	return notes, translate(err)
}

// Forget removes exactly these notes: a later one of the same key stays.
func (s *store) Forget(ctx context.Context, notes []cutover.Note) error {
	seqs := make([]int64, len(notes))
	for i, n := range notes {
		seqs[i] = n.Seq
	}
	_, err := s.pool.Exec(ctx, "DELETE FROM cutover_notes WHERE seq = ANY($1) AND domain = $2", seqs, s.domain)
	return translate(err)
}

// Journal counts the notes, up to journalCount, and returns the time of the
// oldest.
func (s *store) Journal(ctx context.Context) (int64, time.Time, error) {
	var count int64
	var oldest *time.Time
	err := s.pool.QueryRow(ctx, `SELECT
		(SELECT count(*) FROM (SELECT FROM cutover_notes WHERE domain = $1 LIMIT $2) AS n),
		(SELECT at FROM cutover_notes WHERE domain = $1 ORDER BY seq LIMIT 1)`, s.domain, journalCount).
		Scan(&count, &oldest)
	if err != nil || oldest == nil {
		return 0, time.Time{}, translate(err)
	}
	return count, oldest.UTC(), nil
}

// ForgetTombstones removes old tombstones of the domain. A note needs its own:
// it has the revision that is to be copied.
func (s *store) ForgetTombstones(ctx context.Context, olderThan time.Duration) error {
	_, err := s.pool.Exec(ctx, `DELETE FROM cutover_tombstones t
		WHERE domain = $1 AND at <= now() - make_interval(secs => $2)
		AND NOT EXISTS (SELECT FROM cutover_notes n WHERE n.domain = $1 AND n.kind = t.kind AND n.id = t.id)`,
		s.domain, olderThan.Seconds())
	return translate(err)
}
