package cutover_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/cutover/memdb"
)

func (w *world) recorded(t *testing.T) cutover.State {
	t.Helper()
	return must[map[string]cutover.State](t)(w.control.States(t.Context()))["bank"]
}

// TestLease: a process that slept through a whole switch and renews its lease
// before it has heard of it must not answer a write to the old primary.
func TestLease(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	must[account](t)(w.banks[0].open(t.Context(), "before"))
	was := w.recorded(t)
	var beats atomic.Bool
	w.control.Before(func(op string) error {
		if op == "states" || op == "beat" && !beats.Load() {
			return fault.New(fault.Unavailable, "cut off")
		}
		return nil
	})
	time.Sleep(600 * time.Millisecond) // its lease runs out
	moved := cutover.State{Domain: "bank", Phase: cutover.PhaseMirror, Epoch: was.Epoch + 1}
	if err := w.control.Advance(t.Context(), was, moved, cutover.Change{}); err != nil {
		t.Fatal(err)
	}
	if err := (memdb.Source{DB: w.source}).WriteState(t.Context(), moved); err != nil {
		t.Fatal(err)
	}
	beats.Store(true)
	time.Sleep(300 * time.Millisecond) // it is alive again, and has not read the states
	if _, err := w.banks[0].open(t.Context(), "lost"); !fault.Is(err, fault.Unavailable) {
		t.Fatalf("a write to what is no longer the primary: %v, want the outcome unknown", err)
	}
}

// slowBeats renews leases on a network that delivers late, also what its sender
// has given up.
type slowBeats struct{ *memdb.Control }

func (c slowBeats) Beat(ctx context.Context, p cutover.Process, ttl time.Duration) error {
	landed := make(chan error, 1)
	time.AfterFunc(100*time.Millisecond, func() { landed <- c.Control.Beat(context.WithoutCancel(ctx), p, ttl) })
	select {
	case err := <-landed:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TestCloseLeavesNothingBehind: a process that stops while it renews its lease is
// not on record afterwards, where it would pass for lost and hold a switch.
func TestCloseLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0)
	control := slowBeats{w.control}
	b := w.newBank(t, "p", func(o *cutover.Options) { o.Control = control })
	b.engine.Run(t.Context())
	if err := b.engine.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	time.Sleep(300 * time.Millisecond) // for what is still on its way
	if ps := must[[]cutover.Process](t)(control.Processes(t.Context())); len(ps) != 0 {
		t.Errorf("on record after it has left: %+v", ps)
	}
}

// TestPanic: a closure that panics is not in flight for ever.
func TestPanic(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	func() {
		defer func() { _ = recover() }()
		_, _ = cutover.Update(t.Context(), w.banks[0].domain, func(context.Context, cutover.Tx) (int, error) { panic("oops") })
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	must[cutover.Report](t)(w.engine().Start(ctx, "bank", execute))
}

// TestFlipWithoutAnswer: a flip whose answer was lost is opened only when every
// process knows it, or is gone.
func TestFlipWithoutAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.copyOver(t)
	var advances atomic.Int64
	var flipped time.Time
	w.control.Before(func(op string) error {
		if op != "advance" || advances.Add(1) != 3 { // of the rehearsal, the seal, the flip
			return nil
		}
		w.control.Before(nil)
		s := w.recorded(t)
		// One that has heard of the seal, and nothing since.
		slow := cutover.Process{ID: "slow", Acks: map[string]int64{"bank": s.Epoch}}
		if err := w.control.Beat(t.Context(), slow, 500*time.Millisecond); err != nil {
			t.Error(err)
		}
		flipped = time.Now()
		to := cutover.State{Domain: "bank", Phase: cutover.PhaseMirror, Epoch: s.Epoch + 1, Sealed: true}
		if err := w.control.Advance(t.Context(), s, to, cutover.Change{Action: "switch"}); err != nil {
			t.Error(err)
		}
		return fault.New(fault.Unavailable, "the answer got lost")
	})
	r := w.switchOver(t)
	if s := w.recorded(t); !r.Done || s.Phase != cutover.PhaseMirror || s.Sealed {
		t.Fatalf("the state is %+v after %+v", s, r)
	}
	if took := time.Since(flipped); took < 400*time.Millisecond {
		t.Fatalf("opened %s after the flip, while a process was still reading the old primary", took)
	}
}

