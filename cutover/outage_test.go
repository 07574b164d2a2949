package cutover_test

import (
	"context"
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

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// mute is a side that can fall silent: whoever asks it then waits until it speaks
// again, or his context ends.
type mute struct {
	cutover.Side
	silence atomic.Pointer[chan struct{}] // closed when it speaks again; nil while it does
}

func (m *mute) fallSilent() {
	c := make(chan struct{})
	m.silence.Store(&c)
}

func (m *mute) speak() {
	if c := m.silence.Swap(nil); c != nil {
		close(*c)
	}
}

func (m *mute) hang(ctx context.Context) error {
	silence := m.silence.Load()
	if silence == nil {
		return nil
	}
	select {
	case <-*silence:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (m *mute) Ping(ctx context.Context) error { return m.hang(ctx) }

func (m *mute) View(ctx context.Context, fn func(context.Context, cutover.Tx) error) error {
	if err := m.hang(ctx); err != nil {
		return err
	}
	return m.Side.View(ctx, fn)
}

func (m *mute) Update(ctx context.Context, g cutover.Guard, fn func(context.Context, cutover.Tx) error) error {
	return m.Side.Update(ctx, g, func(ctx context.Context, tx cutover.Tx) error {
		if err := m.hang(ctx); err != nil {
			return err
		}
		return fn(ctx, tx)
	})
}

func (m *mute) Apply(ctx context.Context, items []cutover.Item, o cutover.ApplyOptions) ([]error, error) {
	if err := m.hang(ctx); err != nil {
		return nil, err
	}
	return m.Side.Apply(ctx, items, o)
}

func (m *mute) Notes(ctx context.Context, limit int) ([]cutover.Note, error) {
	if err := m.hang(ctx); err != nil {
		return nil, err
	}
	return m.Side.Notes(ctx, limit)
}

// muteSource also keeps the state.
type muteSource struct {
	mute
	keeper cutover.StateMirror
}

func (m *muteSource) ReadState(ctx context.Context) (cutover.State, error) {
	if err := m.hang(ctx); err != nil {
		return cutover.State{}, err
	}
	return m.keeper.ReadState(ctx)
}

func (m *muteSource) WriteState(ctx context.Context, s cutover.State) error {
	if err := m.hang(ctx); err != nil {
		return err
	}
	return m.keeper.WriteState(ctx, s)
}

// muteWorld is a world of one process on databases that can fall silent.
type muteWorld struct {
	*world
	source *muteSource
	target *mute
}

func newMuteWorld(t *testing.T) *muteWorld {
	t.Helper()
	w := &muteWorld{world: newWorld(t, 0)}
	w.source = &muteSource{keeper: memdb.Source{DB: w.world.source}}
	w.source.Side = memdb.Source{DB: w.world.source}
	w.target = &mute{Side: w.world.target}
	b := w.open(t, "p0")
	b.engine.Run(t.Context())
	t.Cleanup(func() {
		w.source.speak()
		w.target.speak()
		if err := b.engine.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	w.banks = []*bank{b}
	return w
}

// open makes a process that does not run yet.
func (w *muteWorld) open(t *testing.T, id string) *bank {
	t.Helper()
	e := cutover.NewEngine(cutover.Options{
		Control: w.control, Process: cutover.Process{ID: id}, Logger: quiet,
		LeaseTTL: 500 * time.Millisecond, CopyEvery: 2 * time.Millisecond, MaxTime: 300 * time.Millisecond,
	})
	d := cutover.NewDomain(e, bankSpec(w.source, w.target))
	if err := e.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	return &bank{e, d}
}

// wantSoon fails when it takes do longer than limit.
func wantSoon(t *testing.T, limit time.Duration, do func()) {
	t.Helper()
	began := time.Now()
	do()
	if took := time.Since(began); took > limit {
		t.Errorf("took %s, want %s at most", took.Round(time.Millisecond), limit)
	}
}

// TestSilentPrimary: a primary that does not answer keeps neither a reader nor a
// writer for longer than MaxTime, and is served from again when it does.
func TestSilentPrimary(t *testing.T) {
	t.Parallel()
	w := newMuteWorld(t)
	b := w.banks[0]
	a := must[account](t)(b.open(t.Context(), "nika"))
	w.source.fallSilent()
	wantSoon(t, 2*time.Second, func() {
		if _, err := b.get(t.Context(), a.ID); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "in time") {
			t.Errorf("a View gave %v, want unavailable", err)
		}
		if _, err := b.open(t.Context(), "omid"); !fault.Is(err, fault.Unavailable) {
			t.Errorf("an Update gave %v, want unavailable", err)
		}
	})
	w.source.speak()
	must[account](t)(b.get(t.Context(), a.ID))
	must[account](t)(b.open(t.Context(), "omid"))
}

// TestSilentPrimaryHoldsNoStep: an Update that hangs ends in time for a step that
// waits for its acknowledgement.
func TestSilentPrimaryHoldsNoStep(t *testing.T) {
	t.Parallel()
	w := newMuteWorld(t)
	began := make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		_, err := cutover.Update(t.Context(), w.banks[0].domain, func(ctx context.Context, _ cutover.Tx) (int, error) {
			close(began)
			<-ctx.Done()
			return 0, ctx.Err()
		})
		ended <- err
	}()
	<-began
	wantSoon(t, 5*time.Second, func() { must[cutover.Report](t)(w.engine().Start(t.Context(), "bank", execute)) })
	if err := <-ended; !fault.Is(err, fault.Unavailable) {
		t.Errorf("the Update that hung gave %v, want unavailable", err)
	}
}

// TestCallersOwnDeadlineIsNoOutage: MaxTime makes faults of what ran out of it,
// not of what the caller himself gave up.
func TestCallersOwnDeadlineIsNoOutage(t *testing.T) {
	t.Parallel()
	w := newMuteWorld(t)
	w.source.fallSilent()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := w.banks[0].get(ctx, cutover.NewID()); err == nil || strings.Contains(err.Error(), "the database did not answer") {
		t.Errorf("a View whose caller gave up: %v, want his own deadline", err)
	}
}

// TestSecondaryAway: users notice nothing of a secondary that is silent, the
// journal grows, and is worked off when it is back.
func TestSecondaryAway(t *testing.T) {
	t.Parallel()
	for _, phase := range []cutover.Phase{cutover.PhaseDual, cutover.PhaseMirror} {
		t.Run(string(phase), func(t *testing.T) {
			t.Parallel()
			w := newMuteWorld(t)
			a := must[account](t)(w.banks[0].open(t.Context(), "nika"))
			w.copyOver(t)
			secondary := w.target
			if phase == cutover.PhaseMirror {
				w.switchOver(t)
				secondary = &w.source.mute
			}
			secondary.fallSilent()
			wantSoon(t, 2*time.Second, func() {
				for range 5 {
					must[int](t)(w.banks[0].deposit(t.Context(), a.ID, 1))
					must[account](t)(w.banks[0].get(t.Context(), a.ID))
				}
			})
			if s := must[cutover.Status](t)(w.engine().Status(t.Context(), "bank")); s.Notes != 6 {
				t.Errorf("%d notes, want those of an account and five transfers", s.Notes)
			}
			secondary.speak()
			w.awaitDrained(t)
			w.verify(t)
		})
	}
}

func (w *world) awaitDrained(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		s := must[cutover.Status](t)(w.engine().Status(t.Context(), "bank"))
		if s.Notes == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d notes are left", s.Notes)
		}
	}
}

// TestOpenWhileTheSecondaryIsAway: what a process needs at its start it asks the
// control plane and the primary.
func TestOpenWhileTheSecondaryIsAway(t *testing.T) {
	t.Parallel()
	w := newMuteWorld(t)
	a := must[account](t)(w.banks[0].open(t.Context(), "nika"))
	w.copyOver(t)
	w.switchOver(t)
	w.source.fallSilent()
	wantSoon(t, 2*time.Second, func() {
		b := w.open(t, "p1")
		must[int](t)(b.deposit(t.Context(), a.ID, 1))
	})
}

// TestOpenWhileThePrimaryIsAway: the control plane says where the domain stands;
// what it asks of the primary is answered with unavailable until that is back.
func TestOpenWhileThePrimaryIsAway(t *testing.T) {
	t.Parallel()
	w := newMuteWorld(t)
	a := must[account](t)(w.banks[0].open(t.Context(), "nika"))
	w.source.fallSilent()
	b := w.open(t, "p1")
	if _, err := b.get(t.Context(), a.ID); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a View gave %v, want unavailable", err)
	}
	w.source.speak()
	must[account](t)(b.get(t.Context(), a.ID))
}

