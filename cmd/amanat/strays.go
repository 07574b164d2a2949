package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/amanat-dev/amanat/cutover"
)

func (c *cli) straysCommand() *cobra.Command {
	var asJSON, forget bool
	cmd := &cobra.Command{
		Use:   "strays <domain>",
		Short: "Show what somebody else than the copier wrote to the secondary, in both versions",
		Long: `Show what somebody else than the copier wrote to the secondary of a domain in phase
dual or mirror, both versions side by side. It holds the gate.

Noticed by
  note     a process that had not heard of a step wrote it, and never answered it
           with success; the epoch is that in which it thought the domain to be
  copier   the secondary had a later revision than was ever written to the primary
  verify   the newest verify found it to differ

What to do: "amanat verify <domain> --repair" overwrites the secondary's version with
the primary's. To keep the secondary's version, make that write again through the
API, where it is a write like any other, and repair then. A note whose record is
alike on both sides has nothing left to tell: --forget removes it.

PostgreSQL refuses writers that are not the engine. Whoever must write there by hand
says so, is put on record, and shows here once a verify has found it:

  BEGIN; SET LOCAL cutover.writer = 'by hand: what for'; UPDATE …; COMMIT;

The exit status is 3 when there are stray writes.`,
		Example: "  amanat cutover strays payment\n  amanat cutover strays payment --json\n  amanat cutover strays payment --forget",
		Args:    arguments(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withEngineFromEnv(cmd.Context(), func(a *app) error {
				if forget {
					return c.forgetStrays(cmd.Context(), a, args[0])
				}
				return c.strays(cmd.Context(), a, args[0], asJSON)
			})
		},
	}
	cmd.Flags().BoolVar(&forget, "forget", false, "forget the notes of records that are alike by now")
	jsonFlag(cmd, &asJSON)
	return cmd
}

func (c *cli) forgetStrays(ctx context.Context, a *app, domain string) error {
	n, err := a.engine.ForgetAlike(ctx, domain)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.out, "%s: %d notes forgotten\n", domain, n)
	return err
}

func (c *cli) strays(ctx context.Context, a *app, domain string, asJSON bool) error {
	all, err := a.engine.Strays(ctx, domain)
	if err != nil {
		return err
	}
	if asJSON {
		err = c.printJSON(all)
	} else {
		err = c.printStrays(domain, all)
	}
	if err == nil && len(all) > 0 {
		err = heldError{fmt.Sprintf("%d stray writes; overwrite them with the primary's version: amanat verify %s --repair", len(all), domain)}
	}
	return err
}

func (c *cli) printStrays(domain string, all []cutover.Stray) error {
	var rows [][]string
	for _, s := range all {
		row := []string{s.Kind, s.ID, s.Notice, moment(s.At), epochText(s.Epoch)}
		if len(s.Fields) == 0 {
			rows = append(rows, append(row, strayText(s), s.Source, s.Target))
			continue
		}
		for _, f := range s.Fields {
			rows = append(rows, append(row, f.Path, oneLine(f.Source, 60), oneLine(f.Target, 60)))
			row = []string{"", "", "", "", ""}
		}
	}
	columns := []string{"KIND", "ID", "NOTICED BY", "WRITTEN", "EPOCH", "FIELD", "MONGODB", "POSTGRESQL"}
	return c.printTable(domain+": no stray writes are known.", columns, rows)
}

// strayText says of a stray write without differing fields what there is to it.
func strayText(s cutover.Stray) string {
	if s.Source == s.Target {
		return "(alike by now: --forget)"
	}
	return "(the record)"
}

func epochText(epoch int64) string {
	if epoch == 0 {
		return "-"
	}
	return number(epoch)
}
