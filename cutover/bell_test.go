package cutover_test

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/cutover/memdb"
)

type gong struct{ cutover.Meta }

type drum struct{ cutover.Meta }

var bandKinds = cutover.Kinds{
	{Name: "gong", Type: reflect.TypeFor[gong](), Table: "gongs", Collection: "gongs"},
	{Name: "drum", Type: reflect.TypeFor[drum](), Table: "drums", Collection: "drums"},
}

func TestABellRingsForWhatWasPut(t *testing.T) {
	t.Parallel()
	d := cutover.Solo(cutover.Spec{Source: memdb.New("memory", bandKinds), Definition: cutover.Definition{Name: "band", Kinds: bandKinds}})
	bell := d.Bell("gong")
	rings := func(want bool, failure error, records ...cutover.Record) {
		t.Helper()
		_, err := cutover.Update(t.Context(), d, func(ctx context.Context, tx cutover.Tx) (struct{}, error) {
			for _, r := range records {
				if err := tx.Put(ctx, r); err != nil {
					return struct{}{}, err
				}
			}
			return struct{}{}, failure
		})
		if !errors.Is(err, failure) {
			t.Fatal(err)
		}
		got := false
		select {
		case <-bell:
			got = true
		default:
		}
		if got != want {
			t.Errorf("after putting %d records and %v it rang: %v", len(records), failure, got)
		}
	}
	rings(true, nil, &gong{}, &gong{}, &drum{})
	rings(false, nil)
	rings(false, nil, &drum{})
	rings(false, errors.New("not committed"), &gong{})
}

// band is a process with a domain of gongs and drums on databases that are shared.
func band(t *testing.T, id string, control cutover.Control, source, target cutover.Side, tune ...func(*cutover.Options)) (*cutover.Engine, *cutover.Domain) {
	t.Helper()
	o := cutover.Options{Control: control, Process: cutover.Process{ID: id}, Logger: quiet, LeaseTTL: 500 * time.Millisecond, LookEvery: time.Hour}
	for _, f := range tune {
		f(&o)
	}
	e := cutover.NewEngine(o)
	d := cutover.NewDomain(e, cutover.Spec{Definition: cutover.Definition{Name: "band", Kinds: bandKinds}, Source: source, Target: target})
	if err := e.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	return e, d
}

