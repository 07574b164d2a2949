package control

import (
	"context"
	"errors"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Lead: see cutover.StateControl. The role is a lock of a session of its own,
// so it is free again when the process dies, and some seconds after it has
// fallen silent. do may outlive the role in a process that was frozen; one whose
// network is cut knows it before anybody else has the role. What must not happen
// twice is guarded by Advance.
func (p *Plane) Lead(ctx context.Context, role string, do func(context.Context) error) (bool, error) {
	held, err := p.hold(ctx)
	if err != nil {
		return false, err
	}
	won, err := tryLock(ctx, held.Conn(), lockKey("role", role))
	if err != nil || !won {
		held.Release()
		return false, translate(err)
	}
	conn := held.Hijack() // it is not to come back with the lock
	defer hangUp(conn)
	defer unlock(conn, lockKey("role", role))
	return true, whileAlive(ctx, conn, do)
}

// Led says whether somebody holds a role of Lead.
func (p *Plane) Led(ctx context.Context, role string) (led bool, err error) {
	err = p.call(ctx, func(ctx context.Context, c *pgxpool.Conn) error {
		// How pg_locks shows the halves of a key of 64 bits:
		// https://www.postgresql.org/docs/current/view-pg-locks.html
		return c.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1
			AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
			AND classid::bigint = ($1::bigint >> 32) & 4294967295 AND objid::bigint = $1::bigint & 4294967295)`,
			lockKey("role", role)).Scan(&led)
	})
	return led, err
}

// unlock frees the role before the server notices that the session has ended,
// so that whoever comes next finds it free. Without a connection it is free
// anyway, a little later.
func unlock(conn *pgx.Conn, key int64) {
	ctx, cancel := context.WithTimeout(context.Background(), callTime)
	defer cancel()
	_, _ = conn.Exec(ctx, "SELECT pg_advisory_unlock($1)", key)
}

func tryLock(ctx context.Context, conn *pgx.Conn, key int64) (won bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	err = conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1)", key).Scan(&won)
	return won, err
}

// whileAlive runs do with a context that ends when conn does. do must not use
// conn, which is free again afterwards.
func whileAlive(ctx context.Context, conn *pgx.Conn, do func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watching, stop := context.WithCancel(ctx)
	var gone error
	var watcher sync.WaitGroup
	watcher.Go(func() {
		err := attend(watching, conn, nil, func(ctx context.Context) error { return send(ctx, conn, "-- ping") })
		if watching.Err() == nil {
			gone = away(err)
			cancel()
		}
	})
	err := do(ctx)
	stop()
	watcher.Wait()
	if gone != nil && errors.Is(err, context.Canceled) {
		return gone
	}
	return err
}
