package postgresql

import (
	"context"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/amanat-dev/amanat/cutover/fault"
)

// Declared is an index, constraint or trigger that the migrations make. What
// the code expects of tables and columns, Compare knows.
type Declared struct {
	What  string // index, constraint or trigger
	Name  string
	Table string // "" for a constraint of a type
	File  string // the migration
}

// Missing lists what the engine's migrations and those of these sources have
// made and is not there any more, or does not work: an index whose making failed,
// a constraint that was never checked, a trigger that is disabled.
func (db *DB) Missing(ctx context.Context, sources ...Source) ([]Declared, error) {
	want, err := declared(Sources(sources...))
	if err != nil {
		return nil, err
	}
	have, err := rowsOf(ctx, db, func(d *Declared) []any { return []any{&d.What, &d.Name} }, `
		SELECT 'index', c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
		WHERE c.relnamespace = current_schema()::regnamespace AND i.indisvalid
		UNION SELECT 'constraint', conname FROM pg_constraint
		WHERE connamespace = current_schema()::regnamespace AND convalidated
		UNION SELECT 'trigger', g.tgname FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid
		WHERE c.relnamespace = current_schema()::regnamespace AND g.tgenabled IN ('O', 'A')`)
	if err != nil {
		return nil, err
	}
	there := map[Declared]bool{}
	for _, d := range have {
		there[d] = true
	}
	return slices.DeleteFunc(want, func(d Declared) bool { return there[Declared{What: d.What, Name: d.Name}] }), nil
}

// rowsOf reads rows into structs whose fields into gives.
func rowsOf[T any](ctx context.Context, db *DB, into func(*T) []any, sql string, args ...any) ([]T, error) {
	rows, err := db.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, translate(err)
	}
	out, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (t T, err error) {
		return t, r.Scan(into(&t)...)
	})
	return out, translate(err)
}

// What a migration's text makes and takes away. A migration that does so in
// another way than these is noticed by the test that finds all of them there.
var (
	makesIndex      = regexp.MustCompile(`CREATE (?:UNIQUE )?INDEX (\w+) ON (\w+)`)
	makesTrigger    = regexp.MustCompile(`CREATE (?:CONSTRAINT )?TRIGGER (\w+)[^;]*? ON (\w+)`)
	makesTable      = regexp.MustCompile(`(?:CREATE|ALTER) TABLE (\w+)`)
	makesConstraint = regexp.MustCompile(`CONSTRAINT (\w+) (?:CHECK|UNIQUE|FOREIGN|PRIMARY|EXCLUDE)`)
	makesReference  = regexp.MustCompile(`^\s+(\w+)\s+\w+.* REFERENCES \w+`)
	drops           = regexp.MustCompile(`DROP (INDEX|CONSTRAINT|TRIGGER) (?:IF EXISTS )?(\w+)`)
	renames         = regexp.MustCompile(`ALTER INDEX (\w+) RENAME TO (\w+)`)
	dropsTable      = regexp.MustCompile(`DROP TABLE (\w+);`)
)

// declared reads the migrations' texts, up to where they say how to go back.
func declared(sources []Source) ([]Declared, error) {
	var all []Declared
	for _, s := range sources {
		files, err := fs.Glob(s.Files, path.Join(s.Dir, "*.sql")) // in the order of their numbers
		if err != nil {
			return nil, fault.Wrap(err, fault.Internal, "the migrations are missing")
		}
		for _, name := range files {
			text, err := fs.ReadFile(s.Files, name)
			if err != nil {
				return nil, fault.Wrap(err, fault.Internal, "a migration cannot be read")
			}
			up, _, _ := strings.Cut(string(text), "-- +goose Down")
			all = append(renamed(without(all, up), up), declaredIn(up, name)...)
		}
	}
	return all, nil
}

func declaredIn(up, file string) (out []Declared) {
	for _, m := range makesIndex.FindAllStringSubmatch(up, -1) {
		out = append(out, Declared{"index", m[1], m[2], file})
	}
	for _, m := range makesTrigger.FindAllStringSubmatch(up, -1) {
		out = append(out, Declared{"trigger", m[1], m[2], file})
	}
	table := ""
	for line := range strings.Lines(up) {
		if m := makesTable.FindStringSubmatch(line); m != nil {
			table = m[1]
		}
		if m := makesConstraint.FindStringSubmatch(line); m != nil {
			out = append(out, Declared{"constraint", m[1], table, file})
		} else if m := makesReference.FindStringSubmatch(line); m != nil && m[1] != "FOREIGN" {
			out = append(out, Declared{"constraint", table + "_" + m[1] + "_fkey", table, file}) // PostgreSQL's own name
		}
	}
	return out
}

// without leaves out what a migration drops of what earlier ones have made.
func without(all []Declared, up string) []Declared {
	for _, m := range dropsTable.FindAllStringSubmatch(up, -1) {
		all = slices.DeleteFunc(all, func(d Declared) bool { return d.Table == m[1] })
	}
	for _, m := range drops.FindAllStringSubmatch(up, -1) {
		all = slices.DeleteFunc(all, func(d Declared) bool { return d.What == strings.ToLower(m[1]) && d.Name == m[2] })
	}
	return all
}

// renamed returns what earlier migrations have made the names that this one gives.
func renamed(all []Declared, up string) []Declared {
	for _, m := range renames.FindAllStringSubmatch(up, -1) {
		for i := range all {
			if all[i].What == "index" && all[i].Name == m[1] {
				all[i].Name = m[2]
			}
		}
	}
	return all
}