func running(t *testing.T, e *cutover.Engine) {
	t.Helper()
	e.Run(t.Context())
	t.Cleanup(func() {
		if err := e.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

func strike(t *testing.T, d *cutover.Domain) {
	t.Helper()
	_, err := cutover.Update(t.Context(), d, func(ctx context.Context, tx cutover.Tx) (struct{}, error) {
		return struct{}{}, tx.Put(ctx, &gong{})
	})
	if err != nil {
		t.Fatal(err)
	}
}

// soon waits for what comes about by itself.
func soon(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not after a minute: %s", what)
		}
	}
}

// two are processes of which the first leads.
func two(t *testing.T, tune ...func(*cutover.Options)) (control *memdb.Control, source *memdb.DB, leader, other *cutover.Domain) {
	t.Helper()
	control, source = memdb.NewControl(), memdb.New("mongo", bandKinds)
	target := memdb.New("postgres", bandKinds)
	target.Control = control
	first, leader := band(t, "first", control, memdb.Source{DB: source}, target, tune...)
	running(t, first)
	soon(t, "the first leads", first.Leads)
	second, other := band(t, "second", control, memdb.Source{DB: source}, target, tune...)
	running(t, second)
	soon(t, "the second knows that it does not lead", func() bool { return !second.Leads() })
	return control, source, leader, other
}

func TestOneOfTwoProcessesLeadsAndTheOtherFollowsOn(t *testing.T) {
	t.Parallel()
	control, source := memdb.NewControl(), memdb.Source{DB: memdb.New("mongo", bandKinds)}
	first, _ := band(t, "first", control, source, nil)
	second, _ := band(t, "second", control, source, nil)
	if first.Leads() {
		t.Error("it leads before it runs")
	}
	first.Run(t.Context())
	soon(t, "the first leads", first.Leads)
	running(t, second)
	time.Sleep(10 * time.Millisecond)
	if second.Leads() {
		t.Error("both lead")
	}
	if err := first.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	soon(t, "the second leads", second.Leads)
}

func TestEveryProcessLeadsWhereNobodyCanTellWhoDoes(t *testing.T) {
	t.Parallel()
	if alone := cutover.NewEngine(cutover.Options{}); !alone.Leads() {
		t.Error("without a control plane it does not lead")
	}
	control, _, _, other := two(t)
	bell := other.Bell("gong")
	control.Before(func(string) error { return fault.New(fault.Unavailable, "away") })
	select {
	case <-bell: // so that what was put meanwhile is looked for
	case <-time.After(time.Minute):
		t.Error("no bell rang when nobody could tell any more who leads")
	}
	control.Before(nil)
}

func TestTheLeaderHearsWhatOthersPut(t *testing.T) {
	t.Parallel()
	_, _, leader, other := two(t)
	here, there := leader.Bell("gong"), other.Bell("gong")
	for _, bell := range []<-chan struct{}{here, there} {
		select {
		case <-bell:
		default:
		}
	}
	strike(t, other)
	select {
	case <-here:
	case <-time.After(time.Minute):
		t.Error("the leader has heard of nothing")
	}
}

// movedToDual has the domain's writes copied from here on.
func movedToDual(t *testing.T, control *memdb.Control) {
	t.Helper()
	states, err := control.States(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	from := states["band"]
	to := cutover.State{Domain: "band", Phase: cutover.PhaseDual, Epoch: from.Epoch + 1}
	if err := control.Advance(t.Context(), from, to, cutover.Change{}); err != nil {
		t.Fatal(err)
	}
}

func drained(source *memdb.DB) func() bool {
	return func() bool {
		n, _, err := source.Journal(context.Background())
		return n == 0 && err == nil
	}
}

// TestWhatAnotherProcessWritesIsCopiedAtOnce: the leader does not look by itself
// for an hour.
func TestWhatAnotherProcessWritesIsCopiedAtOnce(t *testing.T) {
	t.Parallel()
	control, source, _, other := two(t)
	movedToDual(t, control)
	soon(t, "nothing to copy", drained(source))
	for range 3 {
		strike(t, other)
		soon(t, "the copy is in", drained(source))
	}
}

// TestAWriteOfWhichNoWordCameIsFound: the leader looks for it in turn.
func TestAWriteOfWhichNoWordCameIsFound(t *testing.T) {
	t.Parallel()
	control, source, _, other := two(t, func(o *cutover.Options) { o.LookEvery = 10 * time.Millisecond })
	movedToDual(t, control)
	soon(t, "nothing to copy", drained(source))
	control.Before(func(op string) error {
		if op == "wrote" {
			return fault.New(fault.Unavailable, "lost")
		}
		return nil
	})
	strike(t, other)
	soon(t, "the copy is in", drained(source))
}

// TestWhoWaitsForCopiesDoesNotRelyOnWord: he has the leader look.
func TestWhoWaitsForCopiesDoesNotRelyOnWord(t *testing.T) {
	t.Parallel()
	control, source, _, other := two(t)
	movedToDual(t, control)
	soon(t, "nothing to copy", drained(source))
	deaf := true
	var mu sync.Mutex
	control.Before(func(op string) error {
		mu.Lock()
		defer mu.Unlock()
		if op == "wrote" && deaf {
			deaf = false
			return fault.New(fault.Unavailable, "lost, and sent again a second later")
		}
		return nil
	})
	strike(t, other)
	if err := cutover.EngineOf(other).AwaitCopied(t.Context(), "band"); err != nil || !drained(source)() {
		t.Errorf("the notes were waited for, and are there: %v", err)
	}
}
