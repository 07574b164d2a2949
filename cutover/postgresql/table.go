package postgresql

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/shape"
)

// table is how one kind of record is stored: its columns in the order of the
// Go type's fields, and the child tables of its lists.
type table struct {
	def      cutover.Kind
	kind     string
	name     string
	place    int          // of the kind in the domain's order: parents first
	typ      reflect.Type // the record's struct type
	fields   []shape.Field
	columns  []column
	keys     []keyColumn
	children []child
	sql      statements
	readers  sync.Pool // of *reader
}

// child is the table of one of a record's lists: a row per element, in order.
type child struct {
	name    string
	parent  string
	list    place // where in the record the list is
	elem    shape.Field
	columns []column // of the element; a scalar has one, "value"
}

// place is where in a Go value a field is: the groups that lead to it, from
// the outside in, and the field itself.
type place struct {
	groups []shape.Field
	field  shape.Field
}

// tablesOf describes the tables of a domain by kind.
func tablesOf(kinds cutover.Kinds) map[string]*table {
	out := map[string]*table{}
	for i, k := range kinds {
		out[k.Name] = newTable(k, i)
	}
	return out
}

// newTable describes the table of a kind. It panics on a type that cannot be
// stored: that is a mistake in the program, found by its first test.
func newTable(kind cutover.Kind, order int) *table {
	if kind.Table == "" {
		panic("postgres: no table is named for the kind " + kind.Name)
	}
	t := &table{def: kind, kind: kind.Name, name: kind.Table, place: order, typ: kind.Type, fields: shape.Of(kind.Type)}
	t.add(t.fields, "", nil, false)
	t.keys = keysOf(kind)
	t.sql = statementsOf(t)
	return t
}

// add appends the columns of some fields. prefix and groups say where they
// are; within an optional group every column may be null.
func (t *table) add(fields []shape.Field, prefix string, groups []shape.Field, optional bool) {
	for _, f := range fields {
		switch at := (place{groups, f}); {
		case f.Class == shape.List && f.Table != "" && !f.JSONB:
			t.children = append(t.children, newChild(t.name, at))
		case f.Class == shape.Group && !f.JSONB:
			t.add(f.Fields, prefix+f.Column+"_", append(groups[:len(groups):len(groups)], f), optional || f.Pointer)
		default:
			t.columns = append(t.columns, newColumn(prefix+f.Column, at, optional))
		}
	}
}

func newChild(parent string, at place) child {
	elem := *at.field.Elem
	c := child{name: at.field.Table, parent: parent, list: at, elem: elem}
	if elem.Class != shape.Group {
		elem.Name, elem.Column = "value", "value"
		c.columns = []column{newColumn("value", place{field: elem}, false)}
		return c
	}
	rows := &table{name: c.name}
	rows.add(elem.Fields, "", nil, false)
	if len(rows.children) > 0 || elem.Pointer {
		panic(fmt.Sprintf("postgres: %s: a child table holds plain values or structs, without child tables of their own", c.name))
	}
	c.columns = rows.columns
	return c
}

// value returns the field's value within root; false when a group that leads to
// it is absent.
func (p *place) value(root reflect.Value) (reflect.Value, bool) {
	for i := range p.groups {
		g := &p.groups[i]
		root = root.FieldByIndex(g.Index)
		if !g.Pointer {
			continue
		}
		if g.Empty(root) {
			return reflect.Value{}, false
		}
		root = root.Elem()
	}
	return p.own(root), true
}

// slot is value for writing: it makes the groups that lead to the field.
func (p *place) slot(root reflect.Value) reflect.Value {
	for i := range p.groups {
		g := &p.groups[i]
		root = root.FieldByIndex(g.Index)
		if !g.Pointer {
			continue
		}
		if root.IsNil() {
			root.Set(reflect.New(g.Type))
		}
		root = root.Elem()
	}
	return p.own(root)
}

// own returns the field within its innermost group. The element of a list of
// scalars has no index: it is the value itself.
func (p *place) own(v reflect.Value) reflect.Value {
	switch index := p.field.Index; len(index) {
	case 0:
		return v
	case 1:
		return v.Field(index[0])
	default:
		return v.FieldByIndex(index)
	}
}

// statements are the SQL texts of a table. Parameters are in the order of the
// columns, so $1 is the id and $2 the revision; the keys of unique rules follow.
type statements struct {
	columns string // quoted and qualified by the table: for SELECT
	selects string // "SELECT … FROM ", with each child table's rows as one more value
	keyed   string // selects, with the keys of unique rules last
	insert  string // a new record; fails when the id is taken
	update  string // of the revision in the last parameter; fails when there is none
	delete  string // likewise: $1 id, $2 revision
	remove  string // $1 id, $2 revision; it may be gone already
	apply   string // a copy, unless a later revision or tombstone is here
	force   string // a copy, whatever is here
}