// deaf makes every change of a state and loses the answer.
type deaf struct{ *memdb.Control }

func (d deaf) Advance(ctx context.Context, from, to cutover.State, why cutover.Change) error {
	if err := d.Control.Advance(ctx, from, to, why); err != nil {
		return err
	}
	return fault.New(fault.Unavailable, "the answer got lost")
}

// TestStepsWithoutAnswer: a step whose changes were made, but not answered, is
// done, and done once.
func TestStepsWithoutAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	e := w.newBank(t, "operator", func(o *cutover.Options) { o.Control = deaf{w.control} }).engine
	for _, step := range []struct {
		action string
		do     func(context.Context, string, cutover.StepOptions) (cutover.Report, error)
	}{{"start", e.Start}, {"abandon", e.Abandon}, {"start", e.Start}, {"switch", e.Switch}, {"rollback", e.Rollback}, {"switch", e.Switch}, {"finish", e.Finish}} {
		r, err := step.do(t.Context(), "bank", execute)
		if err != nil || !r.Done || r.Problem != "" {
			t.Fatalf("%s: %v, %+v", step.action, err, r)
		}
		if step.action == "start" {
			must[[]cutover.KindProgress](t)(e.Backfill(t.Context(), "bank", cutover.BackfillOptions{}))
		}
		if w.recorded(t).Phase.Copies() {
			w.verify(t)
		}
	}
	var made []string
	for _, h := range must[[]cutover.HistoryLine](t)(w.control.History(t.Context(), "bank", 100)) {
		if h.From.Phase != h.To.Phase || h.Action == "unseal" {
			made = append(made, h.Action)
		}
	}
	if got, want := fmt.Sprint(made), "[finish switch rollback switch start abandon start]"; got != want {
		t.Fatalf("made was %s, want %s", got, want)
	}
}

// TestSealOfAnother: a handover that is refused its seal, because somebody else
// leads the domain now and has sealed it, leaves that seal alone.
func TestSealOfAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.copyOver(t)
	var advances atomic.Int64
	w.control.Before(func(op string) error {
		if op != "advance" || advances.Add(1) != 2 { // of the rehearsal, the seal
			return nil
		}
		w.control.Before(nil)
		s := w.recorded(t)
		to := cutover.State{Domain: "bank", Phase: s.Phase, Epoch: s.Epoch + 1, Sealed: true}
		return w.control.Advance(t.Context(), s, to, cutover.Change{Who: "another", Action: "seal"})
	})
	if r, err := w.engine().Switch(t.Context(), "bank", execute); !fault.Is(err, fault.Conflict) || r.Done {
		t.Fatalf("switch: %v, %+v, want a conflict", err, r)
	}
	for _, h := range must[[]cutover.HistoryLine](t)(w.control.History(t.Context(), "bank", 100)) {
		if h.Action == "unseal" && h.Who == execute.Who {
			t.Fatalf("it opened what another had sealed: %+v", h)
		}
	}
}

// TestWaivedGap: the note of a waived gap stays in the journal and on record,
// and does not hold a switch.
func TestWaivedGap(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.copyOver(t)
	orphan := transfer{Account: cutover.NewID(), Amount: 3}
	orphan.ID = cutover.NewID()
	must[int](t)(cutover.Update(t.Context(), w.banks[0].domain, func(ctx context.Context, tx cutover.Tx) (int, error) {
		x := orphan
		return 0, tx.Put(ctx, &x)
	}))
	for len(must[[]cutover.Gap](t)(w.engine().Gaps(t.Context(), "bank", true, 10))) == 0 {
		time.Sleep(5 * time.Millisecond)
	}
	if _, err := w.engine().Switch(t.Context(), "bank", execute); err == nil {
		t.Fatal("switched over an open gap")
	}
	if n := must[int64](t)(w.control.WaiveGap(t.Context(), "bank", "transfer", orphan.ID.String(), "test", "of no account")); n != 1 {
		t.Fatalf("%d gaps waived", n)
	}
	w.verify(t)
	w.switchOver(t)
	gaps := must[[]cutover.Gap](t)(w.engine().Gaps(t.Context(), "bank", false, 10))
	if len(gaps) != 1 || gaps[0].WaivedWhy != "of no account" || !gaps[0].Resolved.IsZero() {
		t.Fatalf("gaps are %+v, want the waived one on record", gaps)
	}
}

