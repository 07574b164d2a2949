package cutover_test

import (
	"context"
	"reflect"
	"strings"
	"testing"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/memdb"
	"github.com/amanat-dev/amanat/cutover/query"
)

type shelf struct {
	cutover.Meta
	Label string `json:"label" field:",null"`
}

type book struct {
	cutover.Meta
	Shelf   cutover.ID   `json:"shelf" field:",ref=shelf"`
	Owner   cutover.ID   `json:"owner" field:",ref=member"`
	Title   string       `json:"title"`
	ISBN    string       `json:"isbn" field:",null"`
	State   string       `json:"state" field:",default=new"`
	Lent    string       `json:"keyLent"`
	Tags    []string     `json:"tags"`
	Readers []cutover.ID `json:"readers" field:",table=book_readers"`
}

type leaf struct{ Name string }

// library is a domain that is right.
func library() cutover.Spec {
	kinds := cutover.Kinds{
		{Name: "shelf", Type: reflect.TypeFor[shelf](), Table: "shelves", Collection: "shelves"},
		{Name: "book", Type: reflect.TypeFor[book](), Table: "books", Collection: "books",
			Unique:  []cutover.Unique{{Fields: query.Index{"isbn"}}, titleKey("Title")},
			Indexes: []query.Index{{"shelf"}, {"readers"}}},
	}
	return cutover.Spec{Source: memdb.New("memory", kinds), Definition: cutover.Definition{
		Name: "library", Kinds: kinds, Refers: []string{"member"}, Queries: []string{"book.get"},
		Invariants: []cutover.Invariant{{Name: "books", Kind: "book", Check: func(context.Context, cutover.Tx, cutover.Record) error { return nil }}},
	}}
}

func titleKey(name string) cutover.Unique {
	return cutover.UniqueKey(name, func(b *book) string { return b.Title })
}

// a change to the kind of books, in kinds of their own.
func ofBooks(change func(*cutover.Kind)) func(*cutover.Spec) {
	return func(s *cutover.Spec) {
		s.Kinds = append(cutover.Kinds{}, s.Kinds...)
		change(&s.Kinds[1])
		s.Source = memdb.New("memory", s.Kinds)
	}
}

func withRule(u cutover.Unique) func(*cutover.Spec) {
	return ofBooks(func(k *cutover.Kind) { k.Unique = append(k.Unique[:len(k.Unique):len(k.Unique)], u) })
}

func withIndex(fields ...string) func(*cutover.Spec) {
	return ofBooks(func(k *cutover.Kind) { k.Indexes = append(k.Indexes[:len(k.Indexes):len(k.Indexes)], fields) })
}

func withInvariant(inv cutover.Invariant) func(*cutover.Spec) {
	return func(s *cutover.Spec) { s.Invariants = append(s.Invariants[:len(s.Invariants):len(s.Invariants)], inv) }
}

func evaluates(context.Context, cutover.Tx) (string, error)      { return "", nil }
func suspects(context.Context, cutover.Tx) ([]cutover.ID, error) { return nil, nil }
func checks(context.Context, cutover.Tx, cutover.Record) error   { return nil }
func queried(names ...string) func(*cutover.Spec)                { return func(s *cutover.Spec) { s.Queries = names } }
func fieldsRule(fields ...string) func(*cutover.Spec) {
	return withRule(cutover.Unique{Fields: fields})
}
func referring(names ...string) func(*cutover.Spec) {
	return func(s *cutover.Spec) { s.Refers = names }
}

