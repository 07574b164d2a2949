package postgres

import (
	"context"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/event"
)

// For the tests outside of this package, which need package storetest.
var (
	Translate      = translate
	OutcomeUnknown = outcomeUnknown
)

// SpecimenTables are those of storetest's specimens.
var SpecimenTables = append(eventTables("specimen"), Table{"shelf", "shelves"}, Table{"specimen", "specimens"})

// SpecimenTx is the transaction of their domain.
type SpecimenTx struct{ eventTx }

func (tx SpecimenTx) Raw() *Tx { return tx.Tx }

// Exec runs a statement within the transaction.
func (tx SpecimenTx) Exec(ctx context.Context, sql string) error {
	_, err := tx.q.Exec(ctx, sql)
	return translate(err)
}

// Specimens gives the side of their domain.
func Specimens(db *DB, kinds cutover.Kinds) cutover.Side {
	return newSide(db, "specimen", kinds, SpecimenTables, func(tx *Tx) event.Tx { return SpecimenTx{eventTx{tx, "specimen"}} })
}
