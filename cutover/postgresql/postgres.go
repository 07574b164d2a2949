// Package postgresql keeps records in PostgreSQL, of any domain, by its
// Definition.
//
// A record's Go type says how it is stored (package cutover/shape): one row,
// and child tables for the lists that have one. This package reads that
// description; the application's migrations make the tables. Compare holds the
// two against each other, and prints the CREATE TABLE of one that is missing.
package postgresql

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/control"
	"github.com/amanat-dev/amanat/cutover/fault"
)

// Limits of a connection. What may take longer, such as a backfill's chunk or
// a migration, lifts them for itself.
const (
	connectTimeout  = 5 * time.Second
	commitTimeout   = 15 * time.Second
	rollbackTimeout = 2 * time.Second
)

var sessionSettings = map[string]string{
	"application_name":  "cutover",
	"timezone":          "UTC",
	"statement_timeout": "30s",
	"lock_timeout":      "10s",
	// A prepared statement is planned once per connection. Left to itself, the
	// server plans a page of a list anew each time: the shorter the rest of the
	// list, the cheaper it seems. where sees to statements whose one plan is good.
	"plan_cache_mode": "force_generic_plan",
	// An Update says something all the time, unless its process is frozen, or
	// gone without a word: then what it holds is in everybody's way, the fence
	// of its domain first of all.
	"idle_in_transaction_session_timeout": "8s",
}

// DB is a connection pool to one PostgreSQL database.
type DB struct {
	pool  *pgxpool.Pool
	url   string
	mu    sync.Mutex
	plane *control.Plane // once it was asked for
	// What lists have left out because it was not readable.
	unreadable cutover.LeftOut
}

// Unreadable returns how many records lists have left out since the start,
// because they were not readable, up to 1,000.
func (db *DB) Unreadable() int { return db.unreadable.Count() }

// Open prepares a pool for the database that url names; what url itself sets,
// such as pool_max_conns or statement_timeout, counts. It does not wait for
// the server: Ping does.
func Open(ctx context.Context, url string) (*DB, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		// The driver's own text may repeat the URL.
		return nil, fault.New(fault.Internal, "the PostgreSQL URL cannot be read: want postgres://user:password@host:5432/database")
	}
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = connectTimeout
	}
	for name, value := range sessionSettings {
		if _, set := config.ConnConfig.RuntimeParams[name]; !set {
			config.ConnConfig.RuntimeParams[name] = value
		}
	}
	config.AfterConnect = declare
	config.ShouldPing = restedLong
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, translate(err)
	}
	return &DB{pool: pool, url: url}, nil
}

// Control returns the control plane of the moves that lead to this database and
// back, which is kept in it; Up makes its tables. It has a few connections of its
// own, so that a busy pool cannot keep a process from renewing its lease. It is
// the same one at each call, and ends with Close.
func (db *DB) Control(ctx context.Context) (*control.Plane, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	var err error
	if db.plane == nil {
		db.plane, err = control.Connect(context.WithoutCancel(ctx), db.url)
	}
	return db.plane, err
}

// The guard of the domains' tables (migrations/00001_store.sql) lets in only
// sessions that have this setting.
const (
	writerSetting = "cutover.writer"
	writerEngine  = "engine"
)

// declare says who writes on a connection. It is a statement and no parameter
// of the connection, which a pooler may leave out.
func declare(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	_, err := conn.Exec(ctx, "SELECT set_config($1, $2, false)", writerSetting, writerEngine)
	return err
}

// Close ends all connections, the control plane's too.
func (db *DB) Close() {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.plane != nil {
		db.plane.Close()
	}
	db.pool.Close()
}

// Pool returns the pool, for what else keeps something in the same database.
func (db *DB) Pool() *pgxpool.Pool { return db.pool }

// Ping says whether the database answers.
func (db *DB) Ping(ctx context.Context) error {
	ctx = context.WithValue(ctx, pinging{}, true)
	return translate(db.again(ctx, func() error { return db.pool.Ping(ctx) }))
}

// pinging marks the context of a Ping, before which its connection need not be
// asked.
type pinging struct{}

// restedLong has the pool ask a connection whether it still works, before it is
// used after a rest.
func restedLong(ctx context.Context, p pgxpool.ShouldPingParams) bool {
	return p.IdleDuration > time.Second && ctx.Value(pinging{}) == nil
}

var (
	// snapshot is the isolation of what must see one state throughout.
	snapshot = pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	// current is the isolation of what writes: it finds conflicts by
	// revision, and the fence reads the epoch after it has its lock.
	current = pgx.TxOptions{IsoLevel: pgx.ReadCommitted, AccessMode: pgx.ReadWrite}
)

// inTx runs fn in a transaction and commits it. Errors of fn pass as they
// are; a commit whose answer got lost is fault.Unavailable and says so.
func (db *DB) inTx(ctx context.Context, o pgx.TxOptions, fn func(pgx.Tx) error) error {
	q, err := db.begin(ctx, o)
	if err != nil {
		return translate(err)
	}
	// Also after a panic; nothing happens once it is committed.
	defer rollback(ctx, q)
	if err := fn(q); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return translate(err)
	}
	return commit(ctx, q)
}

// rollback tells the server at once what it would find out by itself: a
// connection on which that has no answer is closed.
func rollback(ctx context.Context, q pgx.Tx) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTimeout)
	defer cancel()
	_ = q.Rollback(ctx)
}

// begin starts a transaction.
func (db *DB) begin(ctx context.Context, o pgx.TxOptions) (q pgx.Tx, err error) {
	err = db.again(ctx, func() error {
		q, err = db.pool.BeginTx(ctx, o)
		return err
	})
	return q, err
}

// commit does not end with ctx: giving up between the question and the answer
// would only make the outcome unknown.
func commit(ctx context.Context, q pgx.Tx) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	err := q.Commit(ctx)
	if err != nil && outcomeUnknown(err) {
		return fault.Wrap(err, fault.Unavailable, "the outcome of the write is not known")
	}
	return translate(err)
}
