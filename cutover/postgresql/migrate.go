package postgresql

import (
	"context"
	"embed"
	"errors"
	"io/fs"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/amanat-dev/amanat/cutover/control"
	"github.com/amanat-dev/amanat/cutover/fault"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Source is a set of migrations with a version table of its own.
type Source struct {
	Name  string // for people
	Files fs.FS
	Dir   string // in Files
	Table string // where goose notes what was run
}

// Sources lists all migrations of a deployment: the control plane's, then the
// domains'.
func Sources() []Source {
	return []Source{
		{"control", control.Migrations, control.MigrationsDir, control.VersionTable},
		{"store", migrations, "migrations", "store_db_version"},
	}
}

// Migration is one migration and whether it was run.
type Migration struct {
	Source  string    `json:"source"`
	Version int64     `json:"version"`
	File    string    `json:"file"`
	Applied time.Time `json:"appliedAt,omitzero"` // zero when it is pending
}

// Up runs the pending migrations and gives them. Several processes may do so
// at once: one works, the others wait for it.
func (db *DB) Up(ctx context.Context, sources ...Source) ([]Migration, error) {
	var done []Migration
	for _, s := range sources {
		err := db.migrate(s, func(p *goose.Provider) error {
			results, err := p.Up(ctx)
			for _, r := range results {
				done = append(done, Migration{s.Name, r.Source.Version, r.Source.Path, time.Now().UTC()})
			}
			return err
		})
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// Status lists all migrations in the order in which they run.
func (db *DB) Status(ctx context.Context, sources ...Source) ([]Migration, error) {
	var all []Migration
	for _, s := range sources {
		err := db.migrate(s, func(p *goose.Provider) error {
			states, err := p.Status(ctx)
			for _, state := range states {
				all = append(all, Migration{s.Name, state.Source.Version, state.Source.Path, state.AppliedAt})
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// Pending counts the migrations that Up would run. It changes nothing.
func (db *DB) Pending(ctx context.Context, sources ...Source) (int, error) {
	pending := 0
	for _, s := range sources {
		n, err := db.pending(ctx, s)
		if err != nil {
			return 0, err
		}
		pending += n
	}
	return pending, nil
}

// pending does not ask goose, which would make its version table first: a
// process that only serves need not be allowed to.
func (db *DB) pending(ctx context.Context, s Source) (int, error) {
	files, err := fs.Glob(s.Files, s.Dir+"/*.sql")
	if err != nil {
		return 0, fault.Wrap(err, fault.Internal, "the migrations are missing")
	}
	versions := make([]int64, len(files))
	for i, f := range files {
		if versions[i], err = goose.NumericComponent(f); err != nil {
			return 0, fault.Wrap(err, fault.Internal, "a migration's name has no number")
		}
	}
	applied, err := db.applied(ctx, s)
	if err != nil {
		return 0, err
	}
	pending := 0
	for _, v := range versions {
		if !applied[v] {
			pending++
		}
	}
	return pending, nil
}

// applied gives the versions that the source's table has; none without one.
func (db *DB) applied(ctx context.Context, s Source) (map[int64]bool, error) {
	var exists bool
	err := db.pool.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", quote(s.Table)).Scan(&exists)
	if err != nil || !exists {
		return nil, translate(err)
	}
	// The last line of a version says whether it is in or was taken back.
	rows, err := db.pool.Query(ctx, "SELECT DISTINCT ON (version_id) version_id, is_applied FROM "+quote(s.Table)+
		" ORDER BY version_id, id DESC")
	if err != nil {
		return nil, translate(err)
	}
	out := map[int64]bool{}
	var version int64
	var in bool
	_, err = pgx.ForEachRow(rows, []any{&version, &in}, func() error {
		out[version] = in
		return nil
	})
	return out, translate(err)
}

// migrate calls fn with what runs a source's migrations, on a connection
// without the limits of a request.
func (db *DB) migrate(s Source, fn func(*goose.Provider) error) error {
	files, err := fs.Sub(s.Files, s.Dir)
	if err != nil {
		return fault.Wrap(err, fault.Internal, "the migrations are missing")
	}
	// The lock is polled, not waited for: a waiting statement would block an
	// index that is built concurrently.
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 600))
	if err != nil {
		return fault.Wrap(err, fault.Internal, "the migrations cannot be locked")
	}
	config := db.pool.Config().ConnConfig.Copy()
	config.RuntimeParams["statement_timeout"] = "0"
	config.RuntimeParams["idle_in_transaction_session_timeout"] = "0"
	config.RuntimeParams[writerSetting] = writerEngine
	p, err := goose.NewProvider(goose.DialectPostgres, stdlib.OpenDB(*config), files,
		goose.WithTableName(s.Table), goose.WithSessionLocker(locker), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fault.Wrap(err, fault.Internal, "the migrations cannot be read")
	}
	return migrationFault(errors.Join(fn(p), p.Close()))
}

// migrationFault keeps what the database said about a migration: whoever runs
// one is an operator, not a caller of the API.
func migrationFault(err error) error {
	if err == nil || lost(err) {
		return translate(err)
	}
	return fault.Wrap(err, fault.Internal, "a migration failed")
}
