// Package cutovertest is the contract of a store: what every record must survive,
// whatever an application keeps (Contract, Records), and that the store answers
// queries as all others do (Queries). A store's own test is one call:
//
//	func TestContract(t *testing.T) {
//		cutovertest.Contract(t, func(t *testing.T) cutover.Side { return open(t).Side(cutovertest.Definition) })
//	}
//
// An application shows with Records that its own kinds survive each of its
// databases, whose tables are its own.
package cutovertest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
)

// Fixes make a filled record fit for its domain's rules: known statuses, sums
// that come out even. By kind; a kind without one is fine as Fill makes it.
// Each is also called on an empty record, which it makes just fit, and must
// give the same for the same record. Records that must be there first, the
// contract makes by itself: see cutover.Kind.Parents.
type Fixes map[string]func(cutover.Record)

// Contract shows that a store keeps records of every sort (Definition), and
// answers queries about them as memory does. open gives a side of Definition on a
// database of its own, with the tables and indexes that its kinds ask for; it is
// called several times.
func Contract(t *testing.T, open func(*testing.T) cutover.Side) {
	t.Run("Records", func(t *testing.T) { Records(t, Definition, open, Fit) })
	t.Run("Queries", func(t *testing.T) {
		t.Parallel()
		side := open(t)
		Queries(t, rand.Uint64(), side, func(_ *rand.Rand, all []*Specimen) []*Specimen {
			items := make([]cutover.Item, len(all))
			for i, s := range all {
				items[i] = cutover.Item{Key: cutover.Key{Kind: "specimen", ID: s.ID}, Rev: s.Rev, Record: s}
			}
			if err := side.Load(t.Context(), "specimen", items); err != nil {
				t.Fatal(err)
			}
			return all
		})
	})
}

// Records shows that a domain's kinds survive a database: every field of theirs,
// by each way in, with revisions, notes and copies. open gives a side on a
// database of its own.
func Records(t *testing.T, d cutover.Definition, open func(*testing.T) cutover.Side, fixes Fixes) {
	groups := map[string]func(*suite, *testing.T, cutover.Kind){
		"Record":  (*suite).record,
		"Update":  (*suite).update,
		"Journal": (*suite).journal,
		"Copy":    (*suite).copies,
		"Walk":    (*suite).walk,
	}
	for name, run := range groups {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSuite(t, d, open(t), fixes)
			for _, k := range d.Kinds {
				t.Run(k.Name, func(t *testing.T) { run(s, t, k) })
			}
		})
	}
}

// suite is one run of the contract on one database.
type suite struct {
	ctx   context.Context
	side  cutover.Side
	kinds cutover.Kinds
	guard cutover.Guard
	fixes Fixes
	seed  int
}

func newSuite(t *testing.T, d cutover.Definition, side cutover.Side, fixes Fixes) *suite {
	for kind := range fixes {
		if _, ok := d.Kinds.Named(kind); !ok {
			t.Fatalf("a fix is for %q, which is no kind of %s", kind, d.Name)
		}
	}
	return &suite{ctx: t.Context(), side: side, kinds: d.Kinds, fixes: fixes,
		guard: cutover.Guard{Domain: d.Name, Epoch: 1, Process: "contract"}}
}

// full makes a record with every field set, unlike all others of this run, and
// whatever must be there before it.
func (s *suite) full(t *testing.T, k cutover.Kind) cutover.Record {
	t.Helper()
	s.seed++
	r := s.filled(k, s.seed)
	s.parents(t, k, r)
	return r
}

func (s *suite) filled(k cutover.Kind, seed int) cutover.Record {
	r := k.New()
	Fill(r, seed)
	s.fix(k, r)
	return r
}

// bare makes a record with nothing set but what its domain asks for.
func (s *suite) bare(t *testing.T, k cutover.Kind) cutover.Record {
	t.Helper()
	r := k.New()
	s.fix(k, r)
	r.RecordMeta().ID = cutover.NewID()
	s.parents(t, k, r)
	return r
}

func (s *suite) fix(k cutover.Kind, r cutover.Record) {
	if fix := s.fixes[k.Name]; fix != nil {
		fix(r)
	}
}

// again makes another content for the record of an earlier one.
func (s *suite) again(t *testing.T, k cutover.Kind, of cutover.Record) cutover.Record {
	t.Helper()
	r := s.full(t, k)
	r.RecordMeta().ID, r.RecordMeta().Rev = of.RecordMeta().ID, of.RecordMeta().Rev
	return r
}

