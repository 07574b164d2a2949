package postgresql

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/amanat-dev/amanat/cutover"
)

// Compare lists how the database's tables differ from what the code expects
// of them: tables and columns that are missing or unknown, types, NOT NULL,
// primary keys, child tables that would outlive their parent, and tables that
// any session may write to. The engine's own tables and the version tables of
// the application's migrations are none of its business. Columns that the
// database computes itself may be there.
func Compare(ctx context.Context, db *DB, domains []cutover.Definition, application ...Source) ([]string, error) {
	var have map[string]schemaTable
	err := db.inTx(ctx, snapshot, func(q pgx.Tx) error {
		var err error
		have, err = readSchema(ctx, q)
		return translate(err)
	})
	if err != nil {
		return nil, err
	}
	var diffs []string
	want := expected(domains)
	for _, name := range slices.Sorted(maps.Keys(want)) {
		diffs = append(diffs, want[name].differences(name, have)...)
	}
	for _, name := range slices.Sorted(maps.Keys(have)) {
		if _, ok := want[name]; !ok && !shared(name, application) {
			diffs = append(diffs, fmt.Sprintf("table %s: not expected", name))
		}
	}
	return diffs, nil
}

// shared says that a table belongs to no domain.
func shared(table string, application []Source) bool {
	return table == "id_map" || table == "pg_dualwrite_gaps" || strings.HasPrefix(table, "cutover_") ||
		slices.ContainsFunc(application, func(s Source) bool { return s.Table == table })
}

// schemaTable is a table as it is expected or as it is.
type schemaTable struct {
	columns []schemaColumn
	key     string // the primary key's columns, joined by commas
	parent  string // the table whose rows take this one's with them
	guarded bool   // against writers that are not the engine
}

type schemaColumn struct {
	name     string
	sqlType  string
	nullable bool
	computed bool
}

func (c schemaColumn) String() string {
	if c.nullable {
		return c.sqlType
	}
	return c.sqlType + " NOT NULL"
}

// expected describes the tables of domains.
func expected(domains []cutover.Definition) map[string]schemaTable {
	out := map[string]schemaTable{}
	for _, d := range domains {
		for _, t := range tablesOf(d.Kinds) {
			out[t.name] = schemaTable{columns: schemaColumns(t.columns), key: "id"}
			for _, c := range t.children {
				place := []schemaColumn{{name: "parent_id", sqlType: "object_id"}, {name: "position", sqlType: "integer"}}
				out[c.name] = schemaTable{columns: append(place, schemaColumns(c.columns)...), key: "parent_id,position", parent: t.name}
			}
		}
	}
	return out
}

func schemaColumns(cols []column) []schemaColumn {
	out := make([]schemaColumn, len(cols))
	for i, c := range cols {
		// As PostgreSQL spells it.
		sqlType := strings.Replace(c.sqlType, "timestamptz(3)", "timestamp(3) with time zone", 1)
		out[i] = schemaColumn{name: c.name, sqlType: sqlType, nullable: c.nullable}
	}
	return out
}

// differences compares an expected table with what there is.
func (w schemaTable) differences(name string, have map[string]schemaTable) []string {
	h, ok := have[name]
	if !ok {
		return []string{fmt.Sprintf("table %s: missing; expected:\n%s", name, w.create(name))}
	}
	var diffs []string
	say := func(format string, args ...any) {
		diffs = append(diffs, "table "+name+": "+fmt.Sprintf(format, args...))
	}
	for _, c := range w.columns {
		switch is := h.column(c.name); {
		case is == nil:
			say("column %s is missing: want %s", c.name, c)
		case is.String() != c.String():
			say("column %s is %s: want %s", c.name, is, c)
		}
	}
	for _, c := range h.columns {
		if w.column(c.name) == nil && !c.computed {
			say("column %s is not expected", c.name)
		}
	}
	if h.key != w.key {
		say("primary key is (%s): want (%s)", h.key, w.key)
	}
	if w.parent != "" && h.parent != w.parent {
		say("no foreign key parent_id REFERENCES %s ON DELETE CASCADE", w.parent)
	}
	if !h.guarded {
		say("nothing keeps other writers out: want CALL cutover_guard('%s')", name)
	}
	return diffs
}

func (w schemaTable) column(name string) *schemaColumn {
	for i := range w.columns {
		if w.columns[i].name == name {
			return &w.columns[i]
		}
	}
	return nil
}

// create writes the statement that a migration would begin with.
func (w schemaTable) create(name string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "CREATE TABLE %s (\n", quote(name))
	for _, c := range w.columns {
		fmt.Fprintf(&b, "    %s %s,\n", quote(c.name), c)
	}
	if w.parent != "" {
		fmt.Fprintf(&b, "    FOREIGN KEY (parent_id) REFERENCES %s ON DELETE CASCADE,\n", quote(w.parent))
	}
	fmt.Fprintf(&b, "    PRIMARY KEY (%s)\n);\nCALL cutover_guard('%s');", w.key, name)
	return b.String()
}

// readSchema reads the tables of the current schema.
func readSchema(ctx context.Context, q pgx.Tx) (map[string]schemaTable, error) {
	rows, err := q.Query(ctx, `
		SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull, a.attgenerated <> ''
		FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
		WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
		ORDER BY c.relname, a.attnum`)
	if err != nil {
		return nil, err
	}
	out := map[string]schemaTable{}
	var table string
	var c schemaColumn
	_, err = pgx.ForEachRow(rows, []any{&table, &c.name, &c.sqlType, &c.nullable, &c.computed}, func() error {
		t := out[table]
		t.columns = append(t.columns, c)
		out[table] = t
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := readKeys(ctx, q, out); err != nil {
		return nil, err
	}
	return out, readGuards(ctx, q, out)
}

// readGuards adds which tables have a guard that is enabled.
func readGuards(ctx context.Context, q pgx.Tx, tables map[string]schemaTable) error {
	rows, err := q.Query(ctx, `SELECT c.relname FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid
		WHERE c.relnamespace = current_schema()::regnamespace AND g.tgname = 'writer_guard' AND g.tgenabled IN ('O', 'A')`)
	if err != nil {
		return err
	}
	var table string
	_, err = pgx.ForEachRow(rows, []any{&table}, func() error {
		t := tables[table]
		t.guarded = true
		tables[table] = t
		return nil
	})
	return err
}

// readKeys adds primary keys, and which table's rows take others with them by
// the foreign key of their parent_id.
func readKeys(ctx context.Context, q pgx.Tx, tables map[string]schemaTable) error {
	rows, err := q.Query(ctx, `
		SELECT c.relname, k.contype = 'p',
			(SELECT string_agg(a.attname, ',' ORDER BY n.place)
				FROM unnest(k.conkey) WITH ORDINALITY n(attnum, place)
				JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = n.attnum),
			COALESCE(target.relname, ''), k.confdeltype = 'c'
		FROM pg_constraint k
		JOIN pg_class c ON c.oid = k.conrelid
		LEFT JOIN pg_class target ON target.oid = k.confrelid
		WHERE c.relnamespace = current_schema()::regnamespace AND k.contype IN ('p', 'f')`)
	if err != nil {
		return err
	}
	var table, columns, target string
	var primary, cascades bool
	_, err = pgx.ForEachRow(rows, []any{&table, &primary, &columns, &target, &cascades}, func() error {
		t := tables[table]
		switch {
		case primary:
			t.key = columns
		case columns == "parent_id" && cascades:
			t.parent = target
		}
		tables[table] = t
		return nil
	})
	return err
}
