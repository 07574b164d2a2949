package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/amanat-dev/amanat/cutover"
)

func (c *cli) drillCommand() *cobra.Command {
	var asJSON bool
	var who string
	cmd := &cobra.Command{
		Use:   "drill <domain>",
		Short: "Try the way back before the switch: copy PostgreSQL into a scratch MongoDB database",
		Long: `Try the way back before the switch, in phase dual, while everything is being used:
copy PostgreSQL into a scratch database on the MongoDB server, compare that with
the live one record by record, and drop it. A difference counts when it persists
after the record was copied once more. The result is stored, and the newest one
is part of the gate (line ` + cutover.GateWayBack + `).

It needs room for a second copy of the domain on the MongoDB server, and the right
to make and drop a database there. What a killed drill has left is dropped by the
first drill a day later.

The exit status is 3 when something differs.`,
		Example: "  amanat cutover drill payment\n  amanat cutover drill payment --json",
		Args:    arguments(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.drill(cmd.Context(), args[0], who, asJSON)
		},
	}
	cmd.Flags().StringVar(&who, "who", operator(), "who does it, for the record")
	jsonFlag(cmd, &asJSON)
	return cmd
}

func (c *cli) drill(ctx context.Context, domain, who string, asJSON bool) error {
	return c.withEngineFromEnv(ctx, func(a *app) error {
		r, err := a.engine.Drill(ctx, domain, cutover.DrillOptions{Who: who, Progress: c.drillProgress(domain)})
		if err != nil {
			return err
		}
		if err := c.printDrill(r, asJSON); err != nil {
			return err
		}
		if !r.OK {
			return heldError{fmt.Sprintf("%s: %d records did not come back as they are", domain, r.Differences())}
		}
		return nil
	})
}

// drillProgress tells of a long drill now and then.
func (c *cli) drillProgress(domain string) func(doing, kind string, rows int64) {
	last := time.Now()
	return func(doing, kind string, rows int64) {
		if time.Since(last) < lineEvery {
			return
		}
		last = time.Now()
		fmt.Fprintf(c.err, "%s: %s %s, %d records\n", domain, doing, kind, rows)
	}
}

func (c *cli) printDrill(r cutover.DrillResult, asJSON bool) error {
	if asJSON {
		return c.printJSON(r)
	}
	var rows [][]string
	for _, k := range r.Kinds {
		rows = append(rows, []string{k.Kind, number(k.Source), number(k.Target), number(k.Missing), number(k.Extra),
			number(k.Different), number(k.Unread), number(k.Waived), sumsText(k)})
	}
	columns := []string{"KIND", "LIVE", "COPIED BACK", "MISSING", "EXTRA", "DIFFERENT", "UNREAD", "WAIVED", "SUMS"}
	if err := c.printTable(r.Domain+" has no kinds.", columns, rows); err != nil {
		return err
	}
	if err := c.printDiffs(r.Diffs); err != nil {
		return err
	}
	_, err := fmt.Fprintf(c.out, "\n%s: %d records copied back, %d differences, %.1f s\n", r.Domain, r.Copied, r.Differences(), r.Seconds)
	return err
}
