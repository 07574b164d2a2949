package postgres

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/fault"
	"github.com/amanat-dev/amanat/internal/step"
)

// store is the database as the engine sees it, for the kinds of one domain.
type store struct {
	*DB
	domain string
	kinds  cutover.Kinds
	tables map[string]*table
}

// Name is the database's name in tables and logs.
func (s *store) Name() string { return "postgres" }

// table finds the table of a kind.
func (s *store) table(kind string) (*table, error) {
	if t := s.tables[kind]; t != nil {
		return t, nil
	}
	return nil, fault.New(fault.Internal, "%q is no kind of the domain %s", kind, s.domain)
}

// byPlace compares two kinds in the domain's order.
func (s *store) byPlace(a, b cutover.Key) int {
	return s.tables[a.Kind].place - s.tables[b.Kind].place
}

// Side is a domain in PostgreSQL.
func (db *DB) Side(d cutover.Definition) cutover.Side {
	return &store{db, d.Name, slices.Clone(d.Kinds), tablesOf(d.Kinds)}
}

// View runs fn on a snapshot of the database.
func (s *store) View(ctx context.Context, fn func(context.Context, cutover.Tx) error) error {
	return s.inTx(ctx, snapshot, func(q pgx.Tx) error {
		return fn(ctx, &Tx{Batch: cutover.ReadOnly(s.kinds), store: s, q: q})
	})
}

// Update runs fn and commits what it put. See cutover.Side.
func (s *store) Update(ctx context.Context, g cutover.Guard, fn func(context.Context, cutover.Tx) error) error {
	return s.inTx(ctx, current, func(q pgx.Tx) error {
		if err := fence(ctx, q, g); err != nil {
			return err
		}
		tx := newTx(s, q)
		if err := fn(ctx, tx); err != nil {
			return err
		}
		if err := tx.flush(ctx, g); err != nil {
			return translate(err)
		}
		step.At(step.TransactionFlushed)
		return nil
	})
}
