// Package control keeps cutover's control plane in PostgreSQL, in the database
// that a move leads to: the state of each domain, the processes, gaps, chunks,
// shadow counts and results. It also fences what is written there, since a
// transaction of that same database can hold an epoch (see Fence).
//
// Locks of the session (Lead) and LISTEN (Watch) need a connection that stays
// on one server process: give it PostgreSQL itself, or a pooler in session
// mode.
package control

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/amanat-dev/amanat/cutover"
)

const (
	// reachTime bounds how long a call waits for a connection.
	reachTime = 2 * time.Second
	// callTime bounds a call that waits for nobody's lock.
	callTime = 5 * time.Second
	// poolSize is enough for a process: calls are short.
	poolSize = 4
	// mostHeld bounds the connections that hold something: a role, a chunk.
	mostHeld = 64
	// silence is after how long the server ends a session that holds something
	// and says nothing. A holder at work pings every pingEvery; a frozen process, or
	// one whose machine is gone without a word, would keep what it holds for good.
	silence = 8 * time.Second
	// knownFor is how long a connection that was used counts as one that works. A
	// pool would ask each that has rested for a second, which is how often most
	// calls here come.
	knownFor = 3 * time.Second
)

// Plane is the control plane. It is safe for concurrent use.
type Plane struct {
	pool  *pgxpool.Pool
	owned bool // Close closes the pool
	// holders are for what holds a connection for long, which would be missing
	// in pool.
	holders func() (*pgxpool.Pool, error)
}

var _ cutover.Control = (*Plane)(nil)

// Connect makes a plane with a small pool of its own, so that a service that
// holds all connections of its pool cannot keep the process from renewing its
// lease. The database need not answer yet. Close it at the end.
func Connect(ctx context.Context, url string) (*Plane, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, unreadable()
	}
	config.MaxConns = poolSize
	config.ShouldPing = restedLong
	config.ConnConfig.ConnectTimeout = reachTime
	config.ConnConfig.RuntimeParams["application_name"] = "cutover-control"
	endSilent(config, "idle_in_transaction_session_timeout")
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, translate(err)
	}
	p := Open(ctx, pool)
	p.owned = true
	return p, nil
}

// Open makes a plane on a pool that the caller keeps and closes. What holds a
// connection for long does so on further ones, by the same configuration; they
// end with Close.
func Open(_ context.Context, pool *pgxpool.Pool) *Plane {
	return &Plane{pool: pool, holders: sync.OnceValues(func() (*pgxpool.Pool, error) {
		config := pool.Config()
		config.MaxConns, config.MinConns, config.MinIdleConns = mostHeld, 0, 0
		endSilent(config, "idle_in_transaction_session_timeout", "idle_session_timeout")
		config.ShouldPing = restedLong
		config.MaxConnIdleTime, config.HealthCheckPeriod = silence/2, time.Second // one that holds nothing does not ping
		return pgxpool.NewWithConfig(context.Background(), config)
	})}
}

func restedLong(_ context.Context, p pgxpool.ShouldPingParams) bool { return p.IdleDuration > knownFor }

// endSilent has the server end a session after silence, within a transaction
// or outside one.
func endSilent(config *pgxpool.Config, settings ...string) {
	for _, name := range settings {
		config.ConnConfig.RuntimeParams[name] = strconv.FormatInt(silence.Milliseconds(), 10)
	}
}

// Close gives back what Connect or Open took.
func (p *Plane) Close() {
	if held, err := p.holders(); err == nil {
		held.Close()
	}
	if p.owned {
		p.pool.Close()
	}
}

// with runs do on a connection of the pool.
func (p *Plane) with(ctx context.Context, do func(*pgxpool.Conn) error) error {
	reach, cancel := context.WithTimeout(ctx, reachTime)
	conn, err := p.pool.Acquire(reach)
	cancel()
	if err != nil {
		return away(err)
	}
	defer conn.Release()
	return translate(do(conn))
}

// call runs do, which waits for nobody's lock, with a bound on its time.
func (p *Plane) call(ctx context.Context, do func(context.Context, *pgxpool.Conn) error) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	return p.with(ctx, func(c *pgxpool.Conn) error { return do(ctx, c) })
}

// exec runs one statement and returns the number of rows it touched.
func (p *Plane) exec(ctx context.Context, sql string, args ...any) (rows int64, err error) {
	err = p.call(ctx, func(ctx context.Context, c *pgxpool.Conn) error {
		tag, err := c.Exec(ctx, sql, args...)
		rows = tag.RowsAffected()
		return err
	})
	return rows, err
}

// inTx runs do in a transaction, which ends with ctx at the latest.
func (p *Plane) inTx(ctx context.Context, do func(pgx.Tx) error) error {
	return p.with(ctx, func(c *pgxpool.Conn) error {
		return pgx.BeginFunc(ctx, c, do)
	})
}

// list runs a query and reads each row by scan.
func list[T any](ctx context.Context, p *Plane, scan pgx.RowToFunc[T], sql string, args ...any) (out []T, err error) {
	err = p.call(ctx, func(ctx context.Context, c *pgxpool.Conn) error {
		rows, err := c.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, scan)
		return err
	})
	return out, err
}

// hold returns a connection to hold something with.
func (p *Plane) hold(ctx context.Context) (*pgxpool.Conn, error) {
	held, err := p.holders()
	if err != nil {
		return nil, translate(err)
	}
	ctx, cancel := context.WithTimeout(ctx, reachTime)
	defer cancel()
	conn, err := held.Acquire(ctx)
	if err != nil {
		return nil, away(err)
	}
	return conn, nil
}

// hangUp closes a connection; what it held on the server is free then.
func hangUp(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), reachTime)
	defer cancel()
	_ = conn.Close(ctx) // one that does not close in time is cut
}
