package postgresql_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/cutovertest"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/cutover/query"
)

func itemOf(kind string, r cutover.Record) cutover.Item {
	m := r.RecordMeta()
	return cutover.Item{Key: cutover.Key{Kind: kind, ID: m.ID}, Rev: m.Rev, Record: r}
}

func TestApply_SaysOfEachItemWhyItDidNotFit(t *testing.T) {
	t.Parallel()
	db, side := specimens(t)
	good, orphan, twin, last := specimen("1"), specimen("2"), specimen("3"), specimen("4")
	orphan.ShelfID = cutover.NewID()
	good.Email, twin.Email = "one@example.org", "one@example.org"
	var items []cutover.Item
	for _, s := range []*cutovertest.Specimen{good, orphan, twin, last} {
		s.Rev = 1
		items = append(items, itemOf("specimen", s))
	}
	if err := side.Load(t.Context(), "specimen", items); err == nil {
		t.Error("Load took all of them")
	}
	if n := count(t, db, "SELECT count(*) FROM specimens"); n != 0 {
		t.Errorf("a Load that failed left %d rows", n)
	}
	errs, err := side.Apply(t.Context(), items, cutover.ApplyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"", "foreign key rule specimens_shelf_id_fkey", "unique rule specimens_email_key", ""} {
		if (errs[i] == nil) != (want == "") || errs[i] != nil && !strings.Contains(errs[i].Error(), want) {
			t.Errorf("item %d: %v, want %q", i, errs[i], want)
		}
	}
	if n := count(t, db, "SELECT count(*) FROM specimens"); n != 2 {
		t.Errorf("%d rows, want 2", n)
	}
}

