package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/amanat-dev/amanat/cutover"
)

func (c *cli) shadowCommand() *cobra.Command {
	var asJSON bool
	var limit int
	cmd := &cobra.Command{
		Use:   "shadow <domain>",
		Short: "List shadow reads that differed, with both answers",
		Long: `List shadow reads of the present phase that differed, with both answers, the
newest first. Answers may be personal.`,
		Example: "  amanat cutover shadow payment --json",
		Args:    arguments(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withEngineFromEnv(cmd.Context(), func(a *app) error {
				if err := a.knownDomain(args[0]); err != nil {
					return err
				}
				samples, err := a.shadowSamples(cmd.Context(), args[0], limit)
				if err != nil {
					return err
				}
				return c.printSamples(samples, asJSON)
			})
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 20, "how many")
	jsonFlag(cmd, &asJSON)
	return cmd
}

// shadowSamples returns those since the phase began.
func (a *app) shadowSamples(ctx context.Context, domain string, limit int) ([]cutover.ShadowSample, error) {
	history, err := a.plane.History(ctx, domain, 0)
	if err != nil {
		return nil, err
	}
	for _, line := range history {
		if line.From.Phase != line.To.Phase {
			return a.plane.ShadowSamples(ctx, domain, line.To.Epoch, limit)
		}
	}
	return nil, nil
}

func (c *cli) printSamples(samples []cutover.ShadowSample, asJSON bool) error {
	if asJSON {
		return c.printJSON(append([]cutover.ShadowSample{}, samples...))
	}
	var rows [][]string
	for _, s := range samples {
		rows = append(rows, []string{moment(s.At), s.Query, oneLine(s.Primary, 80), oneLine(s.Secondary, 80)})
	}
	return c.printTable("None differed.", []string{"AT", "QUERY", "PRIMARY", "SECONDARY"}, rows)
}
