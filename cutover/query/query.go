// Package query says which records of a kind are asked for, as data: a query is
// written once, and each store interprets it.
//
//	query.Eq("status", Pending).And(query.AtMost("expiresAt", now)).OrderBy("expiresAt").Limit(100)
//
// A condition is about what a reader sees, not about how a record happens to be
// stored: a field that a stored document lacks, and that reads as its default,
// is that default. Fields have the names that package shape gives them, with
// dots between a group's name and its field's; "id" is the record's identity.
//
// What is asked for must be served by an index that the kind declares, see
// Plan: a query that would search a whole table is an error.
package query

import (
	"fmt"
	"slices"
	"strings"
)

// ID names the field that holds a record's identity.
const ID = "id"

// Op is what a condition asks of a field.
type Op int

// The operators. Of a list, Equal and In ask whether it has such an element;
// what orders is for integers, times and identities. Nothing equals, or is less
// or more than, an absent field.
const (
	Equal Op = iota
	OneOf
	IsAbsent
	IsPresent
	Below
	UpTo
	Above
	From
	IsAmong
)

var opNames = [...]string{"=", "in", "absent", "present", "<", "<=", ">", ">=", "among"}

// String returns the operator's sign.
func (o Op) String() string { return opNames[o] }

// Condition is about one field.
type Condition struct {
	Field  string
	Op     Op
	Values []any   // none, one, or those of OneOf
	From   *Source // of IsAmong, in place of Values
}

// Query is a condition, an order and a limit. The zero Query asks for all
// records in the order of their identities. A Query is not changed by its
// methods: each returns another.
type Query struct {
	all   []Condition
	any   [][]Query // of each list one must hold
	order string    // a field; "": the identity
	desc  bool
	limit int
	whole bool
}

// All asks for every record.
func All() Query { return Query{} }

// Eq asks for records whose field is v.
func Eq(field string, v any) Query { return one(field, Equal, v) }

// In asks for records whose field is one of vs; without any, for none.
func In[V any](field string, vs ...V) Query {
	values := make([]any, len(vs))
	for i, v := range vs {
		values[i] = v
	}
	return one(field, OneOf, values...)
}

// Absent asks for records that have nothing in a field.
func Absent(field string) Query { return one(field, IsAbsent) }

// Present asks for records that have something in a field.
func Present(field string) Query { return one(field, IsPresent) }

// Less asks for records whose field is below v.
func Less(field string, v any) Query { return one(field, Below, v) }

// AtMost asks for records whose field is v or below.
func AtMost(field string, v any) Query { return one(field, UpTo, v) }

// More asks for records whose field is above v.
func More(field string, v any) Query { return one(field, Above, v) }

// AtLeast asks for records whose field is v or above.
func AtLeast(field string, v any) Query { return one(field, From, v) }

func one(field string, op Op, values ...any) Query {
	return Query{all: []Condition{{Field: field, Op: op, Values: values}}}
}

// AnyOf asks for records for which at least one of several conditions holds.
// What these say of order and limit does not count.
func AnyOf(qs ...Query) Query { return Query{any: [][]Query{qs}} }

// And asks that the conditions of others hold as well.
func (q Query) And(others ...Query) Query {
	q.all, q.any = slices.Clip(q.all), slices.Clip(q.any)
	for _, o := range others {
		q.all = append(q.all, o.all...)
		q.any = append(q.any, o.any...)
	}
	return q
}

// OrderBy sorts by a field, the least first; records in which it is absent come
// first. Ties are broken by identity, in the same direction.
func (q Query) OrderBy(field string) Query {
	q.order, q.desc = field, false
	return q
}

// OrderByDesc is OrderBy the other way round.
func (q Query) OrderByDesc(field string) Query {
	q.order, q.desc = field, true
	return q
}

// Limit asks for the first n records; 0 means all.
func (q Query) Limit(n int) Query {
	q.limit = n
	return q
}

// Whole asks that a record which cannot be read is an error, also in a View,
// where it is else left out: for what is summed, or where one record decides.
func (q Query) Whole() Query {
	q.whole = true
	return q
}

// Page asks for the n records that follow the one with the identity after in
// the order of identities, the newest first. A zero after means from the first.
func (q Query) Page(after interface{ IsZero() bool }, n int) Query {
	if !after.IsZero() {
		q = q.And(Less(ID, after))
	}
	return q.OrderByDesc(ID).Limit(n)
}

// Shape describes what is asked for without the values: two queries of the same
// shape are answered in the same way.
func (q Query) Shape() string {
	var b strings.Builder
	q.shape(&b)
	if q.order != "" || q.desc {
		fmt.Fprintf(&b, " order %s", q.orderField())
		if q.desc {
			b.WriteString(" desc")
		}
	}
	if q.limit > 0 {
		b.WriteString(" limited")
	}
	return strings.TrimSpace(b.String())
}

func (q Query) shape(b *strings.Builder) {
	for _, c := range q.all {
		fmt.Fprintf(b, " %s %s", c.Field, c.Op)
		if c.From != nil {
			fmt.Fprintf(b, " %s.%s (%s)", c.From.Kind, c.From.Field, c.From.Query.Shape())
		}
	}
	for _, list := range q.any {
		b.WriteString(" (")
		for i, alternative := range list {
			if i > 0 {
				b.WriteString(" |")
			}
			alternative.shape(b)
		}
		b.WriteString(" )")
	}
}

func (q Query) orderField() string {
	if q.order == "" {
		return ID
	}
	return q.order
}

// IsZero says that everything is asked for, in the order of identities.
func (q Query) IsZero() bool {
	return len(q.all) == 0 && len(q.any) == 0 && q.order == "" && !q.desc && q.limit == 0
}
