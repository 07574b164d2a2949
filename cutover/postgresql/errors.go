package postgresql

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/puddle/v2"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
)

// Violation is the cause of a fault when a rule of the schema refused a
// record.
type Violation struct {
	Rule       Rule
	Table      string
	Constraint string
	Column     string // of a value that must be there
	Detail     string // the keys that clash or are missing; "" where it would show a whole row
}

// Rule says which sort of rule was violated.
type Rule string

// The rules.
const (
	Unique     Rule = "unique"
	ForeignKey Rule = "foreign key"
	Check      Rule = "check"
	NotNull    Rule = "not null"
)

// Error names the rule and its table: for logs.
func (v *Violation) Error() string {
	name := v.Constraint
	if name == "" {
		name = v.Column
	}
	text := fmt.Sprintf("%s rule %s of table %s", v.Rule, name, v.Table)
	if v.Detail != "" {
		text += ": " + v.Detail
	}
	return text
}

var rules = map[string]Rule{"23505": Unique, "23503": ForeignKey, "23514": Check, "23502": NotNull}

// violationOf finds the Violation in an error; nil when there is none.
func violationOf(err error) *Violation {
	var v *Violation
	errors.As(err, &v)
	return v
}

// translate turns an error of the driver into a fault; it is the only place
// that does. Faults and the engine's own errors pass as they are.
func translate(err error) error {
	var known *fault.Error
	var pg *pgconn.PgError
	switch {
	case err == nil || errors.As(err, &known) || errors.Is(err, cutover.ErrMoved):
		return err
	case errors.As(err, &pg):
		return translateCode(pg)
	case lost(err):
		return away(err)
	case errors.Is(err, pgx.ErrTxCommitRollback):
		return fault.Wrap(err, fault.Internal, "nothing was written: a statement before the commit had failed")
	}
	return fault.Wrap(err, fault.Internal, "the database was used wrongly")
}

// translateCode goes by the SQLSTATE.
// https://www.postgresql.org/docs/current/errcodes-appendix.html
func translateCode(pg *pgconn.PgError) error {
	if rule, ok := rules[pg.Code]; ok {
		return translateViolation(pg, rule)
	}
	switch {
	case pg.Code == staleCode:
		return translateStale(pg)
	case pg.Code == "40001" || pg.Code == "40P01": // serialization failure, deadlock
		return cutover.Stale(pg)
	case pg.Code == "42P01" || pg.Code == "42703" || pg.Code == "42704": // undefined table, column, object
		return fault.Wrap(pg, fault.Internal, "the database's tables are missing or old; run its migrations")
	case pg.Code == "22021" || pg.Code == "22P05": // such as a NUL in a text
		return fault.Wrap(pg, fault.Invalid, "a text has a character that cannot be stored")
	case unavailableCode(pg.Code):
		return away(pg)
	}
	return fault.Wrap(pg, fault.Internal, "the database refused a statement")
}

// staleCode is the SQLSTATE of cutover_stale, see migrations/00001_store.sql.
const staleCode = "AM001"

// translateStale reads which record it was that had another revision.
func translateStale(pg *pgconn.PgError) error {
	id, err := cutover.ParseID(pg.Detail)
	if err != nil {
		return fault.Wrap(errors.Join(pg, err), fault.Internal, "the database names a record that is none")
	}
	return cutover.ConflictOn(cutover.Key{Kind: pg.TableName, ID: id})
}

// unavailableCode says that the same statement may well work later:
// connection, resources, cancelled or shut down, lock not available, read-only
// standby.
func unavailableCode(code string) bool {
	switch code[:2] {
	case "08", "53", "57":
		return true
	}
	return code == "55P03" || code == "25006" || code == "25P03"
}

func translateViolation(pg *pgconn.PgError, rule Rule) error {
	v := &Violation{Rule: rule, Table: pg.TableName, Constraint: pg.ConstraintName, Column: pg.ColumnName}
	switch rule {
	case Unique:
		v.Detail = pg.Detail
		return fault.Wrap(v, fault.Conflict, "there is already one like this")
	case ForeignKey:
		v.Detail = pg.Detail
		return fault.Wrap(v, fault.Conflict, "a record that belongs to this one is missing, or still needs it")
	}
	return fault.Wrap(v, fault.Internal, "the database's rules refuse this record")
}

func away(err error) error {
	f := fault.Wrap(err, fault.Unavailable, "the database does not answer")
	f.RetryAfter = time.Second
	return f
}

// lost says that the connection, or the time for the call, has ended.
func lost(err error) bool {
	var connect *pgconn.ConnectError
	var network net.Error
	for _, end := range []error{context.DeadlineExceeded, context.Canceled, io.EOF, io.ErrUnexpectedEOF,
		net.ErrClosed, pgconn.ErrConnClosed, puddle.ErrClosedPool} {
		if errors.Is(err, end) {
			return true
		}
	}
	return errors.As(err, &connect) || errors.As(err, &network) || pgconn.Timeout(err) || pgconn.SafeToRetry(err)
}

// unknownAfter says, of a batch of writes with their COMMIT at the end, of which
// one failed, that it may have happened all the same. What the server itself
// refused before the COMMIT it has not done.
func unknownAfter(err error, atCommit bool) bool {
	var pg *pgconn.PgError
	var unsent pgx.ErrPreprocessingBatch
	if errors.As(err, &unsent) || errors.As(err, &pg) && !atCommit {
		return false
	}
	return outcomeUnknown(err)
}

// outcomeUnknown says, of a failed COMMIT, that it may have happened: the
// connection was lost, or ended by the server, after it had been sent.
func outcomeUnknown(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return unavailableCode(pg.Code)
	}
	return !pgconn.SafeToRetry(err) && !errors.Is(err, pgx.ErrTxCommitRollback) && !errors.Is(err, pgx.ErrTxClosed)
}
