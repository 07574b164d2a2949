package postgresql_test

import (
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/cutover/postgresql"
)

func TestOnlyWhatMeetsAnotherUpdateIsRunAgain(t *testing.T) {
	t.Parallel()
	for code, stale := range map[string]bool{"40001": true, "40P01": true, "23505": false, "23503": false} {
		err := postgresql.Translate(&pgconn.PgError{Code: code})
		if !fault.Is(err, fault.Conflict) || cutover.IsStale(err) != stale {
			t.Errorf("SQLSTATE %s: %v, stale %t, want %t", code, err, cutover.IsStale(err), stale)
		}
	}
}
