package cutovertest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/amanat-dev/amanat/cutover"
)

// copies shows that copies may come in any order and more than once.
func (s *suite) copies(t *testing.T, k cutover.Kind) {
	for name, bring := range map[string]func(*testing.T, ...cutover.Item){"Apply": s.apply, "Load": s.load(k)} {
		t.Run(name+"BringsEveryField", func(t *testing.T) {
			a, b := s.at(t, k, 3), s.at(t, k, 1)
			bring(t, itemOf(s, a), itemOf(s, b))
			s.wantStored(t, a)
			s.wantStored(t, b)
		})
		t.Run(name+"KeepsTheLaterRevision", func(t *testing.T) {
			third := s.at(t, k, 3)
			second, fourth := s.again(t, k, third), s.again(t, k, third)
			second.RecordMeta().Rev, fourth.RecordMeta().Rev = 2, 4
			shorten(fourth)
			s.fix(k, fourth)
			bring(t, itemOf(s, third))
			bring(t, itemOf(s, second))
			s.wantStored(t, third)
			bring(t, itemOf(s, fourth))
			bring(t, itemOf(s, third))
			s.wantStored(t, fourth)
		})
		t.Run(name+"DoesNotBringBackWhatWasDeleted", func(t *testing.T) {
			r := s.at(t, k, 2)
			s.apply(t, cutover.Item{Key: s.key(r), Rev: 3, Deleted: true})
			bring(t, itemOf(s, r))
			s.wantGone(t, s.key(r))
			s.forgetTombstones(t, time.Hour) // this one is younger
			bring(t, itemOf(s, r))
			s.wantGone(t, s.key(r))
			s.forgetTombstones(t, 0)
			bring(t, itemOf(s, r))
			s.wantStored(t, r)
		})
		t.Run(name+"TakesALegacyRecord", func(t *testing.T) {
			r := s.at(t, k, 0)
			bring(t, itemOf(s, r))
			s.wantStored(t, r)
		})
	}
	t.Run("ADeleteOfAnEarlierRevisionIsLate", func(t *testing.T) {
		r := s.at(t, k, 5)
		s.apply(t, itemOf(s, r))
		s.apply(t, cutover.Item{Key: s.key(r), Rev: 4, Deleted: true})
		s.wantStored(t, r)
		s.apply(t, cutover.Item{Key: s.key(r), Rev: 6, Deleted: true})
		s.wantGone(t, s.key(r))
	})
	t.Run("ForceTakesAnEarlierRevision", func(t *testing.T) {
		r := s.at(t, k, 5)
		s.apply(t, itemOf(s, r))
		early := s.again(t, k, r)
		early.RecordMeta().Rev = 2
		errs, err := s.side.Apply(s.ctx, []cutover.Item{itemOf(s, early)}, cutover.ApplyOptions{Force: true})
		wantApplied(t, errs, err)
		s.wantStored(t, early)
	})
	t.Run("TellsWhatIsAheadOfItsCopy", func(t *testing.T) {
		r, same := s.at(t, k, 5), s.at(t, k, 5)
		s.apply(t, itemOf(s, r), itemOf(s, same))
		early := s.again(t, k, r)
		early.RecordMeta().Rev = 4
		told := map[cutover.Key]int64{}
		o := cutover.ApplyOptions{Ahead: func(k cutover.Key, rev int64) { told[k] = rev }}
		errs, err := s.side.Apply(s.ctx, []cutover.Item{itemOf(s, early), itemOf(s, same), itemOf(s, s.at(t, k, 1))}, o)
		wantApplied(t, errs, err)
		if len(told) != 1 || told[s.key(r)] != 5 {
			t.Errorf("told of %v, want %s in revision 5 alone", told, s.key(r))
		}
		clear(told)
		errs, err = s.side.Apply(s.ctx, []cutover.Item{{Key: s.key(r), Rev: 5, Deleted: true}, {Key: s.key(same), Rev: 6, Deleted: true}}, o)
		wantApplied(t, errs, err)
		if len(told) != 1 || told[s.key(r)] != 5 {
			t.Errorf("told of %v, want %s alone, which was deleted in its own revision", told, s.key(r))
		}
	})
	t.Run("OneBadItemHoldsUpNoOther", func(t *testing.T) {
		a, bad, b := s.at(t, k, 1), s.at(t, k, 1), s.at(t, k, 1)
		items := []cutover.Item{itemOf(s, a), {Key: s.key(bad), Err: errOwn}, itemOf(s, b)}
		errs, err := s.side.Apply(s.ctx, items, cutover.ApplyOptions{})
		if err != nil || len(errs) != 3 || errs[0] != nil || errs[1] == nil || errs[2] != nil {
			t.Fatalf("Apply gave %v, %v; want an error for the second item alone", errs, err)
		}
		s.wantStored(t, a)
		s.wantStored(t, b)
	})
}

