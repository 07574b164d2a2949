//go:build unix

package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/amanat-dev/amanat/devstack/history"
)

// TestAServerThatSleptAcrossASwitchAcknowledgesNothing: a server is frozen with
// a write on its way to MongoDB, the domain moves to PostgreSQL without it, and
// it goes on. The write arrives in a database that is no longer the primary: its
// client must not be told that it was made, and nobody may ever see it.
func TestAServerThatSleptAcrossASwitchAcknowledgesNothing(t *testing.T) {
	t.Parallel()
	order, obeying := obedient(t)
	s := deploy(t, setting{binary: obeying, members: 30, rate: 20})
	// One client: while it waits nobody else writes the record, so that nothing
	// but the lease keeps the late write from being acknowledged.
	c, err := history.New(t.Context(), history.Options{Servers: s.d.Addresses(), Admin: s.cast.Admin,
		Kinds: []string{"user"}, Clients: 1, Pace: 20 * time.Millisecond, Seed: 7})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.moveOf(t, "user").Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.command(t, "verify", "user")

	turn := s.switchThatHalts(t, order)
	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	clients.Go(func() { c.Run(ctx) })
	order.give(t, "server2", "commit.write STOP")
	order.awaitDone(t, "server2")
	stop() // the client finishes what it waits for, and asks no more
	order.goOn(t, "command")
	if err := <-turn; err != nil {
		t.Fatalf("the switch: %v", err)
	}
	s.phaseOf(t, "user", "mirror")
	order.goOn(t, "server2")
	clients.Wait()
	if got := c.Tallies()["user"]; got.Unknown != 1 {
		t.Errorf("want the outcome of one write unknown, got %+v", got)
	}
	s.straysOf(t, "user", 1)

	contending(t, c, func() { s.until(t, "120 requests more were done", moreDone(c, 120)) })
	linearizable(t, c, "user")
}

// orders tell processes of a deployment to stop at a step, and have them go on.
type orders struct{ dir string }

// obedient gives a binary whose processes obey orders.
func obedient(t *testing.T) (orders, string) {
	t.Helper()
	o := orders{t.TempDir()}
	real, err := mortal()
	if err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(o.dir, "obey")
	// A server is called by its name, whatever else runs is a command.
	text := fmt.Sprintf("#!/bin/sh\nname=${INSTANCE:-command}\necho $$ >'%[1]s'/$name.pid\nAMANAT_STEP_FILE='%[1]s'/$name exec '%[2]s' \"$@\"\n", o.dir, real)
	if err := os.WriteFile(script, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return o, script
}

// give has a process do something at a step: "a.step STOP".
func (o orders) give(t *testing.T, process, what string) {
	t.Helper()
	file := filepath.Join(o.dir, process)
	if err := os.WriteFile(file+".new", []byte(what), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

// awaitDone waits until the process has done so.
func (o orders) awaitDone(t *testing.T, process string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(filepath.Join(o.dir, process)); os.IsNotExist(err) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s did not come to its step within a minute", process)
		}
	}
}

// goOn has a process that stopped go on.
func (o orders) goOn(t *testing.T, process string) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(o.dir, process+".pid"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
}

// switchThatHalts begins a switch of the user domain, which stops when its gate
// is all but passed, and gives what becomes of it.
func (s *stage) switchThatHalts(t *testing.T, o orders) <-chan error {
	t.Helper()
	o.give(t, "command", "state.recorded STOP")
	ended := make(chan error, 1)
	go func() {
		// The budget allows for waiting until the frozen server's lease is over.
		ended <- s.d.Run(t.Context(), logger{t}, "cutover", "switch", "user", "--execute", "--why", "one server sleeps",
			"--waive", "shadow=not what is tried here", "--waive", "way-back=not what is tried here", "--budget", "1m")
	}()
	o.awaitDone(t, "command")
	return ended
}

func (s *stage) command(t *testing.T, args ...string) {
	t.Helper()
	if err := s.d.Run(t.Context(), logger{t}, args...); err != nil {
		t.Fatalf("amanat %s: %v", strings.Join(args, " "), err)
	}
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

// until waits for something that traffic brings about.
func (s *stage) until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after a minute it does not hold that %s", what)
		}
	}
}

// moreDone holds when so many requests more than now were done.
func moreDone(c *history.Contest, n int) func() bool {
	want := c.Tallies()["user"].Done + n
	return func() bool { return c.Tallies()["user"].Done >= want }
}
