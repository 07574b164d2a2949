package postgresql

import (
	"context"
	"maps"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/pressly/goose/v3"

	"github.com/amanat-dev/amanat/cutover"
)

// For the tests outside of this package, which need package storetest.
var (
	Translate      = translate
	OutcomeUnknown = outcomeUnknown
)

// DownTo takes a source's migrations behind a version back.
func DownTo(ctx context.Context, db *DB, s Source, version int64) error {
	return db.migrate(s, func(p *goose.Provider) error {
		_, err := p.DownTo(ctx, version)
		return err
	})
}

// Down takes all migrations of a source back.
func Down(ctx context.Context, db *DB, s Source) error {
	return db.migrate(s, func(p *goose.Provider) error {
		_, err := p.DownTo(ctx, 0)
		return err
	})
}

// Ask puts a question of its own to a transaction.
func Ask(ctx context.Context, tx cutover.Tx, sql string, take func(pgx.Rows) error) error {
	return tx.(*Tx).ask(ctx, question{sql: sql, take: take})
}

// Pose is Ask of the transaction's own, which remembers a failure.
func Pose(ctx context.Context, tx cutover.Tx, sql string) error {
	return tx.(*Tx).pose(ctx, question{sql: sql, take: func(pgx.Rows) error { return nil }})
}

// Reopen returns the same database over a pool of another configuration.
func Reopen(t testing.TB, db *DB, change func(*pgxpool.Config)) *DB {
	config := db.pool.Config()
	change(config)
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return &DB{pool: pool}
}

// TableNames lists a domain's tables, child tables too.
func TableNames(d cutover.Definition) []string {
	return slices.Sorted(maps.Keys(expected([]cutover.Definition{d})))
}
