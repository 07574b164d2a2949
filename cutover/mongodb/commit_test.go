package mongodb_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/cutover/mongodb"
	"github.com/amanat-dev/amanat/cutover/query"
)

// scene is an Update of every sort of change: it returns two accounts to
// another owner, deletes one and adds one.
type scene struct {
	a, b, gone, added *account
}

func newScene(t *testing.T, bk *bank) scene {
	t.Helper()
	s := scene{newAccount("old", 1), newAccount("old", 2), newAccount("old", 3), newAccount("new", 4)}
	bk.put(t, s.a)
	bk.put(t, s.b)
	bk.put(t, s.gone)
	return s
}

func (s scene) run(ctx context.Context, bk *bank) error {
	return bk.update(ctx, func(ctx context.Context, tx cutover.Tx) error {
		for _, id := range []cutover.ID{s.a.ID, s.b.ID} {
			a, err := cutover.Get[account](ctx, tx, id)
			if err != nil {
				return err
			}
			a.Owner = "new"
			if err := tx.Put(ctx, &a); err != nil {
				return err
			}
		}
		added := *s.added
		gone := *s.gone
		return errors.Join(tx.Put(ctx, &added), tx.Delete(ctx, &gone))
	})
}

func (s scene) emails(happened bool) (old, now []string) {
	if happened {
		return nil, []string{s.added.Email, s.b.Email, s.a.Email}
	}
	return []string{s.gone.Email, s.b.Email, s.a.Email}, nil
}

// want checks by every sort of read that the Update happened or did not.
func (s scene) want(t *testing.T, bk *bank, happened bool) {
	t.Helper()
	old, now := s.emails(happened)
	if got := bk.owned(t, "old", 0); !slices.Equal(got, old) {
		t.Errorf("found %v of the old owner, want %v", got, old)
	}
	if got := bk.owned(t, "new", 0); !slices.Equal(got, now) {
		t.Errorf("found %v of the new owner, want %v", got, now)
	}
	for _, limit := range []int{1, 2, 3} {
		all := append(old, now...)
		got := append(bk.owned(t, "old", limit), bk.owned(t, "new", limit)...)
		if !slices.Equal(got, all[:limit]) {
			t.Errorf("the first %d are %v, want %v", limit, got, all[:limit])
		}
	}
	for _, a := range []*account{s.a, s.b, s.gone, s.added} {
		_, err := bk.account(t, a.ID)
		there := err == nil
		if err != nil && !fault.Is(err, fault.NotFound) {
			t.Fatal(err)
		}
		if want := a != s.gone && a != s.added || (a == s.added) == happened; there != want {
			t.Errorf("%s is there: %v, want %v", a.Email, there, want)
		}
	}
	items, err := bk.Scan(t.Context(), "account", cutover.ID{}, cutover.ID{}, 100)
	if err != nil || len(items) != 3 {
		t.Errorf("Scan gave %d accounts, %v; want 3", len(items), err)
	}
	if n, err := bk.Count(t.Context(), "account"); err != nil || n != 3 {
		t.Errorf("Count gave %d accounts, %v; want 3", n, err)
	}
}

func TestCrashAtAnyStepLeavesAllOrNothing(t *testing.T) {
	t.Parallel()
	for _, journal := range []bool{false, true} {
		probe, _ := newBank(t)
		probe.guard.Journal = journal
		s := newScene(t, probe)
		steps, err := probe.steps(func() error { return s.run(t.Context(), probe) })
		if err != nil {
			t.Fatal(err)
		}
		s.want(t, probe, true)
		probe.wantClean(t)
		if want := "insert-commit prepare prepare prepare prepare mark unlock unlock unlock unlock forget-commit"; strings.Join(steps, " ") != want {
			t.Fatalf("the writes were %v, want %s", steps, want)
		}
		for n, step := range steps {
			t.Run(fmt.Sprintf("journal %v/before write %d, %s", journal, n, step), func(t *testing.T) {
				t.Parallel()
				crashAndVisit(t, journal, n, n > slices.Index(steps, "mark"))
			})
		}
	}
}

