package query

import (
	"fmt"
	"reflect"

	"github.com/amanat-dev/amanat/cutover/shape"
)

// Source is where the values of a condition come from: a field of the records
// of a kind that a query asks for.
type Source struct {
	Kind, Field string
	Query       Query
}

// Among asks for records whose field is one that the records of a kind of the
// same domain have in a field of theirs: those that q asks for, in its order and
// up to its limit. A store that can answers all of it as one question.
func Among(field, kind, there string, q Query) Query {
	return Query{all: []Condition{{Field: field, Op: IsAmong, From: &Source{kind, there, q}}}}
}

// Resolve puts values in place of where they come from: for a store that asks
// one question at a time. values finds them, in the form that Path.Values has.
func (q Query) Resolve(values func(Source) ([]any, error)) (Query, error) {
	all := make([]Condition, len(q.all))
	for i, c := range q.all {
		if c.Op == IsAmong {
			found, err := values(*c.From)
			if err != nil {
				return Query{}, err
			}
			c.Op, c.Values = OneOf, found
		}
		all[i] = c
	}
	any := make([][]Query, len(q.any))
	for i, list := range q.any {
		for _, alternative := range list {
			resolved, err := alternative.Resolve(values)
			if err != nil {
				return Query{}, err
			}
			any[i] = append(any[i], resolved)
		}
	}
	q.all, q.any = all, any
	return q, nil
}

// Sources says whether some of the query's values are still to be found.
func (q Query) Sources() bool {
	for _, c := range q.all {
		if c.Op == IsAmong {
			return true
		}
	}
	for _, list := range q.any {
		for _, alternative := range list {
			if alternative.Sources() {
				return true
			}
		}
	}
	return false
}

// values brings a condition's values into the form that Term has. What was found
// in records has it already.
func (c Condition) values(f shape.Field) ([]any, error) {
	if c.From != nil {
		return c.Values, nil
	}
	var out []any
	for _, v := range c.Values {
		value, there, err := valueOf(f, reflect.ValueOf(v))
		if err != nil {
			return nil, fmt.Errorf("query: %s: %w", c.Field, err)
		}
		if there {
			out = append(out, value)
		}
	}
	return out, nil
}

// certain says that the term can hold of some record: it has what it compares
// with, or needs nothing.
func (t Term) certain() bool {
	return len(t.Values) > 0 || t.Op == IsAbsent || t.Op == IsPresent || t.Op == IsAmong
}
