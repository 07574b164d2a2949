package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/cutover/postgresql"
	"github.com/amanat-dev/amanat/domain"
)

func (c *cli) migrateKeysCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "keys",
		Short: "Store what unique rules derive with every record",
		Long: `Go through all records of both databases, as far as they are configured, and store
with each what the unique rules derive from it, where something else is stored or
nothing: by it an old record stands in the way of a new one. "amanat migrate up" does
so once on PostgreSQL, "amanat serve" once on MongoDB. Do it again when records were
written by hand, or by an older version after that. Records that break a rule are
named, ten of a kind; the exit status is 1 then.`,
		Example: "  amanat migrate keys",
		Args:    arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withEngineFromEnv(cmd.Context(), func(a *app) error { return c.mendAll(cmd.Context(), a) })
		},
	}
}

func (c *cli) mendAll(ctx context.Context, a *app) error {
	n, broken := 0, error(nil)
	if a.pg != nil {
		n, broken = mendKeys(ctx, a.pg, true)
	}
	if a.mongo != nil && !fault.Is(broken, fault.Unavailable) {
		more, err := a.mongo.FillKeys(ctx, true)
		n, broken = n+more, errors.Join(broken, err)
	}
	_, err := fmt.Fprintf(c.out, "%d records have got other keys.\n", n)
	return errors.Join(err, broken)
}

// mendKeys goes through PostgreSQL's tables, with again also through those of
// which it is on record.
func mendKeys(ctx context.Context, db *postgresql.DB, again bool) (total int, err error) {
	var errs []error
	for _, d := range domain.Definitions() {
		n, err := db.MendKeys(ctx, d, again)
		if fault.Is(err, fault.Unavailable) {
			return total, err
		}
		total += n
		errs = append(errs, err)
	}
	return total, errors.Join(errs...)
}

func (c *cli) migrateDraftCommand() *cobra.Command {
	var against bool
	cmd := &cobra.Command{
		Use:   "draft <domain>",
		Short: "Print the migration that a domain's Go types ask for",
		Long: `Print the SQL that makes a domain's tables as its Go types ask for them: columns,
child tables, references, unique keys, indexes and guards, for goose, up and down.
It is where a migration begins: what the types do not tell, such as a rule between
two columns, is added by hand. With --against print only what the database of PG_URL
lacks; that is nothing, with exit status 0, when it lacks nothing, and the exit
status is 3 otherwise. It changes nothing.`,
		Example: "  amanat migrate draft payment\n  amanat migrate draft payment --against > internal/migrations/00100_payment.sql",
		Args:    arguments(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := domainNamed(args[0])
			if err != nil {
				return err
			}
			if !against {
				_, err = fmt.Fprint(c.out, postgresql.Draft(d))
				return err
			}
			return c.withPostgres(cmd.Context(), func(db *postgresql.DB) error { return c.draftAgainst(cmd.Context(), db, d) })
		},
	}
	cmd.Flags().BoolVar(&against, "against", false, "only what the database of PG_URL lacks")
	return cmd
}

func (c *cli) draftAgainst(ctx context.Context, db *postgresql.DB, d cutover.Definition) error {
	text, err := db.DraftAgainst(ctx, d)
	if err != nil || text == "" {
		return err
	}
	if _, err := fmt.Fprint(c.out, text); err != nil {
		return err
	}
	return heldError{"the tables of " + d.Name + " are not what its types ask for"}
}

func domainNamed(name string) (cutover.Definition, error) {
	var names []string
	for _, d := range domain.Definitions() {
		if d.Name == name {
			return d, nil
		}
		names = append(names, d.Name)
	}
	return cutover.Definition{}, fault.New(fault.Invalid, "there is no domain %q; there are %v", name, names)
}
