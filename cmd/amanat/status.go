package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/amanat-dev/amanat/cutover"
)

func (c *cli) statusCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "status [domain]...",
		Short:   "Show where domains stand; of one domain, everything",
		Example: "  amanat cutover status\n  amanat cutover status payment --json",
		Args:    arguments(0, -1),
		RunE: func(cmd *cobra.Command, domains []string) error {
			return c.withEngineFromEnv(cmd.Context(), func(a *app) error {
				all, err := statuses(cmd.Context(), a, domains)
				if err != nil {
					return err
				}
				if len(domains) == 1 {
					outlook(cmd.Context(), a, &all[0])
				}
				return c.printStatus(all, len(domains) == 1, asJSON)
			})
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

// statuses returns those of the named domains, else of all that were served.
func statuses(ctx context.Context, a *app, domains []string) ([]cutover.Status, error) {
	if len(domains) == 0 {
		domains = a.engine.Domains()
	}
	all := []cutover.Status{}
	for _, domain := range domains {
		s, err := a.engine.Status(ctx, domain)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// outlook adds what the next switch or rollback waits for.
func outlook(ctx context.Context, a *app, s *cutover.Status) {
	if a.plane == nil {
		return
	}
	gate, err := a.engine.Gate(ctx, s.Domain, cutover.GateOptions{})
	if err != nil && s.Problem == "" {
		s.Problem = "the gate was not looked at: " + explain(err)
	}
	s.Gate = gate
}

func (c *cli) printStatus(all []cutover.Status, whole, asJSON bool) error {
	if asJSON {
		return c.printJSON(all)
	}
	var rows [][]string
	for _, s := range all {
		rows = append(rows, []string{s.Domain, phaseText(s), ago(s.Since), backfillText(s.Backfill),
			verifyText(s.Verify), shadowText(s.Shadow), number(s.OpenGaps), milliseconds(s.LagMS)})
	}
	columns := []string{"DOMAIN", "PHASE", "SINCE", "BACKFILL", "VERIFY", "SHADOW READS", "GAPS", "LAG"}
	if err := c.printTable("There are no domains.", columns, rows); err != nil {
		return err
	}
	for _, s := range all {
		if s.Problem != "" {
			fmt.Fprintf(c.out, "\n%s: %s\n", s.Domain, s.Problem)
		}
	}
	if !whole {
		return nil
	}
	return c.printWhole(all[0])
}

func phaseText(s cutover.Status) string {
	if s.Sealed {
		return string(s.Phase) + " (sealed)"
	}
	return string(s.Phase)
}

func backfillText(kinds []cutover.KindProgress) string {
	sum := sumUp(kinds)
	switch {
	case sum.chunks == 0:
		return "-"
	case sum.done == sum.chunks:
		return fmt.Sprintf("done, %d", sum.rows)
	}
	return fmt.Sprintf("%d %%, %d", 100*sum.done/sum.chunks, sum.rows)
}

func verifyText(v *cutover.VerifyResult) string {
	switch {
	case v == nil:
		return "-"
	case v.OK:
		return "alike, " + ago(v.Started) + " ago"
	}
	return fmt.Sprintf("%d differ", v.Differences())
}

func shadowText(counts []cutover.ShadowCount) string {
	if len(counts) == 0 {
		return "-"
	}
	var matched, diffs int64
	for _, n := range counts {
		matched += n.Matched
		diffs += n.Diffs
	}
	return fmt.Sprintf("%d, %d diffs", matched, diffs)
}

// printWhole prints what the one line of a domain has no room for.
func (c *cli) printWhole(s cutover.Status) error {
	fmt.Fprintf(c.out, "\nepoch %d, %d notes in the journal\n%s\n\n", s.Epoch, s.Notes, settingsText(s.Settings))
	for _, print := range []func(cutover.Status) error{c.printGate, c.printWorking, c.printShadow, c.printProcesses} {
		if err := print(s); err != nil {
			return err
		}
	}
	return nil
}

// printGate prints what the next switch or rollback waits for.
func (c *cli) printGate(s cutover.Status) error {
	if len(s.Gate) == 0 {
		return nil
	}
	defer fmt.Fprintln(c.out)
	return writeTable(c.out, []string{"GATE", "PASSED", "EVIDENCE"}, gateRows(s.Domain, s.Gate))
}

// printWorking prints what copier and backfill do, or wait for.
func (c *cli) printWorking(s cutover.Status) error {
	if !s.Phase.Copies() {
		return nil
	}
	var rows [][]string
	for _, w := range s.Working {
		rows = append(rows, []string{w.Role, w.Who, w.Doing, ago(w.At) + " ago"})
	}
	defer fmt.Fprintln(c.out)
	return c.printTable("No process copies.", []string{"WORKER", "PROCESS", "DOING", "SAID"}, rows)
}

func (c *cli) printShadow(s cutover.Status) error {
	var rows [][]string
	for _, n := range s.Shadow {
		rows = append(rows, []string{n.Query, number(n.Compared), number(n.Matched), number(n.Diffs), number(n.Errors),
			number(n.Dropped), moment(n.Last)})
	}
	columns := []string{"QUERY", "COMPARED", "MATCHED", "DIFFS", "ERRORS", "DROPPED", "LAST"}
	defer fmt.Fprintln(c.out)
	return c.printTable("No shadow reads in this phase.", columns, rows)
}

func (c *cli) printProcesses(s cutover.Status) error {
	var rows [][]string
	for _, p := range s.Processes {
		state := "lost"
		switch {
		case p.Alive && p.Acks[s.Domain] >= s.Epoch:
			state = "in step"
		case p.Alive:
			state = fmt.Sprintf("on epoch %d", p.Acks[s.Domain])
		}
		rows = append(rows, []string{p.ID, p.Host, number(int64(p.PID)), strings.TrimSpace(p.Version), moment(p.Started), ago(p.Seen) + " ago", state})
	}
	return c.printTable("No process is running.", []string{"PROCESS", "HOST", "PID", "VERSION", "STARTED", "SEEN", "STATE"}, rows)
}
