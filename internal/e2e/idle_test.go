package e2e

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"reflect"
	"testing"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/control"
	"github.com/amanat-dev/amanat/cutover/mongodb"
	"github.com/amanat-dev/amanat/cutover/postgresql"
	"github.com/amanat-dev/amanat/internal/devstack"
	"github.com/amanat-dev/amanat/internal/devstack/deployment"
	"github.com/amanat-dev/amanat/internal/devstack/tap"
	"github.com/amanat-dev/amanat/internal/event"
)

// What a process may ask both databases together while nobody asks it anything,
// whatever the number of domains and whether it leads or not.
const (
	mostCalls = 6 // a second
	listenFor = 20 * time.Second
	// settleFor is how long a process may go on asking more after something has
	// happened.
	settleFor = 6 * time.Second
)

// ears are the taps by which one process reaches the databases.
type ears struct {
	name      string
	pg, mongo *tap.Tap
}

func newEars(t *testing.T, name, pgURL, mongoURI string) *ears {
	t.Helper()
	opened := func(tap *tap.Tap, err error) *tap.Tap {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(tap.Close)
		return tap
	}
	return &ears{name, opened(tap.Postgres(hostOf(t, pgURL))), opened(tap.Mongo(hostOf(t, mongoURI)))}
}

func hostOf(t *testing.T, raw string) string {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

// through is a database's URL by way of a tap.
func through(t *testing.T, raw string, by *tap.Tap) string {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	u.Host = by.Address()
	return u.String()
}

// wantIdle counts what processes ask while nothing happens.
func wantIdle(t *testing.T, when string, all ...*ears) {
	t.Helper()
	time.Sleep(settleFor)
	for _, e := range all {
		e.pg.Take()
		e.mongo.Take()
	}
	began := time.Now()
	time.Sleep(listenFor)
	for _, e := range all {
		pg, mongo := e.pg.Take(), e.mongo.Take()
		took := time.Since(began).Seconds()
		n := float64(tap.Sum(pg)+tap.Sum(mongo)) / took
		t.Logf("%s, %s: %.1f calls a second\n%s%s", when, e.name, n, tap.Text(pg), tap.Text(mongo))
		if n > mostCalls {
			t.Errorf("%s, %s makes %.1f calls a second, want %d at most", when, e.name, n, mostCalls)
		}
	}
}

// TestAnIdleServerAsksLittle: two servers with nobody to serve, in every phase.
func TestAnIdleServerAsksLittle(t *testing.T) {
	stack := devstack.Shared(t)
	s := &stage{pgURL: stack.Postgres.NewDatabase(t), mongoURI: stack.Mongo.URI(), database: stack.NewMongoDatabase(t)}
	servers := []*ears{newEars(t, "the first", s.pgURL, s.mongoURI), newEars(t, "the second", s.pgURL, s.mongoURI)}
	s.open(t, setting{members: 5, own: func(process int) []string {
		if process == deployment.Commands {
			return nil
		}
		e := servers[process]
		return []string{"PG_URL=" + through(t, s.pgURL, e.pg), "MONGODB_URI=" + through(t, s.mongoURI, e.mongo)}
	}})
	wantIdle(t, "in phase source", servers...)
	steps := func(when string, steps ...[]string) {
		for _, domain := range deployment.Domains {
			for _, step := range steps {
				s.command(t, append(step, domain)...)
			}
		}
		wantIdle(t, when, servers...)
	}
	do := []string{"--execute", "--why", "the test"}
	steps("in phase dual, not filled", append([]string{"cutover", "start"}, do...))
	steps("in phase dual, filled", []string{"backfill"}, []string{"verify"})
	waived := append([]string{"cutover", "switch"}, do...)
	for _, line := range []string{cutover.GateShadow, cutover.GateWayBack} {
		waived = append(waived, "--waive", line+"=nobody reads here")
	}
	steps("in phase mirror", waived)
	steps("in phase target", append([]string{"cutover", "finish"}, do...))
}

type (
	note  struct{ cutover.Meta }
	sheet struct{ cutover.Meta }
	page  struct{ cutover.Meta }
)

const manyDomains = 20

// manyKinds are five kinds of one domain, those of its events among them.
func manyKinds(domain string) cutover.Kinds {
	kinds := event.Kinds(domain)
	for i, typ := range []reflect.Type{reflect.TypeFor[note](), reflect.TypeFor[sheet](), reflect.TypeFor[page]()} {
		name := fmt.Sprint(domain, "_", i)
		kinds = append(kinds, cutover.Kind{Name: name, Type: typ, Table: name + "s", Collection: name + "s"})
	}
	return kinds
}

// TestManyIdleDomainsAskNoMore: two processes with twenty domains that send
// events, on MongoDB alone and in dual.
func TestManyIdleDomainsAskNoMore(t *testing.T) {
	stack := devstack.Shared(t)
	pgURL, mongoURI, database := stack.Postgres.NewDatabase(t), stack.Mongo.URI(), stack.NewMongoDatabase(t)
	db, err := postgresql.Open(t.Context(), pgURL)
	if err == nil {
		_, err = db.Up(t.Context())
		db.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	var all []*ears
	var first *cutover.Engine
	for _, name := range []string{"the first", "the second"} {
		e := newEars(t, name, pgURL, mongoURI)
		all = append(all, e)
		engine := runMany(t, name, through(t, pgURL, e.pg), through(t, mongoURI, e.mongo), database)
		if first == nil {
			first = engine
		}
	}
	wantIdle(t, "on MongoDB alone", all...)
	for _, domain := range first.Domains() {
		if _, err := first.Start(t.Context(), domain, cutover.StepOptions{Execute: true, Who: "test", Why: "test"}); err != nil {
			t.Fatal(err)
		}
	}
	wantIdle(t, "in dual", all...)
}

// runMany runs a process that has many domains.
func runMany(t *testing.T, name, pgURL, mongoURI, database string) *cutover.Engine {
	t.Helper()
	mongo, err := mongodb.Open(t.Context(), mongoURI, database)
	if err != nil {
		t.Fatal(err)
	}
	pg, err := postgresql.Open(t.Context(), pgURL)
	if err != nil {
		t.Fatal(err)
	}
	plane, err := control.Connect(t.Context(), pgURL)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	engine := cutover.NewEngine(cutover.Options{Control: plane, Process: cutover.Process{ID: name}, Logger: log})
	o := event.Options{Leads: engine.Leads, Log: log, Sends: map[string][]event.Sent{}}
	for i := range manyDomains {
		d := cutover.Definition{Name: fmt.Sprint("toy", i), Queries: []string{event.QueryPending}}
		d.Kinds = manyKinds(d.Name)
		made, err := cutover.NewDomain(engine, cutover.Spec{Definition: d, Source: mongo.Side(d), Target: pg.Side(d)})
		if err != nil {
			t.Fatal(err)
		}
		o.Domains = append(o.Domains, made)
		sent := event.NewType[struct{}](d.Name + ".sent")
		o.Sends[d.Name] = []event.Sent{sent}
		o.Handlers = append(o.Handlers, event.On(sent, func(context.Context, event.Event, struct{}) error { return nil }))
	}
	dispatcher, err := event.NewDispatcher(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := engine.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	engine.Run(t.Context())
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); dispatcher.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-ended
		if err := engine.Close(context.Background()); err != nil {
			t.Error(err)
		}
		plane.Close()
		pg.Close()
		_ = mongo.Close(context.Background())
	})
	return engine
}
