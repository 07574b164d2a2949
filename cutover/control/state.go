package control

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
)

const stateColumns = "SELECT domain, phase, epoch, sealed FROM cutover_domains "

// phase is a cutover.Phase as the tables keep it.
type phase cutover.Phase

// ScanText reads a stored word.
func (p *phase) ScanText(v pgtype.Text) error {
	if !v.Valid {
		return nil
	}
	read, err := cutover.ParsePhase(v.String)
	*p = phase(read)
	return err
}

// scanState reads the columns of stateColumns.
func scanState(row pgx.CollectableRow) (s cutover.State, err error) {
	return s, row.Scan(&s.Domain, (*phase)(&s.Phase), &s.Epoch, &s.Sealed)
}

// States: see cutover.StateControl.
func (p *Plane) States(ctx context.Context) (map[string]cutover.State, error) {
	rows, err := list(ctx, p, scanState, stateColumns)
	if err != nil {
		return nil, err
	}
	states := make(map[string]cutover.State, len(rows))
	for _, s := range rows {
		states[s.Domain] = s
	}
	return states, nil
}

// Register: see cutover.StateControl. A new domain starts at epoch 1.
func (p *Plane) Register(ctx context.Context, domain string, first cutover.Phase) (s cutover.State, err error) {
	_, err = p.exec(ctx, `INSERT INTO cutover_domains (domain, phase, epoch, sealed)
		VALUES ($1, $2, 1, false) ON CONFLICT DO NOTHING`, domain, first.Stored())
	if err != nil {
		return s, err
	}
	rows, err := list(ctx, p, scanState, stateColumns+"WHERE domain = $1", domain)
	if err != nil || len(rows) == 0 {
		return s, err
	}
	return rows[0], nil
}

// Advance: see cutover.StateControl. It fails with fault.Unavailable when ctx
// ends before the last Update of the old epoch does. Whether the step was made
// is not known when the connection is lost on the way; States tells.
func (p *Plane) Advance(ctx context.Context, from, to cutover.State, why cutover.Change) error {
	if to.Domain != from.Domain || to.Epoch != from.Epoch+1 {
		return fault.New(fault.Internal, "advance from %+v to %+v is not one step of one domain", from, to)
	}
	return p.inTx(ctx, func(tx pgx.Tx) error {
		if !from.Phase.PrimaryIsSource() || !to.Phase.PrimaryIsSource() {
			if err := shutOut(ctx, tx, from.Domain); err != nil {
				return err
			}
		}
		if err := replaceState(ctx, tx, from, to); err != nil {
			return err
		}
		return addHistory(ctx, tx, from, to, why)
	})
}

func replaceState(ctx context.Context, tx pgx.Tx, from, to cutover.State) error {
	tag, err := tx.Exec(ctx, `UPDATE cutover_domains SET phase = $5, epoch = $6, sealed = $7, updated_at = now()
		WHERE domain = $1 AND phase = $2 AND epoch = $3 AND sealed = $4`,
		from.Domain, from.Phase.Stored(), from.Epoch, from.Sealed, to.Phase.Stored(), to.Epoch, to.Sealed)
	if err == nil && tag.RowsAffected() == 0 {
		return fault.New(fault.Conflict, "%s is no longer in phase %s, epoch %d: somebody else has changed it",
			from.Domain, from.Phase, from.Epoch)
	}
	return err
}