// crashAndVisit has a process die before its nth write. Another one must see
// the same before and after the commit counts as abandoned, and after the rest
// is cleared up; then it must be able to write.
func crashAndVisit(t *testing.T, journal bool, n int, happened bool) {
	dying, bk := newBank(t)
	dying.guard.Journal, bk.guard.Journal = journal, journal
	s := newScene(t, bk)
	forgetAll(t, bk)
	dying.crashAt(n)
	if err := s.run(t.Context(), dying); !errors.Is(err, errCrash) {
		t.Fatalf("Update gave %v, want the crash", err)
	}
	s.want(t, bk, happened)
	bk.impatient()
	s.want(t, bk, happened)
	if err := mongodb.Recover(t.Context(), bk.Side); err != nil {
		t.Fatal(err)
	}
	s.want(t, bk, happened)
	bk.wantClean(t)
	wantNotes(t, bk, map[bool]int{true: 4}[journal && happened])

	again := newAccount("other", 9)
	a, err := bk.account(t, s.a.ID)
	if err != nil {
		t.Fatal(err)
	}
	bk.put(t, &a, again)
	bk.wantClean(t)
}

func forgetAll(t *testing.T, bk *bank) {
	t.Helper()
	notes, err := bk.Notes(t.Context(), 100)
	if err == nil {
		err = bk.Forget(t.Context(), notes)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func wantNotes(t *testing.T, bk *bank, want int) {
	t.Helper()
	notes, err := bk.Notes(t.Context(), 100)
	if err != nil || len(notes) != want {
		t.Errorf("Notes gave %v, %v; want %d", notes, err, want)
	}
}

func TestAWriterGetsPastADeadOne(t *testing.T) {
	t.Parallel()
	for n := range 12 {
		t.Run(fmt.Sprintf("before write %d", n), func(t *testing.T) {
			t.Parallel()
			dying, bk := newBank(t)
			s := newScene(t, bk)
			dying.crashAt(n)
			if err := s.run(t.Context(), dying); n < 11 && !errors.Is(err, errCrash) {
				t.Fatalf("Update gave %v, want the crash", err)
			}
			bk.impatient()
			for _, id := range []cutover.ID{s.a.ID, s.b.ID} {
				a, err := bk.account(t, id)
				if err != nil {
					t.Fatal(err)
				}
				a.Balance += 100
				bk.put(t, &a)
			}
			if err := mongodb.Recover(t.Context(), bk.Side); err != nil {
				t.Fatal(err)
			}
			a, errA := bk.account(t, s.a.ID)
			b, errB := bk.account(t, s.b.ID)
			if errA != nil || errB != nil || a.Balance != 101 || b.Balance != 102 || a.Owner != b.Owner {
				t.Errorf("got %+v, %v and %+v, %v; want both written and of one owner", a, errA, b, errB)
			}
			bk.wantClean(t)
		})
	}
}

// hold stops a handle's process before a write until it is let go.
func (b *bank) hold(step string) (reached, letGo chan struct{}) {
	reached, letGo = make(chan struct{}), make(chan struct{})
	var once sync.Once
	b.db.OnStep(func(name string) error {
		if name == step {
			once.Do(func() {
				close(reached)
				<-letGo
			})
		}
		return nil
	})
	return reached, letGo
}

func TestWhilePendingAllReadTheOldThenAllTheNew(t *testing.T) {
	t.Parallel()
	slow, bk := newBank(t)
	s := newScene(t, bk)
	reached, letGo := slow.hold("mark")
	done := make(chan error)
	go func() { done <- s.run(t.Context(), slow) }()
	<-reached
	s.want(t, bk, false)
	bk.db.SetPatience(50*time.Millisecond, time.Minute)
	a, err := bk.account(t, s.a.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := bk.tryPut(t.Context(), &a); !fault.Is(err, fault.Conflict) {
		t.Errorf("a write of a locked record gave %v, want a conflict", err)
	}
	close(letGo)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	s.want(t, bk, true)
}

func TestAWriterWaitsForAPendingCommit(t *testing.T) {
	t.Parallel()
	slow, bk := newBank(t)
	s := newScene(t, bk)
	reached, letGo := slow.hold("mark")
	done := make(chan error)
	go func() { done <- s.run(t.Context(), slow) }()
	<-reached
	time.AfterFunc(100*time.Millisecond, func() { close(letGo) })
	a, err := bk.account(t, s.a.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := bk.tryPut(t.Context(), &a); !fault.Is(err, fault.Conflict) {
		t.Errorf("a write of what was read before the commit gave %v, want a conflict", err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if a, err = bk.account(t, s.a.ID); err != nil || a.Owner != "new" || a.Rev != 2 {
		t.Errorf("got %+v, %v; want the new owner at revision 2", a, err)
	}
}

func TestAnOwnerThatWasGivenUpCannotCommit(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"prepare", "mark"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			slow, bk := newBank(t)
			s := newScene(t, bk)
			reached, letGo := slow.hold(step)
			done := make(chan error)
			go func() { done <- s.run(t.Context(), slow) }()
			<-reached
			bk.impatient()
			if err := mongodb.Recover(t.Context(), bk.Side); err != nil {
				t.Fatal(err)
			}
			close(letGo)
			if err := <-done; !fault.Is(err, fault.Conflict) {
				t.Errorf("Update gave %v, want a conflict", err)
			}
			s.want(t, bk, false)
			bk.wantClean(t)
		})
	}
}

func TestABrokenUniqueRuleLeavesNothing(t *testing.T) {
	t.Parallel()
	bk, _ := newBank(t)
	there := newAccount("x", 1)
	there.Group, there.Desk = "g", "1"
	bk.put(t, there)
	for name, spoil := range map[string]func(*account){
		"email": func(a *account) { a.Email = there.Email },
		"desk":  func(a *account) { a.Group, a.Desk = "g", "1" },
	} {
		kept, fresh := newAccount("old", 1), newAccount("new", 2)
		bk.put(t, kept)
		spoil(fresh)
		changed := *kept
		changed.Owner = "new"
		err := bk.tryPut(t.Context(), &changed, fresh)
		if !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "the same "+name) {
			t.Errorf("%s: Update gave %v, want a conflict that names it", name, err)
		}
		fresh.Rev = 0
		err = bk.tryPut(t.Context(), fresh)
		if !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "the same "+name) {
			t.Errorf("%s: Update of one gave %v, want a conflict that names it", name, err)
		}
		changed = *kept
		spoil(&changed)
		if err = bk.tryPut(t.Context(), &changed); !fault.Is(err, fault.Conflict) {
			t.Errorf("%s: a replacement gave %v, want a conflict", name, err)
		}
		if got, err := bk.account(t, kept.ID); err != nil || got.Owner != "old" || got.Rev != 1 {
			t.Errorf("%s: got %+v, %v; want it as it was", name, got, err)
		}
		if _, err := bk.account(t, fresh.ID); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s: the new record gave %v, want not found", name, err)
		}
	}
	bk.wantClean(t)
}

