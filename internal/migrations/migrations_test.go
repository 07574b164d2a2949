package migrations_test

import (
	"context"
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/amanat-dev/amanat/cutover/postgresql"
	"github.com/amanat-dev/amanat/domain"
	"github.com/amanat-dev/amanat/internal/migrations"
	"github.com/amanat-dev/amanat/internal/storetest"
)

// Databases that were migrated when these files still made what the engine
// needs (testdata/before) get what is new and keep what they have, from whichever
// version.
func TestADatabaseOfTheFirstVersionsGoesOn(t *testing.T) {
	t.Parallel()
	for name, version := range map[string]int64{"newest": 80, "without guards": 30, "first": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := storetest.EmptyPostgres(t)
			runner(t, db, before(t), func(ctx context.Context, p *goose.Provider) error {
				_, err := p.UpTo(ctx, version)
				return err
			})
			if _, err := db.Up(t.Context(), migrations.Source); err != nil {
				t.Fatal(err)
			}
			wantComplete(t, db)
			for _, s := range []postgresql.Source{migrations.Source, postgresql.Sources()[1]} {
				runner(t, db, s, func(ctx context.Context, p *goose.Provider) error {
					_, err := p.DownTo(ctx, 0)
					return err
				})
			}
			if _, err := db.Up(t.Context(), migrations.Source); err != nil {
				t.Fatal(err)
			}
			wantComplete(t, db)
		})
	}
}

// Processes of an earlier version go on writing while a new one migrates.
func TestTheSettingOfEarlierVersionsIsHeard(t *testing.T) {
	t.Parallel()
	db := storetest.EmptyPostgres(t)
	runner(t, db, before(t), func(ctx context.Context, p *goose.Provider) error {
		_, err := p.Up(ctx)
		return err
	})
	earlier, err := pgx.ConnectConfig(t.Context(), db.Pool().Config().ConnConfig)
	if err != nil {
		t.Fatal(err)
	}
	defer earlier.Close(context.Background())
	const insert = `INSERT INTO categories (id, rev, name, is_active, "order") VALUES ('665f1b2c9a8b7c6d5e4f3a21', 1, 'A', true, 0)`
	for _, sql := range []string{"SET amanat.writer = 'engine'", insert} {
		if _, err := earlier.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := db.Up(t.Context(), migrations.Source); err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{"UPDATE categories SET rev = 2", "SET amanat.writer = 'by hand: a test'", "UPDATE categories SET rev = 3"} {
		if _, err := earlier.Exec(t.Context(), sql); err != nil {
			t.Errorf("%s: %v", sql, err)
		}
	}
	if _, err := earlier.Exec(t.Context(), "SET amanat.writer = 'me'; UPDATE categories SET rev = 4"); err == nil {
		t.Error("a session that is nobody's wrote")
	}
	if _, err := db.Pool().Exec(t.Context(), "UPDATE categories SET rev = 5"); err != nil {
		t.Error(err)
	}
	var rev, byHand int
	err = db.Pool().QueryRow(t.Context(), "SELECT (SELECT rev FROM categories), (SELECT count(*) FROM cutover_hand_writes)").Scan(&rev, &byHand)
	if err != nil || rev != 5 || byHand != 1 {
		t.Errorf("revision %d, %d writes by hand, %v; want 5 and 1", rev, byHand, err)
	}
}

// before is Source as it was when it made what the engine needs too.
func before(t *testing.T) postgresql.Source {
	t.Helper()
	files := fstest.MapFS{}
	names, err := fs.Glob(migrations.Source.Files, "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := os.ReadFile("testdata/before/" + name)
		if os.IsNotExist(err) {
			text, err = fs.ReadFile(migrations.Source.Files, name)
		}
		if err != nil {
			t.Fatal(err)
		}
		if name < "00081" {
			files[name] = &fstest.MapFile{Data: text}
		}
	}
	s := migrations.Source
	s.Files = files
	return s
}

// runner calls do with what runs a source's migrations, and nothing else of ours.
func runner(t *testing.T, db *postgresql.DB, s postgresql.Source, do func(context.Context, *goose.Provider) error) {
	t.Helper()
	files, err := fs.Sub(s.Files, s.Dir)
	if err != nil {
		t.Fatal(err)
	}
	config := db.Pool().Config().ConnConfig.Copy()
	config.RuntimeParams["amanat.writer"], config.RuntimeParams["cutover.writer"] = "engine", "engine"
	p, err := goose.NewProvider(goose.DialectPostgres, stdlib.OpenDB(*config), files,
		goose.WithTableName(s.Table), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		t.Fatal(err)
	}
	if err := do(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
}

func wantComplete(t *testing.T, db *postgresql.DB) {
	t.Helper()
	if n, err := db.Pending(t.Context(), migrations.Source); err != nil || n != 0 {
		t.Errorf("%d migrations are pending, %v", n, err)
	}
	diffs, err := postgresql.Compare(t.Context(), db, domain.Definitions(), migrations.Source)
	if err != nil || len(diffs) > 0 {
		t.Errorf("the tables differ, %v:\n%s", err, strings.Join(diffs, "\n"))
	}
	if missing, err := db.Missing(t.Context(), migrations.Source); err != nil || len(missing) > 0 {
		t.Errorf("missing: %v, %v", missing, err)
	}
}