// TestOpenAsksOnce: a control plane that is away is waited for once, not once for
// each domain. Without it only what the source keeps opens a domain; the others stay
// shut until it is back.
func TestOpenAsksOnce(t *testing.T) {
	t.Parallel()
	control := memdb.NewControl()
	sources := map[string]memdb.Source{}
	for _, name := range []string{"one", "two", "three"} {
		sources[name] = memdb.Source{DB: memdb.New("mongo", bankKinds)}
	}
	domains := map[string]*bank{}
	open := func() error {
		e := cutover.NewEngine(cutover.Options{Control: control, Process: cutover.Process{ID: "p"}, Logger: quiet})
		for name, source := range sources {
			spec := bankSpec(source, memdb.New("postgres", bankKinds))
			spec.Name = name
			domains[name] = &bank{e, cutover.NewDomain(e, spec)}
		}
		return e.Open(t.Context())
	}
	if err := open(); err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int64
	control.Before(func(string) error {
		asked.Add(1)
		return fault.New(fault.Unavailable, "away")
	})
	if err := open(); err != nil {
		t.Fatal(err)
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("a control plane that is away was asked %d times, want once", n)
	}
	moved := cutover.State{Domain: "two", Phase: cutover.PhaseMirror, Epoch: 5}
	if err := sources["two"].WriteState(t.Context(), moved); err != nil {
		t.Fatal(err)
	}
	if err := open(); err != nil {
		t.Fatal(err)
	}
	must[account](t)(domains["one"].open(t.Context(), "nika"))
	wantSoon(t, time.Second, func() {
		if _, err := domains["two"].open(t.Context(), "nika"); !fault.Is(err, fault.Unavailable) {
			t.Errorf("a write to a domain whose primary may be a database that is away: %v", err)
		}
		if _, err := domains["two"].get(t.Context(), cutover.NewID()); !fault.Is(err, fault.Unavailable) {
			t.Errorf("a read of a domain whose primary may be a database that is away: %v", err)
		}
	})
	control.Before(nil)
	domains["two"].engine.Run(t.Context())
	defer domains["two"].engine.Close(context.Background())
	must[account](t)(domains["two"].open(t.Context(), "nika"))
}

