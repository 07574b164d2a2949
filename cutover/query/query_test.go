package query_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/amanat-dev/amanat/cutover/query"
	"github.com/amanat-dev/amanat/cutover/shape"
)

type id [12]byte

func (i id) MarshalText() ([]byte, error) { return []byte{'a' + i[0]}, nil }
func (i id) IsZero() bool                 { return i == id{} }

type amount struct{ text string }

func (a amount) MarshalText() ([]byte, error) { return []byte(a.text), nil }

type group struct {
	Code string `json:"code"`
	Size int    `json:"size"`
}

type record struct {
	ID     id        `json:"id" field:"_id"`
	Name   string    `json:"name"`
	State  string    `json:"state" field:",default=new,was=fresh:new"`
	Order  int       `json:"order"`
	At     time.Time `json:"at"`
	Price  amount    `json:"price"`
	Tags   []string  `json:"tags"`
	Place  *group    `json:"place"`
	Groups []group   `json:"groups"`
}

var fields = shape.Of(reflect.TypeFor[record]())

func bind(t *testing.T, q query.Query) query.Bound {
	t.Helper()
	b, err := query.Bind(fields, q)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestBind_RefusesWhatCannotBeAsked(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		q   query.Query
		why string
	}{
		"a field that there is not":          {query.Eq("nmae", "x"), `no field "nmae"`},
		"a field within one that is none":    {query.Eq("name.first", "x"), "no field"},
		"a value of another type":            {query.Eq("order", "1"), "a string is no int"},
		"an order of text":                   {query.All().OrderBy("name"), "it has no order"},
		"less of text":                       {query.Less("name", "x"), "it has no order"},
		"an amount, which has several texts": {query.Eq("price", amount{"1"}), "several texts"},
		"a number that is absent":            {query.Absent("order"), "never absent"},
		"a default that is absent":           {query.Absent("state"), "never absent"},
		"a group":                            {query.Present("place"), "cannot be asked for"},
		"a list of groups":                   {query.Present("groups"), "cannot be asked for"},
	} {
		if _, err := query.Bind(fields, c.q); err == nil || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s: %v; want an error with %q", what, err, c.why)
		}
	}
}

func TestMatch_IsAboutWhatAReaderSees(t *testing.T) {
	t.Parallel()
	noon := time.Date(2025, 1, 2, 12, 0, 0, 0, time.UTC)
	r := record{ID: id{1}, Name: "a", Order: 0, At: noon, Tags: []string{"x", "y"}}
	for what, c := range map[string]struct {
		q    query.Query
		want bool
	}{
		"equal":                              {query.Eq("name", "a"), true},
		"nothing equals nothing":             {query.Eq("name", ""), false},
		"zero is a number":                   {query.Eq("order", 0), true},
		"an element of a list":               {query.Eq("tags", "y"), true},
		"no element":                         {query.Eq("tags", "z"), false},
		"one of":                             {query.In("name", "b", "a"), true},
		"one of none":                        {query.In[string]("name"), false},
		"a group's field without the group":  {query.Eq("place.size", 0), false},
		"is absent":                          {query.Absent("place.code"), true},
		"is present":                         {query.Present("at"), true},
		"at most, cut to milliseconds":       {query.AtMost("at", noon.Add(time.Microsecond)), true},
		"less":                               {query.Less("at", noon), false},
		"all of several":                     {query.Eq("name", "a").And(query.Eq("order", 1)), false},
		"any of several":                     {query.AnyOf(query.Eq("name", "b"), query.Eq("order", 0)), true},
		"any of several, and what is common": {query.AnyOf(query.Eq("name", "b"), query.Eq("order", 0)).And(query.Eq("tags", "z")), false},
	} {
		if got := bind(t, c.q).Match(reflect.ValueOf(r)); got != c.want {
			t.Errorf("%s: %v, want %v", what, got, c.want)
		}
	}
}

func TestPlan_WantsAnIndexForEachAlternative(t *testing.T) {
	t.Parallel()
	indexes := []query.Index{{"name"}, {"state", "at"}}
	for what, c := range map[string]struct {
		q      query.Query
		served bool
	}{
		"everything":                     {query.All(), true},
		"a page of everything":           {query.All().Page(id{2}, 10), true},
		"the leading field":              {query.Eq("name", "a"), true},
		"leading fields and a bound":     {query.Eq("state", "new").And(query.AtMost("at", time.Now())).OrderBy("at"), true},
		"a field that is not the first":  {query.AtMost("at", time.Now()), false},
		"a field without an index":       {query.Eq("order", 1), false},
		"one alternative without one":    {query.AnyOf(query.Eq("name", "a"), query.Eq("order", 1)), false},
		"an order without an index":      {query.Eq("order", 1).OrderByDesc(query.ID), false},
		"a range of identities and more": {query.More(query.ID, id{1}).And(query.Eq("order", 1)), true},
	} {
		if _, err := bind(t, c.q).Plan(indexes); (err == nil) != c.served {
			t.Errorf("%s: %v, want it served: %v", what, err, c.served)
		}
	}
}

func TestPlan_AsksForEachOfAFewValuesByItself(t *testing.T) {
	t.Parallel()
	b, err := bind(t, query.In("name", "a", "b").And(query.In("order", 1, 2))).Plan([]query.Index{{"name"}})
	if err != nil || len(b.Branches) != 2 {
		t.Fatalf("%d branches, %v; want one per name", len(b.Branches), err)
	}
	for _, br := range b.Branches {
		if br[0].Op != query.Equal || br[1].Op != query.OneOf {
			t.Errorf("got %v %v, want the name equal and the order one of several", br[0].Op, br[1].Op)
		}
	}
}

func TestCompare_BreaksTiesByIdentityInTheSameDirection(t *testing.T) {
	t.Parallel()
	a, b := reflect.ValueOf(record{ID: id{1}}), reflect.ValueOf(record{ID: id{2}, Order: 0})
	up, down := bind(t, query.All().OrderBy("order")), bind(t, query.All().OrderByDesc("order"))
	if up.Compare(a, b) >= 0 || down.Compare(a, b) <= 0 {
		t.Errorf("up %d, down %d; want the first before and after", up.Compare(a, b), down.Compare(a, b))
	}
}

func TestShape_LeavesTheValuesOut(t *testing.T) {
	t.Parallel()
	a := query.Eq("name", "a").And(query.AnyOf(query.Less("at", time.Now()), query.Absent("at"))).Page(id{1}, 5)
	b := query.Eq("name", "b").And(query.AnyOf(query.Less("at", time.Time{}), query.Absent("at"))).Page(id{9}, 7)
	if a.Shape() != b.Shape() || a.Shape() == query.All().Shape() {
		t.Errorf("%q and %q, want one shape", a.Shape(), b.Shape())
	}
}
