package postgresql

import (
	"crypto/sha256"
	"fmt"
	"strings"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/query"
	"github.com/amanat-dev/amanat/cutover/shape"
)

// schemaTable is a table as it is expected or as it is.
type schemaTable struct {
	columns []schemaColumn
	indexes []schemaIndex // but the primary key's
	key     string        // the primary key's columns, joined by commas
	parent  string        // the table whose rows take this one's with them
	guarded bool          // against writers that are not the engine
	domain  string        // whose it is, as far as it is expected
}

type schemaColumn struct {
	name     string
	sqlType  string
	nullable bool
	computed bool
	// Only of one that is expected:
	references string   // the table that an identity is of, "" for none
	enum       []string // the only texts that it may have
}

// schemaIndex is an index.
type schemaIndex struct {
	name   string
	unique bool
	parts  []indexPart
	rest   string // of one that is there: what else it says
	reason string // likewise: the comment on it
}

// indexPart is a column of an index, or what stands for one.
type indexPart struct {
	column string
	order  string // " NULLS FIRST" and the like; "" for the usual one
}

func parts(columns ...string) (out []indexPart) {
	for _, c := range columns {
		out = append(out, indexPart{column: c})
	}
	return out
}

func (c schemaColumn) String() string {
	if c.nullable {
		return c.sqlType
	}
	return c.sqlType + " NOT NULL"
}

func (i schemaIndex) String() string {
	text := "(" + i.over() + ")" + i.rest
	if i.unique {
		return "UNIQUE " + text
	}
	return text
}

// over lists the columns.
func (i schemaIndex) over() string {
	list := make([]string, len(i.parts))
	for n, p := range i.parts {
		list[n] = plain(p.column) + p.order
	}
	return strings.Join(list, ", ")
}

func (w schemaTable) column(name string) *schemaColumn {
	for i := range w.columns {
		if w.columns[i].name == name {
			return &w.columns[i]
		}
	}
	return nil
}

func (w schemaTable) index(name string) *schemaIndex {
	for i := range w.indexes {
		if w.indexes[i].name == name {
			return &w.indexes[i]
		}
	}
	return nil
}

// expected describes the tables of domains.
func expected(domains []cutover.Definition) map[string]schemaTable {
	out := map[string]schemaTable{}
	for _, d := range domains {
		for _, t := range tablesOf(d.Kinds) {
			for name, s := range t.schemas(d) {
				out[name] = s
			}
		}
	}
	return out
}

// schemas describes a kind's table and its child tables.
func (t *table) schemas(d cutover.Definition) map[string]schemaTable {
	own := schemaTable{columns: schemaColumns(t.columns, d.Kinds, t.kind), key: "id", domain: d.Name}
	for _, k := range t.keys {
		own.columns = append(own.columns, schemaColumn{name: k.name, sqlType: keyType, nullable: true})
	}
	out := map[string]schemaTable{}
	for _, c := range t.children {
		place := []schemaColumn{{name: "parent_id", sqlType: "object_id"}, {name: "position", sqlType: "integer"}}
		out[c.name] = schemaTable{columns: append(place, schemaColumns(c.columns, nil, "")...),
			key: "parent_id,position", parent: t.name, domain: d.Name}
	}
	for _, i := range t.def.Made() {
		if c := t.listOf(i.Fields); c != nil {
			list := out[c.name]
			list.indexes = append(list.indexes, schemaIndex{name: indexName(c.name, []string{"value"}, "idx"), parts: parts("value", "parent_id")})
			out[c.name] = list
			continue
		}
		own.indexes = append(own.indexes, t.schemaIndex(i))
	}
	out[t.name] = own
	return out
}

func schemaColumns(cols []column, kinds cutover.Kinds, kind string) []schemaColumn {
	out := make([]schemaColumn, len(cols))
	for i, c := range cols {
		// As PostgreSQL spells it.
		sqlType := strings.Replace(c.sqlType, "timestamptz(3)", "timestamp(3) with time zone", 1)
		out[i] = schemaColumn{name: c.name, sqlType: sqlType, nullable: c.nullable, enum: enumOf(c)}
		if parent, ok := kinds.Parent(c.at.field.Ref, kind); ok && len(c.at.groups) == 0 && c.sqlType == "object_id" {
			out[i].references = parent.Table
		}
	}
	return out
}

// enumOf returns the texts that a column may have; "" is among them where the
// absent text is written so.
func enumOf(c column) []string {
	f := c.at.field
	if len(f.Enum) == 0 || c.nullable || f.Default != "" {
		return f.Enum
	}
	return append([]string{""}, f.Enum...)
}

// listOf finds the child table that an index is about, nil for none.
func (t *table) listOf(fields query.Index) *child {
	for i := range t.children {
		if len(fields) == 1 && t.children[i].list.path().String() == fields[0] {
			return &t.children[i]
		}
	}
	return nil
}

// schemaIndex describes an index as its migration makes it. What is sorted by
// and may be absent comes first then, as it does in MongoDB; ties go by identity.
func (t *table) schemaIndex(i cutover.Index) schemaIndex {
	if len(i.Fields) == 0 {
		column := keyName(*i.Rule)
		return schemaIndex{name: indexName(t.name, []string{strings.TrimPrefix(column, "key_")}, "key"), unique: true, parts: parts(column)}
	}
	index := schemaIndex{unique: i.Rule != nil}
	var names []string
	for _, field := range i.Fields {
		c := t.columnNamed(field)
		names = append(names, c.name)
		index.parts = append(index.parts, indexPart{c.name, c.nulls(i)})
	}
	if index.unique {
		index.name = indexName(t.name, names, "key")
		return index
	}
	index.name, index.parts = indexName(t.name, names, "idx"), append(index.parts, indexPart{column: "id"})
	return index
}

// columnNamed finds the column of a field by its name in queries. That there is
// one, cutover.NewDomain has seen to.
func (t *table) columnNamed(field string) column {
	path, err := query.Lookup(t.fields, field)
	if err != nil {
		panic(fmt.Sprintf("postgres: %s: %v", t.name, err))
	}
	return t.columnOf(path)
}

// sorted says that a query may sort by the column, or set bounds to it, and that
// it may be NULL.
func (c column) sorted() bool {
	class := c.at.field.Class
	return c.nullable && (class == shape.Time || class == shape.Int)
}

func (c column) nulls(i cutover.Index) string {
	if c.sorted() && i.Rule == nil {
		return " NULLS FIRST"
	}
	return ""
}

// maxName is how long a name may be in PostgreSQL.
const maxName = 63

// indexName is PostgreSQL's own for an index of these columns, where that is not
// too long.
func indexName(table string, columns []string, suffix string) string {
	name := table + "_" + strings.Join(columns, "_") + "_" + suffix
	if len(name) > maxName {
		sum := fmt.Sprintf("%x", sha256.Sum256([]byte(name)))[:8]
		name = name[:maxName-len(suffix)-10] + "_" + sum + "_" + suffix
	}
	return name
}