// TestOpenRefusesInDoubt: a process that could serve nothing does not start, nor
// one with a domain that was never registered, which nothing would open later.
func TestOpenRefusesInDoubt(t *testing.T) {
	t.Parallel()
	for name, kept := range map[string]cutover.State{
		"moved":        {Domain: "bank", Phase: cutover.PhaseMirror, Epoch: 5},
		"about to":     {Domain: "bank", Phase: cutover.PhaseDual, Epoch: 5, Sealed: true},
		"never served": {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			control := memdb.NewControl()
			control.Before(func(string) error { return fault.New(fault.Unavailable, "away") })
			source := memdb.Source{DB: memdb.New("mongo", bankKinds)}
			if err := source.WriteState(t.Context(), kept); err != nil {
				t.Fatal(err)
			}
			e := cutover.NewEngine(cutover.Options{Control: control, Process: cutover.Process{ID: "p"}, Logger: quiet})
			cutover.NewDomain(e, bankSpec(source, memdb.New("postgres", bankKinds)))
			if err := e.Open(t.Context()); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "in doubt") {
				t.Errorf("want it to refuse in doubt, got %v", err)
			}
		})
	}
}

// TestFinishGate: a finish asks for the last copy, and can be had without it for
// a reason that goes on record.
func TestFinishGate(t *testing.T) {
	t.Parallel()
	w := newMuteWorld(t)
	a := must[account](t)(w.banks[0].open(t.Context(), "nika"))
	w.copyOver(t)
	w.switchOver(t)
	ask := execute
	ask.Execute = false
	if r := must[cutover.Report](t)(w.engine().Finish(t.Context(), "bank", ask)); r.Done || len(r.Gate) != 1 || !r.Gate.Passed() {
		t.Fatalf("want a gate of one line that is open, got %+v", r)
	}
	w.source.fallSilent()
	must[int](t)(w.banks[0].deposit(t.Context(), a.ID, 1))
	r, err := w.engine().Finish(t.Context(), "bank", execute)
	if !fault.Is(err, fault.Conflict) || r.Done || !strings.Contains(r.Gate[0].Evidence, "mongo does not answer") {
		t.Fatalf("finished without the last copy: %v, %+v", err, r)
	}
	o := execute
	o.Waive = map[string]string{cutover.GateLastCopy: "its disk is lost"}
	wantSoon(t, 15*time.Second, func() { r = must[cutover.Report](t)(w.engine().Finish(t.Context(), "bank", o)) })
	if !r.Done || r.Gate[0].Waived != "its disk is lost" {
		t.Fatalf("want it done, with the reason on record, got %+v", r)
	}
	must[int](t)(w.banks[0].deposit(t.Context(), a.ID, 1))
}