// TestRepairUnderLoad: a record that is written between a repair's reading and
// its writing ends up as the primary has it.
func TestRepairUnderLoad(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	a := must[account](t)(w.banks[0].open(t.Context(), "nika"))
	w.copyOver(t)
	key := cutover.Key{Kind: "account", ID: a.ID}
	w.target.Seed("account", &account{Meta: cutover.Meta{ID: a.ID, Rev: a.Rev}, Owner: "someone", PIN: "1234"})
	var once atomic.Bool
	w.target.Before(func(op string) error {
		if op != "apply" || once.Swap(true) {
			return nil
		}
		must[int](t)(w.banks[0].deposit(t.Context(), a.ID, 7))
		for must[[]cutover.Item](t)(w.target.Get(t.Context(), []cutover.Key{key}))[0].Rev == a.Rev {
			time.Sleep(time.Millisecond)
		}
		return nil
	})
	r := must[cutover.VerifyResult](t)(w.engine().Verify(t.Context(), "bank", cutover.VerifyOptions{Repair: true}))
	if !r.OK {
		t.Fatalf("the repair put an older record over a live copy: %+v", r)
	}
}

// TestRepairAfterFlip: a repair that was begun before a flip must not write the
// old primary's records over the new one's.
func TestRepairAfterFlip(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	a := must[account](t)(w.banks[0].open(t.Context(), "nika"))
	w.copyOver(t)
	w.target.Seed("account", &account{Meta: cutover.Meta{ID: a.ID, Rev: a.Rev}, Owner: "someone", PIN: "1234"})
	var leads atomic.Bool
	w.control.Before(func(op string) error {
		if op != "lead" || leads.Swap(true) {
			return nil
		}
		s := w.recorded(t)
		to := s
		to.Phase, to.Epoch = cutover.PhaseMirror, s.Epoch+1
		return w.control.Advance(t.Context(), s, to, cutover.Change{})
	})
	_, err := w.engine().Verify(t.Context(), "bank", cutover.VerifyOptions{Repair: true})
	if err == nil || !strings.Contains(err.Error(), "has moved") {
		t.Fatalf("a repair across a flip: %v", err)
	}
}

// TestVerifyHotRecord: a record that is written all the time while copies are
// slow is no difference.
func TestVerifyHotRecord(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	a := must[account](t)(w.banks[0].open(t.Context(), "zahra"))
	w.copyOver(t)
	w.target.Before(func(op string) error {
		if op == "apply" {
			time.Sleep(25 * time.Millisecond)
		}
		return nil
	})
	stop, _ := traffic(t, w, a.ID)
	defer stop()
	time.Sleep(50 * time.Millisecond)
	if r := w.verify(t); r.Kinds[0].Moving != 1 {
		t.Logf("the account was caught standing still: %+v", r.Kinds[0])
	}
}

// TestStrayWrite: a write that reached a database after it was no longer the
// primary is counted, holds a rollback, and is never copied.
func TestStrayWrite(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	a := must[account](t)(w.banks[0].open(t.Context(), "nika"))
	w.copyOver(t)
	w.switchOver(t)
	w.verify(t)
	stale := cutover.Guard{Domain: "bank", Epoch: 2, Journal: true}
	err := w.source.Update(t.Context(), stale, func(ctx context.Context, tx cutover.Tx) error {
		a.Owner = "a stray"
		return tx.Put(ctx, &a)
	})
	if err != nil {
		t.Fatal(err)
	}
	if s := must[cutover.Status](t)(w.engine().Status(t.Context(), "bank")); s.Strays != 1 {
		t.Fatalf("status tells of %d strays", s.Strays)
	}
	if _, err := w.engine().Rollback(t.Context(), "bank", execute); err == nil {
		t.Fatal("rolled back over a stray write")
	}
	r := must[cutover.VerifyResult](t)(w.engine().Verify(t.Context(), "bank", cutover.VerifyOptions{Repair: true}))
	if !r.OK {
		t.Fatalf("not repaired: %+v", r)
	}
	must[cutover.Report](t)(w.engine().Rollback(t.Context(), "bank", execute))
	awaitState(t, w, cutover.PhaseDual)
	if got := must[account](t)(w.banks[0].get(t.Context(), a.ID)); got.Owner != "nika" {
		t.Fatalf("the owner is %q", got.Owner)
	}
}

