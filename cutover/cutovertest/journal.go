package cutovertest

import (
	"fmt"
	"testing"
	"time"

	"github.com/amanat-dev/amanat/cutover"
)

// journal shows that a write leaves its note, and what becomes of it.
func (s *suite) journal(t *testing.T, k cutover.Kind) {
	s.guard.Journal, s.guard.Epoch = false, 1
	silent := s.full(t, k)
	s.put(t, silent)
	s.wantNotes(t)

	s.guard.Journal, s.guard.Epoch = true, 7
	before := time.Now().Add(-time.Minute)
	r := s.noted(t, k)
	s.wantNotes(t, note(s.key(r), 1))
	count, oldest, err := s.side.Journal(s.ctx)
	if err != nil || count != 1 || oldest.Before(before) || oldest.After(time.Now().Add(time.Minute)) {
		t.Errorf("Journal gave %d, %v, %v; want one note of just now", count, oldest, err)
	}

	first := s.notes(t)
	s.put(t, r)
	s.forget(t, first)
	s.wantNotes(t, note(s.key(r), 2))
	s.wantStored(t, r)

	wantConflict(t, s.tryPut(staleOf(k, r)), "a stale Put")
	s.wantNotes(t, note(s.key(r), 2))

	s.forget(t, s.notes(t))
	s.remove(t, r)
	s.wantNotes(t, note(s.key(r), 3))
	s.forgetTombstones(t, 0) // not this one, which has a note
	if got := s.get(t, s.key(r)); !got.Deleted || got.Rev != 3 {
		t.Errorf("a noted delete gave %+v, want a tombstone of revision 3", got)
	}
	s.forget(t, s.notes(t))
	s.wantNotes(t)

	s.guard.Journal = false
	if _, err := s.side.Apply(s.ctx, []cutover.Item{itemOf(s, silent)}, cutover.ApplyOptions{Force: true}); err != nil {
		t.Fatal(err)
	}
	s.wantNotes(t)
	if count, oldest, err := s.side.Journal(s.ctx); err != nil || count != 0 || !oldest.IsZero() {
		t.Errorf("Journal gave %d, %v, %v; want nothing", count, oldest, err)
	}
}

// noted puts another record and leaves no notes of what it needs first.
func (s *suite) noted(t *testing.T, k cutover.Kind) cutover.Record {
	t.Helper()
	s.guard.Journal = false
	r := s.full(t, k)
	s.guard.Journal = true
	s.put(t, r)
	return r
}

func staleOf(k cutover.Kind, r cutover.Record) cutover.Record {
	stale := k.New()
	*stale.RecordMeta() = *r.RecordMeta()
	stale.RecordMeta().Rev = 9
	return stale
}

func note(key cutover.Key, rev int64) string { return fmt.Sprintf("%s rev %d epoch 7", key, rev) }

func (s *suite) notes(t *testing.T) []cutover.Note {
	t.Helper()
	notes, err := s.side.Notes(s.ctx, 100)
	if err != nil {
		t.Fatal(err)
	}
	return notes
}

func (s *suite) forget(t *testing.T, notes []cutover.Note) {
	t.Helper()
	if err := s.side.Forget(s.ctx, notes); err != nil {
		t.Fatal(err)
	}
}

func (s *suite) wantNotes(t *testing.T, want ...string) {
	t.Helper()
	var got []string
	for _, n := range s.notes(t) {
		got = append(got, fmt.Sprintf("%s rev %d epoch %d", n.Key, n.Rev, n.Epoch))
	}
	sameTexts(t, "notes", got, want)
}
