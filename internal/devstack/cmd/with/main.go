// Command with runs a command beside a development stack:
//
//	go run ./internal/devstack/cmd/with -- go test ./...
//
// It starts the databases, tells the command about them in PG_URL and
// MONGODB_URI, passes signals on to it, stops the databases when it ends, and
// ends with its exit status. Databases that those variables name already are
// used as they are.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/amanat-dev/amanat/internal/devstack"
)

func main() {
	args := os.Args[1:]
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 {
		fmt.Fprintln(os.Stderr, "usage: with -- command [argument ...]")
		os.Exit(2)
	}
	status, err := with(args)
	if err != nil {
		fmt.Fprintln(os.Stderr, "with:", err)
		status = max(status, 1)
	}
	os.Exit(status)
}

// with runs the command in a stack and returns its exit status.
func with(args []string) (status int, err error) {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)

	stack, err := start(signals)
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, stack.Stop()) }()

	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(),
		devstack.EnvPostgres+"="+stack.Postgres.URL(""),
		devstack.EnvMongo+"="+stack.Mongo.URI())
	if err := cmd.Start(); err != nil {
		return 127, err
	}
	go pass(signals, cmd.Process)
	return exitStatus(cmd.Wait())
}

// start starts the stack, unless a signal comes first.
func start(signals <-chan os.Signal) (*devstack.Stack, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	started := make(chan struct{})
	defer close(started)
	go func() {
		select {
		case <-signals:
			cancel()
		case <-started:
		}
	}()
	return devstack.Start(ctx, devstack.Options{Logf: func(format string, args ...any) {
		fmt.Fprintf(os.Stderr, "with: "+format+"\n", args...)
	}})
}

// pass passes signals on. Ctrl-C is left out: a terminal sends it to the command
// as well, and to get it twice can mean more than to get it once.
func pass(signals <-chan os.Signal, p *os.Process) {
	for s := range signals {
		if s == os.Interrupt && terminal(os.Stdin) {
			continue
		}
		_ = p.Signal(s) // it fails when the command has just ended
	}
}

func terminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// exitStatus translates the way a command ended as a shell does: 128 and the
// signal's number for one that a signal ended.
func exitStatus(err error) (int, error) {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return 0, err
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	return exit.ExitCode(), nil
}
