package mongodb_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/cutover/mongodb"
	"github.com/amanat-dev/amanat/cutover/query"
)

func itemAt(id cutover.ID, rev int64, deleted bool) cutover.Item {
	item := cutover.Item{Key: cutover.Key{Kind: "account", ID: id}, Rev: rev, Deleted: deleted}
	if !deleted {
		item.Record = &account{Meta: cutover.Meta{ID: id, Rev: rev}, Balance: rev, Email: email(id)}
	}
	return item
}

func TestCopiesMayComeInAnyOrderAndMoreThanOnce(t *testing.T) {
	t.Parallel()
	bk, other := newBank(t)
	for round := range 30 {
		kept, gone := cutover.NewID(), cutover.NewID()
		var items []cutover.Item
		for rev := range int64(5) {
			items = append(items, itemAt(kept, rev+1, false), itemAt(kept, rev+1, false), itemAt(gone, rev+1, rev == 4), itemAt(gone, rev+1, rev == 4))
		}
		rand.Shuffle(len(items), func(i, j int) { items[i], items[j] = items[j], items[i] })
		half := make(chan error)
		go func() { half <- applyAll(t, other, items[:10]) }() // two copiers at once
		if err := applyAll(t, bk, items[10:]); err != nil {
			t.Fatal(err)
		}
		if err := <-half; err != nil {
			t.Fatal(err)
		}
		got, err := bk.Get(t.Context(), []cutover.Key{{Kind: "account", ID: kept}, {Kind: "account", ID: gone}})
		if err != nil {
			t.Fatal(err)
		}
		if got[0].Record == nil || got[0].Rev != 5 || got[0].Record.(*account).Balance != 5 {
			t.Errorf("round %d: the copy is %+v, want revision 5", round, got[0])
		}
		if !got[1].Deleted || got[1].Rev != 5 || got[1].Record != nil {
			t.Errorf("round %d: the deleted one is %+v, want a tombstone of revision 5", round, got[1])
		}
	}
	wantNotes(t, bk, 0)
}

func applyAll(t *testing.T, bk *bank, items []cutover.Item) error {
	errs, err := bk.Apply(t.Context(), items, cutover.ApplyOptions{})
	for _, e := range errs {
		if err == nil {
			err = e
		}
	}
	return err
}

func TestACopyThatBreaksAUniqueRuleIsItsOwnErrorAlone(t *testing.T) {
	t.Parallel()
	bk, _ := newBank(t)
	a, b, c := itemAt(cutover.NewID(), 1, false), itemAt(cutover.NewID(), 1, false), itemAt(cutover.NewID(), 1, false)
	if err := applyAll(t, bk, []cutover.Item{a}); err != nil {
		t.Fatal(err)
	}
	b.Record.(*account).Email = a.Record.(*account).Email
	errs, err := bk.Apply(t.Context(), []cutover.Item{b, c}, cutover.ApplyOptions{})
	if err != nil || !fault.Is(errs[0], fault.Conflict) || errs[1] != nil {
		t.Errorf("Apply gave %v, %v; want a conflict for the first alone", errs, err)
	}
	if err := bk.Load(t.Context(), "account", []cutover.Item{b}); err == nil {
		t.Error("Load of a record that breaks a unique rule succeeded")
	}
}

func TestForceOverwritesWhateverIsThere(t *testing.T) {
	t.Parallel()
	bk, _ := newBank(t)
	id := cutover.NewID()
	force := cutover.ApplyOptions{Force: true}
	for _, step := range []struct {
		item cutover.Item
		want string
	}{
		{itemAt(id, 5, false), "rev 5 deleted false"},
		{itemAt(id, 2, false), "rev 2 deleted false"},
		{itemAt(id, 1, true), "rev 1 deleted true"},
		{itemAt(id, 1, false), "rev 1 deleted false"},
	} {
		if errs, err := bk.Apply(t.Context(), []cutover.Item{step.item}, force); err != nil || errs[0] != nil {
			t.Fatal(errs, err)
		}
		got, err := bk.Get(t.Context(), []cutover.Key{step.item.Key})
		if err != nil {
			t.Fatal(err)
		}
		if text := fmt.Sprintf("rev %d deleted %v", got[0].Rev, got[0].Deleted); text != step.want {
			t.Errorf("it is %s, want %s", text, step.want)
		}
	}
}

