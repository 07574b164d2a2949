package postgresql

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/amanat-dev/amanat/cutover"
)

// Draft writes the migration that makes the tables of a domain as its Go types
// ask for them, for goose, up and down. What the types do not tell is left to
// whoever adds it to the chain: further rules, a reason for each of them, and a
// REFERENCES less where a record may name one that is not there.
func Draft(d cutover.Definition) string {
	text, _ := draft(d, nil)
	return text
}

// DraftAgainst is Draft for what is missing in the database, or is otherwise
// there; "" when nothing is. What is there and not asked for stays.
func (db *DB) DraftAgainst(ctx context.Context, d cutover.Definition) (string, error) {
	have, err := db.schema(ctx)
	if err != nil {
		return "", err
	}
	text, missing := draft(d, have)
	if !missing {
		return "", nil
	}
	return text, nil
}

// drafting collects statements, and those that take them back.
type drafting struct{ up, down []string }

func (d *drafting) add(up, down string) {
	d.up, d.down = append(d.up, up), append(d.down, down)
}

func draft(def cutover.Definition, have map[string]schemaTable) (text string, missing bool) {
	var d drafting
	for _, k := range def.Kinds {
		tables := newTable(k, 0).schemas(def)
		names := slices.Sorted(maps.Keys(tables))
		slices.SortStableFunc(names, func(a, b string) int { return ownFirst(a, k.Table) - ownFirst(b, k.Table) })
		for _, name := range names {
			if is, there := have[name]; there {
				d.alter(name, tables[name], is)
			} else {
				d.create(name, tables[name])
			}
		}
	}
	slices.Reverse(d.down)
	return "-- +goose Up\n" + strings.Join(d.up, "\n") + "\n\n-- +goose Down\n" + strings.Join(d.down, "\n") + "\n", len(d.up) > 0
}

func ownFirst(name, own string) int {
	if name == own {
		return 0
	}
	return 1
}

func (d *drafting) create(name string, t schemaTable) {
	d.up = append(d.up, "")
	d.up = append(d.up, t.create(name)...)
	d.down = append(d.down, "DROP TABLE "+plain(name)+";")
}

// create lists the statements that make a table.
func (w schemaTable) create(name string) []string {
	lines := make([]string, 0, len(w.columns)+2)
	for _, c := range w.columns {
		lines = append(lines, "    "+w.define(name, c))
	}
	if w.key != "id" {
		lines = append(lines, "    PRIMARY KEY ("+strings.ReplaceAll(w.key, ",", ", ")+")")
	}
	out := []string{"CREATE TABLE " + plain(name) + " (\n" + strings.Join(lines, ",\n") + "\n);"}
	for _, i := range w.indexes {
		out = append(out, i.create(name))
	}
	return append(out, guard(name))
}

func guard(table string) string { return "CALL cutover_guard('" + table + "');" }

func (i schemaIndex) create(table string) string {
	unique := ""
	if i.unique {
		unique = "UNIQUE "
	}
	return fmt.Sprintf("CREATE %sINDEX %s ON %s (%s)%s;", unique, i.name, plain(table), i.over(), i.rest)
}

// define is a column's definition with all that its type tells.
func (w schemaTable) define(table string, c schemaColumn) string {
	text := plain(c.name) + " " + c.short()
	switch {
	case c.name == w.key:
		return plain(c.name) + " " + c.sqlType + " PRIMARY KEY"
	case c.name == "parent_id" && w.parent != "":
		return text + " NOT NULL REFERENCES " + plain(w.parent) + " ON DELETE CASCADE"
	case !c.nullable:
		text += " NOT NULL" + c.standIn()
	}
	if c.references != "" {
		text += " REFERENCES " + plain(c.references)
	}
	if len(c.enum) > 0 {
		text += fmt.Sprintf(" CONSTRAINT %s CHECK (%s IN (%s))", indexName(table, []string{c.name}, "check"), plain(c.name), literals(c.enum))
	}
	return text
}

