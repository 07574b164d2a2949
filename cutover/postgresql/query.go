package postgresql

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/cutover/query"
	"github.com/amanat-dev/amanat/cutover/shape"
)

// whereOf makes SQL of a query. The text depends on the query's shape alone, so
// that a statement is prepared once.
func (s *store) whereOf(t *table, b query.Bound) (*where, error) {
	w := &where{store: s}
	err := w.bind(t, b)
	return w, err
}

// bind adds the query's conditions; placeholders go on from those there are.
func (w *where) bind(t *table, b query.Bound) error {
	w.table, w.order, w.limit = t, t.order(b), b.Limit
	for _, br := range b.Branches {
		condition, err := w.all(br)
		if err != nil {
			return err
		}
		w.either = append(w.either, condition)
	}
	return nil
}

// arg adds an argument and returns its placeholder.
func (w *where) arg(v any, sqlType string) string {
	w.args = append(w.args, v)
	return fmt.Sprintf("$%d::%s", len(w.args), sqlType)
}

// list adds an argument that is several values of a field.
func (w *where) list(values []any, sqlType string) string {
	if sqlType == "object_id" {
		sqlType = "text" // what it is based on; there is no array of it in the driver
	}
	switch values[0].(type) {
	case string:
		return w.arg(slice[string](values), sqlType+"[]")
	case int64:
		return w.arg(slice[int64](values), sqlType+"[]")
	case bool:
		return w.arg(slice[bool](values), sqlType+"[]")
	}
	return w.arg(slice[time.Time](values), sqlType+"[]")
}

func slice[T any](values []any) []T {
	out := make([]T, len(values))
	for i, v := range values {
		out[i] = v.(T)
	}
	return out
}

// order is what a query sorts by.
func (t *table) order(b query.Bound) string {
	direction, nulls := "", " NULLS FIRST"
	if b.Desc {
		direction, nulls = " DESC", " NULLS LAST"
	}
	if b.Order.IsID() {
		return "id" + direction
	}
	// What is absent comes first, as it does in MongoDB, and in the indexes on what
	// is sorted by. Where nothing is absent, not to say so lets others serve.
	column := t.columnOf(b.Order)
	if !column.nullable || !column.sorted() && b.Bounds(b.Order) {
		nulls = ""
	}
	return quote(column.name) + direction + nulls + ", id" + direction
}

// all is the condition that all terms hold.
func (w *where) all(br query.Branch) (string, error) {
	if len(br) == 0 {
		return "true", nil
	}
	parts := make([]string, len(br))
	for i, t := range br {
		if t.Op != query.IsAmong {
			parts[i] = w.term(t)
			continue
		}
		var err error
		if parts[i], err = w.among(t); err != nil {
			return "", err
		}
	}
	return strings.Join(parts, " AND "), nil
}

// among asks for the values that other records have in the same statement.
func (w *where) among(t query.Term) (string, error) {
	from := t.From
	there, err := w.store.table(from.Kind)
	if err != nil {
		return "", err
	}
	bound, err := there.def.Plan(from.Query)
	if err != nil || len(bound.Branches) == 0 {
		return "false", err
	}
	field, err := query.Lookup(there.fields, from.Field)
	if err != nil {
		return "", fault.Wrap(err, fault.Internal, "a query that cannot be asked")
	}
	inner := &where{store: w.store, args: w.args}
	if err := inner.bind(there, bound); err != nil {
		return "", err
	}
	w.args = inner.args
	source, tail := inner.from()
	column := quote(w.table.columnOf(t.Path).name)
	return fmt.Sprintf("%s IN (SELECT %s FROM %s %s)", column, quote(there.columnOf(field).name), source, tail), nil
}

func (w *where) term(t query.Term) string {
	if t.Path.Last().Class == shape.List {
		return w.inList(t)
	}
	column := w.table.columnOf(t.Path)
	name := quote(column.name)
	switch t.Op {
	case query.IsAbsent:
		return column.absent(name)
	case query.IsPresent:
		return "NOT " + column.absent(name)
	case query.Equal:
		return name + " = " + w.arg(t.Values[0], column.sqlType)
	case query.OneOf:
		return name + " = ANY(" + w.list(t.Values, column.sqlType) + ")"
	}
	return name + " " + t.Op.String() + " " + w.arg(t.Values[0], column.sqlType)
}

// absent is the condition that a column has nothing: a text that may not be
// NULL is empty then.
func (c column) absent(name string) string {
	if c.nullable {
		return "(" + name + " IS NULL)"
	}
	return "(" + name + " = '')"
}

// inList is a condition about the elements of a list: rows of a child table, or
// an array.
func (w *where) inList(t query.Term) string {
	for _, c := range w.table.children {
		if slices.EqualFunc(c.list.path(), t.Path, sameField) {
			return w.inChild(c, t)
		}
	}
	column := w.table.columnOf(t.Path)
	name := quote(column.name)
	switch t.Op {
	case query.IsAbsent:
		return "(" + name + " IS NULL OR " + name + " = '{}')"
	case query.IsPresent:
		return "(" + name + " <> '{}')"
	}
	return name + " && " + w.list(t.Values, strings.TrimSuffix(column.sqlType, "[]"))
}

// inChild asks for elements by their own index. OFFSET 0 keeps PostgreSQL from
// reading all of a child table to have it at hand.
func (w *where) inChild(c child, t query.Term) string {
	some := fmt.Sprintf("EXISTS (SELECT FROM %s child WHERE child.parent_id = %s.id OFFSET 0)", quote(c.name), quote(w.table.name))
	switch t.Op {
	case query.IsAbsent:
		return "NOT " + some
	case query.IsPresent:
		return some
	}
	return fmt.Sprintf("id IN (SELECT parent_id FROM %s WHERE value = ANY(%s))", quote(c.name), w.list(t.Values, c.columns[0].sqlType))
}

// columnOf finds the column that holds a field; every scalar that a query may
// name has one.
func (t *table) columnOf(p query.Path) column {
	for _, c := range t.columns {
		if slices.EqualFunc(c.at.path(), p, sameField) {
			return c
		}
	}
	panic(fmt.Sprintf("postgres: %s has no column for %s", t.name, p))
}

func sameField(a, b shape.Field) bool { return a.Name == b.Name }

// path leads to the place as a query does.
func (p place) path() query.Path { return append(slices.Clip(query.Path(p.groups)), p.field) }
