package postgres

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/amanat-dev/amanat/cutover/query"
	"github.com/amanat-dev/amanat/cutover/shape"
)

// where makes SQL of a query's conditions and collects their arguments. The
// text depends on the query's shape alone, so that a statement is prepared once.
type where struct {
	table *table
	args  []any
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

// find returns what follows "SELECT … FROM table". A query of several branches
// is a union of the identities that each of them finds, each in its own index:
// one condition with OR would have the server search the table.
func (w *where) find(b query.Bound) string {
	order := w.order(b)
	if len(b.Branches) == 1 {
		return "WHERE " + w.all(b.Branches[0]) + order
	}
	name := quote(w.table.name)
	parts := make([]string, len(b.Branches))
	for i, br := range b.Branches {
		parts[i] = "(SELECT id FROM " + name + " WHERE " + w.all(br) + order + ")"
	}
	return "WHERE id IN (" + strings.Join(parts, " UNION ALL ") + ")" + order
}

// order sorts and cuts.
func (w *where) order(b query.Bound) string {
	direction := ""
	if b.Desc {
		direction = " DESC"
	}
	sql := " ORDER BY "
	if !b.Order.IsID() {
		// What is absent comes first, as it does in MongoDB.
		nulls := " NULLS FIRST"
		if b.Desc {
			nulls = " NULLS LAST"
		}
		column := w.table.columnOf(b.Order)
		if !column.nullable {
			nulls = ""
		}
		sql += quote(column.name) + direction + nulls + ", "
	}
	sql += "id" + direction
	if b.Limit > 0 {
		sql += " LIMIT " + w.arg(b.Limit, "bigint")
	}
	return sql
}

// anyOf is the condition that one of the branches holds.
func (w *where) anyOf(branches []query.Branch) string {
	parts := make([]string, len(branches))
	for i, br := range branches {
		parts[i] = w.all(br)
	}
	return "(" + strings.Join(parts, ") OR (") + ")"
}

// all is the condition that all terms hold.
func (w *where) all(br query.Branch) string {
	if len(br) == 0 {
		return "true"
	}
	parts := make([]string, len(br))
	for i, t := range br {
		parts[i] = w.term(t)
	}
	return strings.Join(parts, " AND ")
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

func (w *where) inChild(c child, t query.Term) string {
	exists := fmt.Sprintf("EXISTS (SELECT FROM %s child WHERE child.parent_id = %s.id", quote(c.name), quote(w.table.name))
	switch t.Op {
	case query.IsAbsent:
		return "NOT " + exists + ")"
	case query.IsPresent:
		return exists + ")"
	}
	return exists + " AND child.value = ANY(" + w.list(t.Values, c.columns[0].sqlType) + "))"
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
