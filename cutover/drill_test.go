package cutover_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/memdb"
)

// needsWayBack is execute without the waiver of the way back.
var needsWayBack = cutover.StepOptions{
	Execute: true, Who: "test", Why: "test",
	GateOptions: cutover.GateOptions{ShadowMin: 1, Budget: execute.Budget, Waive: map[string]string{cutover.GateShadow: "not of this test"}},
}

func (w *world) drill(t *testing.T) cutover.DrillResult {
	t.Helper()
	return must[cutover.DrillResult](t)(w.engine().Drill(t.Context(), "bank", cutover.DrillOptions{Who: "test"}))
}

func (w *world) wantNoScratch(t *testing.T) {
	t.Helper()
	if n := w.source.Scratches(); n != 0 {
		t.Errorf("%d scratch databases are left", n)
	}
}

// spoil has the next scratch databases refuse or change what is copied.
func (w *world) spoil(accept func(has func(cutover.Key) bool, r cutover.Record) error) {
	w.scratch = func(ctx context.Context) (cutover.Store, func(context.Context) error, error) {
		store, drop, err := w.source.Scratch(ctx)
		if err == nil {
			store.(*memdb.DB).Accept = accept
		}
		return store, drop, err
	}
}

func TestDrill(t *testing.T) {
	t.Parallel()
	t.Run("ZeroUnderLiveWritesAndPassesTheGate", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, 2)
		for i := range 2500 {
			w.source.Seed("account", &account{Meta: cutover.Meta{ID: cutover.NewID()}, Owner: fmt.Sprint("legacy ", i)})
		}
		a := must[account](t)(w.banks[0].open(t.Context(), "zahra"))
		stop, acked := traffic(t, w, a.ID)
		w.copyOver(t)
		for range 5 {
			before := acked.Load()
			r := w.drill(t)
			if !r.OK || r.Differences() != 0 || len(r.Kinds) != 2 || r.Copied < 2501 {
				t.Fatalf("drill under load: %+v", r)
			}
			if r.Kinds[0].Source != 2501 || r.Kinds[0].Target != 2501 || r.Kinds[0].SourceSum != r.Kinds[0].TargetSum {
				t.Errorf("accounts: %+v", r.Kinds[0])
			}
			if r.Kinds[1].Target < before {
				t.Errorf("%d transfers compared, %d were acknowledged before", r.Kinds[1].Target, before)
			}
			w.wantNoScratch(t)
		}
		stop()
		r, err := w.engine().Switch(t.Context(), "bank", needsWayBack)
		if err != nil {
			t.Fatalf("switch after a drill: %v\n%+v", err, r.Gate)
		}
	})
	t.Run("FindsWhatDoesNotComeBack", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, 1)
		var ids []cutover.ID
		for range 3 {
			ids = append(ids, must[account](t)(w.banks[0].open(t.Context(), "omid")).ID)
		}
		w.copyOver(t)
		w.spoil(func(_ func(cutover.Key) bool, r cutover.Record) error {
			if r.RecordMeta().ID == ids[1] {
				return errors.New("the old database would not have it")
			}
			return nil
		})
		r := w.drill(t)
		if r.OK || r.Differences() != 1 || r.Diffs[0].What != "missing" || r.Diffs[0].ID != ids[1].String() ||
			!strings.Contains(r.Diffs[0].Reason, "would not have it") {
			t.Fatalf("drill says %+v", r)
		}
		w.wantNoScratch(t)
		report, err := w.engine().Switch(t.Context(), "bank", needsWayBack)
		if err == nil || report.Done {
			t.Fatalf("switched after a drill that found something: %+v", report.Gate)
		}
		w.scratch = nil
		if r := w.drill(t); !r.OK {
			t.Fatalf("the next drill says %+v", r)
		}
	})
	t.Run("FindsACorruptedField", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, 1)
		must[account](t)(w.banks[0].open(t.Context(), "omid"))
		w.copyOver(t)
		w.spoil(func(_ func(cutover.Key) bool, r cutover.Record) error {
			r.(*account).Balance++ // as a store that does not keep what it is given
			return nil
		})
		if r := w.drill(t); r.OK || r.Kinds[0].Different != 1 || r.Diffs[0].Fields[0].Path != "balance" {
			t.Fatalf("drill says %+v", r)
		}
	})
	t.Run("DropsTheScratchDatabaseAlsoOnFailure", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, 1)
		must[account](t)(w.banks[0].open(t.Context(), "omid"))
		w.copyOver(t)
		ctx, cancel := context.WithCancel(t.Context())
		_, err := w.engine().Drill(ctx, "bank", cutover.DrillOptions{Progress: func(string, string, int64) {
			cancel()
			w.target.Before(func(op string) error { return ctx.Err() })
		}})
		if err == nil {
			t.Error("a drill without its target succeeded")
		}
		w.wantNoScratch(t)
	})
	t.Run("RefusesOutsideDual", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, 1)
		if _, err := w.engine().Drill(t.Context(), "bank", cutover.DrillOptions{}); err == nil || !strings.Contains(err.Error(), "phase source") {
			t.Errorf("in phase source: %v", err)
		}
		must[cutover.Report](t)(w.engine().Start(t.Context(), "bank", execute))
		if _, err := w.engine().Drill(t.Context(), "bank", cutover.DrillOptions{}); err == nil || !strings.Contains(err.Error(), "backfill") {
			t.Errorf("before the backfill: %v", err)
		}
		w.wantNoScratch(t)
	})
	t.Run("OfAnEarlierMoveDoesNotCount", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, 1)
		must[account](t)(w.banks[0].open(t.Context(), "omid"))
		w.copyOver(t)
		w.drill(t)
		must[cutover.Report](t)(w.engine().Abandon(t.Context(), "bank", execute))
		w.copyOver(t)
		if r, err := w.engine().Switch(t.Context(), "bank", needsWayBack); err == nil {
			t.Fatalf("switched on the drill of another move: %+v", r.Gate)
		}
	})
}