func TestNewDomainTellsWhatCannotBeRight(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*cutover.Spec){
		"has no name: set Definition.Name":                                                func(s *cutover.Spec) { s.Name = "" },
		"there is a domain cinema already":                                                func(s *cutover.Spec) { s.Name = "cinema" },
		"it has no kinds":                                                                 func(s *cutover.Spec) { s.Kinds = nil },
		"it has no database: set Source, Target or both":                                  func(s *cutover.Spec) { s.Source = nil },
		"Source and Target are the same database":                                         func(s *cutover.Spec) { s.Target = s.Source },
		"the side of other was made for other kinds":                                      func(s *cutover.Spec) { s.Target = memdb.New("other", s.Kinds[:1]) },
		"kind 2 has no name":                                                              ofBooks(func(k *cutover.Kind) { k.Name = "" }),
		"there are two kinds shelf":                                                       ofBooks(func(k *cutover.Kind) { k.Name = "shelf" }),
		"cutover_test.leaf is no record: set Kind.Type to a struct that embeds":           ofBooks(func(k *cutover.Kind) { k.Type = reflect.TypeFor[leaf]() }),
		"kind book: <nil> is no record":                                                   ofBooks(func(k *cutover.Kind) { k.Type = nil }),
		"another kind has the type cutover_test.shelf":                                    ofBooks(func(k *cutover.Kind) { k.Type = reflect.TypeFor[shelf](); k.Unique, k.Indexes = nil, nil }),
		"kind book: the table shelves is used already":                                    ofBooks(func(k *cutover.Kind) { k.Table = "shelves" }),
		"kind book: the table book_readers is used already":                               ofBooks(func(k *cutover.Kind) { k.Table = "book_readers" }),
		"kind book: the table films is used already":                                      ofBooks(func(k *cutover.Kind) { k.Table = "films" }),
		"kind book: the collection films is another kind's":                               ofBooks(func(k *cutover.Kind) { k.Collection = "films" }),
		"ref=member names no kind of this domain":                                         referring(),
		"Refers names planet, to which no record refers":                                  referring("member", "planet"),
		"Refers names book, which is a kind of this domain":                               referring("member", "book"),
		"Refers names member twice":                                                       referring("member", "member"),
		"a unique rule over \"colour\": there is no such field":                           fieldsRule("colour"),
		"a unique rule over title, of which the absent text would count: tag it \"null\"": fieldsRule("title"),
		"a unique rule over state, which is read otherwise than it is stored":             fieldsRule("state"),
		"a unique rule over the list tags":                                                fieldsRule("tags"),
		"the unique rule \"\" is about nothing":                                           withRule(cutover.Unique{}),
		"has Fields and a Key":                                                            withRule(cutover.Unique{Fields: query.Index{"owner"}, Key: titleKey("X").Key, Name: "X"}),
		"\"by title\" needs a name of letters and digits":                                 withRule(titleKey("by title")),
		"the unique rule Lent would be kept where a field is":                             withRule(titleKey("Lent")),
		"there are two unique rules Title":                                                withRule(titleKey("Title")),
		"an index over \"colour\": there is no such field":                                withIndex("colour"),
		"an index over nothing":                                                           withIndex(),
		"two indexes over shelf: leave one out":                                           withIndex("shelf"),
		"two indexes over isbn: leave one out; a unique rule is an index":                 withIndex("isbn"),
		"an index over the list tags: such a list needs a table":                          withIndex("tags"),
		"the View book.get is named twice":                                                queried("book.get", "book.get"),
		"the View film.get is about a kind of the domain cinema":                          queried("film.get"),
		"a View without a name":                                                           queried(""),
		"invariant 2 has no name":                                                         withInvariant(cutover.Invariant{Eval: evaluates}),
		"there are two invariants \"books\"":                                              withInvariant(cutover.Invariant{Name: "books", Eval: evaluates}),
		"the invariant \"x\" states nothing":                                              withInvariant(cutover.Invariant{Name: "x"}),
		"the invariant \"x\" has Suspects, but no Check":                                  withInvariant(cutover.Invariant{Name: "x", Eval: evaluates, Suspects: suspects}),
		"the invariant \"x\" is about \"film\", which is no kind":                         withInvariant(cutover.Invariant{Name: "x", Kind: "film", Check: checks}),
		"the invariant \"x\" is about \"\", which is no kind":                             withInvariant(cutover.Invariant{Name: "x", Check: checks}),
	} {
		spec := library()
		change(&spec)
		e := cutover.NewEngine(cutover.Options{})
		must[*cutover.Domain](t)(cutover.NewDomain(e, cinema()))
		_, err := cutover.NewDomain(e, spec)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v\nwant %q", err, want)
			continue
		}
		if lines := strings.Count(err.Error(), "\n"); lines != 1 {
			t.Errorf("%q is told with %d others:\n%v", want, lines-1, err)
		}
		if n := len(e.Domains()); n != 1 {
			t.Errorf("%q: the engine knows %d domains, want the right one alone", want, n)
		}
	}
}

type film struct{ cutover.Meta }

func cinema() cutover.Spec {
	kinds := cutover.Kinds{{Name: "film", Type: reflect.TypeFor[film](), Table: "films", Collection: "films"}}
	return cutover.Spec{Source: memdb.New("memory", kinds), Definition: cutover.Definition{Name: "cinema", Kinds: kinds}}
}

func TestNewDomainTellsAllAtOnce(t *testing.T) {
	t.Parallel()
	if _, err := cutover.NewDomain(cutover.NewEngine(cutover.Options{}), library()); err != nil {
		t.Fatalf("what is right is refused: %v", err)
	}
	spec := library()
	spec.Queries, spec.Refers = []string{"book.get", "book.get"}, nil
	spec.Invariants = []cutover.Invariant{{Eval: evaluates}}
	_, err := cutover.NewDomain(cutover.NewEngine(cutover.Options{}), spec)
	for _, want := range []string{`the domain "library" cannot be made`, "named twice", "ref=member", "invariant 1 has no name"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v\nwant %q in it", err, want)
		}
	}
}

func TestSoloWantsOneDatabase(t *testing.T) {
	t.Parallel()
	spec := library()
	spec.Target = memdb.New("other", spec.Kinds)
	if _, err := cutover.Solo(spec); err == nil || !strings.Contains(err.Error(), "Solo is for one") {
		t.Errorf("got %v, want an error about two databases", err)
	}
	spec.Source, spec.Target = nil, nil
	if _, err := cutover.Solo(spec); err == nil || !strings.Contains(err.Error(), "it has no database") {
		t.Errorf("got %v, want an error about no database", err)
	}
}
