package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/internal/config"
)

// diffsPrinted is how many differing records a table shows; JSON has more.
const diffsPrinted = 20

func (c *cli) verifyCommand() *cobra.Command {
	var asJSON, repair, selfTest bool
	cmd := &cobra.Command{
		Use:   "verify <domain>...",
		Short: "Compare both databases record by record",
		Long: `Compare both databases record by record, in phase dual or mirror, while everything
is being used: a difference counts when it persists after what was under way has
been copied. The invariants are evaluated on both sides. The result is stored,
and the newest one is part of the gate.

With --self-test it shows instead that a comparison finds what it is there to
find: it copies a sample of each kind into a scratch database on the MongoDB server
and into memory, plants corruptions on the one and on the other, compares them, and
drops the scratch database. Classes: a dropped row, a stray row, one unit more, null
for a value, a cut millisecond, a swapped child, a stale revision, each at every
field that has a place for it (refused: a rule of the database is against it, or
absent stands for that value). The live databases are only read. PostgreSQL's part
is played by the records in memory: no second schema is made there.

The exit status is 3 when something differs or an invariant is broken; of a
self-test, when a corruption was missed or one was found that nobody planted.`,
		Example: "  amanat verify payment\n  amanat verify user marketplace payment --json\n  amanat verify payment --self-test",
		Args:    arguments(1, -1),
		RunE: func(cmd *cobra.Command, domains []string) error {
			if selfTest {
				if repair {
					return usage(cmd, "a self-test repairs nothing: give --self-test or --repair")
				}
				return c.selfTest(cmd.Context(), domains, asJSON)
			}
			return c.verify(cmd.Context(), domains, cutover.VerifyOptions{Who: operator(), Repair: repair}, asJSON)
		},
	}
	cmd.Flags().BoolVar(&repair, "repair", false, "copy what differs from the primary again, then compare it once more")
	cmd.Flags().BoolVar(&selfTest, "self-test", false, "plant corruptions on scratch copies, and see that each is found")
	jsonFlag(cmd, &asJSON)
	return cmd
}

func (c *cli) verify(ctx context.Context, domains []string, o cutover.VerifyOptions, asJSON bool) error {
	conf, err := config.Read(c.environ, config.Command)
	if err != nil {
		return err
	}
	return c.withEngine(ctx, conf, func(a *app) error {
		var results []cutover.VerifyResult
		for _, domain := range domains {
			o.Progress = c.verifyProgress(domain)
			r, err := a.engine.Verify(ctx, domain, o)
			if err != nil {
				return errors.Join(err, c.printVerify(results, asJSON))
			}
			results = append(results, r)
		}
		if err := c.printVerify(results, asJSON); err != nil {
			return err
		}
		return heldByDifferences(results)
	})
}

// verifyProgress tells of a long verify now and then.
func (c *cli) verifyProgress(domain string) func(kind string, rows int64) {
	last := time.Now()
	return func(kind string, rows int64) {
		if time.Since(last) < lineEvery {
			return
		}
		last = time.Now()
		fmt.Fprintf(c.err, "%s: comparing %s, %d records\n", domain, kind, rows)
	}
}

func heldByDifferences(results []cutover.VerifyResult) error {
	var differ []string
	for _, r := range results {
		if !r.OK {
			differ = append(differ, r.Domain)
		}
	}
	if len(differ) == 0 {
		return nil
	}
	return heldError{fmt.Sprintf("%s: not alike, or an invariant is broken; see amanat gaps list, or copy again with: amanat verify %s --repair",
		strings.Join(differ, ", "), strings.Join(differ, " "))}
}

func (c *cli) printVerify(results []cutover.VerifyResult, asJSON bool) error {
	if asJSON && len(results) > 0 {
		return c.printJSON(results)
	}
	for _, r := range results {
		if err := c.printVerifyOf(r); err != nil {
			return err
		}
	}
	return nil
}

func (c *cli) printVerifyOf(r cutover.VerifyResult) error {
	var rows [][]string
	for _, k := range r.Kinds {
		rows = append(rows, []string{k.Kind, number(k.Source), number(k.Target), number(k.Missing), number(k.Extra),
			number(k.Different), number(k.Unread), number(k.Waived), sumsText(k)})
	}
	columns := []string{"KIND", "MONGODB", "POSTGRESQL", "MISSING", "EXTRA", "DIFFERENT", "UNREAD", "WAIVED", "SUMS"}
	if err := c.printTable(r.Domain+" has no kinds.", columns, rows); err != nil {
		return err
	}
	if err := c.printInvariants(r.Invariants); err != nil {
		return err
	}
	if err := c.printDiffs(r.Diffs); err != nil {
		return err
	}
	_, err := fmt.Fprintf(c.out, "\n%s: %s\n", r.Domain, verifiedText(r))
	return err
}

// verifiedText sums up what a verify has found.
func verifiedText(r cutover.VerifyResult) string {
	var rows int64
	for _, k := range r.Kinds {
		rows += k.Source
	}
	broken := 0
	for _, i := range r.Invariants {
		if !i.OK {
			broken++
		}
	}
	invariants := fmt.Sprintf("%d invariants hold", len(r.Invariants))
	if broken > 0 {
		invariants = fmt.Sprintf("%d of %d invariants are broken", broken, len(r.Invariants))
	}
	return fmt.Sprintf("%d records of %d kinds compared, %d differences, %s, %.1f s", rows, len(r.Kinds), r.Differences(), invariants, r.Seconds)
}

func (c *cli) printInvariants(all []cutover.InvariantResult) error {
	if len(all) == 0 {
		return nil
	}
	var rows [][]string
	for _, i := range all {
		rows = append(rows, []string{yesNo(i.OK), "", i.Name})
		for _, side := range [][2]string{{"MongoDB", i.Source}, {"PostgreSQL", i.Target}, {"why not", i.Why}} {
			if side[1] != "" {
				rows = append(rows, []string{"", side[0], oneLine(side[1], 240)})
			}
		}
	}
	fmt.Fprintln(c.out)
	return writeTable(c.out, []string{"HOLDS", "ON", "INVARIANT"}, rows)
}

// sumsText compares the checksums of both sides.
func sumsText(k cutover.KindResult) string {
	if k.SourceSum == k.TargetSum {
		return "alike"
	}
	return "differ"
}

func (c *cli) printDiffs(diffs []cutover.RecordDiff) error {
	if len(diffs) == 0 {
		return nil
	}
	var rows [][]string
	for _, d := range diffs[:min(len(diffs), diffsPrinted)] {
		rows = append(rows, []string{d.Kind, d.ID, d.What, oneLine(diffText(d), 240)})
	}
	fmt.Fprintln(c.out)
	return writeTable(c.out, []string{"KIND", "ID", "WHAT", "MONGODB ≠ POSTGRESQL"}, rows)
}

// diffText returns both versions of what differs. They may be personal, and
// whoever runs this can read both databases; what is secret is not shown.
func diffText(d cutover.RecordDiff) string {
	var parts []string
	for _, f := range d.Fields {
		parts = append(parts, fmt.Sprintf("%s: %s ≠ %s", f.Path, oneLine(f.Source, 60), oneLine(f.Target, 60)))
	}
	if d.Reason != "" {
		parts = append(parts, d.Reason)
	}
	return strings.Join(parts, "; ")
}
