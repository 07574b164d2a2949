package postgresql

import (
	"context"
	"slices"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
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

// Kinds are those that it was made for.
func (s *store) Kinds() cutover.Kinds { return s.kinds }

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

// View runs fn on one state of the database. It may run fn twice: see view.
func (s *store) View(ctx context.Context, fn func(context.Context, cutover.Tx) error) error {
	v := &view{session: s.snapshotSession()}
	defer v.end()
	err := s.look(ctx, v, fn)
	if v.outdated {
		v.outdated = false
		err = s.look(ctx, v, fn)
	}
	return err
}

func (s *store) look(ctx context.Context, v *view, fn func(context.Context, cutover.Tx) error) error {
	tx := &Tx{Batch: cutover.ReadOnly(s.kinds), store: s, asker: v}
	return tx.result(fn(ctx, tx))
}

// Update runs fn and commits what it put. See cutover.Side.
func (s *store) Update(ctx context.Context, g cutover.Guard, fn func(context.Context, cutover.Tx) error) error {
	u := &update{session: s.writingSession(g), guard: g, tx: newTx(s)}
	u.tx.asker = u.session
	defer u.end()
	if err := u.tx.result(fn(ctx, u.tx)); err != nil {
		return err
	}
	return u.write(ctx)
}