func TestAUniqueValueCanChangeHandsInOneUpdate(t *testing.T) {
	t.Parallel()
	bk, _ := newBank(t)
	for range 4 { // whatever the order of the ids
		from := newAccount("x", 1)
		from.ID = cutover.NewIDAt(time.Now().Add(time.Duration(rand.IntN(100)-50) * time.Hour))
		from.Group, from.Desk = from.ID.String(), "1"
		bk.put(t, from)
		to := newAccount("y", 1)
		to.Group, to.Desk = from.Group, from.Desk
		from.Desk = ""
		bk.put(t, from, to)
	}
}

func TestAUniqueValueOfADeadWriterIsFreeAgain(t *testing.T) {
	t.Parallel()
	dying, bk := newBank(t)
	s := newScene(t, bk)
	dying.crashAt(5) // before the mark
	if err := s.run(t.Context(), dying); !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	bk.impatient()
	twin := newAccount("x", 1)
	twin.Email = s.added.Email
	bk.put(t, twin)
	s2, err := bk.account(t, s.gone.ID)
	if err != nil || s2.Rev != 1 {
		t.Errorf("got %+v, %v; want what the dead writer deleted", s2, err)
	}
}

func TestParallelIncrementsLoseNothing(t *testing.T) {
	t.Parallel()
	const writers, each = 8, 6
	bk, other := newBank(t)
	one, two := newAccount("x", 0), newAccount("x", 0)
	bk.put(t, one, two)
	var wg sync.WaitGroup
	for w := range writers {
		mine := []*bank{bk, other}[w%2]
		wg.Go(func() {
			for i := range each {
				ids := []cutover.ID{one.ID, two.ID}
				if (w+i)%3 == 0 {
					ids = ids[:1] // an Update of one alone
				}
				if err := increment(t.Context(), mine, ids); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	var both, alone int64
	for w := range writers {
		for i := range each {
			if alone++; (w+i)%3 != 0 {
				both++
			}
		}
	}
	a, errA := bk.account(t, one.ID)
	b, errB := bk.account(t, two.ID)
	if errA != nil || errB != nil || a.Balance != alone || b.Balance != both {
		t.Errorf("balances are %d and %d (%v, %v), want %d and %d", a.Balance, b.Balance, errA, errB, alone, both)
	}
	bk.wantClean(t)
}

// increment adds one to each account, trying until it succeeds.
func increment(ctx context.Context, bk *bank, ids []cutover.ID) error {
	for {
		err := bk.update(ctx, func(ctx context.Context, tx cutover.Tx) error {
			for _, id := range ids {
				a, err := cutover.Get[account](ctx, tx, id)
				if err != nil {
					return err
				}
				a.Balance++
				if err := tx.Put(ctx, &a); err != nil {
					return err
				}
			}
			return nil
		})
		if !fault.Is(err, fault.Conflict) {
			return err
		}
		time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond)
	}
}

// Two accounts that are always written together, read one after the other:
// the second must never be behind the first.
func TestNoReaderSeesHalfAnUpdate(t *testing.T) {
	t.Parallel()
	bk, other := newBank(t)
	one, two := newAccount("x", 0), newAccount("x", 0)
	bk.put(t, one, two)
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var reads atomic.Int64
	for r := range 3 {
		wg.Go(func() {
			first, second := one.ID, two.ID
			if r == 1 {
				first, second = second, first
			}
			for ctx.Err() == nil && reads.Load() < 2000 {
				a, errA := other.account(t, first)
				b, errB := other.account(t, second)
				if errA != nil || errB != nil || a.Balance > b.Balance {
					t.Errorf("read %d, then %d (%v, %v)", a.Balance, b.Balance, errA, errB)
					return
				}
				reads.Add(1)
			}
		})
	}
	for range 25 {
		if err := increment(t.Context(), bk, []cutover.ID{one.ID, two.ID}); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	wg.Wait()
	if reads.Load() < 10 {
		t.Errorf("only %d reads", reads.Load())
	}
}

// Owners change all the time, in Updates of several accounts, some of which
// die half way; every query must find each account exactly once.
func TestQueriesFindEveryAccountOnceWhateverHappens(t *testing.T) {
	t.Parallel()
	bk, other := newBank(t)
	other.db.SetFindsLists(true) // both halves of the query at once
	other.db.SetPatience(time.Second, 200*time.Millisecond)
	bk.db.SetPatience(time.Second, 200*time.Millisecond)
	const n = 6
	var ids []cutover.ID
	for i := range n {
		a := newAccount("left", int64(i))
		ids = append(ids, a.ID)
		bk.put(t, a)
	}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for ctx.Err() == nil {
				if got := len(moved(t, other)); got != n {
					t.Errorf("found %d accounts, want %d", got, n)
					return
				}
			}
		})
	}
	bk.db.OnStep(func(string) error {
		if rand.IntN(40) == 0 {
			return errCrash
		}
		return nil
	})
	for range 30 {
		err := bk.update(ctx, func(ctx context.Context, tx cutover.Tx) error { return swapOwners(ctx, tx, ids) })
		if err != nil && !errors.Is(err, errCrash) && !fault.Is(err, fault.Conflict) {
			t.Error(err)
		}
	}
	stop()
	wg.Wait()
}

// moved queries by the fields that change, in one query so that it is one
// moment's answer for each account.
func moved(t *testing.T, bk *bank) (found []account) {
	t.Helper()
	err := bk.View(t.Context(), func(ctx context.Context, tx cutover.Tx) (err error) {
		either := query.AnyOf(query.Eq("owner", "left").And(query.Absent("group")), query.Eq("owner", "right").And(query.Eq("group", "moved")))
		found, err = cutover.Find[account](ctx, tx, either.Limit(100))
		if n, err := cutover.Count[account](ctx, tx, either); err != nil || n != 6 {
			return fmt.Errorf("Count gave %d, %w", n, err)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return found
}

func swapOwners(ctx context.Context, tx cutover.Tx, ids []cutover.ID) error {
	for range 3 {
		a, err := cutover.Get[account](ctx, tx, ids[rand.IntN(len(ids))])
		if err != nil {
			return err
		}
		if a.Owner == "left" {
			a.Owner, a.Group = "right", "moved"
		} else {
			a.Owner, a.Group = "left", ""
		}
		if err := tx.Put(ctx, &a); err != nil {
			return err
		}
	}
	return nil
}

// Transfers by several processes that die at random places: at the end the
// money is all there, each transfer is in the balances or not at all, and
// every one that was acknowledged is.
func TestRandomCrashesLoseNoMoney(t *testing.T) {
	t.Parallel()
	bk, other := newBank(t)
	var ids []cutover.ID
	for range 4 {
		a := newAccount("x", 1000)
		ids = append(ids, a.ID)
		bk.put(t, a)
	}
	var mu sync.Mutex
	acknowledged := map[cutover.ID]bool{}
	var wg sync.WaitGroup
	for _, process := range []*bank{bk, other} {
		process.guard.Journal = true
		process.db.SetPatience(500*time.Millisecond, 300*time.Millisecond)
		process.db.OnStep(func(string) error {
			if rand.IntN(60) == 0 {
				return errCrash
			}
			return nil
		})
	}
	for w := range 4 {
		mine := []*bank{bk, other}[w%2]
		wg.Go(func() {
			for range 15 {
				id, from := cutover.NewID(), rand.IntN(4)
				err := pay(t.Context(), mine, id, ids[from], ids[(from+1+rand.IntN(3))%4])
				switch {
				case err == nil:
					mu.Lock()
					acknowledged[id] = true
					mu.Unlock()
				case !errors.Is(err, errCrash) && !fault.Is(err, fault.Conflict):
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	settleAndAudit(t, bk, ids, acknowledged)
}

func pay(ctx context.Context, bk *bank, id, from, to cutover.ID) error {
	return bk.update(ctx, func(ctx context.Context, tx cutover.Tx) error {
		a, errA := cutover.Get[account](ctx, tx, from)
		b, errB := cutover.Get[account](ctx, tx, to)
		if err := errors.Join(errA, errB); err != nil {
			return err
		}
		a.Balance--
		b.Balance++
		return errors.Join(tx.Put(ctx, &a), tx.Put(ctx, &b),
			tx.Put(ctx, &transfer{Meta: cutover.Meta{ID: id}, Amount: 1}))
	})
}

func settleAndAudit(t *testing.T, bk *bank, ids []cutover.ID, acknowledged map[cutover.ID]bool) {
	t.Helper()
	bk.db.OnStep(func(string) error { return nil })
	bk.impatient()
	if err := mongodb.Recover(t.Context(), bk.Side); err != nil {
		t.Fatal(err)
	}
	bk.wantClean(t)
	var sum, revs int64
	for _, id := range ids {
		a, err := bk.account(t, id)
		if err != nil {
			t.Fatal(err)
		}
		sum += a.Balance
		revs += a.Rev - 1
	}
	items, err := bk.Scan(t.Context(), "transfer", cutover.ID{}, cutover.ID{}, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for id := range acknowledged {
		if !slices.ContainsFunc(items, func(i cutover.Item) bool { return i.Key.ID == id }) {
			t.Errorf("the transfer %s was acknowledged, but is not there", id)
		}
	}
	if sum != 4000 || revs != 2*int64(len(items)) {
		t.Errorf("balances sum to %d, want 4000; accounts were written %d times for %d transfers", sum, revs, len(items))
	}
	notes, err := bk.Notes(t.Context(), 1000)
	if err != nil || len(notes) < len(items) {
		t.Errorf("%d notes of %d transfers, %v", len(notes), len(items), err)
	}
}
