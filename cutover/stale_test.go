package cutover_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/memdb"
)

// mislaid is a target in which, until somebody repairs it, another unique key is
// stored than the records derive.
type mislaid struct {
	*memdb.DB
	stale atomic.Bool
}

func (m *mislaid) Scan(ctx context.Context, kind string, after, until cutover.ID, limit int) ([]cutover.Item, error) {
	items, err := m.DB.Scan(ctx, kind, after, until, limit)
	return m.told(items), err
}

func (m *mislaid) Get(ctx context.Context, keys []cutover.Key) ([]cutover.Item, error) {
	items, err := m.DB.Get(ctx, keys)
	return m.told(items), err
}

func (m *mislaid) told(items []cutover.Item) []cutover.Item {
	for i := range items {
		if m.stale.Load() && items[i].Record != nil {
			items[i].Stale = []string{"Email"}
		}
	}
	return items
}

func (m *mislaid) Apply(ctx context.Context, items []cutover.Item, o cutover.ApplyOptions) ([]error, error) {
	if o.Force {
		m.stale.Store(false)
	}
	return m.DB.Apply(ctx, items, o)
}

func TestVerifyTellsOfAnotherUniqueKeyAndRepairsIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0)
	target := &mislaid{DB: w.target}
	e := cutover.NewEngine(cutover.Options{Control: w.control, Logger: quiet, Process: cutover.Process{ID: "p"}})
	b := &bank{e, must[*cutover.Domain](t)(cutover.NewDomain(e, bankSpec(memdb.Source{DB: w.source}, target)))}
	if err := e.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	e.Run(t.Context())
	t.Cleanup(func() { _ = e.Close(context.Background()) })
	must[account](t)(b.open(t.Context(), "ann"))
	must[cutover.Report](t)(e.Start(t.Context(), "bank", execute))
	must[[]cutover.KindProgress](t)(e.Backfill(t.Context(), "bank", cutover.BackfillOptions{}))

	target.stale.Store(true)
	r := must[cutover.VerifyResult](t)(e.Verify(t.Context(), "bank", cutover.VerifyOptions{}))
	if r.OK || len(r.Diffs) != 1 || len(r.Diffs[0].Fields) != 1 || r.Diffs[0].Fields[0].Path != "unique key Email" {
		t.Errorf("got %+v, want one record that differs in its unique key", r.Diffs)
	}
	r = must[cutover.VerifyResult](t)(e.Verify(t.Context(), "bank", cutover.VerifyOptions{Repair: true}))
	if !r.OK {
		t.Errorf("got %+v, want it repaired", r.Diffs)
	}
}
