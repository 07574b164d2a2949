package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/amanat-dev/amanat/devstack"
	"github.com/amanat-dev/amanat/devstack/audit"
	"github.com/amanat-dev/amanat/devstack/deployment"
	"github.com/amanat-dev/amanat/devstack/traffic"
	"github.com/amanat-dev/amanat/devstack/traffic/seed"
)

const (
	requestRate = 20  // per second
	shadowMin   = 120 // shadow reads that the gate asks for
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

// run shows everything, and clears up however it ends.
func run(ctx context.Context, binary string) (err error) {
	o, err := readOptions(binary)
	if err != nil {
		return err
	}
	// The servers may be somebody's own (see devstack), with databases on them.
	s := &show{options: o, screen: newScreen(os.Stdout), name: fmt.Sprintf("amanat_demo_%x", time.Now().UnixNano())}
	if s.dir, err = os.MkdirTemp("", "amanat-demo-"); err != nil {
		return err
	}
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

// end stops what runs, and shows the servers' last words when something went
// wrong.
func (s *show) end(err error) error {
	if err != nil && s.d != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, s.d.Diagnosis(15))
	}
	if s.d != nil {
		err = errors.Join(err, s.d.Stop())
	}
	if s.stack != nil {
		err = errors.Join(err, s.dropDatabases(), s.stack.Stop())
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

func (s *show) dropDatabases() error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return errors.Join(s.stack.Mongo.DropDatabase(ctx, s.name), s.stack.Postgres.DropDatabase(ctx, s.name))
}

// build starts the databases, fills one, and starts the servers.
func (s *show) build(ctx context.Context) error {
	s.screen.heading("Databases")
	var err error
	if s.stack, err = devstack.Start(ctx, devstack.Options{Logf: s.screen.say}); err != nil {
		return err
	}
	if err := s.stack.Postgres.CreateDatabase(ctx, s.name, ""); err != nil {
		return err
	}
	s.screen.say("MongoDB     %s%s", s.stack.Mongo.URI(), s.name)
	s.screen.say("PostgreSQL  %s", s.stack.Postgres.URL(s.name))
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

func (s *show) fill(ctx context.Context) (*seed.Cast, error) {
	begin := time.Now()
	cast, err := seed.Fill(ctx, seed.Options{URI: s.stack.Mongo.URI(), Database: s.name, Users: s.size, Seed: 1})
	if err != nil {
		return nil, err
	}
	all := 0
	for _, n := range cast.Counts {
		all += n
	}
	s.screen.say("Data set    %d documents of %d members and what they did, %d of an old shape, in %.1f s",
		all, cast.Counts["users"], cast.Legacy, time.Since(begin).Seconds())
	s.screen.say("$ amanat migrate up")
	return cast, s.d.Run(ctx, s.screen.indented(), "migrate", "up")
}

func (s *show) serve(ctx context.Context, cast *seed.Cast) error {
	s.screen.heading("Servers and traffic")
	if err := s.d.Serve(ctx); err != nil {
		return err
	}
	for _, url := range s.d.Addresses() {
		s.screen.say("$ amanat serve    %s", url)
	}
	var err error
	s.traffic, err = traffic.New(ctx, traffic.Options{
		Servers: s.d.Addresses(), Mailbox: s.d.Mailbox(), Scanner: s.d.Scanner(), Seed: 1, Rate: requestRate, Deals: 4,
		Admin: cast.Admin, Sellers: cast.Sellers, Buyers: cast.Buyers, Note: s.screen.warn,
	})
	s.screen.say("members act, %d requests per second", requestRate)
	return err
}

// play moves the domains under traffic, then lets an independent check judge.
func (s *show) play(ctx context.Context) (*audit.Report, error) {
	acting, stop := context.WithCancel(ctx)
	var members sync.WaitGroup
	members.Go(func() { s.traffic.Run(acting) })
	err := s.moveAll(ctx)
	stop()
	members.Wait()
	if err := errors.Join(err, s.d.Check()); err != nil {
		return nil, err
	}
	s.screen.heading("Independent check: both databases, read raw")
	if err := s.d.AwaitCopied(ctx); err != nil {
		return nil, err
	}
	return audit.Run(ctx, audit.Options{
		MongoURI: s.stack.Mongo.URI(), Database: s.name, PGURL: s.stack.Postgres.URL(s.name),
		Facts: s.traffic.Account().Facts(), Sole: s.traffic.Account().Sole(),
	})
}

func (s *show) moveAll(ctx context.Context) error {
	for _, domain := range deployment.Domains {
		s.screen.heading("Domain %s: MongoDB → PostgreSQL, back, and over again", domain)
		m := deployment.Move{Deployment: s.d, Domain: domain, Out: s.screen.indented(), ShadowMin: shadowMin, Say: s.screen.say}
		turns, err := m.Run(ctx)
		s.turns = append(s.turns, turns...)
		if err != nil {
			return err
		}
	}
	return nil
}

// stayUp waits for Ctrl-C, with the traffic at rest and the servers serving.
func (s *show) stayUp(ctx context.Context) {
	s.screen.heading("Still up, until Ctrl-C")
	for _, url := range s.d.Addresses() {
		s.screen.say("%s/docs", url)
	}
	s.screen.say("MongoDB     %s%s", s.stack.Mongo.URI(), s.name)
	s.screen.say("PostgreSQL  %s", s.stack.Postgres.URL(s.name))
	s.screen.say("mail, logs  %s", s.dir)
	<-ctx.Done()
}
