package web

import (
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

// After gives the id that the page comes after; zero for the first page.
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

// MakePage makes a page of at most limit items. Ask the store for limit+1:
// the one too many shows that there is a next page.
func MakePage[T any](items []T, limit int, id func(T) cutover.ID) Page[T] {
	if len(items) > limit {
		items = items[:limit]
		return Page[T]{Items: items, NextCursor: id(items[limit-1]).String()}
	}
	if items == nil {
		items = []T{}
	}
	return Page[T]{Items: items}
}
