package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/amanat-dev/amanat/internal/devstack"
	"github.com/amanat-dev/amanat/internal/devstack/audit"
	"github.com/amanat-dev/amanat/internal/devstack/await"
	"github.com/amanat-dev/amanat/internal/devstack/deployment"
	"github.com/amanat-dev/amanat/internal/devstack/traffic"
	"github.com/amanat-dev/amanat/internal/devstack/traffic/seed"
)

const (
	requestRate = 20 // per second, at most
	shadowMin   = 30 // shadow reads that the gate asks for
)

// show is a running demo.
type show struct {
	options
	screen  *screen
	dir     string
	name    string // of the database, on both servers
	stack   *devstack.Stack
	d       *deployment.Deployment
	traffic *traffic.Traffic
	turns   []deployment.Turn
}

// run shows everything, and clears up however it ends. Of its folder the logs
// stay, unless it was broken off.
func run(ctx context.Context, binary string) (err error) {
	o, err := readOptions(binary)
	if err != nil {
		return err
	}
	// The servers may be somebody's own (see devstack), with databases on them.
	s := &show{options: o, name: fmt.Sprintf("amanat_demo_%x", time.Now().UnixNano())}
	if s.dir, err = os.MkdirTemp("", "amanat-demo-"); err != nil {
		return err
	}
	log, err := os.Create(s.logFile())
	if err != nil {
		return err
	}
	defer log.Close()
	s.screen = newScreen(os.Stdout, log)
	defer func() { err = s.end(err) }()
	if err := s.build(ctx); err != nil {
		return err
	}
	report, err := s.play(ctx)
	if err != nil {
		return err
	}
	verdict := s.sumUp(report)
	if !s.once {
		s.stayUp(ctx)
	}
	return verdict
}

// logFile has the full output of each command.
func (s *show) logFile() string { return filepath.Join(s.dir, "demo.log") }

// end stops what runs, and shows the servers' last words when something went
// wrong.
func (s *show) end(err error) error {
	s.screen.close()
	brokenOff := errors.Is(err, context.Canceled)
	if err != nil && s.d != nil && !brokenOff {
		fmt.Fprintln(os.Stderr, s.d.Diagnosis(15))
		fmt.Fprintln(os.Stderr, "what every command said:", s.logFile())
	}
	if s.d != nil {
		err = errors.Join(err, s.d.Stop())
	}
	if s.stack != nil {
		err = errors.Join(err, s.dropDatabases(), s.stack.Stop())
	}
	if brokenOff {
		err = errors.Join(err, os.RemoveAll(s.dir))
	}
	return err
}

func (s *show) dropDatabases() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	return errors.Join(s.stack.Mongo.DropDatabase(ctx, s.name), s.stack.Postgres.DropDatabase(ctx, s.name))
}

// build starts the databases, fills one, and starts the servers.
func (s *show) build(ctx context.Context) error {
	s.screen.heading("Databases, servers, members")
	s.screen.wait("the databases to start")
	var err error
	if s.stack, err = devstack.Start(ctx, devstack.Options{Logf: s.installing}); err != nil {
		return err
	}
	if err := s.stack.Postgres.CreateDatabase(ctx, s.name, ""); err != nil {
		return err
	}
	if s.d, err = deployment.New(deployment.Options{
		Binary: s.binary, Dir: s.dir, Ports: []int{s.port, s.port + 1},
		MongoURI: s.stack.Mongo.URI(), Database: s.name, PGURL: s.stack.Postgres.URL(s.name),
	}); err != nil {
		return err
	}
	cast, err := s.fill(ctx)
	if err != nil {
		return err
	}
	return s.serve(ctx, cast)
}

func (s *show) installing(format string, args ...any) {
	s.screen.wait(fmt.Sprintf(format, args...))
	s.screen.say("databases", format, args...)
}

func (s *show) fill(ctx context.Context) (*seed.Cast, error) {
	s.screen.say("databases", "MongoDB's at %s, PostgreSQL's at %s", address(s.stack.Mongo.URI()), address(s.stack.Postgres.URL(s.name)))
	s.screen.wait("the data set")
	cast, err := seed.Fill(ctx, seed.Options{URI: s.stack.Mongo.URI(), Database: s.name, Users: s.size, Seed: 1})
	if err != nil {
		return nil, err
	}
	all := 0
	for _, n := range cast.Counts {
		all += n
	}
	s.screen.say("data set", "in MongoDB: %s members and what they did, %s documents, %s of an old shape",
		count(cast.Counts["users"]), count(all), count(cast.Legacy))
	s.screen.wait("amanat migrate up")
	s.screen.note("  $ amanat migrate up")
	if err := s.d.Run(ctx, s.screen.log, "migrate", "up"); err != nil {
		return nil, err
	}
	s.screen.say("migrated", "PostgreSQL has its tables, which are empty, by: amanat migrate up")
	return cast, nil
}

