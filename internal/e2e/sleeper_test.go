package e2e

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/amanat-dev/amanat/cutover/failpoint"
	"github.com/amanat-dev/amanat/internal/devstack/await"
	"github.com/amanat-dev/amanat/internal/devstack/deployment"
	"github.com/amanat-dev/amanat/internal/devstack/history"
)

// TestAServerThatSleptAcrossASwitchAcknowledgesNothing: a server is frozen with
// a write on its way to MongoDB, the domain moves to PostgreSQL without it, and
// it goes on. The write arrives in a database that is no longer the primary: its
// client must not be told that it was made, and nobody may ever see it.
func TestAServerThatSleptAcrossASwitchAcknowledgesNothing(t *testing.T) {
	t.Parallel()
	binary, err := mortal()
	if err != nil {
		t.Fatal(err)
	}
	p := sleepers{dir: t.TempDir()}
	s := deploy(t, setting{binary: binary, members: 30,
		own: func(process int) []string { return []string{p.orders(process).Own()} }})
	p.Deployment = s.d
	// One client: while it waits nobody else writes the record, so that nothing
	// but the lease keeps the late write from being acknowledged.
	c, err := history.New(t.Context(), history.Options{Servers: s.d.Addresses(), Admin: s.cast.Admin,
		Kinds: []string{"user"}, Clients: 1, Rate: 50, Seed: 7})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.moveOf(t, "user").Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.command(t, "verify", "user")

	turn, coordinator := s.switchThatHalts(t, p)
	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	clients.Go(func() { c.Run(ctx) })
	p.give(t, 1, failpoint.CommitSingle)
	server := p.halts(t, 1)
	stop() // the client finishes what it waits for, and asks no more
	p.goOn(t, coordinator)
	if err := <-turn; err != nil {
		t.Fatalf("the switch: %v", err)
	}
	s.phaseOf(t, "user", "mirror")
	p.goOn(t, server)
	clients.Wait()
	// The server itself has to say so: a client that gave up would prove nothing.
	if got := c.Tallies()["user"]; got.Unknown != 1 || len(got.Samples) != 1 || !strings.HasPrefix(got.Samples[0], "503 ") {
		t.Errorf("want one write answered with 503, its outcome unknown; got %+v", got)
	}
	s.straysOf(t, "user", 1)

	contending(t, c, func() { untilFar(t, "120 requests more", moreDone(c, 120)) })
	linearizable(t, c, "user")
}

// sleepers are processes that halt at a step when told to.
type sleepers struct {
	*deployment.Deployment
	dir string
}

func (p sleepers) orders(process int) deployment.Orders {
	return deployment.Orders(filepath.Join(p.dir, fmt.Sprintf("order%d", process)))
}

// halts waits until a process has come to its step, and returns its id.
func (p sleepers) halts(t *testing.T, process int) (pid int) {
	t.Helper()
	err := await.Until(t.Context(), fmt.Sprintf("process %d to come to its step", process), 5*time.Millisecond, func() (_ bool, _ string, err error) {
		pid, err = p.orders(process).Done()
		return pid > 0, "", err
	})
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func (p sleepers) give(t *testing.T, process int, at failpoint.Name) {
	t.Helper()
	if err := p.orders(process).Give(at, "STOP"); err != nil {
		t.Fatal(err)
	}
}

func (p sleepers) goOn(t *testing.T, pid int) {
	t.Helper()
	if err := p.Continue(pid); err != nil {
		t.Fatal(err)
	}
}

// switchThatHalts begins a switch of the user domain, which stops when its gate
// is all but passed, and returns what becomes of it and the id of the halted
// process.
func (s *stage) switchThatHalts(t *testing.T, p sleepers) (<-chan error, int) {
	t.Helper()
	p.give(t, deployment.Commands, failpoint.StateRecorded)
	ended := make(chan error, 1)
	go func() {
		// The budget allows for waiting until the frozen server's lease is over.
		ended <- s.d.Run(t.Context(), logger{t}, "cutover", "switch", "user", "--execute", "--why", "one server sleeps",
			"--waive", "shadow=not what is tried here", "--waive", "way-back=not what is tried here", "--budget", "5m")
	}()
	return ended, p.halts(t, deployment.Commands)
}

// state is what an operator is told of a domain.
type state struct {
	Phase  string
	Strays int
}

func (s *stage) stateOf(t *testing.T, domain string) state {
	t.Helper()
	var all []state
	if err := s.d.JSON(t.Context(), &all, "cutover", "status", domain); err != nil || len(all) != 1 {
		t.Fatalf("status of %s: %v, %d domains", domain, err, len(all))
	}
	return all[0]
}

func (s *stage) phaseOf(t *testing.T, domain, want string) {
	t.Helper()
	if got := s.stateOf(t, domain); got.Phase != want {
		t.Fatalf("%s is in phase %s, want %s", domain, got.Phase, want)
	}
}

// straysOf wants so many stray writes shown to the operator.
func (s *stage) straysOf(t *testing.T, domain string, want int) {
	t.Helper()
	if got := s.stateOf(t, domain); got.Strays != want {
		t.Errorf("%s has %d stray writes, want %d", domain, got.Strays, want)
	}
}

// moreDone holds when so many requests more than now were done.
func moreDone(c *history.Contest, n int) func() (bool, string) {
	want := c.Tallies()["user"].Done + n
	return func() (bool, string) {
		done := c.Tallies()["user"].Done
		return done >= want, fmt.Sprint(done)
	}
}