// TestFinishGateHeldByGap: a record that could not be copied back is missing in
// the last copy.
func TestFinishGateHeldByGap(t *testing.T) {
	t.Parallel()
	w := newMuteWorld(t)
	w.copyOver(t)
	w.switchOver(t)
	gap := cutover.Gap{Domain: "bank", Kind: "account", ID: cutover.NewID().String(), Reason: "does not fit", Attempts: 1}
	if err := w.control.RecordGaps(t.Context(), []cutover.Gap{gap}); err != nil {
		t.Fatal(err)
	}
	r, err := w.engine().Finish(t.Context(), "bank", execute)
	if !fault.Is(err, fault.Conflict) || !strings.Contains(r.Gate[0].Evidence, "1 gaps are open") {
		t.Fatalf("finished over a gap: %v, %+v", err, r)
	}
}

// TestRollbackOntoSilence: a rollback to a database that has fallen silent does
// not happen, and writes go on at once.
func TestRollbackOntoSilence(t *testing.T) {
	t.Parallel()
	w := newMuteWorld(t)
	a := must[account](t)(w.banks[0].open(t.Context(), "nika"))
	w.copyOver(t)
	w.switchOver(t)
	w.verify(t)
	var seals atomic.Int64
	w.control.Before(func(op string) error {
		if op == "advance" && seals.Add(1) == 2 { // after the rehearsal's
			w.source.fallSilent()
		}
		return nil
	})
	o := execute
	o.Budget = 500 * time.Millisecond
	wantSoon(t, 8*time.Second, func() {
		if r, err := w.engine().Rollback(t.Context(), "bank", o); err == nil || r.Done {
			t.Errorf("rolled back onto a silent database: %+v", r)
		}
	})
	if s := w.recorded(t); s.Phase != cutover.PhaseMirror || s.Sealed {
		t.Fatalf("the state is %+v, want mirror and open", s)
	}
	awaitState(t, w.world, cutover.PhaseMirror)
	must[int](t)(w.banks[0].deposit(t.Context(), a.ID, 1))
}
