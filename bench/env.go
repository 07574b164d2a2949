package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/amanat-dev/amanat/internal/devstack"
	"github.com/amanat-dev/amanat/internal/devstack/deployment"
)

// options say what is measured, and of what.
type options struct {
	amanat, peer string // the two programs
	figures      []string
	small        bool // little data and short slices: shows that it works, and nothing else
}

// env is what measurements work on. Servers and databases come into being when
// the first measurement asks for them, and are shared by those after it.
type env struct {
	options
	dir     string
	say     func(format string, args ...any)
	closers []func() error

	postgres *devstack.Postgres
	mongo    *devstack.Mongo
	http     *contest
	move     *move
	deployed *live
	switches *switches
}

func newEnv(o options, say func(string, ...any)) (e *env, err error) {
	e = &env{options: o, say: say}
	for _, program := range []*string{&e.amanat, &e.peer} {
		if *program, err = filepath.Abs(*program); err != nil {
			return nil, err
		}
	}
	e.dir, err = os.MkdirTemp("", "amanat-bench-")
	e.atEnd(func() error { return os.RemoveAll(e.dir) })
	return e, err
}

// atEnd has something done when all is over, in the reverse order.
func (e *env) atEnd(do func() error) { e.closers = append(e.closers, do) }

func (e *env) close() error {
	var errs []error
	for i := len(e.closers) - 1; i >= 0; i-- {
		errs = append(errs, e.closers[i]())
	}
	return errors.Join(errs...)
}

// within measures on what goes away right after: databases, engines,
// deployments. The PostgreSQL server stays.
func (e *env) within(ctx context.Context, do func(*env) error) (err error) {
	if _, err := e.postgresServer(ctx); err != nil {
		return err
	}
	inner := *e
	inner.closers = nil
	defer func() { err = errors.Join(err, inner.close()) }()
	return do(&inner)
}

// folder makes a folder that goes away at the end.
func (e *env) folder(name string) (string, error) {
	dir := filepath.Join(e.dir, name)
	return dir, os.MkdirAll(dir, 0o755)
}

// size is a number of records: the full one, or little in a small run.
func (e *env) size(full int) int {
	if e.small {
		return max(100, full/20)
	}
	return full
}

// times is how often a measurement is repeated.
func (e *env) times(full int) int {
	if e.small {
		return 1
	}
	return full
}

// slice is how long one of two things that alternate is measured at a time.
func (e *env) slice() time.Duration {
	if e.small {
		return 100 * time.Millisecond
	}
	return 750 * time.Millisecond
}

// alternate measures two things in turn, so many times each, and returns the
// mean of either.
func alternate(ctx context.Context, pairs int, a, b func(context.Context) (float64, error)) (meanA, meanB float64, err error) {
	for range pairs {
		va, err := a(ctx)
		if err != nil {
			return 0, 0, err
		}
		vb, err := b(ctx)
		if err != nil {
			return 0, 0, err
		}
		meanA, meanB = meanA+va/float64(pairs), meanB+vb/float64(pairs)
	}
	return meanA, meanB, nil
}

func (e *env) devstack() devstack.Options {
	return devstack.Options{Durable: true, Logf: e.say}
}

// postgresServer is the PostgreSQL server whose commits are durable: one of its
// own, or what PG_URL names.
func (e *env) postgresServer(ctx context.Context) (*devstack.Postgres, error) {
	if e.postgres != nil {
		return e.postgres, nil
	}
	p, err := devstack.PostgresFor(ctx, e.devstack())
	if err != nil {
		return nil, err
	}
	e.postgres = p
	e.atEnd(p.Stop)
	return p, nil
}

// mongoServer is the server that speaks MongoDB's protocol.
func (e *env) mongoServer(ctx context.Context) (*devstack.Mongo, error) {
	if e.mongo != nil {
		return e.mongo, nil
	}
	m, err := devstack.MongoFor(ctx, e.devstack())
	if err != nil {
		return nil, err
	}
	if m.IsFerret() {
		e.say("no mongod in PATH: FerretDB stands in for MongoDB, and is much slower")
	}
	e.mongo = m
	e.atEnd(m.Stop)
	return m, nil
}

// database makes an empty PostgreSQL database and returns its URL.
func (e *env) database(ctx context.Context) (string, error) {
	p, err := e.postgresServer(ctx)
	if err != nil {
		return "", err
	}
	name := freshName()
	if err := p.CreateDatabase(ctx, name, ""); err != nil {
		return "", err
	}
	e.atEnd(func() error { return p.DropDatabase(context.WithoutCancel(ctx), name) })
	return p.URL(name), nil
}

// freshName names a database that there is not.
func freshName() string { return "bench_" + strings.ToLower(rand.Text()[:12]) }

// migrated makes a PostgreSQL database with the product's tables.
func (e *env) migrated(ctx context.Context) (string, error) {
	url, err := e.database(ctx)
	if err != nil {
		return "", err
	}
	d, err := e.deployment(deployment.Options{PGURL: url})
	if err != nil {
		return "", err
	}
	return url, e.run(ctx, d, "migrate", "up")
}

// deployment prepares one of the product.
func (e *env) deployment(o deployment.Options) (_ *deployment.Deployment, err error) {
	o.Binary = e.amanat
	if o.Dir, err = e.folder("deployment" + rand.Text()[:6]); err != nil {
		return nil, err
	}
	d, err := deployment.New(o)
	if err != nil {
		return nil, err
	}
	e.atEnd(d.Stop)
	return d, nil
}

// run runs a command of the product, and shows what it said when it failed.
func (e *env) run(ctx context.Context, d *deployment.Deployment, args ...string) error {
	var out strings.Builder
	if err := d.Run(ctx, &out, args...); err != nil {
		return fmt.Errorf("amanat %s: %w: %s", strings.Join(args, " "), err, out.String())
	}
	return nil
}

// separator is what comes between a URL and one more parameter.
func separator(url string) string {
	if strings.Contains(url, "?") {
		return "&"
	}
	return "?"
}