// MongoDB keeps NUL in a text, so a legacy document may have it.
func TestApply_LeavesOnlyTextBehindThatCannotBeStored(t *testing.T) {
	t.Parallel()
	db, side := specimens(t)
	good, plain, within := specimen("1"), specimen("2"), specimen("3")
	plain.Name = "a\x00b"
	within.Links = map[string]string{"a": "a\x00b"}
	var items []cutover.Item
	for _, s := range []*cutovertest.Specimen{good, plain, within} {
		s.Rev = 1
		items = append(items, itemOf("specimen", s))
	}
	if err := side.Load(t.Context(), "specimen", items); err == nil {
		t.Error("Load took all of them")
	}
	errs, err := side.Apply(t.Context(), items, cutover.ApplyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if errs[0] != nil || !fault.Is(errs[1], fault.Invalid) || !fault.Is(errs[2], fault.Invalid) {
		t.Errorf("got %v", errs)
	}
	if n := count(t, db, "SELECT count(*) FROM specimens"); n != 1 {
		t.Errorf("%d rows, want 1", n)
	}
}

func TestApply_FindsTheOrderInWhichUniqueValuesPass(t *testing.T) {
	t.Parallel()
	_, side := specimens(t)
	first, second := specimen("1"), specimen("2")
	second.Email = "one@example.org"
	if err := put(t, side, first, second); err != nil {
		t.Fatal(err)
	}
	first.Rev, second.Rev = 2, 2
	first.Email, second.Email = second.Email, ""
	errs, err := side.Apply(t.Context(), []cutover.Item{itemOf("specimen", first), itemOf("specimen", second)}, cutover.ApplyOptions{})
	if err := errors.Join(append(errs, err)...); err != nil {
		t.Error(err)
	}
}

// A copy looks for a tombstone before it is made; a delete that comes between
// must not be undone by it.
func TestApply_NoCopyOutlivesADeleteAtTheSameTime(t *testing.T) {
	t.Parallel()
	db, side := specimens(t)
	for range 40 {
		s := new(cutovertest.Specimen)
		s.ID, s.Rev = cutover.NewID(), 1
		item := itemOf("specimen", s)
		var wg sync.WaitGroup
		apply := func(i cutover.Item) {
			errs, err := side.Apply(t.Context(), []cutover.Item{i}, cutover.ApplyOptions{})
			if err := errors.Join(append(errs, err)...); err != nil {
				t.Error(err)
			}
		}
		wg.Go(func() { apply(item) })
		wg.Go(func() { apply(cutover.Item{Key: item.Key, Rev: 2, Deleted: true}) })
		wg.Go(func() {
			if err := side.Load(t.Context(), "specimen", []cutover.Item{item}); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
	}
	if n := count(t, db, "SELECT count(*) FROM specimens"); n != 0 {
		t.Errorf("%d records came back after their delete", n)
	}
}

func TestApply_IsUnavailableAsAWholeWithoutItsDatabase(t *testing.T) {
	t.Parallel()
	db, side := specimens(t)
	db.Close()
	s := specimen("1")
	if errs, err := side.Apply(t.Context(), []cutover.Item{itemOf("specimen", s)}, cutover.ApplyOptions{}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("Apply gave %v, %v; want unavailable", errs, err)
	}
}

func TestScan_GivesWhatItCannotReadWithTheReason(t *testing.T) {
	t.Parallel()
	db, side := specimens(t)
	if err := put(t, side, specimen("1"), specimen("2"), specimen("3")); err != nil {
		t.Fatal(err)
	}
	execute(t, db, "UPDATE specimens SET price = 'NaN' WHERE id LIKE '%2'")
	items, err := side.Scan(t.Context(), "specimen", cutover.ID{}, cutover.ID{}, 10)
	if err != nil || len(items) != 3 {
		t.Fatalf("Scan gave %d items, %v", len(items), err)
	}
	if items[0].Err != nil || items[2].Err != nil || items[1].Record != nil || items[1].Rev != 1 ||
		items[1].Err == nil || items[1].Err.Error() != "price: not a number" {
		t.Errorf("got %+v", items)
	}
	err = side.View(t.Context(), func(ctx context.Context, tx cutover.Tx) error {
		_, err := cutover.Get[cutovertest.Specimen](ctx, tx, items[1].Key.ID)
		return err
	})
	if !fault.Is(err, fault.Internal) || !strings.Contains(err.Error(), "price: not a number") {
		t.Errorf("Get gave %v", err)
	}
}

func TestQueries(t *testing.T) {
	t.Parallel()
	_, side := specimens(t)
	for _, id := range []string{"1", "2", "3"} {
		s := specimen(id)
		s.Name, s.Tags = "n"+id, []string{"x"}
		s.Lines = []cutovertest.Line{{Key: id}, {Key: "second"}}
		if err := put(t, side, s); err != nil {
			t.Fatal(err)
		}
	}
	err := side.View(t.Context(), func(ctx context.Context, tx cutover.Tx) error {
		list, err := cutover.Find[cutovertest.Specimen](ctx, tx, query.In("name", "n2", "n3").OrderByDesc("order").Limit(5))
		if err != nil || len(list) != 2 || list[0].Name != "n3" || list[1].Lines[0].Key != "2" || list[1].Lines[1].Key != "second" {
			t.Errorf("Find gave %+v, %v", list, err)
		}
		if _, err := cutover.First[cutovertest.Specimen](ctx, tx, query.Eq("name", "none")); !fault.Is(err, fault.NotFound) {
			t.Errorf("First gave %v, want not found", err)
		}
		if n, err := cutover.Count[cutovertest.Specimen](ctx, tx, query.In(query.ID, list[0].ID, cutover.NewID())); n != 1 || err != nil {
			t.Errorf("Count gave %d, %v; want 1", n, err)
		}
		names := ""
		err = cutover.Each(ctx, tx, func(s cutovertest.Specimen) error { names += s.Name; return nil })
		if names != "n1n2n3" || err != nil {
			t.Errorf("Each gave %s, %v", names, err)
		}
		if _, err = tx.Get(ctx, "no kind", list[0].ID); !fault.Is(err, fault.Internal) {
			t.Errorf("Get of no kind gave %v", err)
		}
		if _, err = cutover.Find[cutovertest.Specimen](ctx, tx, query.Eq("place.city", "x")); !fault.Is(err, fault.Internal) {
			t.Errorf("a query that no index serves gave %v", err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func BenchmarkLoad(b *testing.B) {
	_, side := specimens(b)
	const chunk = 5000
	items := make([]cutover.Item, chunk)
	b.ResetTimer()
	for n := range b.N {
		b.StopTimer()
		for i := range items {
			s := new(cutovertest.Specimen)
			cutovertest.Fill(s, n*chunk+i)
			s.ShelfID = cutover.ID{}
			items[i] = itemOf("specimen", s)
		}
		b.StartTimer()
		if err := side.Load(context.Background(), "specimen", items); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(chunk*b.N)/b.Elapsed().Seconds(), "records/s")
}