// parents puts the records that r refers to, unless they are there.
func (s *suite) parents(t *testing.T, k cutover.Kind, r cutover.Record) {
	t.Helper()
	if len(s.kinds.Parents(r)) == 0 {
		return
	}
	for _, key := range s.kinds.Parents(r) {
		if key.ID == r.RecordMeta().ID || !s.get(t, key).Missing() {
			continue
		}
		pk, ok := s.kinds.Named(key.Kind)
		if !ok {
			t.Fatalf("%s names a parent of the kind %q, which the domain does not have", k.Name, key.Kind)
		}
		s.seed++
		p := s.filled(pk, s.seed)
		p.RecordMeta().ID = key.ID
		if pk.Name == k.Name {
			s.cutLoose(pk, p)
		}
		s.parents(t, pk, p)
		s.put(t, p)
	}
}

// cutLoose ends a chain of records that refer to their own kind.
func (s *suite) cutLoose(k cutover.Kind, p cutover.Record) {
	for _, key := range s.kinds.Parents(p) {
		if key.Kind == k.Name {
			drop(p, key.ID)
		}
	}
}

func (s *suite) tryPut(records ...cutover.Record) error {
	return s.side.Update(s.ctx, s.guard, func(ctx context.Context, tx cutover.Tx) error {
		for _, r := range records {
			if err := tx.Put(ctx, r); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *suite) put(t *testing.T, records ...cutover.Record) {
	t.Helper()
	if err := s.tryPut(records...); err != nil {
		t.Fatalf("put %s: %v", describe(s.kinds, records), err)
	}
}

func (s *suite) tryDelete(r cutover.Record) error {
	return s.side.Update(s.ctx, s.guard, func(ctx context.Context, tx cutover.Tx) error { return tx.Delete(ctx, r) })
}

func (s *suite) remove(t *testing.T, r cutover.Record) {
	t.Helper()
	if err := s.tryDelete(r); err != nil {
		t.Fatalf("delete %s: %v", describe(s.kinds, []cutover.Record{r}), err)
	}
}

func (s *suite) get(t *testing.T, key cutover.Key) cutover.Item {
	t.Helper()
	items, err := s.side.Get(s.ctx, []cutover.Key{key})
	if err != nil || len(items) != 1 || items[0].Key != key {
		t.Fatalf("get %s: %d items, error %v", key, len(items), err)
	}
	return items[0]
}

func (s *suite) key(r cutover.Record) cutover.Key {
	k, _ := s.kinds.Of(r)
	return cutover.Key{Kind: k.Name, ID: r.RecordMeta().ID}
}

// wantStored checks that the database has exactly this record.
func (s *suite) wantStored(t *testing.T, want cutover.Record) {
	t.Helper()
	wantItem(t, s.get(t, s.key(want)), want)
}

func wantItem(t *testing.T, got cutover.Item, want cutover.Record) {
	t.Helper()
	if got.Err != nil || got.Record == nil {
		t.Fatalf("%s: deleted %v, error %v; want a record", got.Key, got.Deleted, got.Err)
	}
	if got.Rev != want.RecordMeta().Rev || got.Record.RecordMeta().Rev != got.Rev {
		t.Errorf("%s has revision %d in the item and %d in the record, want %d",
			got.Key, got.Rev, got.Record.RecordMeta().Rev, want.RecordMeta().Rev)
	}
	for _, d := range cutover.DiffRecords(cutover.Canonical(want), cutover.Canonical(got.Record)) {
		t.Errorf("%s: %s: put %s, got %s", got.Key, d.Path, d.Source, d.Target)
	}
	if names := abnormal(got.Record); len(names) > 0 {
		t.Errorf("%s: absent, but not nil: %s", got.Key, strings.Join(names, ", "))
	}
}

// wantGone checks that there is no record.
func (s *suite) wantGone(t *testing.T, key cutover.Key) {
	t.Helper()
	if got := s.get(t, key); got.Record != nil || got.Err != nil {
		t.Fatalf("%s is there, revision %d, error %v; want it gone", key, got.Rev, got.Err)
	}
}

func wantConflict(t *testing.T, err error, what string) {
	t.Helper()
	if !fault.Is(err, fault.Conflict) {
		t.Fatalf("%s: %v, want a conflict", what, err)
	}
}

// wantStale wants a conflict that running again may mend.
func wantStale(t *testing.T, err error, what string) {
	t.Helper()
	if !fault.Is(err, fault.Conflict) || !cutover.IsStale(err) {
		t.Fatalf("%s: %v, want that somebody else was first", what, err)
	}
}

func describe(kinds cutover.Kinds, records []cutover.Record) string {
	var names []string
	for _, r := range records {
		k, _ := kinds.Of(r)
		names = append(names, cutover.Key{Kind: k.Name, ID: r.RecordMeta().ID}.String())
	}
	return strings.Join(names, ", ")
}

var errOwn = errors.New("the closure's own")

// sameTexts compares two lists of text.
func sameTexts(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %s, want %s", what, fmt.Sprint(got), fmt.Sprint(want))
	}
}
