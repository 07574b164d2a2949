package control

import (
	"context"
	"errors"
	"hash/fnv"

	"github.com/jackc/pgx/v5"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
)

// lockKey returns the advisory lock of a name. Advisory locks are numbers, one
// name space per database, so the purpose is part of what is hashed. The text is
// for ever: processes of two versions must take the same lock.
func lockKey(purpose, name string) int64 {
	h := fnv.New64a()
	h.Write([]byte("amanat cutover " + purpose + "\x00" + name))
	return int64(h.Sum64())
}

func fenceKey(domain string) int64 { return lockKey("fence", domain) }

// Fence holds tx to an epoch: it returns without error only when the domain is
// on that epoch, unsealed and with this database as its primary, and it stays
// so until tx ends, since Advance waits for tx. Call it before the first
// write. One round trip.
//
// tx must be READ COMMITTED, where each statement sees what was committed when
// it began: the lock is taken first, and the state read by the next statement
// is then what the last Advance left. An isolation level with one snapshot for
// the whole transaction would read the state from before the lock.
//
// Errors: cutover.ErrMoved when the epoch is another one or the domain is
// sealed; fault.Unavailable when the database is away.
func Fence(ctx context.Context, tx pgx.Tx, domain string, epoch int64) error {
	b := new(pgx.Batch)
	QueueFence(b, domain, epoch)
	return translate(tx.SendBatch(ctx, b).Close())
}

// QueueFence is Fence as the first part of a batch, so that it costs no round
// trip of its own. An epoch that does not hold fails the batch with
// cutover.ErrMoved: no answer behind it is read.
func QueueFence(b *pgx.Batch, domain string, epoch int64) {
	share(b, domain, func(s cutover.State) error {
		switch {
		case s.Phase == "" || s.Epoch != epoch || s.Sealed:
			return cutover.ErrMoved
		case s.Phase.PrimaryIsSource():
			return fault.New(fault.Internal, "fence of %s: an Update on the target in phase %s", domain, s.Phase)
		}
		return nil
	})
}

// FenceCopy is Fence for copies that come to this database: it returns without
// error only while another database is the domain's primary, and that stays so
// until tx ends. An unknown domain has no primary yet.
//
// Errors: cutover.ErrMoved; fault.Unavailable when the database is away.
func FenceCopy(ctx context.Context, tx pgx.Tx, domain string) error {
	b := new(pgx.Batch)
	share(b, domain, func(s cutover.State) error {
		if s.Phase != "" && !s.Phase.PrimaryIsSource() {
			return cutover.ErrMoved
		}
		return nil
	})
	return translate(tx.SendBatch(ctx, b).Close())
}

// share queues the taking of the domain's fence, which others may hold as well,
// until the transaction ends, and then the reading of the state, which check
// judges: the zero one of an unknown domain, which no epoch fits.
func share(b *pgx.Batch, domain string, check func(cutover.State) error) {
	b.Queue("SELECT pg_advisory_xact_lock_shared($1)", fenceKey(domain))
	b.Queue(`SELECT phase, epoch, sealed, current_setting('transaction_isolation')
		FROM cutover_domains WHERE domain = $1`, domain).QueryRow(func(row pgx.Row) error {
		var s cutover.State
		isolation := "read committed"
		err := row.Scan((*phase)(&s.Phase), &s.Epoch, &s.Sealed, &isolation)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		if isolation != "read committed" {
			return fault.New(fault.Internal, "fence of %s: the transaction is %s, want read committed", domain, isolation)
		}
		return check(s)
	})
}

// Barrier waits until no transaction holds an earlier Fence. See
// cutover.StateControl.
func (p *Plane) Barrier(ctx context.Context, domain string) error {
	return p.inTx(ctx, func(tx pgx.Tx) error { return shutOut(ctx, tx, domain) })
}

// shutOut waits for the fenced transactions under way, and keeps new ones
// waiting until tx ends.
func shutOut(ctx context.Context, tx pgx.Tx, domain string) error {
	_, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", fenceKey(domain))
	return err
}
