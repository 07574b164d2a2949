package postgres

import (
	"context"

	"github.com/amanat-dev/amanat/cutover"
)

// For the tests outside of this package, which need package storetest.
var (
	Translate      = translate
	OutcomeUnknown = outcomeUnknown
)

// Exec runs a statement within a transaction.
func Exec(ctx context.Context, tx cutover.Tx, sql string) error {
	_, err := tx.(*Tx).q.Exec(ctx, sql)
	return translate(err)
}