func addHistory(ctx context.Context, tx pgx.Tx, from, to cutover.State, why cutover.Change) error {
	_, err := tx.Exec(ctx, `INSERT INTO cutover_history
		(domain, who, action, why, detail, from_phase, from_epoch, from_sealed, to_phase, to_epoch, to_sealed)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		from.Domain, text(why.Who, 0), why.Action, text(why.Why, 0), orNull(why.Detail),
		from.Phase.Stored(), from.Epoch, from.Sealed, to.Phase.Stored(), to.Epoch, to.Sealed)
	return err
}

// orNull returns JSON as the text it is; NULL when there is none.
func orNull(json []byte) *string {
	if len(json) == 0 {
		return nil
	}
	s := string(json)
	return &s
}

// History: see cutover.StateControl. A limit of 0 gives all.
func (p *Plane) History(ctx context.Context, domain string, limit int) ([]cutover.HistoryLine, error) {
	return list(ctx, p, func(row pgx.CollectableRow) (l cutover.HistoryLine, err error) {
		l.From.Domain, l.To.Domain = domain, domain
		var detail *string
		err = row.Scan(&l.At, &l.Who, &l.Action, &l.Why, &detail,
			(*phase)(&l.From.Phase), &l.From.Epoch, &l.From.Sealed, (*phase)(&l.To.Phase), &l.To.Epoch, &l.To.Sealed)
		if detail != nil {
			l.Detail = []byte(*detail)
		}
		l.At = l.At.UTC()
		return l, err
	}, `SELECT at, who, action, why, detail::text, from_phase, from_epoch, from_sealed, to_phase, to_epoch, to_sealed
		FROM cutover_history WHERE domain = $1 ORDER BY id DESC LIMIT nullif($2::bigint, 0)`, domain, limit)
}

// Began: see cutover.StateControl. Each part is answered by an index of changes
// of phase, of which there are few in any history.
func (p *Plane) Began(ctx context.Context, domain string) (b cutover.Began, err error) {
	err = p.call(ctx, func(ctx context.Context, c *pgxpool.Conn) error {
		var at, back *timestamp
		err := c.QueryRow(ctx, `SELECT coalesce(move.to_epoch, 0), coalesce(phase.to_epoch, 0), phase.at, back.at FROM (SELECT) one
			LEFT JOIN LATERAL (SELECT to_epoch FROM cutover_history WHERE domain = $1 AND from_phase <> to_phase
				AND from_phase = $2 AND to_phase = $3 ORDER BY to_epoch DESC LIMIT 1) move ON true
			LEFT JOIN LATERAL (SELECT to_epoch, at FROM cutover_history WHERE domain = $1 AND from_phase <> to_phase
				ORDER BY to_epoch DESC LIMIT 1) phase ON true
			LEFT JOIN LATERAL (SELECT at FROM cutover_history WHERE domain = $1 AND from_phase <> to_phase
				AND from_phase = $4 AND to_phase = $3 ORDER BY to_epoch DESC LIMIT 1) back ON true`,
			domain, cutover.PhaseSource.Stored(), cutover.PhaseDual.Stored(), cutover.PhaseMirror.Stored()).
			Scan(&b.Move, &b.Phase, &at, &back)
		b.PhaseAt, b.RolledBackAt = orZero(at), orZero(back)
		return err
	})
	return b, err
}

// AllSettings: see cutover.StateControl.
func (p *Plane) AllSettings(ctx context.Context) (map[string]cutover.Settings, error) {
	all := map[string]cutover.Settings{}
	_, err := list(ctx, p, func(row pgx.CollectableRow) (domain string, err error) {
		var s cutover.Settings
		err = row.Scan(&domain, &s.ShadowPercent, &s.BackfillRate, &s.Paused, &s.CopyRate, &s.CopyPaused, &s.MaxLatencyMS)
		all[domain] = s
		return domain, err
	}, `SELECT domain, shadow_percent, backfill_rate, paused, copy_rate, copy_paused, max_latency_ms FROM cutover_settings`)
	return all, err
}

// Settings: see cutover.StateControl.
func (p *Plane) Settings(ctx context.Context, domain string) (s cutover.Settings, err error) {
	err = p.call(ctx, func(ctx context.Context, c *pgxpool.Conn) error {
		return c.QueryRow(ctx, `SELECT shadow_percent, backfill_rate, paused, copy_rate, copy_paused, max_latency_ms
			FROM cutover_settings WHERE domain = $1`, domain).
			Scan(&s.ShadowPercent, &s.BackfillRate, &s.Paused, &s.CopyRate, &s.CopyPaused, &s.MaxLatencyMS)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return cutover.DefaultSettings, nil
	}
	return s, err
}

// SetSettings: see cutover.StateControl. It fails with fault.Invalid on values
// out of range.
func (p *Plane) SetSettings(ctx context.Context, domain string, s cutover.Settings) error {
	switch {
	case s.ShadowPercent < 0 || s.ShadowPercent > 100:
		return fault.Field("shadowPercent", "want 0 to 100, not %d", s.ShadowPercent)
	case s.BackfillRate < 0:
		return fault.Field("backfillRate", "want 0 (no limit) or records per second, not %d", s.BackfillRate)
	case s.CopyRate < 0:
		return fault.Field("copyRate", "want 0 (no limit) or records per second, not %d", s.CopyRate)
	case s.MaxLatencyMS < 0:
		return fault.Field("maxLatencyMs", "want 0 (five times the usual) or milliseconds, not %d", s.MaxLatencyMS)
	}
	_, err := p.exec(ctx, `INSERT INTO cutover_settings
			(domain, shadow_percent, backfill_rate, paused, copy_rate, copy_paused, max_latency_ms)
		VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (domain) DO UPDATE SET shadow_percent = excluded.shadow_percent,
		backfill_rate = excluded.backfill_rate, paused = excluded.paused, copy_rate = excluded.copy_rate,
		copy_paused = excluded.copy_paused, max_latency_ms = excluded.max_latency_ms, updated_at = now()`,
		domain, s.ShadowPercent, s.BackfillRate, s.Paused, s.CopyRate, s.CopyPaused, s.MaxLatencyMS)
	return err
}

// ServedSince returns a time since which a domain is known here; false when it is
// not. Once its state has changed, the first change counts.
func (p *Plane) ServedSince(ctx context.Context, domain string) (since time.Time, known bool, err error) {
	all, err := list(ctx, p, pgx.RowTo[time.Time], `SELECT coalesce((SELECT min(at) FROM cutover_history h WHERE h.domain = d.domain), updated_at)
		FROM cutover_domains d WHERE domain = $1`, domain)
	if err != nil || len(all) == 0 {
		return time.Time{}, false, err
	}
	return all[0].UTC(), true, nil
}
