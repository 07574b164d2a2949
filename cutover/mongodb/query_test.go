package mongodb_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/cutover/mongodb"
	"github.com/amanat-dev/amanat/cutover/query"
)

// meanwhile is what happens to a commit while a query is read: some of it
// before the server answers, the rest before the commits in flight are asked
// for. after is what is left to do.
type meanwhile struct {
	happened               bool // what the query must show
	before, between, after func(*race)
}

// race is one commit and one query.
type race struct {
	*testing.T
	scene
	writer, other *bank
	over          func() // lets the commit go on
}

func (r *race) start() {
	r.over = r.writer.pendingCommit(r.T, func() error { return r.run(r.Context(), r.writer) })
}

// startDoomed is start for a commit that somebody else will roll back.
func (r *race) startDoomed() {
	r.over = r.writer.pendingCommit(r.T, func() error {
		if err := r.run(r.Context(), r.writer); !fault.Is(err, fault.Conflict) {
			return fmt.Errorf("a commit that was rolled back gave %v, want a conflict", err)
		}
		return nil
	})
}

func (r *race) rollBack() {
	r.other.impatient()
	if err := mongodb.Recover(r.Context(), r.other.Side); err != nil {
		r.Error(err)
	}
}

func (r *race) dieBefore(write int) {
	r.writer.crashAt(write)
	if err := r.run(r.Context(), r.writer); !errors.Is(err, errCrash) {
		r.Errorf("Update gave %v, want the crash", err)
	}
}

func (r *race) commit() {
	if err := r.run(r.Context(), r.writer); err != nil {
		r.Error(err)
	}
}

func nothing(*race) {}

var races = map[string]meanwhile{
	"it is pending all the while":             {false, (*race).start, nothing, func(r *race) { r.over() }},
	"it happens, and is over":                 {true, (*race).start, func(r *race) { r.over() }, nothing},
	"it is rolled back":                       {false, (*race).startDoomed, (*race).rollBack, func(r *race) { r.over() }},
	"it is to be rolled back, but not yet is": {false, func(r *race) { r.dieBefore(5) }, func(r *race) { r.writer.setCommits(r.T, bson.D{{Key: "state", Value: "aborted"}}) }, nothing},
	"it was rolled back just before":          {false, func(r *race) { r.startDoomed(); r.rollBack() }, nothing, func(r *race) { r.over() }},
	"it begins, and stays pending":            {false, nothing, (*race).start, func(r *race) { r.over() }},
	"it begins, happens, and is over":         {false, nothing, (*race).commit, nothing},
	"its writer died before it happened":      {false, func(r *race) { r.dieBefore(5) }, nothing, nothing},
	"its writer died half way":                {false, func(r *race) { r.dieBefore(3) }, nothing, nothing},
	"its writer died after it happened":       {true, func(r *race) { r.dieBefore(7) }, nothing, nothing},
	"its writer died, and it is rolled back":  {false, func(r *race) { r.dieBefore(5) }, (*race).rollBack, nothing},
	"its writer died, and it is finished":     {true, func(r *race) { r.dieBefore(7) }, (*race).rollBack, nothing},
}

func TestAQueryIsRightWhateverACommitDoesMeanwhile(t *testing.T) {
	t.Parallel()
	for name, m := range races {
		for _, lists := range []bool{false, true} {
			for _, owner := range []string{"old", "new"} {
				t.Run(fmt.Sprintf("%s/%s owner/lists %v", name, owner, lists), func(t *testing.T) {
					t.Parallel()
					m.race(t, owner, lists)
				})
			}
		}
	}
}

func (m meanwhile) race(t *testing.T, owner string, lists bool) {
	writer, reader, e := newHeardBank(t)
	reader.db.SetFindsLists(lists)
	ask := func(command string, do func() any, want func(emails []string) any) {
		t.Helper()
		r := &race{T: t, scene: newScene(t, writer), writer: writer, other: openBank(t, reader.db.Raw("x").Database().Name())}
		m.before(r)
		e.once(command+" accounts", func() { m.between(r) })
		got := do()
		m.after(r)
		old, now := r.emails(m.happened)
		if want := want(map[string][]string{"old": old, "new": now}[owner]); !reflect.DeepEqual(got, want) {
			t.Errorf("of the %s owner: got %v, want %v", owner, got, want)
		}
		writer.clear(t)
	}
	for _, limit := range []int{3, 1} {
		ask("find", func() any { return reader.owned(t, owner, limit) },
			func(emails []string) any { return emails[:min(limit, len(emails))] })
	}
	ask("aggregate", func() any { return reader.count(t, owner) }, func(emails []string) any { return int64(len(emails)) })
}

