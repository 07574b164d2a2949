package marketplace

import (
	"net/url"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"

	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/internal/money"
)

// checks collects what is wrong with a request's fields, so that the caller
// hears of all of them at once.
type checks map[string]string

func (c checks) fail(field, what string) {
	if _, told := c[field]; !told {
		c[field] = what
	}
}

func (c checks) that(ok bool, field, what string) {
	if !ok {
		c.fail(field, what)
	}
}

// err gives an Invalid fault that names every field, or nil.
func (c checks) err() error {
	if len(c) == 0 {
		return nil
	}
	names := make([]string, 0, len(c))
	for name := range c {
		names = append(names, name)
	}
	sort.Strings(names)
	first := names[0]
	f := fault.Field(first, "%s", c[first])
	f.Fields = c
	return f
}

// text checks a text of at most max characters. PostgreSQL cannot keep a NUL,
// so no text may have one.
func (c checks) text(s, field string, max int) {
	c.that(utf8.ValidString(s) && !strings.ContainsRune(s, 0), field, "has characters that are no text")
	c.that(utf8.RuneCountInString(s) <= max, field, "is too long")
}

func (c checks) required(s, field string, max int) {
	c.that(strings.TrimSpace(s) != "", field, "is required")
	c.text(s, field, max)
}

func (c checks) oneOf(s, field string, allowed []string) {
	c.that(slices.Contains(allowed, s), field, "must be one of "+strings.Join(allowed, ", "))
}

// link checks an absolute http or https URL with a host.
func (c checks) link(s, field string) {
	c.text(s, field, maxLink)
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" {
		c.fail(field, "must be a link that begins with http:// or https://")
	}
}

func (c checks) positive(a money.Amount, field string) {
	c.that(a.Sign() > 0, field, "must be more than 0")
}
