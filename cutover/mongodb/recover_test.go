package mongodb_test

import (
	"errors"
	"testing"
	"time"

	"github.com/amanat-dev/amanat/cutover"
)

// A process that serves the domain clears away what a dead one left, in phase
// mongo too, where nothing is copied, and though nobody touches the records.
func TestWhoeverServesClearsAwayWhatTheDeadLeft(t *testing.T) {
	t.Parallel()
	dying, bk := newBank(t)
	bk.db.SetPatience(time.Second, time.Second)
	s := newScene(t, bk)
	e := cutover.NewEngine(cutover.Options{})
	if _, err := cutover.NewDomain(e, cutover.Spec{Definition: bankDefinition, Source: bk.Side}); err != nil {
		t.Fatal(err)
	}
	if err := e.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	e.Run(t.Context())
	t.Cleanup(func() { _ = e.Close(t.Context()) })

	dying.crashAt(3)
	if err := s.run(t.Context(), dying); !errors.Is(err, errCrash) {
		t.Fatalf("Update gave %v, want the crash", err)
	}
	if locked, open := bk.leftovers(t); locked == 0 || open == 0 {
		t.Fatalf("the dead left %d locks and %d commits, want some", locked, open)
	}
	waitUntil(t, func() bool {
		locked, open := bk.leftovers(t)
		return locked == 0 && open == 0
	})
	s.want(t, bk, false)
}
