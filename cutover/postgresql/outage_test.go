package postgresql

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// silentTx is a transaction on a server that does not answer.
type silentTx struct{ pgx.Tx }

func (silentTx) Rollback(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestRollbackDoesNotWaitForASilentServer(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		rollback(t.Context(), silentTx{})
	}()
	select {
	case <-ended:
	case <-time.After(3 * rollbackTimeout):
		t.Error("whoever had the transaction waits for ever")
	}
}

func TestTheOutcomeIsUnknownOnlyOnceTheCommitMayHaveBeenReached(t *testing.T) {
	t.Parallel()
	ended := &pgconn.PgError{Severity: "FATAL", Code: "57P01"}
	refused := &pgconn.PgError{Severity: "ERROR", Code: "23505"}
	for _, c := range []struct {
		name     string
		err      error
		atCommit bool
		unknown  bool
	}{
		{"ended at a write", ended, false, false},
		{"ended at the commit", ended, true, true},
		{"refused at a write", refused, false, false},
		{"refused at the commit", refused, true, false},
		{"cut off at a write", io.ErrUnexpectedEOF, false, true},
		{"cut off at the commit", io.ErrUnexpectedEOF, true, true},
		{"no answer in time", context.DeadlineExceeded, false, true},
		{"never sent", pgx.ErrPreprocessingBatch{}, false, false},
	} {
		if got := unknownAfter(c.err, c.atCommit); got != c.unknown {
			t.Errorf("%s: unknown is %v, want %v", c.name, got, c.unknown)
		}
	}
}
