package postgresql

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/control"
	"github.com/amanat-dev/amanat/cutover/failpoint"
	"github.com/amanat-dev/amanat/cutover/fault"
)

// session is a transaction that costs no round trips of its own: it begins with
// the first statements that are sent, and commits with the last.
type session struct {
	db    *DB
	begin func(*pgx.Batch)
	conn  *pgxpool.Conn // nil until it has begun
}

func (db *DB) snapshotSession() *session {
	return &session{db: db, begin: func(b *pgx.Batch) { b.Queue("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY") }}
}

// writingSession is the transaction of an Update. Conflicts are found by
// revision, and the fence reads the epoch after it has its lock: hence READ
// COMMITTED.
func (db *DB) writingSession(g cutover.Guard) *session {
	return &session{db: db, begin: func(b *pgx.Batch) {
		b.Queue("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")
		if g.Fenced {
			control.QueueFence(b, g.Domain, g.Epoch)
		}
	}}
}

// send sends what queue adds to a batch: one round trip.
func (s *session) send(ctx context.Context, queue func(*pgx.Batch)) error {
	if s.conn == nil {
		return translate(s.db.again(ctx, func() error { return s.open(ctx, queue) }))
	}
	b := new(pgx.Batch)
	queue(b)
	return translate(run(ctx, s.conn, b))
}

// open begins the transaction with what queue adds.
func (s *session) open(ctx context.Context, queue func(*pgx.Batch)) (err error) {
	if s.conn, err = s.db.pool.Acquire(ctx); err != nil {
		s.conn = nil
		return err
	}
	b := new(pgx.Batch)
	s.begin(b)
	queue(b)
	if err = run(ctx, s.conn, b); err != nil {
		s.end()
	}
	return err
}

// run sends a batch and has its answers taken. Should one panic, the rest are
// read all the same, so that the connection is fit for others.
func run(ctx context.Context, on sender, b *pgx.Batch) error {
	results := on.SendBatch(ctx, b)
	panicked := true
	defer func() {
		if panicked {
			_ = results.Close()
		}
	}()
	err := results.Close()
	panicked = false // once only: the connection may be somebody else's already
	return err
}

// begun sees to it that the transaction has begun: on a connection that works,
// and in the epoch in which the Update was admitted.
func (s *session) begun(ctx context.Context) error {
	if s.conn != nil {
		return nil
	}
	return s.send(ctx, func(*pgx.Batch) {})
}

// ask puts one question.
func (s *session) ask(ctx context.Context, q question) error { return s.send(ctx, q.queue) }

// commit sends the last statements and COMMIT in one round trip. Where one of
// them fails the server leaves out what follows, so that nothing is written. It
// does not end with ctx: giving up between the question and the answer would
// only make the outcome unknown.
func (s *session) commit(ctx context.Context, b *pgx.Batch) error {
	if err := ctx.Err(); err != nil {
		return translate(err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	b.Queue("COMMIT")
	results := s.conn.SendBatch(ctx, b)
	failpoint.At(failpoint.TransactionFlushed)
	answered, err := readAll(results, b.Len())
	if err != nil && unknownAfter(err, answered == b.Len()-1) {
		return fault.Wrap(err, fault.Unavailable, "the outcome of the write is not known")
	}
	return translate(err)
}

// readAll reads the answers to n statements, the last of which is COMMIT, and
// says how many there were before one that failed. What befalls the connection
// after the answer to the COMMIT does not matter any more.
func readAll(results pgx.BatchResults, n int) (answered int, err error) {
	defer results.Close()
	var tag pgconn.CommandTag
	for ; answered < n; answered++ {
		if tag, err = results.Exec(); err != nil {
			return answered, err
		}
	}
	if tag.String() != "COMMIT" {
		return answered, pgx.ErrTxCommitRollback
	}
	return answered, nil
}

// end gives the connection back, after telling the server that the transaction
// is over unless it is. Nobody waits for that.
func (s *session) end() {
	if s.conn != nil {
		release(s.conn)
		s.conn = nil
	}
}

// idle is how a connection without a transaction shows.
const idle = 'I'

func release(conn *pgxpool.Conn) {
	if conn.Conn().IsClosed() || conn.Conn().PgConn().TxStatus() == idle {
		conn.Release()
		return
	}
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), rollbackTimeout)
		defer cancel()
		_, _ = conn.Exec(ctx, "ROLLBACK") // what cannot be told is closed instead, by Release
		conn.Release()
	}()
}

// again runs what a connection of the pool is asked first, and may be asked
// twice. When the server was restarted, the pool is full of connections that do
// not know it yet: it is emptied, and tried once more.
func (db *DB) again(ctx context.Context, do func() error) error {
	err := do()
	if err == nil || ctx.Err() != nil || !cutOff(err) {
		return err
	}
	db.pool.Reset()
	return do()
}

// cutOff says that a connection that there was is no more.
func cutOff(err error) bool {
	var refused *pgconn.ConnectError
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Severity == "FATAL" && !errors.As(err, &refused)
	}
	return lost(err) && !errors.As(err, &refused)
}
