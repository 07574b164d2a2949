package cutover_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/cutover/memdb"
	"github.com/amanat-dev/amanat/cutover/query"
)

type account struct {
	cutover.Meta
	Owner   string `json:"owner"`
	Balance int    `json:"balance"`
	PIN     string `json:"-" field:"pin"`
}

type transfer struct {
	cutover.Meta
	Account cutover.ID `json:"account" field:",ref=account"`
	Amount  int        `json:"amount"`
}

var bankKinds = cutover.Kinds{
	{Name: "account", Type: reflect.TypeFor[account]()},
	{Name: "transfer", Type: reflect.TypeFor[transfer]()},
}

// bank is one process's view of the shared toy databases.
type bank struct {
	engine *cutover.Engine
	domain *cutover.Domain
}

// world is two toy databases, a control plane and some processes.
type world struct {
	source, target *memdb.DB
	control        *memdb.Control
	banks          []*bank
	scratch        cutover.Scratch // nil: the source's
}

func newWorld(t *testing.T, processes int) *world {
	t.Helper()
	w := &world{
		source:  memdb.New("mongo", bankKinds),
		target:  memdb.New("postgres", bankKinds),
		control: memdb.NewControl(),
	}
	w.target.Control = w.control
	w.target.Accept = needsAccount
	for i := range processes {
		b := w.newBank(t, fmt.Sprintf("p%d", i))
		b.engine.Run(t.Context())
		t.Cleanup(func() { b.engine.Close(context.Background()) })
		w.banks = append(w.banks, b)
	}
	return w
}

// needsAccount is the target's foreign key.
func needsAccount(has func(cutover.Key) bool, r cutover.Record) error {
	x, ok := r.(*transfer)
	if ok && !has(cutover.Key{Kind: "account", ID: x.Account}) {
		return errors.New("there is no such account")
	}
	return nil
}

func (w *world) newBank(t *testing.T, id string, change ...func(*cutover.Options)) *bank {
	t.Helper()
	o := cutover.Options{
		Control: w.control, Process: cutover.Process{ID: id},
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		// Short, so that a test of what happens without a lease is quick.
		LeaseTTL: 500 * time.Millisecond, CopyEvery: 2 * time.Millisecond, MaxWait: 5 * time.Second,
	}
	for _, f := range change {
		f(&o)
	}
	e := cutover.NewEngine(o)
	spec := bankSpec(memdb.Source{DB: w.source}, w.target)
	spec.Scratch = func(ctx context.Context) (cutover.Store, func(context.Context) error, error) {
		if w.scratch != nil {
			return w.scratch(ctx)
		}
		return w.source.Scratch(ctx)
	}
	d := cutover.NewDomain(e, spec)
	if err := e.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	return &bank{e, d}
}

func bankSpec(source, target cutover.Side) cutover.Spec {
	return cutover.Spec{Source: source, Target: target, Definition: cutover.Definition{
		Name: "bank", Kinds: bankKinds,
		Queries: []string{"account.get"},
		Invariants: []cutover.Invariant{
			{Name: "balance is not negative", Kind: "account", Check: func(_ context.Context, _ cutover.Tx, r cutover.Record) error {
				if a := r.(*account); a.Balance < 0 {
					return fmt.Errorf("balance is %d", a.Balance)
				}
				return nil
			}},
			{Name: "accounts", Eval: func(ctx context.Context, tx cutover.Tx) (string, error) {
				n, err := tx.Count(ctx, "account", query.All())
				return fmt.Sprintf("%d accounts", n), err
			}},
		},
	}}
}

func (b *bank) get(ctx context.Context, id cutover.ID) (account, error) {
	return cutover.View(ctx, b.domain, "account.get", func(ctx context.Context, tx cutover.Tx) (account, error) {
		return cutover.Get[account](ctx, tx, id)
	})
}

