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
// primary keys, child tables that would outlive their parent, indexes that are
// missing, others, or not asked for, and tables that any session may write to.
// The engine's own tables and the version tables of the application's migrations
// are none of its business. Columns that the database computes itself may be
// there, and so may an index with a COMMENT that says what it is for.
func Compare(ctx context.Context, db *DB, domains []cutover.Definition, application ...Source) ([]string, error) {
	have, err := db.schema(ctx)
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

func (db *DB) schema(ctx context.Context) (have map[string]schemaTable, err error) {
	err = db.inTx(ctx, snapshot, func(q pgx.Tx) error {
		have, err = readSchema(ctx, q)
		return translate(err)
	})
	return have, err
}

// shared says that a table belongs to no domain.
func shared(table string, application []Source) bool {
	return table == "id_map" || table == "pg_dualwrite_gaps" || strings.HasPrefix(table, "cutover_") ||
		slices.ContainsFunc(application, func(s Source) bool { return s.Table == table })
}

// differences compares an expected table with what there is.
func (w schemaTable) differences(name string, have map[string]schemaTable) []string {
	h, ok := have[name]
	if !ok {
		return []string{fmt.Sprintf("table %s: missing; expected:\n%s", name, strings.Join(w.create(name), "\n"))}
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
	diffs = append(diffs, w.indexDifferences(name, h)...)
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

// indexDifferences compares the indexes, both ways.
func (w schemaTable) indexDifferences(name string, h schemaTable) (diffs []string) {
	for _, i := range w.indexes {
		switch is := h.index(i.name); {
		case is == nil:
			diffs = append(diffs, fmt.Sprintf("table %s: index %s is missing: want %s", name, i.name, i))
		case is.String() != i.String():
			diffs = append(diffs, fmt.Sprintf("table %s: index %s is %s: want %s", name, i.name, is, i))
		}
	}
	for _, i := range h.indexes {
		if w.index(i.name) == nil && i.reason == "" {
			diffs = append(diffs, fmt.Sprintf("table %s: index %s: not expected", name, i.name))
		}
	}
	return diffs
}

// readSchema reads the tables of the current schema.
func readSchema(ctx context.Context, q pgx.Tx) (map[string]schemaTable, error) {
	rows, err := q.Query(ctx, `
		SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod)
			|| coalesce((SELECT format(' COLLATE %I', l.collname) FROM pg_collation l JOIN pg_type y ON y.oid = a.atttypid
				WHERE l.oid = a.attcollation AND a.attcollation <> y.typcollation), ''), NOT a.attnotnull, a.attgenerated <> ''
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
	if err := readIndexes(ctx, q, out); err != nil {
		return nil, err
	}
	return out, readGuards(ctx, q, out)
}

// readIndexes adds the indexes that work, but those of primary keys.
func readIndexes(ctx context.Context, q pgx.Tx, tables map[string]schemaTable) error {
	rows, err := q.Query(ctx, `
		SELECT t.relname, c.relname, i.indisunique,
			ARRAY(SELECT coalesce((SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = t.oid AND a.attnum = i.indkey[k - 1]),
				pg_get_indexdef(i.indexrelid, k, false)) FROM generate_series(1, i.indnkeyatts) k),
			ARRAY(SELECT CASE i.indoption[k - 1] WHEN 0 THEN '' WHEN 2 THEN ' NULLS FIRST' WHEN 3 THEN ' DESC' ELSE ' DESC NULLS LAST' END
				FROM generate_series(1, i.indnkeyatts) k),
			CASE WHEN m.amname <> 'btree' THEN ' USING ' || m.amname ELSE '' END
				|| coalesce(' WHERE ' || pg_get_expr(i.indpred, i.indrelid), ''),
			coalesce(obj_description(i.indexrelid, 'pg_class'), '')
		FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
		JOIN pg_am m ON m.oid = c.relam
		WHERE t.relnamespace = current_schema()::regnamespace AND NOT i.indisprimary AND i.indisvalid
		ORDER BY c.relname`)
	if err != nil {
		return err
	}
	var table string
	var i schemaIndex
	var names, orders []string
	_, err = pgx.ForEachRow(rows, []any{&table, &i.name, &i.unique, &names, &orders, &i.rest, &i.reason}, func() error {
		t := tables[table]
		one := i
		for k := range names {
			one.parts = append(one.parts, indexPart{names[k], orders[k]})
		}
		t.indexes = append(t.indexes, one)
		tables[table] = t
		return nil
	})
	return err
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
