package cutover_test

import (
	"strings"
	"testing"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/fault"
)

func (w *world) set(t *testing.T, s cutover.Settings) {
	t.Helper()
	if err := w.control.SetSettings(t.Context(), "bank", s); err != nil {
		t.Fatal(err)
	}
}

// doing gives what a worker last said it does.
func (w *world) doing(t *testing.T, role string) string {
	t.Helper()
	for _, a := range must[cutover.Status](t)(w.engine().Status(t.Context(), "bank")).Working {
		if a.Role == role {
			return a.Doing
		}
	}
	return ""
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("not within 10 s: %s", what)
}

func (w *world) notes(t *testing.T) int64 {
	t.Helper()
	n, _, err := w.source.Journal(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestAPausedCopierCopiesNothingAndHoldsTheSwitch(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.copyOver(t)
	w.set(t, cutover.Settings{CopyPaused: true})
	eventually(t, "the copier says that it is paused", func() bool { return strings.Contains(w.doing(t, "copier"), "paused") })
	a := must[account](t)(w.banks[0].open(t.Context(), "sara"))
	if w.notes(t) != 1 {
		t.Fatalf("want the write's note in the journal, got %d notes", w.notes(t))
	}
	if _, err := w.engine().Verify(t.Context(), "bank", cutover.VerifyOptions{}); !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "resume") {
		t.Errorf("want a verify that says how to go on, got %v", err)
	}
	r, err := w.engine().Switch(t.Context(), "bank", execute)
	if err == nil || r.Gate[2].OK || !strings.Contains(r.Gate[2].Evidence, "paused") {
		t.Errorf("want the gate to hold, got %v, %+v", err, r.Gate)
	}
	w.set(t, cutover.Settings{})
	eventually(t, "the note is worked off", func() bool { return w.notes(t) == 0 })
	w.verify(t)
	w.switchOver(t)
	must[account](t)(w.banks[0].get(t.Context(), a.ID))
}

func TestTheCopierKeepsItsRate(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.copyOver(t)
	w.set(t, cutover.Settings{CopyPaused: true})
	eventually(t, "the copier says that it is paused", func() bool { return strings.Contains(w.doing(t, "copier"), "paused") })
	const records, rate = 30, 20
	for range records {
		must[account](t)(w.banks[0].open(t.Context(), "sara"))
	}
	begin := time.Now()
	w.set(t, cutover.Settings{CopyRate: rate})
	eventually(t, "all are copied", func() bool { return w.notes(t) == 0 })
	// The first batch, of one second, goes at once.
	if took, least := time.Since(begin), time.Second; took < least {
		t.Errorf("copied %d records at %d a second within %s, want %s at least", records, rate, took, least)
	}
}

func TestABackfillGivesWayToABusyPrimaryAndSaysSo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	for range 3 * 2000 { // three chunks: the first is not held
		w.source.Seed("account", &account{Meta: cutover.Meta{ID: cutover.NewID()}})
	}
	must[cutover.Report](t)(w.engine().Start(t.Context(), "bank", execute))
	w.set(t, cutover.Settings{MaxLatencyMS: 1})
	w.source.Before(func(op string) error {
		if op == "get" {
			time.Sleep(5 * time.Millisecond)
		}
		return nil
	})
	done := make(chan error, 1)
	go func() {
		_, err := w.engine().Backfill(t.Context(), "bank", cutover.BackfillOptions{Workers: 1})
		done <- err
	}()
	eventually(t, "the backfill says why it waits", func() bool {
		return strings.HasPrefix(w.doing(t, "backfill"), "waits: mongo takes")
	})
	w.source.Before(nil)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	w.verify(t)
}

func TestAPausedBackfillSaysSoAndGoesOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	must[account](t)(w.banks[0].open(t.Context(), "sara"))
	must[cutover.Report](t)(w.engine().Start(t.Context(), "bank", execute))
	w.set(t, cutover.Settings{Paused: true})
	done := make(chan error, 1)
	go func() {
		_, err := w.engine().Backfill(t.Context(), "bank", cutover.BackfillOptions{})
		done <- err
	}()
	eventually(t, "the backfill says that it is paused", func() bool { return strings.Contains(w.doing(t, "backfill"), "paused") })
	select {
	case err := <-done:
		t.Fatalf("a paused backfill ended: %v", err)
	default:
	}
	w.set(t, cutover.Settings{})
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestShadowReadsBeginWhenTheBackfillIsComplete(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	old := &account{Meta: cutover.Meta{ID: cutover.NewID()}, Owner: "legacy"}
	w.source.Seed("account", old)
	w.set(t, cutover.Settings{ShadowPercent: 100, Paused: true})
	must[cutover.Report](t)(w.engine().Start(t.Context(), "bank", execute))
	for range 50 { // more than the pool drops
		must[account](t)(w.banks[0].get(t.Context(), old.ID))
		time.Sleep(time.Millisecond)
	}
	w.set(t, cutover.Settings{ShadowPercent: 100})
	must[[]cutover.KindProgress](t)(w.engine().Backfill(t.Context(), "bank", cutover.BackfillOptions{}))
	var counts []cutover.ShadowCount
	eventually(t, "a shadow read is counted", func() bool {
		must[account](t)(w.banks[0].get(t.Context(), old.ID))
		counts = must[[]cutover.ShadowCount](t)(w.control.Shadow(t.Context(), "bank", 0))
		return len(counts) > 0
	})
	if n := counts[0]; n.Diffs != 0 || n.Matched == 0 {
		t.Errorf("want matches alone, got %+v", n)
	}
}

func TestShadowReadsCountInTheEpochInWhichTheyRan(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	a := must[account](t)(w.banks[0].open(t.Context(), "sara"))
	w.set(t, cutover.Settings{ShadowPercent: 100})
	w.copyOver(t)
	eventually(t, "a shadow read is counted", func() bool {
		must[account](t)(w.banks[0].get(t.Context(), a.ID))
		return len(must[[]cutover.ShadowCount](t)(w.control.Shadow(t.Context(), "bank", 0))) > 0
	})
	must[account](t)(w.banks[0].get(t.Context(), a.ID)) // not flushed yet
	r := w.switchOver(t)
	time.Sleep(1100 * time.Millisecond) // one flush and more
	if counts := must[[]cutover.ShadowCount](t)(w.control.Shadow(t.Context(), "bank", r.Epoch)); len(counts) > 0 {
		t.Errorf("nobody has read since the switch, but there are counts: %+v", counts)
	}
}