func statementsOf(t *table) statements {
	written := t.written()
	quoted, cast, set := make([]string, len(written)), make([]string, len(written)), make([]string, len(written))
	excluded := make([]string, len(written))
	for i, c := range written {
		quoted[i] = quote(c.name)
		cast[i] = "$" + strconv.Itoa(i+1) + "::" + c.sqlType
		set[i] = quoted[i] + " = " + cast[i]
		excluded[i] = quoted[i] + " = EXCLUDED." + quoted[i]
	}
	name, cols, params := quote(t.name), strings.Join(quoted, ", "), strings.Join(cast, ", ")
	upsert := " ON CONFLICT (id) DO UPDATE SET " + strings.Join(excluded[1:], ", ")
	remove := fmt.Sprintf("DELETE FROM %s WHERE id = $1 AND rev = $2", name)
	update := fmt.Sprintf("UPDATE %s SET %s WHERE id = $1 AND rev = $%d::bigint", name, strings.Join(set[1:], ", "), len(written)+1)
	columns := name + "." + strings.Join(quoted[:len(t.columns)], ", "+name+".")
	return statements{
		columns: columns,
		selects: "SELECT " + columns + t.lists() + " FROM ",
		keyed:   "SELECT " + columns + t.lists() + t.keyList() + " FROM ",
		insert: fmt.Sprintf("INSERT INTO %s AS own (%s) VALUES (%s) ON CONFLICT (id) DO UPDATE SET id = cutover_stale('%s', own.id)",
			name, cols, params, t.kind),
		update: mustTouch(t.kind, update),
		delete: mustTouch(t.kind, remove),
		remove: remove,
		apply: fmt.Sprintf("INSERT INTO %s (%s) SELECT %s WHERE NOT EXISTS (%s)%s WHERE %s.rev < EXCLUDED.rev",
			name, cols, params, buried(t.kind, "$1", "$2"), upsert, name),
		force: fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)%s", name, cols, params, upsert),
	}
}

// mustTouch makes a write of the record $1 fail when it finds no row of its
// revision. The server says so, not the tag of its answer: the commit is sent
// in the same breath.
func mustTouch(kind, write string) string {
	return fmt.Sprintf("WITH touched AS (%s RETURNING 1) SELECT CASE WHEN count(*) = 0 THEN cutover_stale('%s', $1) END FROM touched",
		write, kind)
}

func (t *table) lists() string {
	var b strings.Builder
	for _, c := range t.children {
		b.WriteString(", " + c.listSQL())
	}
	return b.String()
}

// buried is the condition's subquery that a record has a tombstone of this
// revision or a later one.
func buried(kind, id, rev string) string {
	return fmt.Sprintf("SELECT FROM cutover_tombstones dead WHERE dead.kind = '%s' AND dead.id = %s AND dead.rev >= %s",
		kind, id, rev)
}

// columnList returns a child table's own columns, quoted.
func (c child) columnList() string {
	out := make([]string, len(c.columns))
	for i, col := range c.columns {
		out[i] = quote(col.name)
	}
	return strings.Join(out, ", ")
}

func (c child) insertSQL() string {
	params := make([]string, len(c.columns))
	for i, col := range c.columns {
		params[i] = "$" + strconv.Itoa(i+3) + "::" + col.sqlType
	}
	return fmt.Sprintf("INSERT INTO %s (parent_id, position, %s) VALUES ($1, $2, %s)",
		quote(c.name), c.columnList(), strings.Join(params, ", "))
}

func (c child) deleteSQL() string {
	return fmt.Sprintf("DELETE FROM %s WHERE parent_id = $1", quote(c.name))
}

// listSQL reads the rows of the record at hand, in order, as one value: an
// array of rows, in which each column keeps its type. Names of domains mean
// nothing to the driver, so their columns go by what they are underneath.
func (c child) listSQL() string {
	cols := make([]string, len(c.columns))
	for i, col := range c.columns {
		cols[i] = "part." + quote(col.name)
		if col.sqlType == "object_id" {
			cols[i] += "::text"
		}
	}
	return fmt.Sprintf("ARRAY(SELECT ROW(%s) FROM %s part WHERE part.parent_id = %s.id ORDER BY part.position)",
		strings.Join(cols, ", "), quote(c.name), quote(c.parent))
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }
