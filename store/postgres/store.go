package postgres

import (
	"context"
	"slices"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/fault"
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

// side is a store with a domain's own transaction.
type side[T any] struct {
	*store
	wrap func(*Tx) T
}

// newSide makes a domain's side. wrap puts the domain's queries around a
// transaction.
func newSide[T any](db *DB, domain string, kinds cutover.Kinds, tables []Table, wrap func(*Tx) T) cutover.Side[T] {
	return &side[T]{&store{db, domain, slices.Clone(kinds), tablesOf(kinds, tables)}, wrap}
}

// View runs fn on one state of the database. It may run fn twice: see view.
func (s *side[T]) View(ctx context.Context, fn func(context.Context, T) error) error {
	v := &view{session: s.snapshotSession()}
	defer v.end()
	err := s.look(ctx, v, fn)
	if v.outdated {
		v.outdated = false
		err = s.look(ctx, v, fn)
	}
	return err
}

func (s *side[T]) look(ctx context.Context, v *view, fn func(context.Context, T) error) error {
	tx := &Tx{Batch: cutover.ReadOnly(), store: s.store, asker: v}
	return tx.result(fn(ctx, s.wrap(tx)))
}

// Update runs fn and commits what it put. See cutover.Side.
func (s *side[T]) Update(ctx context.Context, g cutover.Guard, fn func(context.Context, T) error) error {
	u := &update{session: s.writingSession(g), guard: g, tx: newTx(s.store)}
	u.tx.asker = u.session
	defer u.end()
	if err := u.tx.result(fn(ctx, s.wrap(u.tx))); err != nil {
		return err
	}
	return u.write(ctx)
}
