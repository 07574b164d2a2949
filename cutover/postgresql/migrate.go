package postgresql

import (
	"context"
	"embed"
	"errors"
	"io/fs"
	"path"
	"slices"
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

// Source is a set of migrations (pressly/goose, in SQL) with a version table of
// its own.
type Source struct {
	Name  string // for people
	Files fs.FS
	Dir   string // in Files
	Table string // where goose notes what was run
}

// own are the engine's sets: the control plane's tables, and what the store
// keeps beside an application's.
var own = []Source{
	{"control", control.Migrations, control.MigrationsDir, control.VersionTable},
	{"engine", migrations, "migrations", "cutover_store_version"},
}

// Sources lists the engine's own sets of migrations and then the application's:
// the order in which Up runs them. An application's tables use what the engine's
// make, such as the type object_id and CALL cutover_guard('table').
func Sources(application ...Source) []Source { return slices.Concat(own, application) }

// Migration is one migration and whether it was run.
type Migration struct {
	Source  string    `json:"source"`
	Version int64     `json:"version"`
	File    string    `json:"file"`
	Applied time.Time `json:"appliedAt,omitzero"` // zero when it is pending
}

// Up runs the pending migrations, the engine's own and then those of these
// sources, and returns them. Several processes may do so at once: one works, the
// others wait for it. A migration that the database refuses is fault.Internal
// with its text; those before it stay.
func (db *DB) Up(ctx context.Context, application ...Source) ([]Migration, error) {
	var done []Migration
	for _, s := range Sources(application...) {
		ran, err := db.up(ctx, s)
		done = append(done, ran...)
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

func (db *DB) up(ctx context.Context, s Source) (done []Migration, err error) {
	if n, err := db.pending(ctx, s); err != nil || n == 0 {
		return nil, err
	}
	err = db.migrate(s, func(p *goose.Provider) error {
		results, err := p.Up(ctx)
		for _, r := range results {
			done = append(done, Migration{s.Name, r.Source.Version, r.Source.Path, time.Now().UTC()})
		}
		return err
	})
	return done, err
}

// Status lists all migrations, the engine's own and those of these sources, in
// the order in which they run.
func (db *DB) Status(ctx context.Context, application ...Source) ([]Migration, error) {
	var all []Migration
	for _, s := range Sources(application...) {
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
func (db *DB) Pending(ctx context.Context, application ...Source) (int, error) {
	pending := 0
	for _, s := range Sources(application...) {
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
	files, err := fs.Glob(s.Files, path.Join(s.Dir, "*.sql"))
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

// applied returns the versions that the source's table has; none without one.
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
