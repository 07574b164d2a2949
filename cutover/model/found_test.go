package model

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/cutover/memdb"
)

// What the model has turned up, each as the shortest history that shows it.

// stage is one process on bare databases.
type stage struct {
	source, target *memdb.DB
	control        *memdb.Control
	engine         *cutover.Engine
	domain         *cutover.Domain
}

func newStage(t *testing.T) *stage {
	s := &stage{source: memdb.New("mongo", kinds), target: memdb.New("postgres", kinds), control: memdb.NewControl()}
	s.target.Control = s.control
	s.engine = cutover.NewEngine(cutover.Options{
		Control: s.control, Process: cutover.Process{ID: "p"}, LeaseTTL: time.Second, Logger: slog.New(slog.DiscardHandler),
	})
	s.domain = domainOn(s.engine, cutover.Spec{
		Definition: cutover.Definition{Name: domainName, Kinds: kinds}, Source: memdb.Source{DB: s.source}, Target: s.target,
	})
	if err := s.engine.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.engine.Run(t.Context())
	return s
}

// move records states one after the other, as a coordinator elsewhere would.
func (s *stage) move(t *testing.T, phases ...cutover.Phase) {
	for _, phase := range phases {
		all, err := s.control.States(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		from := all[domainName]
		to := cutover.State{Domain: domainName, Phase: phase, Epoch: from.Epoch + 1}
		if err := s.control.Advance(t.Context(), from, to, cutover.Change{}); err != nil {
			t.Fatal(err)
		}
		if err := (memdb.Source{DB: s.source}).WriteState(t.Context(), to); err != nil {
			t.Fatal(err)
		}
	}
}

func (s *stage) write(ctx context.Context) error {
	_, err := cutover.Update(ctx, s.domain, func(ctx context.Context, tx cutover.Tx) (int, error) {
		return 0, tx.Put(ctx, &entry{Meta: cutover.Meta{ID: keyOf(1).ID}, Log: "x;"})
	})
	return err
}

// once has do called by the first operation of that name.
func once(op string, do func()) func(string) error {
	over := false
	return func(got string) error {
		if got == op && !over {
			over = true
			do()
		}
		return nil
	}
}

// TestALeaseThatWasLostDoesNotCountWhenItIsBack: a process was cut off, its
// lease ran out and the domain moved; a write that had been on its way to the
// old primary all the while came back when there was a lease again.
func TestALeaseThatWasLostDoesNotCountWhenItIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.source.Before(once("commit", func() {
			s.control.Before(func(string) error { return fault.New(fault.Unavailable, "cut off") })
			time.Sleep(3 * time.Second)
			s.control.Before(nil)
			s.move(t, cutover.PhaseDual, cutover.PhaseMirror)
			time.Sleep(2 * time.Second)
		}))
		if err := s.write(t.Context()); !fault.Is(err, fault.Unavailable) {
			t.Errorf("a write that landed in a former primary: %v, want the outcome unknown", err)
		}
		if err := s.engine.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// TestACopierThatSleptBringsNothing: what it read may be stray writes, which
// neither may get into what is the primary by now nor lose their notes.
func TestACopierThatSleptBringsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.move(t, cutover.PhaseDual)
		time.Sleep(2 * time.Second)
		s.target.Before(once("apply", func() { s.move(t, cutover.PhaseMirror) }))
		if err := s.write(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		if n, _, err := s.source.Journal(t.Context()); n != 1 || err != nil {
			t.Errorf("%d notes are left in a former primary, %v; want the one that was not worked off before the flip", n, err)
		}
		if n, _ := s.target.Count(t.Context(), kind); n != 0 {
			t.Error("a copy came into what was the primary by then")
		}
		if err := s.engine.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}