func (b *bank) open(ctx context.Context, owner string) (account, error) {
	return cutover.Update(ctx, b.domain, func(ctx context.Context, tx cutover.Tx) (account, error) {
		a := account{Owner: owner, PIN: "1234"}
		return a, tx.Put(ctx, &a)
	})
}

// shut removes an account.
func (b *bank) shut(ctx context.Context, id cutover.ID) (bool, error) {
	return cutover.Update(ctx, b.domain, func(ctx context.Context, tx cutover.Tx) (bool, error) {
		r, err := tx.Get(ctx, "account", id)
		if err != nil {
			return false, err
		}
		return true, tx.Delete(ctx, r)
	})
}

// deposit puts an account and a transfer in one Update.
func (b *bank) deposit(ctx context.Context, id cutover.ID, amount int) (int, error) {
	return cutover.Update(ctx, b.domain, func(ctx context.Context, tx cutover.Tx) (int, error) {
		r, err := tx.Get(ctx, "account", id)
		if err != nil {
			return 0, err
		}
		a := r.(*account)
		a.Balance += amount
		if err := tx.Put(ctx, &transfer{Account: id, Amount: amount}); err != nil {
			return 0, err
		}
		return a.Balance, tx.Put(ctx, a)
	})
}

func (w *world) engine() *cutover.Engine { return w.banks[0].engine }

var execute = cutover.StepOptions{
	Execute: true, Who: "test", Why: "test",
	GateOptions: cutover.GateOptions{
		ShadowMin: 1, Budget: 5 * time.Second,
		Waive: map[string]string{cutover.GateWayBack: "first time", cutover.GateShadow: "not of this test"},
	},
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// copyOver takes the domain through start, backfill and verify.
func (w *world) copyOver(t *testing.T) {
	t.Helper()
	must[cutover.Report](t)(w.engine().Start(t.Context(), "bank", execute))
	must[[]cutover.KindProgress](t)(w.engine().Backfill(t.Context(), "bank", cutover.BackfillOptions{}))
	w.verify(t)
}

func (w *world) verify(t *testing.T) cutover.VerifyResult {
	t.Helper()
	r := must[cutover.VerifyResult](t)(w.engine().Verify(t.Context(), "bank", cutover.VerifyOptions{Who: "test"}))
	if !r.OK {
		t.Fatalf("verify found differences: %+v", r)
	}
	return r
}

func (w *world) switchOver(t *testing.T) cutover.Report {
	t.Helper()
	r, err := w.engine().Switch(t.Context(), "bank", execute)
	if err != nil {
		t.Fatalf("switch: %v\n%+v", err, r.Gate)
	}
	return r
}

// TestCycle moves a domain there, back, and there for good, under deposits by
// two processes, and accounts for every one of them.
func TestCycle(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	ctx := t.Context()
	for i := range 2500 {
		w.source.Seed("account", &account{Meta: cutover.Meta{ID: cutover.NewID()}, Owner: fmt.Sprint("legacy ", i)})
	}
	a := must[account](t)(w.banks[0].open(ctx, "zahra"))

	stop, acked := traffic(t, w, a.ID)
	w.copyOver(t)
	w.switchOver(t)
	w.verify(t)
	if r, err := w.engine().Rollback(ctx, "bank", execute); err != nil {
		t.Fatalf("rollback: %v\n%+v", err, r.Gate)
	}
	w.verify(t)
	w.switchOver(t)
	must[cutover.Report](t)(w.engine().Finish(ctx, "bank", execute))
	stop()

	if s := w.engine().State("bank"); s.Phase != cutover.PhaseTarget {
		t.Fatalf("phase is %s, want pg", s.Phase)
	}
	got := must[account](t)(w.banks[1].get(ctx, a.ID))
	if int64(got.Balance) != acked.Load() {
		t.Fatalf("balance is %d, %d were acknowledged", got.Balance, acked.Load())
	}
	if n, _ := w.target.Count(ctx, "transfer"); n != acked.Load() {
		t.Fatalf("%d transfers, %d were acknowledged", n, acked.Load())
	}
	if n, _ := w.target.Count(ctx, "account"); n != 2501 {
		t.Fatalf("%d accounts in the target, want 2501", n)
	}
}

// traffic deposits 1 at a time from every process until stop is called, and
// fails the test on any error.
func traffic(t *testing.T, w *world, id cutover.ID) (stop func(), acked *atomic.Int64) {
	acked = new(atomic.Int64)
	done := make(chan struct{})
	var members sync.WaitGroup
	for _, b := range w.banks {
		members.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if _, err := b.deposit(t.Context(), id, 1); err == nil {
					acked.Add(1)
				} else if !fault.Is(err, fault.Conflict) {
					t.Errorf("deposit: %v", err)
				}
				if _, err := b.get(t.Context(), id); err != nil {
					t.Errorf("get: %v", err)
				}
				time.Sleep(time.Millisecond)
			}
		})
	}
	return sync.OnceFunc(func() { close(done); members.Wait() }), acked
}

