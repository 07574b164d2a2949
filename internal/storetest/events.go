package storetest

import (
	"context"
	"testing"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/cutover/query"
	"github.com/amanat-dev/amanat/internal/event"
)

// events shows the two queries that every domain has, and what a write does
// that knows its record from a read.
func (s *suite) events(t *testing.T) {
	sent, ok := s.kinds.Named(s.guard.Domain + "_event")
	handled, too := s.kinds.Named(s.guard.Domain + "_handled_event")
	if !ok || !too {
		t.Fatalf("%s lacks the kinds of event.Kinds(%q)", s.guard.Domain, s.guard.Domain)
	}
	t.Run("TheOldestComeFirst", func(t *testing.T) {
		var ids []string
		for range 3 {
			e := s.full(t, sent)
			e.RecordMeta().ID = cutover.NewID()
			ids = append(ids, e.RecordMeta().ID.String())
			s.put(t, e)
		}
		sameTexts(t, "Events", s.pending(t, 10), ids)
		sameTexts(t, "two Events", s.pending(t, 2), ids[:2])
	})
	t.Run("HandledIsRemembered", func(t *testing.T) {
		h := s.full(t, handled)
		s.wantHandled(t, h, false)
		s.put(t, h)
		s.wantHandled(t, h, true)
	})
	for name, write := range map[string]func(context.Context, cutover.Tx, cutover.Record) error{
		"ALegacyRecordIsReplacedOnceItWasRead": func(ctx context.Context, tx cutover.Tx, r cutover.Record) error { return tx.Put(ctx, r) },
		"ALegacyRecordIsDeletedOnceItWasRead":  func(ctx context.Context, tx cutover.Tx, r cutover.Record) error { return tx.Delete(ctx, r) },
	} {
		t.Run(name, func(t *testing.T) { s.legacy(t, sent, write) })
	}
}

// legacy writes a record of revision 0, which was copied in, after a read.
func (s *suite) legacy(t *testing.T, k cutover.Kind, write func(context.Context, cutover.Tx, cutover.Record) error) {
	r := s.full(t, k)
	r.RecordMeta().ID = cutover.MustID("000000000000000000000001") // the oldest
	s.apply(t, itemOf(s, r))
	var e event.Event
	err := s.side.Update(s.ctx, s.guard, func(ctx context.Context, tx cutover.Tx) error {
		list, err := cutover.Find[event.Event](ctx, tx, query.All().Limit(1))
		if err != nil {
			return err
		}
		e = list[0]
		return write(ctx, tx, &e)
	})
	if err != nil || e.ID != r.RecordMeta().ID {
		t.Fatalf("writing %s: %v", s.key(r), err)
	}
	got := s.get(t, s.key(r))
	if got.Record != nil {
		s.wantStored(t, &e)
		if got.Rev != 1 {
			t.Errorf("it has revision %d now, want 1", got.Rev)
		}
		s.remove(t, &e)
	}
	s.wantGone(t, s.key(r))
}

func (s *suite) pending(t *testing.T, limit int) (ids []string) {
	t.Helper()
	err := s.side.View(s.ctx, func(ctx context.Context, tx cutover.Tx) error {
		list, err := cutover.Find[event.Event](ctx, tx, query.All().Limit(limit))
		for _, e := range list {
			ids = append(ids, e.ID.String())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func (s *suite) wantHandled(t *testing.T, h cutover.Record, want bool) {
	t.Helper()
	err := s.side.View(s.ctx, func(ctx context.Context, tx cutover.Tx) error {
		_, err := cutover.Get[event.Handled](ctx, tx, h.RecordMeta().ID)
		if got := err == nil; got != want {
			t.Errorf("handled: %v, want %v", got, want)
		}
		if fault.Is(err, fault.NotFound) {
			return nil
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
