package limit_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/internal/limit"
	"github.com/amanat-dev/amanat/internal/money"
)

type item struct {
	Key string `json:"key" minLength:"1" maxLength:"3"`
}

// everything has a field of each sort.
type everything struct {
	Name     string       `json:"name" minLength:"2" maxLength:"4"`
	Notes    string       `json:"notes,omitempty" format:"lines" maxLength:"20"`
	Link     string       `json:"link,omitempty" format:"link"`
	Mail     string       `json:"mail,omitempty" format:"email"`
	Sort     string       `json:"sort,omitempty" enum:"a,b"`
	Code     string       `json:"code,omitempty" pattern:"^[0-9]+$" patternDescription:"digits"`
	Count    int          `json:"count,omitempty" minimum:"1" maximum:"9"`
	Rev      *int64       `json:"rev,omitempty" minimum:"0"`
	Amount   money.Amount `json:"amount,omitzero" exclusiveMinimum:"0"`
	Links    []string     `json:"links,omitempty" maxItems:"2" format:"link"`
	Items    []item       `json:"items,omitempty" minItems:"1"`
	Nested   *item        `json:"nested,omitempty"`
	Changed  *string      `json:"changed,omitempty" minLength:"1"`
	ID       cutover.ID   `json:"id,omitzero"`
	At       time.Time    `json:"at,omitzero"`
	Flag     *bool        `json:"flag,omitempty"`
	Unseen   string       `json:"-"`
	internal string
}

type Paging struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"100"`
	Cursor string `query:"cursor" maxLength:"5"`
}

type input struct {
	Place string `path:"place" maxLength:"3"`
	Agent string `header:"User-Agent"`
	Paging
	Body everything
}

func good() everything {
	return everything{Name: "Ann", internal: "\x00", Unseen: "\x00"}
}

func fieldsOf(err error) []string {
	var f *fault.Error
	if !errors.As(err, &f) || f.Kind != fault.Invalid {
		return nil
	}
	return slices.Sorted(maps.Keys(f.Fields))
}

func TestEachLimitIsHeld(t *testing.T) {
	t.Parallel()
	text := func(s string) *string { return &s }
	cases := []struct {
		name  string
		spoil func(*everything)
		want  string
	}{
		{"too short", func(e *everything) { e.Name = "A" }, "name"},
		{"nothing, though it is required", func(e *everything) { e.Name = "" }, "name"},
		{"blanks alone", func(e *everything) { e.Name = "   " }, "name"},
		{"too long, in characters", func(e *everything) { e.Name = "ééééé" }, "name"},
		{"two lines", func(e *everything) { e.Name = "A\nb" }, "name"},
		{"an override in lines", func(e *everything) { e.Notes = "a\u202eb" }, "notes"},
		{"a script", func(e *everything) { e.Link = "javascript:alert(1)" }, "link"},
		{"no host", func(e *everything) { e.Link = "https://" }, "link"},
		{"no address", func(e *everything) { e.Mail = "Ann <a@b.c>" }, "mail"},
		{"no such word", func(e *everything) { e.Sort = "c" }, "sort"},
		{"of another form", func(e *everything) { e.Code = "1x" }, "code"},
		{"too few", func(e *everything) { e.Count = -1 }, "count"},
		{"too many", func(e *everything) { e.Count = 10 }, "count"},
		{"below zero, behind a pointer", func(e *everything) { n := int64(-1); e.Rev = &n }, "rev"},
		{"no amount of money", func(e *everything) { e.Amount = money.MustAmount("-1") }, "amount"},
		{"too many items", func(e *everything) { e.Links = make([]string, 3) }, "links"},
		{"an item that is none", func(e *everything) { e.Links = []string{"https://a.example", "file:///x"} }, "links[1]"},
		{"a field of an item", func(e *everything) { e.Items = []item{{"a"}, {"long"}} }, "items[1].key"},
		{"a field of a part", func(e *everything) { e.Nested = &item{} }, "nested.key"},
		{"a change to nothing", func(e *everything) { e.Changed = text("") }, "changed"},
	}
	for _, c := range cases {
		e := good()
		c.spoil(&e)
		got := fieldsOf(limit.Check(e))
		if !slices.Contains(got, c.want) {
			t.Errorf("%s: want %s named, got %v", c.name, c.want, got)
		}
	}
}

func TestWhatIsLeftOutIsNotChecked(t *testing.T) {
	t.Parallel()
	if err := limit.Check(good()); err != nil {
		t.Errorf("want all well, got %v", err)
	}
	full := good()
	full.Notes, full.Link, full.Mail, full.Sort, full.Code, full.Count = "a\n\tb", "https://a.example/b?c=d", " Ann@Example.org ", "b", "12", 9
	full.Amount, full.Links, full.Items = money.MustAmount("0.01"), []string{"http://a.example"}, []item{{"abc"}}
	if err := limit.Check(&full); err != nil {
		t.Errorf("want all well, got %v", err)
	}
}

func TestAnInputsPartsAreNamedAsItsSenderNamesThem(t *testing.T) {
	t.Parallel()
	in := input{Place: "four", Agent: "\x00", Paging: Paging{Limit: 101, Cursor: "a\x07"}, Body: everything{Name: "A"}}
	if got, want := fieldsOf(limit.Check(&in)), []string{"cursor", "limit", "name", "place"}; !slices.Equal(got, want) {
		t.Errorf("want %v, got %v", want, got)
	}
}

func TestATagThatCannotBeMeantPanics(t *testing.T) {
	t.Parallel()
	for name, v := range map[string]any{
		"a length of a number": struct {
			N int `json:"n" maxLength:"3"`
		}{},
		"items of a text": struct {
			S string `json:"s" maxItems:"3"`
		}{},
		"no number": struct {
			S string `json:"s" maxLength:"many"`
		}{},
		"no format": struct {
			S string `json:"s" format:"line"`
		}{},
		"anything": struct {
			V any `json:"v"`
		}{},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: want a panic", name)
				}
			}()
			_ = limit.Check(v)
		}()
	}
}

func TestTextIsWhatIsShownAsItIs(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "Ann", "سلام\u200cدنیا", "a\u200fb\u200eb", "👩\u200d🚀", "é"} {
		if !limit.IsText(s) || !limit.IsLines(s) {
			t.Errorf("%q: want it to be text", s)
		}
	}
	for r := rune(0); r < 0x20; r++ {
		if s := "a" + string(r) + "b"; limit.IsText(s) || limit.IsLines(s) != (r == '\n' || r == '\t') {
			t.Errorf("%q: one line: %v, lines: %v", s, limit.IsText(s), limit.IsLines(s))
		}
	}
	if s := "a\r\nb"; limit.IsText(s) || !limit.IsLines(s) {
		t.Errorf("%q: want two lines", s)
	}
	for _, s := range []string{"\x7f", "\u0085", "\u009b", "\u2028", "\u2029", "\u202a", "\u202b", "\u202c", "\u202d", "\u202e",
		"\u2066", "\u2067", "\u2068", "\u2069", "\u206a", "\xff", "\xed\xa0\x80"} {
		if limit.IsText("a"+s) || limit.IsLines("a"+s) {
			t.Errorf("%q: want it refused", s)
		}
	}
}

func TestClipCutsAndCleans(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{"Mozilla/5.0": "Mozilla/5", "a\x00\u202eb\xff": "ab\uFFFD", strings.Repeat("é", 20): strings.Repeat("é", 9)} {
		if got := limit.Clip(s, 9); got != want {
			t.Errorf("%q: want %q, got %q", s, want, got)
		}
	}
}
