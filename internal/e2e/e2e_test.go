// Package e2e runs the production binary as a deployment has it, two servers
// and the command line, and takes three domains through the whole of a move
// while members act.
package e2e

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/amanat-dev/amanat/internal/devstack"
	"github.com/amanat-dev/amanat/internal/devstack/audit"
	"github.com/amanat-dev/amanat/internal/devstack/await"
	"github.com/amanat-dev/amanat/internal/devstack/deployment"
	"github.com/amanat-dev/amanat/internal/devstack/history"
	"github.com/amanat-dev/amanat/internal/devstack/traffic"
	"github.com/amanat-dev/amanat/internal/devstack/traffic/seed"
)

// binary is the production binary, built once for all tests.
var binary string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "amanat-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "amanat")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", binary, "github.com/amanat-dev/amanat/cmd/amanat")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// TestThreeDomainsMoveThereBackAndOverUnderTraffic: members act, and clients
// contend for a few records of each domain through both servers, while an
// operator takes the domains there, back, there again, and finishes. An audit
// accounts for every write that was acknowledged, one order of each contended
// record's operations has to explain every answer, and no verify on the way may
// find a difference.
func TestThreeDomainsMoveThereBackAndOverUnderTraffic(t *testing.T) {
	kinds := append(history.Kinds, "hold")
	s := deploy(t, setting{members: 40})
	c := s.contest(t)
	s.underTraffic(t, func() {
		contending(t, c, func() {
			for _, domain := range deployment.Domains {
				s.move(t, domain)
			}
		})
		s.awaitDeals(t, 1)
	})
	s.served(t)
	s.judge(t, false)
	s.auditFindsWhatIsPlanted(t)

	s.underTraffic(t, func() {
		contending(t, c, func() {
			for _, domain := range deployment.Domains {
				if err := s.moveOf(t, domain).Finish(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			s.awaitDeals(t, 3)
			s.awaitWrites(t, c, kinds...)
		})
	})
	s.served(t)
	s.judge(t, true)
	s.phases(t, "target")
	linearizable(t, c, kinds...)
}

// stage is a deployment with its data, its members and their account.
type stage struct {
	d        *deployment.Deployment
	traffic  *traffic.Traffic
	pgURL    string
	mongoURI string
	database string
	cast     *seed.Cast
}

// setting is what a stage is made of.
type setting struct {
	binary  string // default: the production one
	members int    // of the data set
	servers int    // default 2
	own     func(process int) []string
}

// deploy starts servers on databases of their own, filled with a data set.
func deploy(t *testing.T, o setting) *stage {
	t.Helper()
	stack := devstack.Shared(t)
	s := &stage{pgURL: stack.Postgres.NewDatabase(t), mongoURI: stack.Mongo.URI(), database: stack.NewMongoDatabase(t)}
	s.open(t, o)
	return s
}

// open starts the servers on the stage's databases. Members act on the first
// two.
func (s *stage) open(t *testing.T, o setting) {
	t.Helper()
	o.binary, o.servers = cmp.Or(o.binary, binary), cmp.Or(o.servers, 2)
	var err error
	s.d, err = deployment.New(deployment.Options{Binary: o.binary, Dir: t.TempDir(), Ports: make([]int, o.servers),
		MongoURI: s.mongoURI, Database: s.database, PGURL: s.pgURL, Own: o.own})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.stop(t) })
	s.cast, err = seed.Fill(t.Context(), seed.Options{URI: s.mongoURI, Database: s.database, Users: o.members, Seed: 7})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.d.Run(t.Context(), logger{t}, "migrate", "up"); err != nil {
		t.Fatal(err)
	}
	if err := s.d.Serve(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.traffic, err = traffic.New(t.Context(), traffic.Options{
		Servers: s.d.Addresses()[:2], Mailbox: s.d.Mailbox(), Scanner: s.d.Scanner(), Seed: 7, Deals: 4,
		Admin: s.cast.Admin, Sellers: s.cast.Sellers, Buyers: s.cast.Buyers, Note: t.Logf,
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (s *stage) command(t *testing.T, args ...string) {
	t.Helper()
	if err := s.d.Run(t.Context(), logger{t}, args...); err != nil {
		t.Fatalf("amanat %s: %v", strings.Join(args, " "), err)
	}
}

// until waits for what comes about by itself.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	untilFar(t, what, func() (bool, string) { return holds(), "" })
}

// untilFar waits for what gets on bit by bit, as the text says.
func untilFar(t *testing.T, what string, holds func() (bool, string)) {
	t.Helper()
	err := await.Until(t.Context(), what, 100*time.Millisecond, func() (bool, string, error) {
		done, far := holds()
		return done, far, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (s *stage) stop(t *testing.T) {
	if t.Failed() {
		t.Log(s.d.Diagnosis(20))
	}
	if err := s.d.Stop(); err != nil {
		t.Error(err)
	}
}

// underTraffic runs do while members act.
func (s *stage) underTraffic(t *testing.T, do func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var members sync.WaitGroup
	members.Go(func() { s.traffic.Run(ctx) })
	defer members.Wait()
	defer cancel()
	do()
}

func (s *stage) moveOf(t *testing.T, domain string) *deployment.Move {
	return &deployment.Move{Deployment: s.d, Domain: domain, ShadowMin: 30, Budget: 5 * time.Second, Audience: audience{logger{t}}}
}

func (s *stage) move(t *testing.T, domain string) {
	t.Helper()
	m := s.moveOf(t, domain)
	if err := m.Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.alike(t, domain, "dual")
	turns, err := m.Turns(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, turn := range turns {
		t.Logf("%s %s: pause %.0f ms, at try %d", turn.Domain, turn.Action, turn.PauseMS, turn.Tries)
	}
	s.alike(t, domain, "mirror")
}

// awaitDeals waits until so many more deals have come to the release.
func (s *stage) awaitDeals(t *testing.T, n int) {
	t.Helper()
	want := s.traffic.Stages()["released"] + n
	untilFar(t, fmt.Sprintf("%d more deals to be released", n), func() (bool, string) {
		all := s.traffic.Stages()
		return all["released"] >= want, fmt.Sprint(all)
	})
}

// served wants every request answered, and deals carried to their end.
func (s *stage) served(t *testing.T) {
	t.Helper()
	c := s.traffic.Counts()
	t.Logf("%d requests, %v, deals %v", c.Requests, c.Latency, s.traffic.Stages())
	if !c.OK() {
		t.Errorf("want no failed request, got %d failed and %d unexpected of %d: %q", c.Failed, c.Unexpected, c.Requests, c.Samples)
	}
	if s.traffic.Stages()["released"] == 0 {
		t.Errorf("want deals that came to the release, got %v", s.traffic.Stages())
	}
	if err := s.d.Check(); err != nil {
		t.Error(err)
	}
}

// judge has the independent check account for every acknowledged write.
func (s *stage) judge(t *testing.T, postgresOnly bool) {
	t.Helper()
	if !postgresOnly {
		if err := s.d.AwaitCopied(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	r := s.audit(t, postgresOnly)
	var table strings.Builder
	if err := r.Print(&table); err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", &table)
	if !r.OK() {
		t.Errorf("want nothing lost, twice, different or off balance; got %d, %d, %d, %d: %q", r.Lost(), r.Twice(), r.Differences(), r.Unbalanced(), r.Problems())
	}
}

func (s *stage) audit(t *testing.T, postgresOnly bool) *audit.Report {
	t.Helper()
	facts := s.traffic.Account().Facts()
	if len(facts) == 0 {
		t.Fatal("no write was acknowledged")
	}
	r, err := audit.Run(t.Context(), audit.Options{MongoURI: s.mongoURI, Database: s.database, PGURL: s.pgURL,
		Facts: facts, Sole: s.traffic.Account().Sole(), PostgresOnly: postgresOnly})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// auditFindsWhatIsPlanted shows that the check would have said so.
func (s *stage) auditFindsWhatIsPlanted(t *testing.T) {
	t.Helper()
	address := s.factOf(t, "address")
	pg, err := pgx.Connect(t.Context(), s.pgURL)
	if err != nil {
		t.Fatal(err)
	}
	defer pg.Close(context.WithoutCancel(t.Context()))
	exec := func(sql string, args ...any) {
		t.Helper()
		if _, err := pg.Exec(t.Context(), sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	exec(`SET cutover.writer = 'by hand: this test'`)
	exec(`UPDATE addresses SET street = street || '!' WHERE id = $1`, address.ID)
	r := s.audit(t, false)
	if r.Differences() != 1 || len(r.Postgres.Lost) != 1 || len(r.Mongo.Lost) != 0 {
		t.Errorf("want the planted change found as one difference and one lost write, got %d and %q", r.Differences(), r.Postgres.Lost)
	}
	exec(`UPDATE addresses SET street = left(street, -1) WHERE id = $1`, address.ID)
}

// factOf returns a statement about a record of that kind.
func (s *stage) factOf(t *testing.T, kind string) audit.Fact {
	t.Helper()
	for _, f := range s.traffic.Account().Facts() {
		if f.Kind == kind && !f.Gone {
			return f
		}
	}
	t.Fatalf("no %s was written", kind)
	return audit.Fact{}
}

// phases wants every domain in one phase.
func (s *stage) phases(t *testing.T, want string) {
	t.Helper()
	var all []struct{ Domain, Phase string }
	if err := s.d.JSON(t.Context(), &all, append([]string{"cutover", "status"}, deployment.Domains...)...); err != nil {
		t.Fatal(err)
	}
	for _, d := range all {
		if d.Phase != want {
			t.Errorf("%s is in phase %s, want %s", d.Domain, d.Phase, want)
		}
	}
	if len(all) != len(deployment.Domains) {
		t.Errorf("got the status of %d domains, want %d", len(all), len(deployment.Domains))
	}
}

// audience follows a move in the test's log.
type audience struct{ logger }

func (a audience) Typed(command string)    { a.t.Logf("$ %s", command) }
func (a audience) Waits(string)            {}
func (a audience) Undone(what, why string) { a.t.Logf("%s undone: %s", what, why) }
func (a audience) Said(what, line string)  { a.t.Logf("%s: %s", what, line) }

// logger writes to the test's log.
type logger struct{ t *testing.T }

func (l logger) Write(p []byte) (int, error) {
	l.t.Logf("%s", p)
	return len(p), nil
}