// at makes a record as a copy of revision rev.
func (s *suite) at(t *testing.T, k cutover.Kind, rev int64) cutover.Record {
	t.Helper()
	r := s.full(t, k)
	r.RecordMeta().Rev = rev
	return r
}

func itemOf(s *suite, r cutover.Record) cutover.Item {
	return cutover.Item{Key: s.key(r), Rev: r.RecordMeta().Rev, Record: r}
}

func (s *suite) apply(t *testing.T, items ...cutover.Item) {
	t.Helper()
	errs, err := s.side.Apply(s.ctx, items, cutover.ApplyOptions{})
	wantApplied(t, errs, err)
}

func wantApplied(t *testing.T, errs []error, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("Apply: %v", err)
	}
	for i, e := range errs {
		if e != nil {
			t.Fatalf("Apply: item %d: %v", i, e)
		}
	}
}

func (s *suite) load(k cutover.Kind) func(*testing.T, ...cutover.Item) {
	return func(t *testing.T, items ...cutover.Item) {
		t.Helper()
		if err := s.side.Load(s.ctx, k.Name, items); err != nil {
			t.Fatalf("Load: %v", err)
		}
	}
}

// walk shows that a kind's records can be walked in id order, in parts, and
// counted.
func (s *suite) walk(t *testing.T, k cutover.Kind) {
	want := s.walked(t, k)
	n := int64(len(want))
	if got, err := s.side.Count(s.ctx, k.Name); err != nil || got != n {
		t.Errorf("Count gave %d, %v; want %d", got, err, n)
	}
	sameTexts(t, "Scan", s.scan(t, k, cutover.ID{}, cutover.ID{}, 1000), texts(want))
	sameTexts(t, "Scan of two", s.scan(t, k, cutover.ID{}, cutover.ID{}, 2), texts(want[:2]))
	sameTexts(t, "Scan after the second", s.scan(t, k, want[1], cutover.ID{}, 1000), texts(want[2:]))
	sameTexts(t, "Scan after the second, until the fourth", s.scan(t, k, want[1], want[3], 1000), texts(want[2:4]))
	s.streams(t, k, want)
	s.wantBounds(t, k, 3, want)
	s.wantBounds(t, k, 1000, want)
	if foreign, err := s.side.Foreign(s.ctx, k.Name, 10); err != nil || len(foreign) > 0 {
		t.Errorf("Foreign gave %d items, %v; want none", len(foreign), err)
	}
	if err := s.side.Analyze(s.ctx, k.Name); err != nil {
		t.Errorf("Analyze: %v", err)
	}
	if err := s.side.Ping(s.ctx); err != nil {
		t.Errorf("Ping: %v", err)
	}
}

