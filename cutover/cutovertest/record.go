package cutovertest

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/cutover/query"
)

// record shows that one record survives: its fields, its revisions, its end.
func (s *suite) record(t *testing.T, k cutover.Kind) {
	t.Run("EveryFieldComesBack", func(t *testing.T) {
		r := s.full(t, k)
		s.put(t, r)
		s.wantStored(t, r)
		if r.RecordMeta().Rev != 1 {
			t.Errorf("Put made revision %d of a new record, want 1", r.RecordMeta().Rev)
		}
	})
	t.Run("NothingComesBackAsNothing", func(t *testing.T) {
		r := s.bare(t, k)
		s.put(t, r)
		s.wantStored(t, r)
	})
	t.Run("EmptyComesBackAsNothing", func(t *testing.T) {
		r := s.bare(t, k)
		hollow(r)
		s.put(t, r)
		s.wantStored(t, r)
	})
	t.Run("PutReplacesAllOfIt", func(t *testing.T) {
		first := s.full(t, k)
		s.put(t, first)
		second := s.again(t, k, first)
		shorten(second)
		s.fix(k, second)
		s.put(t, second)
		s.wantStored(t, second)
		if second.RecordMeta().Rev != 2 {
			t.Errorf("the second Put made revision %d, want 2", second.RecordMeta().Rev)
		}
		third := s.bare(t, k)
		third.RecordMeta().ID, third.RecordMeta().Rev = first.RecordMeta().ID, 2
		s.put(t, third)
		s.wantStored(t, third)
	})
	t.Run("AStalePutConflicts", func(t *testing.T) {
		r := s.full(t, k)
		s.put(t, r)
		for _, rev := range []int64{0, 2} {
			stale := s.again(t, k, r)
			stale.RecordMeta().Rev = rev
			wantStale(t, s.tryPut(stale), "Put of another revision")
		}
		s.wantStored(t, r)
		gone := s.full(t, k)
		gone.RecordMeta().Rev = 3
		wantStale(t, s.tryPut(gone), "Put of a revision of a record that is not there")
		s.wantGone(t, s.key(gone))
	})
	t.Run("DeleteRemovesThatRevision", func(t *testing.T) {
		r := s.full(t, k)
		s.put(t, r)
		stale := s.again(t, k, r)
		stale.RecordMeta().Rev = 7
		wantStale(t, s.tryDelete(stale), "Delete of another revision")
		s.wantStored(t, r)
		s.remove(t, r)
		s.wantGone(t, s.key(r))
	})
	for name, write := range map[string]func(context.Context, cutover.Tx, cutover.Record) error{
		"ALegacyRecordIsReplacedOnceItWasRead": func(ctx context.Context, tx cutover.Tx, r cutover.Record) error { return tx.Put(ctx, r) },
		"ALegacyRecordIsDeletedOnceItWasRead":  func(ctx context.Context, tx cutover.Tx, r cutover.Record) error { return tx.Delete(ctx, r) },
	} {
		t.Run(name, func(t *testing.T) { s.legacy(t, k, write) })
	}
	t.Run("PutKeepsWhatItWasGiven", func(t *testing.T) {
		r, want := s.full(t, k), k.New()
		err := s.side.Update(s.ctx, s.guard, func(ctx context.Context, tx cutover.Tx) error {
			err := tx.Put(ctx, r)
			*want.RecordMeta() = *r.RecordMeta()
			r.RecordMeta().Extra = cutover.Extra(`{"zzLater":true}`)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		got := s.get(t, s.key(r))
		if got.Record == nil || string(got.Record.RecordMeta().Extra) != string(want.RecordMeta().Extra) {
			t.Errorf("a change after Put was written")
		}
	})
}

// legacy writes a record of revision 0, which was copied in, after a read.
func (s *suite) legacy(t *testing.T, k cutover.Kind, write func(context.Context, cutover.Tx, cutover.Record) error) {
	r := s.full(t, k)
	r.RecordMeta().ID = cutover.MustID("000000000000000000000001") // the oldest
	s.apply(t, itemOf(s, r))
	var read cutover.Record
	err := s.side.Update(s.ctx, s.guard, func(ctx context.Context, tx cutover.Tx) error {
		list, err := tx.Find(ctx, k.Name, query.All().Limit(1))
		if err != nil {
			return err
		}
		read = list[0]
		return write(ctx, tx, read)
	})
	if err != nil || read.RecordMeta().ID != r.RecordMeta().ID {
		t.Fatalf("writing %s: %v", s.key(r), err)
	}
	got := s.get(t, s.key(r))
	if got.Record != nil {
		s.wantStored(t, read)
		if got.Rev != 1 {
			t.Errorf("it has revision %d now, want 1", got.Rev)
		}
		s.remove(t, read)
	}
	s.wantGone(t, s.key(r))
}

// update shows that an Update is all or nothing.
func (s *suite) update(t *testing.T, k cutover.Kind) {
	t.Run("SeveralLandTogether", func(t *testing.T) {
		a, b := s.full(t, k), s.full(t, k)
		s.put(t, a, b)
		s.wantStored(t, a)
		s.wantStored(t, b)
	})
	t.Run("OneConflictWritesNothing", func(t *testing.T) {
		there, new1, new2 := s.full(t, k), s.full(t, k), s.full(t, k)
		s.put(t, there)
		stale := s.again(t, k, there)
		stale.RecordMeta().Rev = 5
		wantStale(t, s.tryPut(new1, stale, new2), "an Update with a stale record")
		s.wantStored(t, there)
		s.wantGone(t, s.key(new1))
		s.wantGone(t, s.key(new2))
	})
	t.Run("TheClosuresErrorWritesNothing", func(t *testing.T) {
		r := s.full(t, k)
		err := s.side.Update(s.ctx, s.guard, func(ctx context.Context, tx cutover.Tx) error {
			return errors.Join(tx.Put(ctx, r), errOwn)
		})
		if !errors.Is(err, errOwn) {
			t.Errorf("Update gave %v, want the closure's error", err)
		}
		s.wantGone(t, s.key(r))
	})
	t.Run("ThePanicOfAClosureWritesNothing", func(t *testing.T) {
		r := s.full(t, k)
		func() {
			defer func() { _ = recover() }()
			_ = s.side.Update(s.ctx, s.guard, func(ctx context.Context, tx cutover.Tx) error {
				_ = tx.Put(ctx, r)
				panic(errOwn)
			})
		}()
		s.wantGone(t, s.key(r))
	})
	t.Run("TheSecondPutOfARecordCounts", func(t *testing.T) {
		a := s.full(t, k)
		b := s.again(t, k, a)
		s.put(t, a, b)
		s.wantStored(t, b)
		if b.RecordMeta().Rev != 1 {
			t.Errorf("two Puts in one Update made revision %d, want 1", b.RecordMeta().Rev)
		}
	})
	t.Run("AClosureMayRunTwice", func(t *testing.T) {
		r := s.full(t, k)
		s.put(t, r)
		var last cutover.Record
		next := s.again(t, k, r)
		err := s.side.Update(s.ctx, s.guard, func(ctx context.Context, tx cutover.Tx) error {
			for range 2 {
				last = clone(k, next)
				if err := tx.Put(ctx, last); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		s.wantStored(t, last)
	})
	t.Run("AViewCannotWrite", func(t *testing.T) {
		r := s.full(t, k)
		err := s.side.View(s.ctx, func(ctx context.Context, tx cutover.Tx) error { return tx.Put(ctx, r) })
		if err == nil {
			t.Error("a Put in a View succeeded")
		}
		s.wantGone(t, s.key(r))
	})
	t.Run("ParallelUpdatesLoseNothing", func(t *testing.T) { s.race(t, k) })
}

// clone copies a record, but not what its fields point to.
func clone(k cutover.Kind, of cutover.Record) cutover.Record {
	r := k.New()
	reflect.ValueOf(r).Elem().Set(reflect.ValueOf(of).Elem())
	return r
}

// race lets several writers add to the same two records: each success must
// have raised both revisions by one.
func (s *suite) race(t *testing.T, k cutover.Kind) {
	const writers, tries = 4, 5
	a, b := s.full(t, k), s.full(t, k)
	s.put(t, a, b)
	var won atomic.Int64
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for range tries {
				items, err := s.side.Get(s.ctx, []cutover.Key{s.key(a), s.key(b)})
				if err != nil || items[0].Record == nil || items[1].Record == nil {
					t.Errorf("get: %v", err)
					return
				}
				pair := []cutover.Record{items[0].Record, items[1].Record}
				if w%2 == 1 {
					pair[0], pair[1] = pair[1], pair[0]
				}
				switch err := s.tryPut(pair...); {
				case err == nil:
					won.Add(1)
				case !fault.Is(err, fault.Conflict):
					t.Errorf("put: %v, want success or a conflict", err)
				}
			}
		})
	}
	wg.Wait()
	for _, r := range []cutover.Record{a, b} {
		if got := s.get(t, s.key(r)); got.Rev != 1+won.Load() {
			t.Errorf("%s: %d Updates succeeded, but the revision is %d", got.Key, won.Load(), got.Rev)
		}
	}
	if won.Load() == 0 {
		t.Error("no writer ever succeeded")
	}
}