func TestSwitch(t *testing.T) {
	t.Parallel()
	t.Run("DryRunByDefault", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, 1)
		w.copyOver(t)
		o := execute
		o.Execute = false
		r := must[cutover.Report](t)(w.engine().Switch(t.Context(), "bank", o))
		if r.Done || len(r.Gate) != 6 {
			t.Fatalf("a dry run did something, or its gate is not complete: %+v", r)
		}
		if s := w.engine().State("bank"); s.Phase != cutover.PhaseDual {
			t.Fatalf("phase is %s after a dry run", s.Phase)
		}
	})
	t.Run("GateHoldsWithoutVerify", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, 1)
		must[cutover.Report](t)(w.engine().Start(t.Context(), "bank", execute))
		r, err := w.engine().Switch(t.Context(), "bank", execute)
		if err == nil || r.Done || r.Gate.Passed() {
			t.Fatalf("switched without a backfill: %v %+v", err, r)
		}
	})
	t.Run("UndoneWhenDrainFails", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, 1)
		a := must[account](t)(w.banks[0].open(t.Context(), "omid"))
		w.copyOver(t)
		w.control.Before(failAfter("advance", 2, "flip"))
		if _, err := w.engine().Switch(t.Context(), "bank", execute); err == nil {
			t.Fatal("the switch went through although its flip failed")
		}
		w.control.Before(nil)
		awaitState(t, w, cutover.PhaseDual)
		must[int](t)(w.banks[0].deposit(t.Context(), a.ID, 5))
	})
	t.Run("DrainsWhatNobodyHasCopied", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, 0)
		w.banks = []*bank{w.newBank(t, "alone")} // does not run: nobody copies
		a := must[account](t)(w.banks[0].open(t.Context(), "omid"))
		w.copyOver(t)
		// A write that comes when the rehearsal is over and the seal not yet set.
		var advances atomic.Int64
		w.control.Before(func(op string) error {
			if op == "advance" && advances.Add(1) == 2 {
				w.control.Before(nil)
				_, err := w.banks[0].deposit(t.Context(), a.ID, 7)
				if !fault.Is(err, fault.Unavailable) {
					t.Errorf("without lease and state: %v, want the outcome unknown", err)
				}
			}
			return nil
		})
		if r := w.switchOver(t); r.Drained != 2 {
			t.Fatalf("drained %d records, want the account and the transfer", r.Drained)
		}
		if n, _ := w.target.Count(t.Context(), "transfer"); n != 1 {
			t.Fatal("a write before the seal is not in the new primary")
		}
	})
	t.Run("OverrunUnseals", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, 1)
		w.copyOver(t)
		o := execute
		o.Budget = time.Nanosecond
		if r, err := w.engine().Switch(t.Context(), "bank", o); err == nil || r.Done {
			t.Fatalf("a pause over the budget went through: %+v", r)
		}
		awaitState(t, w, cutover.PhaseDual)
	})
}