func TestForeignIdentitiesAreListedAndKeptOutOfScans(t *testing.T) {
	t.Parallel()
	bk, _ := newBank(t)
	mine := newAccount("x", 1)
	bk.put(t, mine)
	for i, id := range []any{"template-checkout-1", "0123456789abcdef01234567", 17} {
		doc := bson.D{{Key: "_id", Value: id}, {Key: "owner", Value: "x"}, {Key: "balance", Value: 3}, {Key: "email", Value: fmt.Sprint(i)}}
		if _, err := bk.db.Raw("accounts").InsertOne(t.Context(), doc); err != nil {
			t.Fatal(err)
		}
	}
	foreign, err := bk.Foreign(t.Context(), "account", 10)
	if err != nil || len(foreign) != 3 {
		t.Fatalf("Foreign gave %v, %v; want 3", foreign, err)
	}
	seen := map[string]bool{}
	for _, f := range foreign {
		seen[f.RawID] = true
		if f.Err != nil || f.Record == nil || f.Record.(*account).Balance != 3 || !f.Record.RecordMeta().ID.IsZero() {
			t.Errorf("Foreign gave %+v, want a record without ID", f)
		}
	}
	if !seen["template-checkout-1"] || !seen["0123456789abcdef01234567"] {
		t.Errorf("the identities are %v", seen)
	}
	items, err := bk.Scan(t.Context(), "account", cutover.ID{}, cutover.ID{}, 10)
	if err != nil || len(items) != 1 || items[0].Key.ID != mine.ID {
		t.Errorf("Scan gave %v, %v; want the one with an ID", items, err)
	}
	if ids, raw := streamed(t, bk, cutover.ID{}); len(ids) != 1 || ids[0] != mine.ID || len(raw) != 3 {
		t.Errorf("a Stream of all gave %v and %v, want one with an ID and three without", ids, raw)
	}
	if ids, raw := streamed(t, bk, mine.ID); len(ids)+len(raw) > 0 {
		t.Errorf("a Stream of what comes after gave %v and %v, want nothing", ids, raw)
	}
	bounds, err := bk.Bounds(t.Context(), "account", 1)
	if err != nil || len(bounds) != 1 || bounds[0] != mine.ID {
		t.Errorf("Bounds gave %v, %v; want one", bounds, err)
	}
}

