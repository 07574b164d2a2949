package control

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/amanat-dev/amanat/cutover/fault"
)

// away is the fault of a control plane that cannot be reached.
func away(err error) error {
	f := fault.Wrap(err, fault.Unavailable, "the control plane does not answer")
	f.RetryAfter = time.Second
	return f
}

// unreadable is the fault of a bad URL; the driver's own text may repeat it,
// password and all.
func unreadable() error {
	return fault.New(fault.Invalid, "the PostgreSQL URL cannot be read: want postgres://user:password@host:5432/database")
}

// translate turns an error of the driver into a fault. What is none of the
// driver's, such as a caller's own error, passes as it is.
func translate(err error) error {
	var known *fault.Error
	var pg *pgconn.PgError
	switch {
	case err == nil || errors.As(err, &known):
		return err
	case errors.As(err, &pg):
		return translateCode(pg)
	case lost(err):
		return away(err)
	}
	return err
}

// translateCode goes by the SQLSTATE.
// https://www.postgresql.org/docs/current/errcodes-appendix.html
func translateCode(pg *pgconn.PgError) error {
	switch {
	case pg.Code == "42P01" || pg.Code == "42703": // undefined table or column
		return fault.Wrap(pg, fault.Internal, "the control plane's tables are missing or old; run its migrations")
	case pg.Code == "23505" || pg.Code == "40001" || pg.Code == "40P01":
		return fault.Wrap(pg, fault.Conflict, "somebody else was first in the control plane")
	case pg.Code[:2] == "08" || pg.Code[:2] == "53" || pg.Code[:2] == "57" || pg.Code == "25006" || pg.Code == "55P03":
		return away(pg) // connection, resources, shut down or cancelled, read-only standby, lock not available
	}
	return fault.Wrap(pg, fault.Internal, "the control plane refused a statement")
}

// lost says that the connection, or the time for the call, has ended.
func lost(err error) bool {
	var connect *pgconn.ConnectError
	var network net.Error
	return errors.As(err, &connect) || errors.As(err, &network) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, pgconn.ErrConnClosed) || pgconn.Timeout(err) || pgconn.SafeToRetry(err) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// text fits s for a text column, which takes neither NUL nor broken UTF-8, in
// at most limit bytes; limit 0 does not cut.
func text(s string, limit int) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
	if limit == 0 || len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit] + "…"
}
