package postgres

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
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