// address is where a database server is.
func address(of string) string {
	u, err := url.Parse(of)
	if err != nil {
		return of
	}
	return u.Host
}

func (s *show) serve(ctx context.Context, cast *seed.Cast) error {
	s.screen.wait("the servers to answer")
	if err := s.d.Serve(ctx); err != nil {
		return err
	}
	s.screen.say("servers", "%s, each an: amanat serve", strings.Join(s.d.Addresses(), " and "))
	s.screen.wait("members to sign in")
	var err error
	s.traffic, err = traffic.New(ctx, traffic.Options{
		Servers: s.d.Addresses(), Mailbox: s.d.Mailbox(), Scanner: s.d.Scanner(), Seed: 1, Rate: requestRate, Deals: 4,
		Admin: cast.Admin, Sellers: cast.Sellers, Buyers: cast.Buyers, Note: s.screen.warn,
	})
	s.screen.say("members", "act from here on, with up to %d requests a second, as the servers keep up", requestRate)
	s.screen.wait("")
	return err
}

// play moves the domains under traffic, then lets an independent check judge.
func (s *show) play(ctx context.Context) (*audit.Report, error) {
	acting, stop := context.WithCancel(ctx)
	var members sync.WaitGroup
	members.Go(func() { s.traffic.Run(acting) })
	err := s.moveAll(ctx)
	if err == nil {
		err = s.awaitDeal(ctx)
	}
	stop()
	members.Wait()
	if err := errors.Join(err, s.d.Check()); err != nil {
		return nil, err
	}
	s.screen.heading("An independent check, which reads both databases raw")
	s.screen.wait("the last copies")
	if err := s.d.AwaitCopied(ctx); err != nil {
		return nil, err
	}
	s.screen.wait("the check")
	report, err := audit.Run(ctx, audit.Options{
		MongoURI: s.stack.Mongo.URI(), Database: s.name, PGURL: s.stack.Postgres.URL(s.name),
		Facts: s.traffic.Account().Facts(), Sole: s.traffic.Account().Sole(),
	})
	s.screen.wait("")
	if err != nil {
		return nil, err
	}
	s.screen.say("check", "%s documents and %s rows, field by field; servers acknowledged %s records",
		count(report.Mongo.Records), count(report.Postgres.Records), count(report.Postgres.Facts))
	return report, nil
}

func (s *show) moveAll(ctx context.Context) error {
	for i, domain := range deployment.Domains {
		how := "MongoDB → PostgreSQL, back, and over again"
		if i > 0 {
			how = "likewise, with the same commands"
		}
		s.screen.heading("Domain %s: %s", domain, how)
		m := deployment.Move{Deployment: s.d, Domain: domain, ShadowMin: shadowMin, Audience: &story{screen: s.screen, first: i == 0, told: map[string]int{}}}
		turns, err := m.Run(ctx)
		s.turns = append(s.turns, turns...)
		if err != nil {
			return err
		}
	}
	return nil
}

// awaitDeal waits until a deal has come to its end, on a machine so slow that
// none has yet.
func (s *show) awaitDeal(ctx context.Context) error {
	s.screen.wait("a deal to come to its end")
	defer s.screen.wait("")
	return await.Until(ctx, "a deal that comes to its end", time.Second, func() (bool, string, error) {
		stages := s.traffic.Stages()
		return stages["released"] > 0, fmt.Sprint(stages), nil
	})
}

// stayUp waits for Ctrl-C, with the traffic at rest and the servers serving.
func (s *show) stayUp(ctx context.Context) {
	s.screen.heading("Still up, until Ctrl-C")
	s.screen.say("API", "%s/docs", strings.Join(s.d.Addresses(), "/docs and "))
	s.screen.say("MongoDB", "%s%s", s.stack.Mongo.URI(), s.name)
	s.screen.say("PostgreSQL", "%s", s.stack.Postgres.URL(s.name))
	<-ctx.Done()
}