// failAfter fails the n-th call of op and those after it with the same op.
func failAfter(op string, n int64, why string) func(string) error {
	var calls atomic.Int64
	return func(got string) error {
		// The second advance of a switch is the seal, after the rehearsal's.
		if got == op && calls.Add(1) == n+1 {
			return fault.New(fault.Unavailable, "%s fails", why)
		}
		return nil
	}
}

func awaitState(t *testing.T, w *world, phase cutover.Phase) {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for time.Now().Before(deadline) {
		if s := w.engine().State("bank"); s.Phase == phase && !s.Sealed {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("state is %+v, want %s and open", w.engine().State("bank"), phase)
}

func TestGap(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	orphan := &transfer{Meta: cutover.Meta{ID: cutover.NewID()}, Account: cutover.NewID(), Amount: 3}
	w.source.Seed("transfer", orphan)
	must[cutover.Report](t)(w.engine().Start(t.Context(), "bank", execute))
	must[[]cutover.KindProgress](t)(w.engine().Backfill(t.Context(), "bank", cutover.BackfillOptions{}))
	gaps := must[[]cutover.Gap](t)(w.engine().Gaps(t.Context(), "bank", true, 10))
	if len(gaps) != 1 || !strings.Contains(gaps[0].Reason, "no such account") {
		t.Fatalf("gaps are %+v, want one for the missing account", gaps)
	}
	if r, err := w.engine().Switch(t.Context(), "bank", execute); err == nil {
		t.Fatalf("switched over an open gap: %+v", r)
	}
	w.source.Seed("account", &account{Meta: cutover.Meta{ID: orphan.Account}})
	in, left, err := w.engine().RetryGaps(t.Context(), "bank")
	if err != nil || in != 1 || left != 0 {
		t.Fatalf("retry: %d in, %d left, %v; want the account brought along and the gap closed", in, left, err)
	}
	w.verify(t)
}

func TestVerify(t *testing.T) {
	t.Parallel()
	for name, corrupt := range map[string]func(w *world, id cutover.ID){
		"missing": func(w *world, id cutover.ID) { w.target.Remove(cutover.Key{Kind: "account", ID: id}) },
		"extra": func(w *world, _ cutover.ID) {
			w.target.Seed("account", &account{Meta: cutover.Meta{ID: cutover.NewID(), Rev: 1}})
		},
		"different": func(w *world, id cutover.ID) {
			w.target.Seed("account", &account{Meta: cutover.Meta{ID: id, Rev: 1}, Owner: "someone", PIN: "1234"})
		},
		"different secret": func(w *world, id cutover.ID) {
			items, _ := w.source.Get(context.Background(), []cutover.Key{{Kind: "account", ID: id}})
			a := items[0].Record.(*account)
			a.PIN = "9999"
			w.target.Seed("account", a)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 1)
			a := must[account](t)(w.banks[0].open(t.Context(), "nika"))
			w.copyOver(t)
			corrupt(w, a.ID)
			r := must[cutover.VerifyResult](t)(w.engine().Verify(t.Context(), "bank", cutover.VerifyOptions{}))
			if r.OK || r.Differences() != 1 || !strings.HasPrefix(name, r.Diffs[0].What) {
				t.Fatalf("verify says %+v", r)
			}
			if text := fmt.Sprint(r.Diffs); strings.Contains(text, "9999") {
				t.Fatalf("a secret is shown: %s", text)
			}
			r = must[cutover.VerifyResult](t)(w.engine().Verify(t.Context(), "bank", cutover.VerifyOptions{Repair: true}))
			if !r.OK {
				t.Fatalf("not repaired: %+v", r)
			}
		})
	}
	t.Run("invariant broken", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, 1)
		w.source.Seed("account", &account{Meta: cutover.Meta{ID: cutover.NewID()}, Balance: -1})
		must[cutover.Report](t)(w.engine().Start(t.Context(), "bank", execute))
		must[[]cutover.KindProgress](t)(w.engine().Backfill(t.Context(), "bank", cutover.BackfillOptions{}))
		r := must[cutover.VerifyResult](t)(w.engine().Verify(t.Context(), "bank", cutover.VerifyOptions{}))
		if r.OK || r.Differences() != 0 {
			t.Fatalf("verify says %+v, want the invariant broken and no differences", r)
		}
	})
}

