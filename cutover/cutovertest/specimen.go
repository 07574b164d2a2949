package cutovertest

import (
	"reflect"
	"strings"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/query"
)

// Shelf is what specimens stand on.
type Shelf struct {
	cutover.Meta
	Label string     `json:"label"`
	Above cutover.ID `json:"aboveId" field:",ref=shelf"`
}

// Specimen has a field of every sort.
type Specimen struct {
	cutover.Meta
	ShelfID cutover.ID `json:"shelfId" field:",ref=shelf"`
	Name    string     `json:"name"`
	Order   int        `json:"order"` // a word of SQL
	Email   string     `json:"email" field:"email,null"`
	Secret  string     `json:"-" field:"secretHash"`
	State   string     `json:"state" field:",default=new,was=fresh:new,was=old:used"`

	Flag  bool      `json:"flag"`
	Price Decimal   `json:"price"`
	Units Whole     `json:"units"`
	At    time.Time `json:"at"`
	Data  []byte    `json:"data"`

	MaybeFlag   *bool    `json:"maybeFlag"`
	MaybeCount  *int64   `json:"maybeCount"`
	MaybeAmount *Decimal `json:"maybeAmount"`
	MaybeUnits  *Whole   `json:"maybeUnits"`

	Place  Place  `json:"place"`
	Budget *Price `json:"budget"`

	Tags    []string     `json:"tags"`
	Refs    []cutover.ID `json:"refs"`
	Numbers []int64      `json:"numbers"`
	Amounts []Decimal    `json:"amounts"`

	Lines   []Line            `json:"lines" field:"lines,table=specimen_lines"`
	Marks   []cutover.ID      `json:"marks" field:"marks,table=specimen_marks"`
	Sources []Source          `json:"sources" field:"sources,jsonb"`
	Origin  *Source           `json:"origin" field:"origin,jsonb"`
	Links   map[string]string `json:"links"`
}

// Place is a group with groups in it.
type Place struct {
	City  string    `json:"city"`
	Zip   *Zip      `json:"zip"`
	Steps []Line    `json:"steps" field:"steps,table=specimen_steps"`
	Since time.Time `json:"since"`
}

// Zip is an optional group.
type Zip struct {
	Code  string `json:"code"`
	Valid bool   `json:"valid"`
	Round int    `json:"round"`
}

// Price is an optional group with a number that must be there.
type Price struct {
	Amount   Decimal `json:"amount"`
	Currency string  `json:"currency"`
}

// Line is an element of a child table.
type Line struct {
	Key    string     `json:"key"`
	Amount Whole      `json:"amount"`
	UserID cutover.ID `json:"userId"`
	Words  []string   `json:"words"`
	Token  string     `json:"-" field:"tokenHash"`
	Until  time.Time  `json:"until"`
	Limit  *Whole     `json:"limit"`
	Zip    *Zip       `json:"zip"`
}

// Source is an element of a jsonb list.
type Source struct {
	Name  string     `json:"name"`
	Key   string     `json:"-" field:"apiKey"`
	Price Decimal    `json:"price"`
	Seen  time.Time  `json:"seen"`
	By    cutover.ID `json:"by"`
	Blob  []byte     `json:"blob"`
	Tries *int64     `json:"tries"`
	Sub   *Zip       `json:"sub"`
	Tags  []string   `json:"tags"`
}

// Definition is a domain that exists for tests only. Its kinds have every sort of
// field that a record may have, so that a store's tests do not lean on what some
// application happens to use.
var Definition = cutover.Definition{Name: "specimen", Kinds: cutover.Kinds{
	{
		Name: "shelf", Type: reflect.TypeFor[Shelf](), Table: "shelves", Collection: "shelves",
		Indexes: []query.Index{{"aboveId"}},
	},
	{
		Name: "specimen", Type: reflect.TypeFor[Specimen](), Table: "specimens", Collection: "specimens",
		Unique:  []cutover.Unique{{Fields: query.Index{"email"}}},
		Indexes: []query.Index{{"shelfId"}, {"name"}, {"order"}, {"at"}, {"flag"}, {"state"}},
	},
}}

// Fit makes records of Definition fit for a table that has rules of its own: a
// shelf's label is in capital letters, and is never empty.
var Fit = Fixes{"shelf": func(r cutover.Record) {
	s := r.(*Shelf)
	if s.Label = strings.ToUpper(s.Label); s.Label == "" {
		s.Label = "BARE"
	}
}}
