package cutover_test

import (
	"context"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/memdb"
	"github.com/amanat-dev/amanat/internal/money"
)

// parcel has a place for every class of corruption.
type parcel struct {
	cutover.Meta
	Label   string       `json:"label"`
	Weight  int          `json:"weight"`
	Price   money.Amount `json:"price"`
	Sent    *parcelSent  `json:"sent"`
	Stops   []parcelStop `json:"stops"`
	Remarks []string     `json:"remarks"`
	Insured *bool        `json:"insured"`
}

type parcelSent struct {
	At time.Time `json:"at"`
}

type parcelStop struct {
	Town string `json:"town"`
	Fee  int64  `json:"fee"`
}

// bare has a place for few.
type bare struct {
	cutover.Meta
	Name string `json:"name"`
}

var parcelKinds = cutover.Kinds{
	{Name: "parcel", Type: reflect.TypeFor[parcel]()},
	{Name: "bare", Type: reflect.TypeFor[bare]()},
}

func price(t *testing.T, text string) (a money.Amount) {
	t.Helper()
	if err := a.UnmarshalText([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return a
}

// parcels is an engine over a source with some records, and that source.
func parcels(t *testing.T, n int) (*cutover.Engine, *memdb.DB) {
	t.Helper()
	source, target := memdb.New("mongo", parcelKinds), memdb.New("postgres", parcelKinds)
	e := cutover.NewEngine(cutover.Options{Control: memdb.NewControl(), Process: cutover.Process{ID: "p"}})
	must[*cutover.Domain](t)(cutover.NewDomain(e, cutover.Spec{Definition: cutover.Definition{Name: "post", Kinds: parcelKinds}, Source: memdb.Source{DB: source}, Target: target, Scratch: source.Scratch}))
	if err := e.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	yes := true
	for i := range n {
		at := time.Date(2026, 1, 2, 3, 4, 5, i*int(time.Millisecond), time.UTC)
		meta := func() cutover.Meta {
			return cutover.Meta{ID: cutover.NewID(), Rev: int64(i + 1), CreatedAt: at, UpdatedAt: at}
		}
		source.Seed("parcel", &parcel{Meta: meta(), Label: "l", Weight: i, Price: price(t, "9.99"), Insured: &yes, Sent: &parcelSent{at},
			Stops: []parcelStop{{"Yerevan", int64(i)}, {"Tbilisi", 2}}, Remarks: []string{"a", "b"}})
		source.Seed("bare", &bare{Meta: cutover.Meta{ID: cutover.NewID()}, Name: "n"})
	}
	return e, source
}

func selfTest(t *testing.T, e *cutover.Engine) (cutover.SelfTestResult, map[string]cutover.ClassResult) {
	t.Helper()
	r := must[cutover.SelfTestResult](t)(e.SelfTest(t.Context(), "post", cutover.SelfTestOptions{Who: "test"}))
	by := map[string]cutover.ClassResult{}
	for _, c := range r.Classes {
		by[c.Class] = c
	}
	return r, by
}

func TestSelfTestFindsEveryClass(t *testing.T) {
	t.Parallel()
	for _, n := range []int{2, 7, 300} {
		e, source := parcels(t, n)
		r, by := selfTest(t, e)
		if !r.OK || len(r.FalseAlarms) > 0 || len(by) != 7 {
			t.Fatalf("with %d records: %+v", n, r)
		}
		for class, c := range by {
			if c.Planted < 2 || c.Found != c.Planted || c.Refused > 0 || c.Kinds[0] != "parcel" {
				t.Errorf("with %d records, %s: %+v", n, class, c)
			}
		}
		// weight, price, the fee of a stop; on both sides.
		if got := by[cutover.ClassUnit]; got.Planted != 6 || len(got.Without) != 1 || got.Without[0] != "bare" {
			t.Errorf("one unit more: %+v", got)
		}
		// createdAt, updatedAt, sent.at; on both sides.
		if got := by[cutover.ClassMilli].Planted; got != 6 {
			t.Errorf("%d milliseconds cut, want 6", got)
		}
		if source.Scratches() != 0 {
			t.Error("a scratch database is left")
		}
	}
}

func TestSelfTestFailsWhenTheComparisonIsBlind(t *testing.T) {
	t.Parallel()
	all := func(path string) func([]cutover.FieldDiff) bool {
		return func(diffs []cutover.FieldDiff) bool {
			for _, d := range diffs {
				if !strings.HasPrefix(d.Path, path) {
					return false
				}
			}
			return len(diffs) > 0
		}
	}
	for name, test := range map[string]struct {
		blind func([]cutover.FieldDiff) bool
		class string
	}{
		"rows that are not there": {func(d []cutover.FieldDiff) bool { return len(d) == 0 }, cutover.ClassDropped},
		"rows too many":           {func(d []cutover.FieldDiff) bool { return len(d) == 0 }, cutover.ClassStray},
		"an amount":               {all("price"), cutover.ClassUnit},
		"a fee in a list":         {all("stops[0].fee"), cutover.ClassUnit},
		"an optional flag":        {all("insured"), cutover.ClassAbsent},
		"a time":                  {all("sent.at"), cutover.ClassMilli},
		"the order of children":   {all("remarks"), cutover.ClassChild},
		"the revision":            {all("rev"), cutover.ClassStale},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, _ := parcels(t, 5)
			e.Blind(test.blind)
			r, by := selfTest(t, e)
			c := by[test.class]
			if r.OK || c.Found == c.Planted || len(c.Missed) == 0 {
				t.Errorf("a comparison that does not see %s passes: %+v", name, c)
			}
		})
	}
}