// streamed returns what a Stream has of the accounts after one: the identities,
// and those that are no IDs.
func streamed(t *testing.T, bk *bank, after cutover.ID) (ids []cutover.ID, raw []string) {
	t.Helper()
	err := bk.Side.(cutover.Streamer).Stream(t.Context(), "account", after, cutover.ID{}, func() int { return 2 }, func(items []cutover.Item) error {
		for _, i := range items {
			if i.RawID != "" {
				raw = append(raw, i.RawID)
				continue
			}
			ids = append(ids, i.Key.ID)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids, raw
}

func TestAnUnreadableDocumentStandsAlone(t *testing.T) {
	t.Parallel()
	bk, _ := newBank(t)
	good := newAccount("x", 1)
	bk.put(t, good)
	bad := bson.NewObjectID()
	doc := bson.D{{Key: "_id", Value: bad}, {Key: "owner", Value: "x"}, {Key: "balance", Value: 1.5}}
	if _, err := bk.db.Raw("accounts").InsertOne(t.Context(), doc); err != nil {
		t.Fatal(err)
	}
	items, err := bk.Scan(t.Context(), "account", cutover.ID{}, cutover.ID{}, 10)
	if err != nil || len(items) != 2 || (items[0].Err == nil) == (items[1].Err == nil) {
		t.Errorf("Scan gave %v, %v; want one good and one bad item", items, err)
	}
	if n, err := bk.Count(t.Context(), "account"); err != nil || n != 2 {
		t.Errorf("Count gave %d, %v; want 2", n, err)
	}
	ofX := query.Eq("owner", "x") // of the newest first, the bad one leads
	list := func(ctx context.Context, tx cutover.Tx) (err error) {
		for _, limit := range []int{0, 1} {
			found, err := cutover.Find[account](ctx, tx, ofX.OrderByDesc(query.ID).Limit(limit))
			if err != nil || len(found) != 1 || found[0].ID != good.ID {
				return fmt.Errorf("Find of %d gave %v, %w; want the good one", limit, found, err)
			}
		}
		found, err := cutover.Find[account](ctx, tx, query.In(query.ID, cutover.ID(bad), cutover.NewID(), good.ID))
		if err != nil || len(found) != 1 || found[0].ID != good.ID {
			return fmt.Errorf("Find by identity gave %v, %w; want the good one", found, err)
		}
		return nil
	}
	if err := bk.View(t.Context(), list); err != nil {
		t.Error(err)
	}
	if n := bk.db.Unreadable(); n != 1 {
		t.Errorf("%d records count as unreadable, want 1", n)
	}
	ask := map[string]func(context.Context, cutover.Tx) error{
		"Get": func(ctx context.Context, tx cutover.Tx) error {
			_, err := cutover.Get[account](ctx, tx, cutover.ID(bad))
			return err
		},
		"First": func(ctx context.Context, tx cutover.Tx) error {
			_, err := cutover.First[account](ctx, tx, query.Eq(query.ID, cutover.ID(bad)))
			return err
		},
		"Each": func(ctx context.Context, tx cutover.Tx) error {
			return cutover.Each(ctx, tx, func(account) error { return nil })
		},
	}
	for what, ask := range ask {
		wantNamed(t, what, bk.View(t.Context(), ask), bad)
	}
	wantNamed(t, "a list in an Update", bk.update(t.Context(), list), bad)
}

// wantNamed wants the fault of a record that is not readable.
func wantNamed(t *testing.T, what string, err error, id bson.ObjectID) {
	t.Helper()
	var f *fault.Error
	if !errors.As(err, &f) || !fault.Is(err, fault.Internal) || !strings.Contains(f.Unwrap().Error(), "account/"+id.Hex()) {
		t.Errorf("%s gave %v, want an internal fault that names the record", what, err)
	}
}

func TestGetReadsTheSameOneByOneAndByLists(t *testing.T) {
	t.Parallel()
	dying, bk := newBank(t)
	s := newScene(t, bk)
	buried, missing := cutover.Key{Kind: "account", ID: cutover.NewID()}, cutover.Key{Kind: "transfer", ID: cutover.NewID()}
	if _, err := bk.Apply(t.Context(), []cutover.Item{{Key: buried, Rev: 7, Deleted: true}}, cutover.ApplyOptions{}); err != nil {
		t.Fatal(err)
	}
	sent := &transfer{Amount: 1}
	bk.put(t, sent)
	dying.crashAt(5) // before its mark: a and b keep what they had
	if err := s.run(t.Context(), dying); !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	keys := []cutover.Key{buried, missing, {Kind: "transfer", ID: sent.ID}}
	for _, a := range []*account{s.a, s.b, s.gone, s.added} {
		keys = append(keys, cutover.Key{Kind: "account", ID: a.ID})
	}
	for _, lists := range []bool{false, true} {
		bk.db.SetFindsLists(lists)
		var got []string
		items, err := bk.Get(t.Context(), append(keys, buried))
		for _, i := range items {
			got = append(got, fmt.Sprint(i.Record != nil, i.Rev, i.Deleted, i.Err))
		}
		want := []string{"false 7 true <nil>", "false 0 false <nil>", "true 1 false <nil>", "true 1 false <nil>",
			"true 1 false <nil>", "true 1 false <nil>", "false 0 false <nil>", "false 7 true <nil>"}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("lists %v: Get gave %v, %v; want %v", lists, got, err, want)
		}
	}
}

func TestALegacyDocumentGetsARevisionWhenItIsWritten(t *testing.T) {
	t.Parallel()
	for _, several := range []bool{false, true} {
		bk, _ := newBank(t)
		id := bson.NewObjectID()
		doc := bson.D{{Key: "_id", Value: id}, {Key: "owner", Value: "x"}, {Key: "balance", Value: 3.0}, {Key: "__v", Value: 2}}
		if _, err := bk.db.Raw("accounts").InsertOne(t.Context(), doc); err != nil {
			t.Fatal(err)
		}
		write := func() error {
			return bk.update(t.Context(), func(ctx context.Context, tx cutover.Tx) error {
				a, err := cutover.Get[account](ctx, tx, cutover.ID(id))
				if err != nil {
					return err
				}
				if several {
					if err := tx.Put(ctx, newAccount("y", 1)); err != nil {
						return err
					}
				}
				a.Balance++
				return tx.Put(ctx, &a)
			})
		}
		for range 2 {
			if err := write(); err != nil {
				t.Fatal(err)
			}
		}
		a, err := bk.account(t, cutover.ID(id))
		if err != nil || a.Rev != 2 || a.Balance != 5 || string(a.Extra) != `{"__v":{"$numberInt":"2"}}` {
			t.Errorf("got %+v, %v; want revision 2 and __v", a, err)
		}
		blind := &account{Meta: cutover.Meta{ID: cutover.ID(id)}}
		if err := bk.tryPut(t.Context(), blind); !fault.Is(err, fault.Conflict) {
			t.Errorf("a new record of the same ID gave %v, want a conflict", err)
		}
	}
}

// TestAThousandNotesAreForgottenAtOnce: as many as a copier works off in a round
// after it was away, however few connections the server has.
func TestAThousandNotesAreForgottenAtOnce(t *testing.T) {
	t.Parallel()
	const many = 1000
	bk, _ := newBank(t)
	bk.guard.Journal = true
	for range many {
		bk.put(t, newAccount("x", 1))
	}
	notes, err := bk.Notes(t.Context(), 2*many)
	if err != nil || len(notes) != many {
		t.Fatalf("Notes gave %d, %v; want %d", len(notes), err, many)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if err := bk.Forget(ctx, notes); err != nil {
		t.Fatal(err)
	}
	if n, _, err := bk.Journal(t.Context()); err != nil || n != 0 {
		t.Errorf("Journal gave %d, %v; want nothing", n, err)
	}
}

func TestANoteStaysWhenItsRecordIsWrittenAgain(t *testing.T) {
	t.Parallel()
	bk, other := newBank(t)
	bk.guard.Journal = true
	a, b := newAccount("x", 1), newAccount("x", 2)
	bk.put(t, a, b)
	notes, err := other.Notes(t.Context(), 10)
	if err != nil || len(notes) != 2 || notes[0].Epoch != 3 || notes[0].Rev != 1 || time.Since(notes[0].At).Abs() > time.Minute {
		t.Fatalf("Notes gave %+v, %v; want two of epoch 3", notes, err)
	}
	bk.put(t, a)
	if err := other.Forget(t.Context(), notes); err != nil {
		t.Fatal(err)
	}
	notes, err = other.Notes(t.Context(), 10)
	if err != nil || len(notes) != 1 || notes[0].Key.ID != a.ID || notes[0].Rev != 2 {
		t.Fatalf("Notes gave %+v, %v; want that of revision 2", notes, err)
	}
	err = bk.update(t.Context(), func(ctx context.Context, tx cutover.Tx) error { return tx.Delete(ctx, a) })
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Forget(t.Context(), notes); err != nil {
		t.Fatal(err)
	}
	if _, err := bk.account(t, a.ID); !fault.Is(err, fault.NotFound) {
		t.Errorf("the deleted record gave %v, want not found", err)
	}
	n, oldest, err := bk.Journal(t.Context())
	if err != nil || n != 1 || oldest.IsZero() {
		t.Errorf("Journal gave %d, %v, %v; want the note of the delete", n, oldest, err)
	}
	forgetAll(t, other)
	left, err := bk.db.Raw("accounts").CountDocuments(t.Context(), bson.D{})
	if err != nil || left != 1 {
		t.Errorf("%d documents are left, %v; want one: no tombstone", left, err)
	}
}

func TestANoteOfAnUndecidedCommitIsNoneYet(t *testing.T) {
	t.Parallel()
	slow, bk := newBank(t)
	slow.guard.Journal = true
	a, b := newAccount("x", 1), newAccount("x", 2)
	slow.put(t, a)
	reached, letGo := slow.hold("mark")
	done := make(chan error)
	go func() { done <- slow.tryPut(t.Context(), a, b) }()
	<-reached
	notes, err := bk.Notes(t.Context(), 10)
	if err != nil || len(notes) != 1 || notes[0].Rev != 1 {
		t.Errorf("Notes gave %+v, %v; want the one of before", notes, err)
	}
	if n, _, err := bk.Journal(t.Context()); err != nil || n != 2 {
		t.Errorf("Journal gave %d, %v; want both that may come to stand", n, err)
	}
	close(letGo)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	wantNotes(t, bk, 2)
}

func TestStateIsNeverReplacedByAnOlderOne(t *testing.T) {
	t.Parallel()
	bk, other := newBank(t)
	keeper, second := bk.Side.(cutover.StateMirror), other.Side.(cutover.StateMirror)
	if s, err := keeper.ReadState(t.Context()); err != nil || s != (cutover.State{}) {
		t.Errorf("ReadState gave %v, %v; want none", s, err)
	}
	newest := cutover.State{Domain: "bank", Phase: cutover.PhaseMirror, Epoch: 5, Sealed: true}
	done := make(chan error)
	go func() { done <- second.WriteState(t.Context(), newest) }()
	for _, epoch := range []int64{3, 2, 4} {
		if err := keeper.WriteState(t.Context(), cutover.State{Domain: "bank", Phase: cutover.PhaseDual, Epoch: epoch}); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if s, err := keeper.ReadState(t.Context()); err != nil || s != newest {
		t.Errorf("ReadState gave %v, %v; want %v", s, err, newest)
	}
}

func TestADatabaseThatIsAwayIsUnavailable(t *testing.T) {
	t.Parallel()
	db, err := mongodb.Open(t.Context(), "mongodb://127.0.0.1:9/", "none")
	if err != nil {
		t.Fatal(err)
	}
	side := db.Side(bankDefinition)
	if err := side.Ping(t.Context()); !fault.Is(err, fault.Unavailable) {
		t.Errorf("Ping gave %v, want unavailable", err)
	}
	err = side.Update(t.Context(), cutover.Guard{}, func(ctx context.Context, tx cutover.Tx) error {
		return tx.Put(ctx, newAccount("x", 1))
	})
	if !fault.Is(err, fault.Unavailable) {
		t.Errorf("Update gave %v, want unavailable", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := side.Count(ctx, "account"); fault.KindOf(err) == "" {
		t.Error("Count under a cancelled context succeeded")
	}
	if _, err := mongodb.Open(t.Context(), "postgres://user:secret@host", "x"); err == nil {
		t.Error("Open of a PostgreSQL URL succeeded")
	}
}