func TestUpdate(t *testing.T) {
	t.Parallel()
	t.Run("ErrNotRetriedWhenTheClosureRefuses", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, 1)
		runs := 0
		_, err := cutover.Update(t.Context(), w.banks[0].domain, func(context.Context, cutover.Tx) (int, error) {
			runs++
			return 0, fault.New(fault.Conflict, "the rules say no")
		})
		if runs != 1 || err.Error() != "the rules say no" {
			t.Fatalf("%d runs, error %v", runs, err)
		}
	})
	t.Run("RunAgainOnlyOnConflictsThatMayPass", func(t *testing.T) {
		t.Parallel()
		stale, broken := cutover.Stale(errors.New("deadlock")), fault.New(fault.Conflict, "there is already one like this")
		for name, test := range map[string]struct {
			met  []error // by the Update's runs; the last one by all that follow
			runs int
			want error
		}{
			"somebody else is first each time":   {[]error{stale}, 6, stale},
			"somebody else is first a few times": {[]error{stale, stale, stale, nil}, 4, nil},
			"a rule is broken":                   {[]error{broken}, 2, broken},
			"a rule is broken, at first":         {[]error{broken, nil}, 2, nil},
			"each in its turn":                   {[]error{stale, broken, stale, stale, broken}, 5, broken},
			"the database is away":               {[]error{fault.New(fault.Unavailable, "away")}, 1, nil},
		} {
			w := newWorld(t, 1)
			runs := 0
			w.source.Before(func(op string) error {
				if op != "commit" {
					return nil
				}
				runs++
				return test.met[min(runs, len(test.met))-1]
			})
			_, err := w.banks[0].open(t.Context(), "sara")
			if runs != test.runs || test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("%s: %d runs and %v, want %d and %v", name, runs, err, test.runs, test.want)
			}
		}
	})
	t.Run("ErrUnknownQuery", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, 1)
		_, err := cutover.View(t.Context(), w.banks[0].domain, "no.such", func(context.Context, cutover.Tx) (int, error) { return 0, nil })
		if err == nil {
			t.Fatal("a View that is not in the Spec ran")
		}
	})
	t.Run("ErrOutcomeUnknownWithoutLeaseAfterTheDomainMoved", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, 0)
		frozen := w.newBank(t, "frozen") // never runs: it has no lease
		w.banks = []*bank{frozen}
		must[account](t)(frozen.open(t.Context(), "before"))
		s := must[map[string]cutover.State](t)(w.control.States(t.Context()))["bank"]
		sealed := cutover.State{Domain: "bank", Phase: s.Phase, Epoch: s.Epoch + 1, Sealed: true}
		if err := (memdb.Source{DB: w.source}).WriteState(t.Context(), sealed); err != nil {
			t.Fatal(err)
		}
		if _, err := frozen.open(t.Context(), "after"); !fault.Is(err, fault.Unavailable) {
			t.Fatalf("a write without lease after the seal: %v, want unavailable", err)
		}
	})
	t.Run("WaitsWhileSealedAndIsBounded", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, 1)
		s := w.engine().State("bank")
		to := s
		to.Epoch, to.Sealed = s.Epoch+1, true
		release := make(chan struct{})
		go w.control.Lead(t.Context(), "coordinator:bank", func(context.Context) error { <-release; return nil })
		time.Sleep(10 * time.Millisecond)
		if err := w.control.Advance(t.Context(), s, to, cutover.Change{}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		time.Sleep(50 * time.Millisecond)
		if _, err := w.banks[0].open(ctx, "x"); !fault.Is(err, fault.Unavailable) {
			t.Fatalf("a write went through a seal: %v", err)
		}
		close(release) // the coordinator is gone: the process opens the domain by itself
		awaitState(t, w, cutover.PhaseSource)
		must[account](t)(w.banks[0].open(t.Context(), "y"))
	})
}

