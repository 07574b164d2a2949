package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/cutover/postgresql"
	"github.com/amanat-dev/amanat/internal/config"
	"github.com/amanat-dev/amanat/internal/migrations"
)

func (c *cli) migrateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "migrate",
		Short:   "Bring PostgreSQL's tables up to date",
		Long:    "Bring the tables in the database of PG_URL up to date. Several may run at once: one works, the others wait.",
		Example: "  amanat migrate up",
	}
	cmd.AddCommand(c.migrateUpCommand(), c.migrateStatusCommand(), c.migrateKeysCommand(), c.migrateDraftCommand())
	return group(cmd)
}

func (c *cli) migrateUpCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Run the pending migrations",
		Long: `Run the pending migrations. Rows that were there before a unique rule get what it
derives from them, see "amanat migrate keys".`,
		Example: "  PG_URL=postgres://amanat@127.0.0.1:5432/amanat amanat migrate up",
		Args:    arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withPostgres(cmd.Context(), func(db *postgresql.DB) error {
				done, err := db.Up(cmd.Context(), migrations.Source)
				if err != nil {
					return err
				}
				_, broken := mendKeys(cmd.Context(), db, false)
				return errors.Join(c.printMigrations("The tables are up to date.", done, asJSON), broken)
			})
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

func (c *cli) migrateStatusCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "status",
		Short:   "List the migrations and which are pending",
		Long:    "List the migrations and which are pending. The exit status is 3 when some are.",
		Example: "  amanat migrate status --json",
		Args:    arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withPostgres(cmd.Context(), func(db *postgresql.DB) error {
				all, err := db.Status(cmd.Context(), migrations.Source)
				if err != nil {
					return err
				}
				if err := c.printMigrations("There are no migrations.", all, asJSON); err != nil {
					return err
				}
				return heldByPending(all)
			})
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

func heldByPending(all []postgresql.Migration) error {
	for _, m := range all {
		if m.Applied.IsZero() {
			return heldError{"migrations are pending; run: amanat migrate up"}
		}
	}
	return nil
}

func (c *cli) printMigrations(none string, all []postgresql.Migration, asJSON bool) error {
	if asJSON {
		return c.printJSON(append([]postgresql.Migration{}, all...))
	}
	var rows [][]string
	for _, m := range all {
		applied := "pending"
		if !m.Applied.IsZero() {
			applied = moment(m.Applied)
		}
		rows = append(rows, []string{m.Source, number(m.Version), m.File, applied})
	}
	return c.printTable(none, []string{"SET", "VERSION", "FILE", "APPLIED"}, rows)
}

// withPostgres runs do on the database of PG_URL alone.
func (c *cli) withPostgres(ctx context.Context, do func(*postgresql.DB) error) error {
	conf, err := config.Read(c.environ, config.Command)
	if err != nil {
		return err
	}
	if !conf.PGURL.IsSet() {
		return fault.New(fault.Invalid, "a deployment on MongoDB alone has nothing to migrate; set PG_URL to have a PostgreSQL database")
	}
	db, err := postgresql.Open(ctx, conf.PGURL.Reveal())
	if err != nil {
		return err
	}
	defer db.Close()
	return do(db)
}
