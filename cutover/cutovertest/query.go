package cutovertest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/memdb"
	"github.com/amanat-dev/amanat/cutover/query"
)

// Queries shows that a store answers as memory does: random queries over random
// specimens. store puts specimens into the database in whichever form it may
// have them, and returns what a reader sees. seed makes a run come again.
func Queries(t *testing.T, seed uint64, side cutover.Side, store func(*rand.Rand, []*Specimen) []*Specimen) {
	t.Helper()
	q := &questions{rand.New(rand.NewPCG(seed, 1)), nil}
	memory := memdb.New("memory", Definition.Kinds)
	specimens := q.specimens(60)
	for _, id := range q.shelves {
		shelf := &Shelf{Meta: cutover.Meta{ID: id, Rev: 1}, Label: "A"}
		if errs, err := side.Apply(t.Context(), []cutover.Item{{Key: cutover.Key{Kind: "shelf", ID: id}, Rev: 1, Record: shelf}}, cutover.ApplyOptions{}); err != nil || errs[0] != nil {
			t.Fatal(errs, err)
		}
	}
	for _, s := range store(q.Rand, specimens) {
		memory.Seed("specimen", s)
	}
	for n := range 400 {
		ask := q.query()
		want, got := answer(t, memory, ask), answer(t, side, ask)
		if want != got {
			t.Fatalf("seed %d, query %d, %s:\nmemory answers %s\n%s answers %s", seed, n, ask.Shape(), want, side.Name(), got)
		}
	}
}

// answer returns the names that a query finds, in order, and how many it counts.
func answer(t *testing.T, side cutover.Side, q query.Query) string {
	t.Helper()
	var text string
	err := side.View(t.Context(), func(ctx context.Context, tx cutover.Tx) error {
		found, err := cutover.Find[Specimen](ctx, tx, q)
		if err != nil {
			return err
		}
		count, err := cutover.Count[Specimen](ctx, tx, q)
		text = fmt.Sprintf("%d:", count)
		for _, s := range found {
			text += " " + s.ID.String()
		}
		return err
	})
	if err != nil {
		t.Fatalf("%s: %v", q.Shape(), err)
	}
	return text
}

// questions draws specimens and queries about them. Values come from small
// sets, so that a query finds some and leaves some.
type questions struct {
	*rand.Rand
	shelves []cutover.ID
}

func pick[T any](q *questions, from ...T) T { return from[q.IntN(len(from))] }

// maybe draws the zero value half the time.
func maybe[T any](q *questions, from ...T) (v T) {
	if q.IntN(2) == 0 {
		return v
	}
	return pick(q, from...)
}

var queryStart = time.Date(2025, 3, 1, 12, 0, 0, 7e6, time.UTC)

func (q *questions) specimens(n int) []*Specimen {
	q.shelves = []cutover.ID{cutover.NewID(), cutover.NewID(), cutover.NewID()}
	out := make([]*Specimen, n)
	for i := range out {
		out[i] = q.specimen(i)
	}
	return out
}

func (q *questions) specimen(i int) *Specimen {
	yes, no, two, zero := true, false, int64(2), int64(0)
	s := &Specimen{
		Meta: cutover.Meta{ID: cutover.NewID(), Rev: 1}, ShelfID: maybe(q, q.shelves...),
		Name: maybe(q, "a", "b", "B"), Order: pick(q, -1, 0, 1, 2), Flag: q.IntN(2) == 0, State: pick(q, "new", "used", "gone"),
		At:        maybe(q, queryStart, queryStart.Add(time.Millisecond), queryStart.Add(time.Hour)),
		MaybeFlag: maybe(q, &yes, &no), MaybeCount: maybe(q, &two, &zero),
		Place: Place{City: maybe(q, "x", "y"), Zip: maybe(q, &Zip{Code: "1"}, &Zip{Valid: true}, &Zip{Round: 2})},
	}
	if q.IntN(3) == 0 {
		s.Email = fmt.Sprint(i, "@x")
	}
	for range q.IntN(3) {
		s.Tags = append(s.Tags, pick(q, "a", "b", "c"))
		s.Refs = append(s.Refs, pick(q, append(q.shelves, cutover.ID{})...))
		s.Numbers = append(s.Numbers, pick[int64](q, 0, 1, 2))
		s.Marks = append(s.Marks, pick(q, q.shelves...))
	}
	return s
}