// TestStrayWriteIsNoGapBesides: a stray write is ahead of the copy of a record
// that the primary has deleted since. Its own note tells of it, so the primary's
// goes.
func TestStrayWriteIsNoGapBesides(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	a := must[account](t)(w.banks[0].open(t.Context(), "nika"))
	w.copyOver(t)
	w.switchOver(t)
	stray := a
	stale := cutover.Guard{Domain: "bank", Epoch: 2, Journal: true}
	err := w.source.Update(t.Context(), stale, func(ctx context.Context, tx cutover.Tx) error { return tx.Put(ctx, &stray) })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.banks[0].shut(t.Context(), a.ID); err != nil {
		t.Fatal(err)
	}
	var s cutover.Status
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if s = must[cutover.Status](t)(w.engine().Status(t.Context(), "bank")); s.Notes == 0 {
			break
		}
	}
	if s.Notes != 0 || s.OpenGaps != 0 || s.Strays != 1 {
		t.Errorf("%d notes left, %d gaps, %d strays; want the stray write alone", s.Notes, s.OpenGaps, s.Strays)
	}
}

// TestForeignWriteThatRunsAhead: a write to the secondary that left no note is
// noticed by the copier as soon as the record is written to the primary, is
// shown in both versions, holds the switch, and is over once it is repaired.
func TestForeignWriteThatRunsAhead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	a := must[account](t)(w.banks[0].open(t.Context(), "nika"))
	w.copyOver(t)
	w.verify(t)
	foreign := a
	foreign.Owner, foreign.Rev = "somebody", a.Rev+5
	w.target.Copy([]cutover.Item{{Key: cutover.Key{Kind: "account", ID: a.ID}, Rev: foreign.Rev, Record: &foreign}}, cutover.ApplyOptions{})
	if strays := must[[]cutover.Stray](t)(w.engine().Strays(t.Context(), "bank")); len(strays) != 0 {
		t.Fatalf("noticed before anything could: %+v", strays)
	}
	must[int](t)(w.banks[0].deposit(t.Context(), a.ID, 1))
	var strays []cutover.Stray
	for deadline := time.Now().Add(10 * time.Second); len(strays) == 0 && time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		strays = must[[]cutover.Stray](t)(w.engine().Strays(t.Context(), "bank"))
	}
	if len(strays) != 1 || strays[0].Notice != "copier" || !strings.Contains(fmt.Sprint(strays[0].Fields), `{owner "nika" "somebody"}`) {
		t.Fatalf("want the foreign write in both versions, got %+v", strays)
	}
	if _, err := w.engine().Switch(t.Context(), "bank", execute); err == nil {
		t.Fatal("switched over a foreign write")
	}
	r := must[cutover.VerifyResult](t)(w.engine().Verify(t.Context(), "bank", cutover.VerifyOptions{Repair: true}))
	if !r.OK {
		t.Fatalf("not repaired: %+v", r)
	}
	if strays := must[[]cutover.Stray](t)(w.engine().Strays(t.Context(), "bank")); len(strays) != 0 {
		t.Fatalf("still there: %+v", strays)
	}
	if in, left, err := w.engine().RetryGaps(t.Context(), "bank"); err != nil || in > 1 || left != 0 {
		t.Fatalf("%d gaps resolved, %d left (%v)", in, left, err)
	}
}

// TestProcessWithoutControlPlane: one that was not told of the target database
// must not go on writing, without notes, once others move the domain.
func TestProcessWithoutControlPlane(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	e := cutover.NewEngine(cutover.Options{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	lone := &bank{e, cutover.NewDomain(e, bankSpec(memdb.Source{DB: w.source}, nil))}
	if err := e.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	must[account](t)(lone.open(t.Context(), "before"))
	must[cutover.Report](t)(w.engine().Start(t.Context(), "bank", execute))
	if _, err := lone.open(t.Context(), "after"); !fault.Is(err, fault.Unavailable) {
		t.Fatalf("a write without a note, while the domain is copied: %v, want unavailable", err)
	}
}
