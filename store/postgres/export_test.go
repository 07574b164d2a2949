package postgres

import (
	"context"
	"maps"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/pressly/goose/v3"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/event"
)

// For the tests outside of this package, which need package storetest.
var (
	Translate      = translate
	OutcomeUnknown = outcomeUnknown
)

// DownTo takes the migrations behind a version back.
func DownTo(ctx context.Context, db *DB, version int64) error {
	return db.migrate(Sources()[1], func(p *goose.Provider) error {
		_, err := p.DownTo(ctx, version)
		return err
	})
}

// SpecimenTables are those of storetest's specimens.
var SpecimenTables = append(eventTables("specimen"), Table{"shelf", "shelves"}, Table{"specimen", "specimens"})

// SpecimenTx is the transaction of their domain.
type SpecimenTx struct{ eventTx }

func (tx SpecimenTx) Raw() *Tx { return tx.Tx }

// Ask puts a question of its own.
func (tx SpecimenTx) Ask(ctx context.Context, sql string, take func(pgx.Rows) error) error {
	return tx.ask(ctx, question{sql: sql, take: take})
}

// Reopen gives the same database over a pool of another configuration.
func Reopen(t testing.TB, db *DB, change func(*pgxpool.Config)) *DB {
	config := db.pool.Config()
	change(config)
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return &DB{pool}
}

// Specimens gives the side of their domain.
func Specimens(db *DB, kinds cutover.Kinds) cutover.Side[event.Tx] {
	return newSide(db, "specimen", kinds, SpecimenTables, func(tx *Tx) event.Tx { return SpecimenTx{eventTx{tx, "specimen"}} })
}

// TableNames lists a domain's tables, child tables too.
func TableNames(d Domain) []string { return slices.Sorted(maps.Keys(expected([]Domain{d}))) }
