package storetest

import (
	"context"
	"testing"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/cutovertest"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/cutover/query"
	"github.com/amanat-dev/amanat/internal/event"
)

// events shows the two queries that every domain with events has.
func events(t *testing.T, d cutover.Definition, side cutover.Side) {
	domain, err := cutover.Solo(cutover.Spec{Definition: cutover.Definition{Name: d.Name, Kinds: d.Kinds, Refers: d.Refers, Queries: []string{"test"}}, Target: side})
	if err != nil {
		t.Fatal(err)
	}
	put := func(r cutover.Record) {
		t.Helper()
		_, err := cutover.Update(t.Context(), domain, func(ctx context.Context, tx cutover.Tx) (bool, error) { return true, tx.Put(ctx, r) })
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Run("TheOldestComeFirst", func(t *testing.T) {
		var ids []string
		for seed := range 3 {
			e := new(event.Event)
			cutovertest.Fill(e, seed)
			e.ID = cutover.NewID()
			ids = append(ids, e.ID.String())
			put(e)
		}
		sameTexts(t, "events", eventIDs(t, domain, 10), ids)
		sameTexts(t, "two events", eventIDs(t, domain, 2), ids[:2])
	})
	t.Run("HandledIsRemembered", func(t *testing.T) {
		h := new(event.Handled)
		cutovertest.Fill(h, 1)
		wantHandled(t, domain, h.ID, false)
		put(h)
		wantHandled(t, domain, h.ID, true)
	})
}

func eventIDs(t *testing.T, d *cutover.Domain, limit int) []string {
	t.Helper()
	ids, err := cutover.View(t.Context(), d, "test", func(ctx context.Context, tx cutover.Tx) (ids []string, err error) {
		list, err := cutover.Find[event.Event](ctx, tx, query.All().Limit(limit))
		for _, e := range list {
			ids = append(ids, e.ID.String())
		}
		return ids, err
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func wantHandled(t *testing.T, d *cutover.Domain, id cutover.ID, want bool) {
	t.Helper()
	_, err := cutover.View(t.Context(), d, "test", func(ctx context.Context, tx cutover.Tx) (event.Handled, error) {
		return cutover.Get[event.Handled](ctx, tx, id)
	})
	if got := err == nil; got != want || !got && !fault.Is(err, fault.NotFound) {
		t.Errorf("handled: %v (%v), want %v", got, err, want)
	}
}
