package deployment

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// Diagnosis gathers what helps to see why something went wrong: the samples of
// shadow reads that differed, open gaps, and the end of each server's log.
func (d *Deployment) Diagnosis(logLines int) string {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return d.ask(ctx, `SELECT domain, since, query, compared, matched, diffs, errors, dropped FROM cutover_shadow_counts ORDER BY 1, 2 DESC, 3`) +
		d.ask(ctx, `SELECT domain, query, at::text, "primary", secondary FROM cutover_shadow_samples ORDER BY id DESC LIMIT 3`) +
		d.ask(ctx, `SELECT domain, kind, id, reason FROM pg_dualwrite_gaps WHERE resolved_at IS NULL LIMIT 10`) +
		d.Logs(logLines)
}

// ask returns the rows of a query as text; or why there are none.
func (d *Deployment) ask(ctx context.Context, query string) string {
	conn, err := pgx.Connect(ctx, d.o.PGURL)
	if err != nil {
		return err.Error() + "\n"
	}
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, query)
	if err != nil {
		return err.Error() + "\n"
	}
	lines, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (string, error) {
		values, err := row.Values()
		return strings.Trim(fmt.Sprintln(values...), "\n"), err
	})
	if err != nil {
		return err.Error() + "\n"
	}
	if len(lines) == 0 {
		return ""
	}
	return strings.Join(lines, "\n\n") + "\n"
}
