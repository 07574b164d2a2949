package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/amanat-dev/amanat/internal/devstack"
	"github.com/amanat-dev/amanat/internal/devstack/deployment"
	"github.com/amanat-dev/amanat/internal/devstack/traffic"
	"github.com/amanat-dev/amanat/internal/devstack/traffic/seed"
)

// servers is how many servers a deployment has.
const servers = 2

// world is a deployment on a fresh pair of databases, with its members.
type world struct {
	*run
	dir      string
	database string
	d        *deployment.Deployment
	traffic  *traffic.Traffic
}

// open makes the n-th world.
func (r *run) open(ctx context.Context, n int) (*world, error) {
	w := &world{run: r, database: fmt.Sprintf("chaos_%d", n), dir: filepath.Join(r.o.Dir, fmt.Sprintf("world%d", n))}
	if err := os.MkdirAll(w.dir, 0o755); err != nil {
		return nil, err
	}
	if err := r.stack.Postgres.CreateDatabase(ctx, w.database, ""); err != nil {
		return nil, err
	}
	var err error
	w.d, err = deployment.New(deployment.Options{Binary: r.o.Binary, Dir: w.dir, Ports: make([]int, servers),
		MongoURI: r.stack.Mongo.URI(), Database: w.database, PGURL: w.pgURL(), Own: w.own})
	if err != nil {
		return nil, err
	}
	if err := w.populate(ctx); err != nil {
		return nil, errors.Join(err, w.close(ctx))
	}
	return w, nil
}

func (w *world) pgURL() string { return w.stack.Postgres.URL(w.database) }

// own gives a process its own way to the databases, and the orders that all
// share.
func (w *world) own(process int) []string {
	l := w.network.of(process)
	return []string{
		"MONGODB_URI=" + through(w.stack.Mongo.URI(), l.mongo),
		"PG_URL=" + through(w.pgURL(), l.postgres),
		w.orders().Own(),
	}
}

func (w *world) orders() deployment.Orders { return deployment.Orders(filepath.Join(w.dir, "order")) }

func (w *world) populate(ctx context.Context) error {
	cast, err := seed.Fill(ctx, seed.Options{URI: w.stack.Mongo.URI(), Database: w.database, Users: w.o.Members, Seed: w.o.Seed})
	if err != nil {
		return err
	}
	if err := w.d.Run(ctx, w.out(), "migrate", "up"); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	if err := w.d.Serve(ctx); err != nil {
		return err
	}
	w.traffic, err = traffic.New(ctx, traffic.Options{
		Servers: w.d.Addresses(), Mailbox: w.d.Mailbox(), Scanner: w.d.Scanner(), Seed: w.o.Seed, Deals: 6, Abreast: 8,
		Admin: cast.Admin, Sellers: cast.Sellers, Buyers: cast.Buyers,
	})
	return err
}

// act lets members act until the function that it returns is called, which waits
// for the answers to their last requests.
func (w *world) act(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var members sync.WaitGroup
	members.Go(func() { w.traffic.Run(ctx) })
	return func() {
		cancel()
		members.Wait()
	}
}

// close stops the servers and drops the databases.
func (w *world) close(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	return errors.Join(w.d.Stop(), w.stack.Mongo.DropDatabase(ctx, w.database), w.stack.Postgres.DropDatabase(ctx, w.database))
}

// startStack starts a pair of servers of our own, which can be killed.
func startStack(ctx context.Context, logf func(string, ...any)) (_ *devstack.Stack, err error) {
	s := &devstack.Stack{}
	if s.Postgres, err = devstack.StartPostgres(ctx, devstack.Options{Logf: logf}); err != nil {
		return nil, err
	}
	if s.Mongo, err = devstack.StartMongo(ctx, devstack.Options{Logf: logf}); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}
