package control_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"reflect"
	"sync/atomic"
	"testing"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/memdb"
)

type sheet struct{ cutover.Meta }

// copying is an engine between two toy databases, in phase dual, whose control
// plane is PostgreSQL.
func (b bundle) copying(t *testing.T, records int) (e *cutover.Engine, source, target *memdb.DB) {
	t.Helper()
	kinds := cutover.Kinds{{Name: "sheet", Type: reflect.TypeFor[sheet]()}}
	source, target = memdb.New("source", kinds), memdb.New("target", kinds)
	for range records {
		source.Seed("sheet", &sheet{cutover.Meta{ID: cutover.NewID(), Rev: 1}})
	}
	e = cutover.NewEngine(cutover.Options{Control: b.Plane, Process: cutover.Process{ID: "one"},
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	cutover.NewDomain(e, cutover.Spec{Source: memdb.Source{DB: source}, Target: target,
		Definition: cutover.Definition{Name: "sheets", Kinds: kinds}})
	check(t, e.Open(t.Context()))
	e.Run(t.Context())
	t.Cleanup(func() { e.Close(context.Background()) })
	eventually(t, "the move has begun", func() bool {
		_, err := e.Start(t.Context(), "sheets", cutover.StepOptions{Execute: true, Who: "a test", Why: "a test"})
		return err == nil
	})
	return e, source, target
}

// duringLoads has do called in the middle of each chunk, with how many times it
// has been.
func duringLoads(target *memdb.DB, do func(n int64)) {
	var n atomic.Int64
	target.Before(func(op string) error {
		if op == "apply" { // a load is one as well
			do(n.Add(1))
		}
		return nil
	})
}

func TestABackfillGoesOnThatLosesTheClaimOfAChunk(t *testing.T) {
	t.Parallel()
	b := setup(t)
	e, _, target := b.copying(t, 5000)
	duringLoads(target, func(n int64) {
		if n <= 2 {
			b.killBackends(t, "%SKIP LOCKED%")
		}
	})
	progress, err := e.Backfill(t.Context(), "sheets", cutover.BackfillOptions{})
	check(t, err)
	equal(t, "rows", progress[0].Rows, 5000)
	equal(t, "chunks done", progress[0].Done, progress[0].Chunks)
	n, err := target.Count(t.Context(), "sheet")
	check(t, err)
	equal(t, "records", n, 5000)
}

func TestABackfillEndsThatKeepsLosingItsClaims(t *testing.T) {
	t.Parallel()
	b := setup(t)
	e, _, target := b.copying(t, 10)
	duringLoads(target, func(int64) { b.killBackends(t, "%SKIP LOCKED%") })
	if _, err := e.Backfill(t.Context(), "sheets", cutover.BackfillOptions{}); !errors.Is(err, cutover.ErrClaimLost) {
		t.Errorf("got %v, want that the claim was lost", err)
	}
}