// walked puts some records and returns the ids of all there are in order.
func (s *suite) walked(t *testing.T, k cutover.Kind) []cutover.ID {
	t.Helper()
	for range 7 {
		s.put(t, s.full(t, k))
	}
	items, err := s.side.Scan(s.ctx, k.Name, cutover.ID{}, cutover.ID{}, 1000)
	if err != nil || len(items) < 7 {
		t.Fatalf("Scan gave %d items, %v; want at least 7", len(items), err)
	}
	ids := make([]cutover.ID, len(items))
	for i, item := range items {
		ids[i] = item.Key.ID
		wantItem(t, item, item.Record)
	}
	if !slices.IsSortedFunc(ids, func(a, b cutover.ID) int { return slices.Compare(a[:], b[:]) }) {
		t.Errorf("Scan is not in id order: %v", texts(ids))
	}
	return ids
}

func (s *suite) scan(t *testing.T, k cutover.Kind, after, until cutover.ID, limit int) []string {
	t.Helper()
	items, err := s.side.Scan(s.ctx, k.Name, after, until, limit)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, item := range items {
		if item.Record == nil || item.Key.Kind != k.Name {
			t.Errorf("Scan gave %s: %v", item.Key, item.Err)
		}
		out = append(out, item.Key.ID.String())
	}
	return out
}

// streams shows that a stream has what a scan has, in pages of the size that was
// asked for, and that it ends with whoever wants no more.
func (s *suite) streams(t *testing.T, k cutover.Kind, want []cutover.ID) {
	t.Helper()
	if _, ok := s.side.(cutover.Streamer); !ok {
		return
	}
	for _, size := range []int{1, 2, 1000} {
		of := fmt.Sprintf("Stream in pages of %d", size)
		sameTexts(t, of, s.stream(t, k, cutover.ID{}, cutover.ID{}, size), texts(want))
		sameTexts(t, of+" after the second, until the fourth", s.stream(t, k, want[1], want[3], size), texts(want[2:4]))
	}
	enough, pages := errors.New("enough"), 0
	err := s.side.(cutover.Streamer).Stream(s.ctx, k.Name, cutover.ID{}, cutover.ID{}, func() int { return 2 }, func([]cutover.Item) error {
		pages++
		return enough
	})
	if !errors.Is(err, enough) || pages != 1 {
		t.Errorf("Stream gave %v after %d pages, want its reader's error after the first", err, pages)
	}
}

func (s *suite) stream(t *testing.T, k cutover.Kind, after, until cutover.ID, size int) (out []string) {
	t.Helper()
	err := s.side.(cutover.Streamer).Stream(s.ctx, k.Name, after, until, func() int { return size }, func(items []cutover.Item) error {
		if len(items) == 0 || len(items) > size {
			t.Errorf("Stream gave a page of %d items, want 1 to %d", len(items), size)
		}
		for _, item := range items {
			if item.Record == nil || item.Key.Kind != k.Name {
				t.Errorf("Stream gave %s: %v", item.Key, item.Err)
			}
			out = append(out, item.Key.ID.String())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// wantBounds checks that the bounds are ids in order, that the last one is the
// last id, and that no range is much larger than asked.
func (s *suite) wantBounds(t *testing.T, k cutover.Kind, size int, ids []cutover.ID) {
	t.Helper()
	bounds, err := s.side.Bounds(s.ctx, k.Name, size)
	if err != nil || len(bounds) == 0 || bounds[len(bounds)-1] != ids[len(ids)-1] {
		t.Fatalf("Bounds of %d gave %v, %v; want them to end with %s", size, texts(bounds), err, ids[len(ids)-1])
	}
	from := 0
	for _, b := range bounds {
		to := slices.Index(ids, b) + 1
		if to <= from || to-from > 2*size {
			t.Errorf("Bounds of %d: %s after %d records, the one before after %d", size, b, to, from)
		}
		from = to
	}
}

func texts(ids []cutover.ID) []string {
	var out []string
	for _, id := range ids {
		out = append(out, fmt.Sprint(id))
	}
	return out
}

func (s *suite) forgetTombstones(t *testing.T, olderThan time.Duration) {
	t.Helper()
	if err := s.side.ForgetTombstones(s.ctx, olderThan); err != nil {
		t.Fatal(err)
	}
}