func (b *bank) count(t *testing.T, owner string) (n int64) {
	t.Helper()
	err := b.View(t.Context(), func(ctx context.Context, tx cutover.Tx) (err error) {
		n, err = cutover.Count[account](ctx, tx, query.Eq("owner", owner))
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return n
}

// clear leaves nothing.
func (b *bank) clear(t *testing.T) {
	t.Helper()
	b.db.OnStep(func(string) error { return nil })
	for _, name := range []string{"accounts", "cutover_commits"} {
		if _, err := b.db.Raw(name).DeleteMany(t.Context(), bson.D{}); err != nil {
			t.Fatal(err)
		}
	}
}

// The answer to a write of a commit does not come, and the commit is rolled back;
// then the write arrives after all, and hides its document. Queries know, until
// Recover has put that right.
func TestAQueryKnowsOfAWriteThatMayStillArrive(t *testing.T) {
	t.Parallel()
	writer, bk := newBank(t)
	s := newScene(t, writer)
	ctx, cancel := context.WithCancel(t.Context())
	writer.db.OnStep(func(name string) error {
		if name == "prepare" {
			cancel()
		}
		return nil
	})
	if err := s.run(ctx, writer); !fault.Is(err, fault.Unavailable) {
		t.Fatalf("Update gave %v, want unavailable", err)
	}
	writer.db.OnStep(func(string) error { return nil })
	bk.arrives(t, s.a)
	s.want(t, bk, false)
	bk.impatient()
	if err := mongodb.Recover(t.Context(), bk.Side); err != nil {
		t.Fatal(err)
	}
	bk.wantClean(t)
	s.want(t, bk, false)
}

// arrives does the late write of a commit that gives an account to the new
// owner, when what is said to be over was over long ago.
func (b *bank) arrives(t *testing.T, a *account) {
	t.Helper()
	commits, accounts := b.db.Raw("cutover_commits"), b.db.Raw("accounts")
	_, err := commits.UpdateMany(t.Context(), bson.D{{Key: "settled", Value: true}},
		bson.D{{Key: "$set", Value: bson.D{{Key: "endedAt", Value: time.Now().Add(-time.Minute)}}}})
	rec, err2 := commits.FindOne(t.Context(), bson.D{}).Raw()
	id := bson.D{{Key: "_id", Value: bson.ObjectID(a.ID)}}
	old, err3 := accounts.FindOne(t.Context(), id).Raw()
	if err := errors.Join(err, err2, err3); err != nil {
		t.Fatal(err)
	}
	_, err = accounts.UpdateOne(t.Context(), id, bson.D{{Key: "$set", Value: bson.D{
		{Key: "owner", Value: "new"}, {Key: "rev", Value: a.Rev + 1}, {Key: "_lockCommit", Value: rec.Lookup("_id")}, {Key: "_lockUndo", Value: old}}}})
	if err != nil {
		t.Fatal(err)
	}
}

// One process writes three accounts again and again, and another one hides them
// under another owner in Updates that fail at the third. A query finds all three
// all the time, in no content that was not committed, and no account ever falls
// back. It may have some before a commit and some after it: on a server without
// transactions a list is made of committed records, not of one moment.
func TestAQueryIsMadeOfCommittedRecords(t *testing.T) {
	t.Parallel()
	writer, failing := newBank(t)
	reader := openBank(t, writer.db.Raw("x").Database().Name())
	accounts := []*account{newAccount("same", 0), newAccount("same", 0), newAccount("same", 0)}
	for _, a := range accounts {
		writer.put(t, a)
	}
	ctx, stop := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	writers.Go(func() {
		for n := int64(1); ctx.Err() == nil; n++ {
			if err := setBalances(t.Context(), writer, accounts, n); err != nil {
				t.Error(err)
			}
		}
	})
	writers.Go(func() {
		for ctx.Err() == nil {
			if err := hideInVain(t.Context(), failing, accounts); !fault.Is(err, fault.Conflict) {
				t.Errorf("an Update with a stale record gave %v, want a conflict", err)
			}
			time.Sleep(time.Millisecond)
		}
	})
	last := map[cutover.ID]int64{}
	for n := 0; n < 150 || last[accounts[0].ID] < 10; n++ {
		found := reader.same(t)
		if len(found) != 3 {
			t.Errorf("found %d accounts, want 3", len(found))
		}
		for _, a := range found {
			if a.Balance < last[a.ID] {
				t.Errorf("account %s has balance %d, and had %d before", a.ID, a.Balance, last[a.ID])
			}
			last[a.ID] = a.Balance
		}
	}
	stop()
	writers.Wait()
}

func (b *bank) same(t *testing.T) (found []account) {
	t.Helper()
	err := b.View(t.Context(), func(ctx context.Context, tx cutover.Tx) (err error) {
		found, err = cutover.Find[account](ctx, tx, query.Eq("owner", "same"))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// setBalances tries until it succeeds.
func setBalances(ctx context.Context, bk *bank, accounts []*account, n int64) error {
	for {
		err := bk.update(ctx, func(ctx context.Context, tx cutover.Tx) error {
			return each(ctx, tx, accounts, func(a *account) { a.Balance = n })
		})
		if !fault.Is(err, fault.Conflict) {
			return err
		}
	}
}

// hideInVain returns accounts to another owner, the last of them in a revision
// that it has not.
func hideInVain(ctx context.Context, bk *bank, accounts []*account) error {
	return bk.update(ctx, func(ctx context.Context, tx cutover.Tx) error {
		return each(ctx, tx, accounts, func(a *account) {
			if a.Owner, a.Balance = "another", -1; a.ID == accounts[2].ID {
				a.Rev += 1000
			}
		})
	})
}

func each(ctx context.Context, tx cutover.Tx, accounts []*account, change func(*account)) error {
	for _, a := range accounts {
		now, err := cutover.Get[account](ctx, tx, a.ID)
		if err != nil {
			return err
		}
		change(&now)
		if err := tx.Put(ctx, &now); err != nil {
			return err
		}
	}
	return nil
}