// TestShadow: a secondary that answers otherwise is found.
func TestShadow(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	a := must[account](t)(w.banks[0].open(t.Context(), "sara"))
	w.copyOver(t)
	if err := w.control.SetSettings(t.Context(), "bank", cutover.Settings{ShadowPercent: 100}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(50 * time.Millisecond)
	must[account](t)(w.banks[0].get(t.Context(), a.ID))
	counts := awaitShadow(t, w)
	if counts[0].Matched != 1 || counts[0].Diffs != 0 {
		t.Fatalf("counts of a healthy pair: %+v", counts)
	}
	w.target.Seed("account", &account{Meta: a.Meta, Owner: "somebody else", PIN: "1234"})
	must[account](t)(w.banks[0].get(t.Context(), a.ID))
	deadline := time.Now().Add(5 * time.Second)
	for counts[0].Diffs == 0 && time.Now().Before(deadline) {
		time.Sleep(20 * time.Millisecond)
		counts = awaitShadow(t, w)
	}
	if counts[0].Diffs != 1 {
		t.Fatalf("counts after a corruption: %+v", counts)
	}
}

func awaitShadow(t *testing.T, w *world) []cutover.ShadowCount {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for time.Now().Before(deadline) {
		if counts := must[[]cutover.ShadowCount](t)(w.control.Shadow(t.Context(), "bank", 0)); len(counts) > 0 {
			return counts
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("no shadow read was counted")
	return nil
}

func TestOldTombstonesAreForgottenOnceTheBackfillIsOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	short := w.newBank(t, "short", func(o *cutover.Options) { o.TombstoneLife = 100 * time.Millisecond })
	short.engine.Run(t.Context())
	t.Cleanup(func() { short.engine.Close(context.Background()) })
	must[cutover.Report](t)(w.engine().Start(t.Context(), "bank", execute))
	buried := func() bool {
		a := must[account](t)(short.open(t.Context(), "sara"))
		must[bool](t)(short.shut(t.Context(), a.ID))
		eventually(t, "the delete is copied", func() bool { return w.notes(t) == 0 })
		time.Sleep(200 * time.Millisecond) // two lives
		return must[[]cutover.Item](t)(w.target.Get(t.Context(), []cutover.Key{{Kind: "account", ID: a.ID}}))[0].Deleted
	}
	if !buried() {
		t.Error("a tombstone was forgotten before the backfill was over")
	}
	must[[]cutover.KindProgress](t)(w.engine().Backfill(t.Context(), "bank", cutover.BackfillOptions{}))
	if buried() {
		t.Error("a tombstone was kept for longer than its life")
	}
}

// A store may find out with the closure's first question that the domain has
// moved: that is no answer of the closure's.
func TestAnUpdateWhoseFirstQuestionMeetsAnotherEpochRunsAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	b := w.banks[0]
	a, err := b.open(t.Context(), "ann")
	if err != nil {
		t.Fatal(err)
	}
	var moved sync.WaitGroup
	defer moved.Wait()
	var asked atomic.Int64
	w.source.Before(func(op string) error {
		if op == "get" && asked.Add(1) == 1 {
			moved.Go(func() { must[cutover.Report](t)(w.engine().Start(t.Context(), "bank", execute)) })
			return cutover.ErrMoved
		}
		return nil
	})
	if balance, err := b.deposit(t.Context(), a.ID, 5); err != nil || balance != 5 {
		t.Errorf("balance %d, %v; want 5 at the second try", balance, err)
	}
}
