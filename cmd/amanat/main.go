// Command amanat is the one production binary: it serves the marketplace's API
// and gives operators the commands that move it from one database to another.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/internal/config"
)

// Exit statuses, for scripts.
const (
	exitOK      = 0
	exitFailure = 1 // it was tried and did not work
	exitUsage   = 2 // the command line or the environment is wrong; nothing was tried
	exitHeld    = 3 // the gate holds the step, a verify found differences, or the doctor a fault
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	c := &cli{environ: os.Environ(), out: os.Stdout, err: os.Stderr}
	status := c.run(ctx, os.Args[1:])
	stop()
	os.Exit(status)
}

// cli is what a command may touch of the world around it.
type cli struct {
	environ  []string
	out, err io.Writer
	now      func() time.Time // this machine's clock; nil: time.Now
}

// run runs one command line and returns the exit status.
func (c *cli) run(ctx context.Context, args []string) int {
	root := c.root()
	root.SetArgs(args)
	root.SetOut(c.out)
	root.SetErr(c.err)
	err := root.ExecuteContext(ctx)
	if err != nil {
		fmt.Fprintln(c.err, "amanat:", explain(err))
	}
	return statusOf(err)
}

func (c *cli) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "amanat",
		Short: "A peer-to-peer escrow marketplace, and its move between databases",
		Long: `A peer-to-peer escrow marketplace. It runs on MongoDB, on PostgreSQL, or on both
while it moves from one to the other, each domain by itself, live, and back.

It is configured by the environment: see "amanat help environment".
` + statusHelp,
		Example:           "  PG_URL=postgres://amanat@127.0.0.1:5432/amanat amanat migrate up\n  amanat serve",
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usage(cmd, "%s", err) })
	root.AddCommand(c.serveCommand(), c.migrateCommand(), c.backfillCommand(), c.verifyCommand(),
		c.cutoverCommand(), c.gapsCommand(), c.eventsCommand(), c.doctorCommand(), c.userCommand(), c.versionCommand(), environmentHelp())
	group(root)
	return root
}

const statusHelp = `
Exit status:
  0  done (or, without --execute: nothing holds it)
  1  it was tried and did not work
  2  the command line or the environment is wrong; nothing was tried
  3  the gate holds the step, a verify found differences, or the doctor a fault`

// group makes a command that only has subcommands say so when it gets another.
func group(cmd *cobra.Command) *cobra.Command {
	cmd.Args = cobra.ArbitraryArgs
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		return usage(cmd, "there is no command %q", args[0])
	}
	return cmd
}

// arguments checks the number of arguments; most -1 sets no upper limit.
func arguments(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least || most >= 0 && len(args) > most {
			return usage(cmd, "%d arguments, want %s", len(args), strings.TrimPrefix(cmd.UseLine(), cmd.Root().Name()+" "))
		}
		return nil
	}
}

// usageError is a mistake on the command line.
type usageError struct{ message string }

func (e usageError) Error() string { return e.message }

func usage(cmd *cobra.Command, format string, args ...any) error {
	return usageError{fmt.Sprintf(format, args...) + fmt.Sprintf(" (see: %s --help)", cmd.CommandPath())}
}

// heldError says that a command did its work and the answer is no.
type heldError struct{ message string }

func (e heldError) Error() string { return e.message }

func statusOf(err error) int {
	var wrong config.Mistakes
	var use usageError
	var held heldError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &use), errors.As(err, &wrong):
		return exitUsage
	case errors.As(err, &held):
		return exitHeld
	}
	return exitFailure
}

// explain makes one line of an error, with the causes that a fault keeps from
// callers of the API: whoever reads this runs the servers. Only the list of
// what is wrong with the environment has a line for each.
func explain(err error) string {
	var wrong config.Mistakes
	if errors.As(err, &wrong) {
		return wrong.Error() + "\n(see: amanat help environment)"
	}
	text := strings.Join(strings.Fields(err.Error()), " ")
	if errors.Is(err, context.Canceled) {
		return "interrupted: " + text
	}
	var refusal *cutover.Refusal
	if errors.As(err, &refusal) {
		text += remediesText([]cutover.Remedy{refusal.Remedy}, refusal.Domain)
	}
	if fault.Is(err, fault.Unavailable) && strings.Contains(text, "does not answer") {
		text += " (do the servers of PG_URL and MONGODB_URI run, and may this machine reach them?)"
	}
	return text
}