// short is the type as people write it.
func (c schemaColumn) short() string {
	return strings.Replace(c.sqlType, "timestamp(3) with time zone", "timestamptz(3)", 1)
}

// standIn is what a column has where nothing is said: the empty text. Numbers
// and truth values are always written.
func (c schemaColumn) standIn() string {
	if c.sqlType == "text" {
		return " DEFAULT ''"
	}
	return ""
}

func literals(texts []string) string {
	out := make([]string, len(texts))
	for i, t := range texts {
		out[i] = "'" + strings.ReplaceAll(t, "'", "''") + "'"
	}
	return strings.Join(out, ", ")
}

// alter drafts what a table that is there lacks.
func (d *drafting) alter(name string, want, is schemaTable) {
	table := "ALTER TABLE " + plain(name) + " "
	for _, c := range want.columns {
		there := is.column(c.name)
		if there == nil {
			d.add(table+"ADD COLUMN "+want.define(name, c)+c.filled()+";", table+"DROP COLUMN "+plain(c.name)+";")
			continue
		}
		column := "ALTER COLUMN " + plain(c.name) + " "
		if there.sqlType != c.sqlType {
			d.add(table+column+"TYPE "+c.short()+";", table+column+"TYPE "+there.short()+";")
		}
		if there.nullable != c.nullable {
			d.add(table+column+orNull(c.nullable), table+column+orNull(there.nullable))
		}
	}
	if want.parent != "" && is.parent != want.parent {
		foreign := indexName(name, []string{"parent_id"}, "fkey")
		d.add(fmt.Sprintf("%sADD CONSTRAINT %s FOREIGN KEY (parent_id) REFERENCES %s ON DELETE CASCADE;", table, foreign, plain(want.parent)),
			table+"DROP CONSTRAINT "+foreign+";")
	}
	if is.key != want.key && is.key == "" {
		d.add(table+"ADD PRIMARY KEY ("+strings.ReplaceAll(want.key, ",", ", ")+");", table+"DROP CONSTRAINT "+name+"_pkey;")
	}
	for _, i := range want.indexes {
		d.index(name, i, is.index(i.name))
	}
	if !is.guarded {
		d.add(guard(name), "DROP TRIGGER writer_guard ON "+plain(name)+";")
	}
}

// filled is what the rows that are there get in a new column: what a record
// without the field reads as. Of money there is no such value, so that a filled
// table refuses it until somebody says what it is.
func (c schemaColumn) filled() string {
	return map[string]string{"boolean NOT NULL": " DEFAULT false", "bigint NOT NULL": " DEFAULT 0"}[c.String()]
}

func orNull(nullable bool) string {
	if nullable {
		return "DROP NOT NULL;"
	}
	return "SET NOT NULL;"
}

// index drafts an index, in place of one of its name that is another.
func (d *drafting) index(table string, want schemaIndex, is *schemaIndex) {
	if is == nil {
		d.add(want.create(table), "DROP INDEX "+want.name+";")
		return
	}
	if is.String() != want.String() {
		d.add("DROP INDEX "+want.name+";\n"+want.create(table), "DROP INDEX "+want.name+";\n"+is.create(table))
	}
}

var plainName = regexp.MustCompile(`^[a-z_][a-z0-9_]*$`)

// reserved are the words that PostgreSQL allows as no column's name.
var reserved = strings.Fields(`all analyse analyze and any array as asc asymmetric authorization binary both case cast
	check collate collation column concurrently constraint create cross current_catalog current_date current_role
	current_schema current_time current_timestamp current_user default deferrable desc distinct do else end except
	false fetch for foreign freeze from full grant group having ilike in initially inner intersect into is isnull
	join lateral leading left like limit localtime localtimestamp natural not notnull null offset on only or order
	outer overlaps placing primary references returning right select session_user similar some symmetric system_user
	table tablesample then to trailing true union unique user using variadic verbose when where window with`)

// plain writes a name as people do: in quotes only where it needs them.
func plain(name string) string {
	if plainName.MatchString(name) && !slices.Contains(reserved, name) {
		return name
	}
	return quote(name)
}