// query draws a condition that an index serves, others, an order and a limit.
func (q *questions) query() query.Query {
	var ask query.Query
	switch q.IntN(4) {
	case 0:
		ask = query.All()
	case 1:
		ask = q.indexed().And(query.AnyOf(q.term(), q.term().And(q.term())))
	case 2:
		ask = query.AnyOf(q.indexed(), q.indexed().And(q.term()))
	default:
		ask = q.indexed()
		for range q.IntN(3) {
			ask = ask.And(q.term())
		}
	}
	if order := pick(q, "", query.ID, "order", "at", "shelfId"); order != "" && !ask.IsZero() {
		if q.IntN(2) == 0 {
			ask = ask.OrderBy(order)
		} else {
			ask = ask.OrderByDesc(order)
		}
	}
	return ask.Limit(pick(q, 0, 1, 5, 20))
}

// indexed draws a condition that an index begins with.
func (q *questions) indexed() query.Query {
	switch q.IntN(9) {
	case 7:
		return query.Among("shelfId", "specimen", "shelfId", q.others())
	case 8:
		return query.Among(query.ID, "specimen", query.ID, q.others())
	case 0:
		return query.Eq("shelfId", pick(q, q.shelves...))
	case 1:
		return query.Eq("name", pick(q, "a", "b", "B", "c"))
	case 2:
		return query.In("order", pick(q, -1, 0), pick(q, 1, 2))
	case 3:
		return query.Eq("state", pick(q, "new", "used"))
	case 4:
		return query.Absent("shelfId")
	case 5:
		return pick(q, query.Less, query.AtMost, query.More, query.AtLeast)("at", queryStart.Add(time.Millisecond))
	}
	return query.Eq("flag", q.IntN(2) == 0)
}

// others draws which specimens a field's values come from.
func (q *questions) others() query.Query {
	ask := query.Eq("name", pick(q, "a", "b", "c")).And(q.term())
	if q.IntN(2) == 0 {
		return ask
	}
	return ask.OrderByDesc(pick(q, "at", query.ID)).Limit(pick(q, 1, 5))
}

func (q *questions) term() query.Query {
	compare := pick(q, query.Less, query.AtMost, query.More, query.AtLeast)
	switch q.IntN(17) {
	case 0:
		return compare("order", pick(q, -1, 0, 1))
	case 1:
		return query.Eq("maybeFlag", q.IntN(2) == 0)
	case 2:
		return compare("maybeCount", 1)
	case 3:
		return query.Eq("maybeCount", pick(q, 0, 2))
	case 4:
		return query.Eq("place.city", pick(q, "x", "y", "z"))
	case 5:
		return query.Eq("place.zip.code", "1")
	case 6:
		return query.Eq("place.zip.round", pick(q, 0, 2))
	case 7:
		return query.Eq("place.zip.valid", q.IntN(2) == 0)
	case 8:
		return query.Eq("tags", pick(q, "a", "b", "z"))
	case 9:
		return query.In("marks", q.shelves[:1+q.IntN(2)]...)
	case 10:
		return query.Eq("refs", pick(q, q.shelves...))
	case 11:
		return query.Eq("numbers", pick(q, 0, 1))
	case 12:
		return query.Eq("email", "")
	case 13:
		return pick(q, query.Absent, query.Present)(pick(q, "name", "at", "email", "maybeCount", "tags", "refs", "marks", "place.city", "place.zip.code", "place.zip.round"))
	case 14:
		return query.Less(query.ID, cutover.NewID())
	case 15:
		return compare("shelfId", pick(q, q.shelves...))
	}
	return q.indexed()
}
