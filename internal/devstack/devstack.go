// Package devstack runs the databases that the demo, the tests and the
// benchmarks work on: private PostgreSQL servers, and a server that speaks
// MongoDB's wire protocol. Nothing has to be installed or started beforehand,
// and nothing is left behind, not even by a process that was killed.
//
// Production never links this package.
package devstack

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"

	"github.com/amanat-dev/amanat/internal/devstack/mongosim"
)

// Environment variables that name servers which already run. Start and Shared
// use those instead of starting their own; cmd/with sets both.
const (
	EnvPostgres = "PG_URL"
	EnvMongo    = "MONGODB_URI"
)

// Options say how a server is run. The zero value is a throw-away server,
// tuned for speed.
type Options struct {
	// Dir keeps the data between runs. Empty means a temporary directory that
	// goes away with the server.
	Dir string

	// Durable makes commits survive a crash of the machine, at the price of an
	// fsync each. Kill loses no commit either way: what was committed is in the
	// kernel's hands by then.
	Durable bool

	// Settings are PostgreSQL settings that override the package's own, as on
	// the command line of postgres (name, value). For StartMongo they apply to
	// the PostgreSQL server underneath, if there is one.
	Settings map[string]string

	// ICULocale makes text sort by this ICU locale ("en", "de") unless a query
	// says otherwise. Empty sorts by code point, as MongoDB does. It counts when
	// the data directory is made, and StartMongo ignores it.
	ICULocale string

	// Sim has StartMongo start mongosim, a server in memory, with these options.
	Sim *mongosim.Options

	// Logf is told about what takes long, such as an installation. May be nil.
	Logf func(format string, args ...any)

	// ungated leaves the write gate out of FerretDB's way, for the test that
	// shows what the gate is for.
	ungated bool
}

func (o Options) logf(format string, args ...any) {
	if o.Logf != nil {
		o.Logf(format, args...)
	}
}

// in returns the options for one server of a stack, which keeps its data in a
// folder of its own.
func (o Options) in(name string) Options {
	if o.Dir != "" {
		o.Dir = filepath.Join(o.Dir, name)
	}
	return o
}

// Stack is one PostgreSQL server and one MongoDB-wire server.
type Stack struct {
	Postgres *Postgres
	Mongo    *Mongo
}

// Start returns a running stack. A server that PG_URL or MONGODB_URI names is
// used as it is and left running by Stop; the others are started, side by
// side. ctx bounds the start only.
func Start(ctx context.Context, o Options) (*Stack, error) {
	var (
		s          Stack
		pgErr, err error
		wg         sync.WaitGroup
	)
	wg.Go(func() { s.Postgres, pgErr = PostgresFor(ctx, o.in("postgres")) })
	wg.Go(func() { s.Mongo, err = MongoFor(ctx, o.in("mongo")) })
	wg.Wait()
	if err := errors.Join(pgErr, err); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return &s, nil
}

// Stop stops what Start started.
func (s *Stack) Stop() error {
	var errs []error
	if s.Mongo != nil {
		errs = append(errs, s.Mongo.Stop())
	}
	if s.Postgres != nil {
		errs = append(errs, s.Postgres.Stop())
	}
	return errors.Join(errs...)
}

// PostgresFor returns the server named by the environment, or a new one.
func PostgresFor(ctx context.Context, o Options) (*Postgres, error) {
	raw := os.Getenv(EnvPostgres)
	if raw == "" {
		return StartPostgres(ctx, o)
	}
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return nil, fmt.Errorf("devstack: %s must be a URL such as postgres://user@host:5432/postgres", EnvPostgres)
	}
	p := &Postgres{url: *u}
	if err := p.ping(ctx); err != nil {
		return nil, fmt.Errorf("devstack: the server named by %s: %w", EnvPostgres, err)
	}
	return p, nil
}

// MongoFor returns the server named by the environment, or a new one.
func MongoFor(ctx context.Context, o Options) (*Mongo, error) {
	uri := os.Getenv(EnvMongo)
	if uri == "" {
		return StartMongo(ctx, o)
	}
	m := &Mongo{uri: uri}
	if err := m.greet(ctx); err != nil {
		return nil, fmt.Errorf("devstack: the server named by %s: %w", EnvMongo, err)
	}
	return m, nil
}
