package web

import (
	"cmp"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
)

// How many items a page has.
const (
	DefaultLimit = 20
	MaxLimit     = 100
)

// Paging is embedded in the input of a route that lists.
type Paging struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"20" doc:"How many items at most"`
	Cursor string `query:"cursor" maxLength:"64" doc:"nextCursor of the page before"`
}

// After returns the id that the page comes after; zero for the first page.
// Errors: fault.Invalid naming "cursor".
func (p Paging) After() (cutover.ID, error) { return ParseCursor(p.Cursor) }

// Page is the data of an answer that lists.
type Page[T any] struct {
	Items      []T    `json:"items"`
	NextCursor string `json:"nextCursor,omitempty"` // absent on the last page
}

// ParseCursor reads a page's NextCursor; "" is the first page. Errors:
// fault.Invalid naming "cursor".
func ParseCursor(s string) (cutover.ID, error) {
	if s == "" {
		return cutover.ID{}, nil
	}
	id, err := cutover.ParseID(s)
	if err != nil {
		return cutover.ID{}, fault.Field("cursor", "is not one that this list gave")
	}
	return id, nil
}

// List makes a page of what ask returns: at most limit items, those after an id.
// It asks for one more than fits on the page, which shows that there is a next
// one. Errors: fault.Invalid naming "cursor"; those of ask.
func List[T any](p Paging, id func(T) cutover.ID, ask func(after cutover.ID, limit int) ([]T, error)) (Page[T], error) {
	after, err := p.After()
	if err != nil {
		return Page[T]{}, err
	}
	limit := cmp.Or(p.Limit, DefaultLimit)
	items, err := ask(after, limit+1)
	if err != nil || len(items) <= limit {
		return Whole(items), err
	}
	return Page[T]{Items: items[:limit], NextCursor: id(items[limit-1]).String()}, nil
}

// Whole is the one page of a list that fits on it.
func Whole[T any](items []T) Page[T] {
	if items == nil {
		items = []T{}
	}
	return Page[T]{Items: items}
}
