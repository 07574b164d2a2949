package control

import (
	"context"
	"embed"
	"errors"
	"io/fs"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/amanat-dev/amanat/cutover/fault"
)

// Migrations holds the control plane's tables as goose migrations, in the
// folder MigrationsDir.
//
//go:embed migrations/*.sql
var Migrations embed.FS

const (
	// MigrationsDir is the folder in Migrations.
	MigrationsDir = "migrations"
	// VersionTable is where goose notes which of Migrations were run: a table
	// of its own, since the application has migrations too.
	VersionTable = "cutover_db_version"
)

// Migrate brings the control plane's tables up to date. Several processes may
// do so at once.
func Migrate(ctx context.Context, url string) error {
	provider, err := newProvider(url)
	if err != nil {
		return err
	}
	_, err = provider.Up(ctx)
	return errors.Join(translate(err), provider.Close())
}

// Pending gives the number of migrations that Migrate would run.
func Pending(ctx context.Context, url string) (int, error) {
	provider, err := newProvider(url)
	if err != nil {
		return 0, err
	}
	states, err := provider.Status(ctx)
	if err := errors.Join(translate(err), provider.Close()); err != nil {
		return 0, err
	}
	pending := 0
	for _, s := range states {
		if s.State == goose.StatePending {
			pending++
		}
	}
	return pending, nil
}

func newProvider(url string) (*goose.Provider, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, unreadable()
	}
	config.ConnectTimeout = reachTime
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return nil, err
	}
	files, err := fs.Sub(Migrations, MigrationsDir)
	if err != nil {
		return nil, fault.Wrap(err, fault.Internal, "the control plane's migrations are missing")
	}
	return goose.NewProvider(goose.DialectPostgres, stdlib.OpenDB(*config), files,
		goose.WithTableName(VersionTable), goose.WithSessionLocker(locker), goose.WithDisableGlobalRegistry(true))
}

// Hosts gives every host that a connection by this URL may go to, with what
// the driver's own defaults and environment add to the URL. A path is a Unix
// socket's folder.
func Hosts(url string) ([]string, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, unreadable()
	}
	hosts := []string{config.Host}
	for _, f := range config.Fallbacks {
		if !slices.Contains(hosts, f.Host) {
			hosts = append(hosts, f.Host)
		}
	}
	return hosts, nil
}
