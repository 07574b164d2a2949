package storetest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"testing"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/mongodb"
	"github.com/amanat-dev/amanat/cutover/postgresql"
	"github.com/amanat-dev/amanat/internal/devstack"
	"github.com/amanat-dev/amanat/internal/migrations"
)

// PostgresURL returns the URL of a migrated database that belongs to this test
// alone.
func PostgresURL(t testing.TB) string {
	t.Helper()
	return devstack.Shared(t).NewDatabase(t, migrationsKey(), migrate)
}

// Postgres returns a migrated database that belongs to this test alone.
func Postgres(t testing.TB) *postgresql.DB {
	t.Helper()
	return openPostgres(t, PostgresURL(t))
}

// EmptyPostgres returns a database without any tables that belongs to this test
// alone.
func EmptyPostgres(t testing.TB) *postgresql.DB {
	t.Helper()
	return openPostgres(t, devstack.Shared(t).Postgres.NewDatabase(t))
}

func openPostgres(t testing.TB, url string) *postgresql.DB {
	t.Helper()
	db, err := postgresql.Open(context.Background(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}

// Mongo returns an empty database that belongs to this test alone.
func Mongo(t testing.TB) *mongodb.DB {
	t.Helper()
	stack := devstack.Shared(t)
	db, err := mongodb.Open(context.Background(), stack.Mongo.URI(), stack.NewMongoDatabase(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return db
}

// PostgresSide returns a domain in a database of its own.
func PostgresSide(t testing.TB, d cutover.Definition) cutover.Side {
	t.Helper()
	return Postgres(t).Side(d)
}

// MongoSide returns a domain in a database of its own, with its indexes.
func MongoSide(t testing.TB, d cutover.Definition) cutover.Side {
	t.Helper()
	return SideOn(t, Mongo(t), d)
}

// SideOn returns a domain in that database, with its indexes.
func SideOn(t testing.TB, db *mongodb.DB, d cutover.Definition) cutover.Side {
	t.Helper()
	side := db.Side(d)
	if err := db.EnsureIndexes(context.Background()); err != nil {
		t.Fatal(err)
	}
	return side
}

func migrate(ctx context.Context, url string) error {
	db, err := postgresql.Open(ctx, url)
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.Up(ctx, migrations.Source)
	return err
}

// migrationsKey changes with every change of a migration.
var migrationsKey = sync.OnceValue(func() string {
	h := sha256.New()
	for _, s := range postgresql.Sources(migrations.Source) {
		err := fs.WalkDir(s.Files, s.Dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			text, err := fs.ReadFile(s.Files, path)
			_, hashing := fmt.Fprintf(h, "%s %s %d\n%s", s.Table, path, len(text), text)
			return errors.Join(err, hashing)
		})
		if err != nil {
			panic(err) // the files are part of this program
		}
	}
	return fmt.Sprintf("store migrations %x", h.Sum(nil))
})
