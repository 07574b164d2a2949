package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/control"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/internal/config"
)

func (c *cli) backfillCommand() *cobra.Command {
	var asJSON bool
	var workers int
	cmd := &cobra.Command{
		Use:   "backfill <domain>...",
		Short: "Copy what was written before a move began to PostgreSQL",
		Long: `Copy what was written before a domain's move began to PostgreSQL, in phase dual,
while everything is being used. It goes on where an earlier one was ended, and
shares the work with others that run at the same time, on any machine. While it
runs, "amanat cutover pause" and "amanat cutover set --rate" hold it back.

It writes to MIGRATION_PG_URL, else PG_URL, and only to a host of this machine or
one that MIGRATION_PG_ALLOWED_HOSTS names.`,
		Example: "  amanat backfill payment --workers 4",
		Args:    arguments(1, -1),
		RunE: func(cmd *cobra.Command, domains []string) error {
			if workers < 1 {
				return usage(cmd, "--workers %d: want at least 1", workers)
			}
			return c.backfill(cmd.Context(), domains, workers, asJSON)
		},
	}
	cmd.Flags().IntVar(&workers, "workers", 2, "chunks that this process copies at a time")
	jsonFlag(cmd, &asJSON)
	return cmd
}

func (c *cli) backfill(ctx context.Context, domains []string, workers int, asJSON bool) error {
	conf, err := config.Read(c.environ, config.Command)
	if err != nil {
		return err
	}
	if err := checkTarget(&conf); err != nil {
		return err
	}
	return c.withEngine(ctx, conf, func(a *app) error {
		all := map[string][]cutover.KindProgress{}
		for _, domain := range domains {
			bar := c.newProgress(domain)
			kinds, err := a.engine.Backfill(ctx, domain, cutover.BackfillOptions{Workers: workers, Progress: bar.show, Resting: bar.rest})
			bar.end()
			if err != nil {
				return errors.Join(err, c.printBackfill(domains, all, asJSON))
			}
			all[domain] = kinds
		}
		return c.printBackfill(domains, all, asJSON)
	})
}

func (c *cli) printBackfill(domains []string, all map[string][]cutover.KindProgress, asJSON bool) error {
	if len(all) == 0 {
		return nil
	}
	if asJSON {
		return c.printJSON(all)
	}
	var rows [][]string
	for _, domain := range domains {
		for _, k := range all[domain] {
			rows = append(rows, []string{domain, k.Kind, fmt.Sprintf("%d of %d", k.Done, k.Chunks), number(k.Rows), number(k.Gaps)})
		}
	}
	if err := c.printTable("Nothing was planned.", []string{"DOMAIN", "KIND", "CHUNKS", "RECORDS", "GAPS"}, rows); err != nil {
		return err
	}
	fmt.Fprintln(c.out)
	for _, domain := range domains {
		if _, err := fmt.Fprintf(c.out, "%s: %s\n", domain, copiedText(all[domain])); err != nil {
			return err
		}
	}
	return nil
}

// copiedText sums up what a backfill has come to.
func copiedText(kinds []cutover.KindProgress) string {
	sum := sumUp(kinds)
	text := fmt.Sprintf("%d records of %d kinds, in %d of %d chunks", sum.rows, len(kinds), sum.done, sum.chunks)
	if sum.gaps > 0 {
		return text + fmt.Sprintf("; %d could not be copied, see: amanat gaps list", sum.gaps)
	}
	return text + ", 0 gaps"
}

// checkTarget has the backfill write to MIGRATION_PG_URL, and refuses a host
// that nobody allowed: a forgotten variable shall not fill the wrong database.
func checkTarget(conf *config.Config) error {
	conf.PGURL = conf.MigrationURL()
	if !conf.PGURL.IsSet() {
		return fault.New(fault.Invalid, "there is nowhere to copy to: set PG_URL or MIGRATION_PG_URL")
	}
	hosts, err := control.Hosts(conf.PGURL.Reveal())
	if err != nil {
		return err
	}
	for _, host := range hosts {
		if !thisMachine(host) && !slices.ContainsFunc(conf.MigrationHosts, func(allowed string) bool { return strings.EqualFold(allowed, host) }) {
			return fault.New(fault.Forbidden, "%s is not this machine: to copy there, set MIGRATION_PG_ALLOWED_HOSTS=%s",
				host, strings.Join(append(slices.Clone(conf.MigrationHosts), host), ","))
		}
	}
	return nil
}

// thisMachine goes by what the URL says: a loopback address, localhost, or a
// Unix socket.
func thisMachine(host string) bool {
	if strings.HasPrefix(host, "/") || strings.HasPrefix(host, "@") || strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