func TestSelfTestTellsOfWhatHasNoPlace(t *testing.T) {
	t.Parallel()
	e, _ := parcels(t, 0)
	r, by := selfTest(t, e)
	if !r.OK || r.Sampled != 0 {
		t.Fatalf("without records: %+v", r)
	}
	for class, c := range by {
		if c.Planted != 0 || len(c.Kinds) != 0 || len(c.Without) != 2 {
			t.Errorf("%s: %+v", class, c)
		}
	}
}

// forgetful does not keep names.
type forgetful struct{ cutover.Store }

func (f forgetful) Scan(ctx context.Context, kind string, after, until cutover.ID, limit int) ([]cutover.Item, error) {
	items, err := f.Store.Scan(ctx, kind, after, until, limit)
	return forget(items), err
}

func (f forgetful) Get(ctx context.Context, keys []cutover.Key) ([]cutover.Item, error) {
	items, err := f.Store.Get(ctx, keys)
	return forget(items), err
}

func forget(items []cutover.Item) []cutover.Item {
	for _, i := range items {
		if b, ok := i.Record.(*bare); ok {
			b.Name = ""
		}
	}
	return items
}

// TestSelfTestRaisesFalseAlarms: a scratch database that does not keep what it
// is given is told, not overlooked.
func TestSelfTestRaisesFalseAlarms(t *testing.T) {
	t.Parallel()
	_, source := parcels(t, 3)
	spoiled := cutover.NewEngine(cutover.Options{Control: memdb.NewControl(), Process: cutover.Process{ID: "p"}})
	must[*cutover.Domain](t)(cutover.NewDomain(spoiled, cutover.Spec{Definition: cutover.Definition{Name: "post", Kinds: parcelKinds}, Source: memdb.Source{DB: source}, Target: memdb.New("postgres", parcelKinds),
		Scratch: func(ctx context.Context) (cutover.Store, func(context.Context) error, error) {
			store, drop, err := source.Scratch(ctx)
			return forgetful{store}, drop, err
		}}))
	if err := spoiled.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r, _ := selfTest(t, spoiled); r.OK || len(r.FalseAlarms) == 0 {
		t.Fatalf("want false alarms: %+v", r)
	}
}
