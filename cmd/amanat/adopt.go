package main

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/amanat-dev/amanat/cutover"
)

func (c *cli) gapsAdoptCommand() *cobra.Command {
	var asJSON, execute bool
	cmd := &cobra.Command{
		Use:   "adopt <domain>",
		Short: "Give legacy records whose _id is no ObjectID one",
		Long: `Give each legacy record of a domain whose _id in MongoDB is no ObjectID one: the one
that its 24 hex digits spell, else a new one, which goes on record in PostgreSQL's
table id_map. Records of the domain that name others by such an _id, of whichever
domain, are rewritten to name the new one; start with the domain user, which the
others refer to. A reference to what is not on record stays as it is, and its record a
gap.

MongoDB must be the domain's primary (phase source or dual). Each document stays as it
was in MongoDB's collection cutover_adopted. Without --execute nothing is changed.

The exit status is 3 when some records stay as they are.`,
		Example: "  amanat gaps adopt user\n  amanat gaps adopt user --execute\n  amanat gaps adopt marketplace --execute",
		Args:    arguments(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withEngineFromEnv(cmd.Context(), func(a *app) error {
				return c.adopt(cmd.Context(), a, args[0], execute, asJSON)
			})
		},
	}
	cmd.Flags().BoolVar(&execute, "execute", false, "do it")
	jsonFlag(cmd, &asJSON)
	return cmd
}

func (c *cli) adopt(ctx context.Context, a *app, domain string, execute, asJSON bool) error {
	done, err := a.engine.Adopt(ctx, domain, execute)
	if err != nil {
		return err
	}
	if asJSON {
		err = c.printJSON(done)
	} else {
		err = c.printAdopted(done, execute)
	}
	if left, all := staying(done); err == nil && left > 0 {
		err = heldError{fmt.Sprintf("%d of %d records stay as they are", left, all)}
	}
	return err
}

// staying counts the records that could not be adopted or rewritten.
func staying(done cutover.Adopted) (left, all int) {
	for _, r := range done.Records {
		if all++; r.Reason != "" {
			left++
		}
	}
	for _, r := range done.Referrers {
		left, all = left+r.Left, all+r.Records+r.Left
	}
	return left, all
}

func (c *cli) printAdopted(done cutover.Adopted, execute bool) error {
	var rows [][]string
	for _, r := range done.Records {
		id := r.ID.String()
		switch {
		case !execute && r.New:
			id = "(a new one)"
		case r.Reason != "":
			id = "-"
		}
		rows = append(rows, []string{r.Kind, r.LegacyID, id, oneLine(r.Reason, 120)})
	}
	err := c.printTable(done.Domain+": every _id is an ObjectID.", []string{"KIND", "LEGACY ID", "ID", "STAYS, BECAUSE"}, rows)
	if err != nil {
		return err
	}
	verb := "name"
	if execute {
		verb = "named"
	}
	for _, kind := range slices.Sorted(maps.Keys(done.Referrers)) {
		r := done.Referrers[kind]
		if _, err := fmt.Fprintf(c.out, "%s: %d records %s others by a legacy identity%s\n", kind, r.Records, verb, leftText(r)); err != nil {
			return err
		}
	}
	if execute || len(rows)+len(done.Referrers) == 0 {
		return nil
	}
	_, err = fmt.Fprintf(c.out, "Nothing was changed; do it with: amanat gaps adopt %s --execute\n", done.Domain)
	return err
}

func leftText(r cutover.Redirected) string {
	if r.Left == 0 {
		return ""
	}
	return fmt.Sprintf("; %d stay as they are, such as %s", r.Left, r.Reason)
}
