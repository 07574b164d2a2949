package control

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/amanat-dev/amanat/cutover"
)

// Beat: see cutover.ProcessControl. Seen and Until of pr do not count: the
// control plane's clock does.
func (p *Plane) Beat(ctx context.Context, pr cutover.Process, ttl time.Duration) error {
	acks := pr.Acks
	if acks == nil {
		acks = map[string]int64{}
	}
	_, err := p.exec(ctx, `INSERT INTO cutover_processes (id, host, pid, version, started_at, acks, seen_at, until, clock_ahead_ms)
		VALUES ($1, $2, $3, $4, $5, $6, now(), now() + make_interval(secs => $7), extract(epoch FROM $8::timestamptz - now()) * 1000)
		ON CONFLICT (id) DO UPDATE SET host = excluded.host, pid = excluded.pid, version = excluded.version,
		started_at = excluded.started_at, acks = excluded.acks, seen_at = excluded.seen_at, until = excluded.until,
		clock_ahead_ms = excluded.clock_ahead_ms`,
		pr.ID, text(pr.Host, 0), pr.PID, text(pr.Version, 0), pr.Started, acks, ttl.Seconds(), time.Now())
	return err
}

// Leave: see cutover.ProcessControl. It also removes those that Processes no
// longer gives.
func (p *Plane) Leave(ctx context.Context, id string) error {
	_, err := p.exec(ctx, `DELETE FROM cutover_processes WHERE id IN (SELECT id FROM cutover_processes
		WHERE id = $1 OR until < now() - interval '1 hour' ORDER BY id FOR UPDATE)`, id)
	return err
}

// Processes: see cutover.ProcessControl. Ordered by start, then id.
func (p *Plane) Processes(ctx context.Context) ([]cutover.Process, error) {
	return list(ctx, p, func(row pgx.CollectableRow) (pr cutover.Process, err error) {
		err = row.Scan(&pr.ID, &pr.Host, &pr.PID, &pr.Version, &pr.Started, &pr.Acks, &pr.Seen, &pr.Until, &pr.Alive, &pr.ClockAheadMS)
		pr.Started, pr.Seen, pr.Until = pr.Started.UTC(), pr.Seen.UTC(), pr.Until.UTC()
		return pr, err
	}, `SELECT id, host, pid, version, started_at, acks, seen_at, until, until > now(), clock_ahead_ms
		FROM cutover_processes WHERE until > now() - interval '1 hour' ORDER BY started_at, id`)
}
