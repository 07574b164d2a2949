package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/amanat-dev/amanat/cutover"
)

func (c *cli) gapsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "gaps",
		Short: "Records that could not be copied",
		Long: `Records that could not be copied, with the reason. An open gap holds the switch:
mend the record and retry, or waive it with a reason that goes on record.`,
		Example: "  amanat gaps list",
	}
	cmd.AddCommand(c.gapsListCommand(), c.gapsRetryCommand(), c.gapsWaiveCommand(), c.gapsAdoptCommand())
	return group(cmd)
}

func (c *cli) gapsListCommand() *cobra.Command {
	var asJSON, all bool
	var limit int
	cmd := &cobra.Command{
		Use:     "list [domain]",
		Short:   "List gaps, the oldest first",
		Long:    "List gaps, the oldest first. The exit status is 0 also when there are some.",
		Example: "  amanat gaps list payment\n  amanat gaps list --all --json",
		Args:    arguments(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withEngineFromEnv(cmd.Context(), func(a *app) error {
				domain, err := a.domainOrAll(args)
				if err != nil {
					return err
				}
				gaps, err := a.plane.Gaps(cmd.Context(), domain, !all, limit)
				if err != nil {
					return err
				}
				return c.printGaps(gaps, asJSON)
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "also those that are resolved or waived")
	cmd.Flags().IntVar(&limit, "limit", 100, "how many; 0 lists all")
	jsonFlag(cmd, &asJSON)
	return cmd
}

func (c *cli) printGaps(gaps []cutover.Gap, asJSON bool) error {
	if asJSON {
		return c.printJSON(append([]cutover.Gap{}, gaps...))
	}
	var rows [][]string
	for _, g := range gaps {
		rows = append(rows, []string{g.Domain, g.Kind, g.ID, gapState(g), number(int64(g.Attempts)), moment(g.FirstSeen),
			moment(g.LastSeen), oneLine(g.Reason, 120)})
	}
	err := c.printTable("There are no gaps.", []string{"DOMAIN", "KIND", "ID", "STATE", "ATTEMPTS", "FIRST SEEN", "LAST SEEN", "REASON"}, rows)
	if err == nil && slices.ContainsFunc(gaps, needsIdentity) {
		_, err = fmt.Fprintln(c.out, "\nTo give legacy records an ObjectID: amanat gaps adopt <domain>")
	}
	return err
}

// needsIdentity says that a gap is open because its record's identity is no ID.
func needsIdentity(g cutover.Gap) bool {
	_, err := cutover.ParseID(g.ID)
	return g.Open() && err != nil
}

func gapState(g cutover.Gap) string {
	switch {
	case !g.Resolved.IsZero():
		return "resolved"
	case g.WaivedBy != "":
		return "waived by " + g.WaivedBy
	}
	return "open"
}

func (c *cli) gapsRetryCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "retry <domain>",
		Short:   "Copy the records of a domain's open gaps again, now",
		Long:    "Copy the records of a domain's open gaps again, now. The exit status is 3 when some are still gaps.",
		Example: "  amanat gaps retry payment",
		Args:    arguments(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withEngineFromEnv(cmd.Context(), func(a *app) error {
				return c.retryGaps(cmd.Context(), a, args[0], asJSON)
			})
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

func (c *cli) retryGaps(ctx context.Context, a *app, domain string, asJSON bool) error {
	in, left, err := a.engine.RetryGaps(ctx, domain)
	if err != nil {
		return err
	}
	if asJSON {
		err = c.printJSON(map[string]any{"domain": domain, "resolved": in, "left": left})
	} else {
		_, err = fmt.Fprintf(c.out, "%s: %d resolved, %d left\n", domain, in, left)
	}
	if err == nil && left > 0 {
		err = heldError{fmt.Sprintf("%d records could still not be copied; see: amanat gaps list %s", left, domain)}
	}
	return err
}

func (c *cli) gapsWaiveCommand() *cobra.Command {
	var why, who string
	var all bool
	cmd := &cobra.Command{
		Use:   "waive <domain> [<kind> <id>]",
		Short: "Put on record that a gap shall not hold the switch",
		Long: `Put on record that a gap shall not hold the switch, with the reason: the record
stays behind. --all waives all open gaps of the domain.`,
		Example: "  amanat gaps waive payment payment 665f1b2c9a8b7c6d5e4f3a21 --why \"a test of 2023\"\n  amanat gaps waive payment --all --why \"imported by hand\"",
		Args:    arguments(1, 3),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case why == "":
				return usage(cmd, "say why: --why \"…\"")
			case all && len(args) != 1, !all && len(args) != 3:
				return usage(cmd, "name a kind and an id, or give --all")
			}
			return c.withEngineFromEnv(cmd.Context(), func(a *app) error {
				return c.waiveGaps(cmd.Context(), a, append(args, "", "")[:3], who, why)
			})
		},
	}
	cmd.Flags().StringVar(&why, "why", "", "the reason, for the record")
	cmd.Flags().StringVar(&who, "who", operator(), "who waives it, for the record")
	cmd.Flags().BoolVar(&all, "all", false, "all open gaps of the domain")
	return cmd
}

func (c *cli) waiveGaps(ctx context.Context, a *app, gap []string, who, why string) error {
	if err := a.knownDomain(gap[0]); err != nil {
		return err
	}
	n, err := a.plane.WaiveGap(ctx, gap[0], gap[1], gap[2], who, why)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.out, "%s: %d waived\n", gap[0], n)
	return err
}
