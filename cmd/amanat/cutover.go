package main

import (
	"context"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/internal/config"
)

func (c *cli) cutoverCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cutover",
		Short: "Move domains between MongoDB and PostgreSQL",
		Long: `Move domains between MongoDB and PostgreSQL, each by itself, live.

  start     source → dual     writes are copied to PostgreSQL from here on
  switch    dual   → mirror   PostgreSQL becomes the primary; writes are copied back
  finish    mirror → target   the end of the move; there is no way back
  rollback  mirror → dual     MongoDB becomes the primary again
  abandon   dual   → source   the move is given up

In phase source a domain is in MongoDB alone (REPO_*=mongo expects that), in phase
target in PostgreSQL alone (REPO_*=pg expects that, or mirror).

After start come "amanat backfill", "amanat verify" and "amanat cutover drill".
All of these steps only show what they would do, until they are given --execute.` + "\n" + statusHelp,
		Example: "  amanat cutover status\n  amanat cutover start payment --execute --why \"the quarter's plan\"",
	}
	cmd.AddCommand(c.statusCommand(), c.drillCommand(), c.reportCommand(), c.keyCommand(), c.shadowCommand(), c.straysCommand(), c.setCommand(), c.pauseCommand(true), c.pauseCommand(false))
	for _, s := range steps {
		cmd.AddCommand(c.stepCommand(s))
	}
	return group(cmd)
}

// step is a command that changes a phase.
type step struct {
	name, short string
	handover    bool     // its gate is that of a switch
	waivable    []string // lines of its gate
	do          func(*cutover.Engine, context.Context, string, cutover.StepOptions) (cutover.Report, error)
}

var (
	ofHandovers = []string{cutover.GateVerify, cutover.GateShadow, cutover.GateWayBack}
	ofFinish    = []string{cutover.GateLastCopy}
)

var steps = []step{
	{"start", "Begin to copy a domain's writes to PostgreSQL: source → dual", false, nil, (*cutover.Engine).Start},
	{"switch", "Make PostgreSQL a domain's primary: dual → mirror", true, ofHandovers, (*cutover.Engine).Switch},
	{"rollback", "Make MongoDB a domain's primary again: mirror → dual", true, ofHandovers, (*cutover.Engine).Rollback},
	{"finish", "End a domain's move, without a way back: mirror → target", false, ofFinish, (*cutover.Engine).Finish},
	{"abandon", "Give up a domain's move before the switch: dual → source", false, nil, (*cutover.Engine).Abandon},
}

func (c *cli) stepCommand(s step) *cobra.Command {
	var o cutover.StepOptions
	var asJSON bool
	var waive []string
	cmd := &cobra.Command{
		Use:     s.name + " <domain>",
		Short:   s.short,
		Long:    s.short + ".\n\nWithout --execute it shows what it would do, and changes no phase.",
		Example: fmt.Sprintf("  amanat cutover %s payment\n  amanat cutover %s payment --execute --why \"the quarter's plan\"", s.name, s.name),
		Args:    arguments(1, 1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if o.Waive, err = parseWaivers(cmd, waive, s.waivable); err != nil {
				return err
			}
			return c.step(cmd.Context(), s, args[0], o, asJSON)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.Execute, "execute", false, "do it")
	f.StringVar(&o.Who, "who", operator(), "who does it, for the record")
	f.StringVar(&o.Why, "why", "", "why, for the record")
	jsonFlag(cmd, &asJSON)
	switch {
	case s.handover:
		cmd.Long += "\n\nThe gate must pass. Its lines " + listed(s.waivable) + " can be waived, each with a reason\nthat goes on record."
		cmd.Example += fmt.Sprintf("\n  amanat cutover %s payment --execute --waive %s=\"tried on staging\"", s.name, cutover.GateWayBack)
	case len(s.waivable) > 0:
		cmd.Long += "\n\nThe gate must pass: what was written before is in MongoDB too. Where MongoDB is away for good,\nits line " +
			listed(s.waivable) + " can be waived, with a reason that goes on record."
		cmd.Example += fmt.Sprintf("\n  amanat cutover %s payment --execute --waive %s=\"its disk is lost\"", s.name, cutover.GateLastCopy)
	}
	if len(s.waivable) > 0 {
		f.StringArrayVar(&waive, "waive", nil, "a line of the gate to waive, as line=reason; may be repeated")
	}
	if s.handover {
		f.Int64Var(&o.ShadowMin, "shadow-min", 0, "shadow reads to ask for (default 1000)")
		f.DurationVar(&o.ShadowTime, "shadow-time", 0, "time over which they are spread")
		f.DurationVar(&o.Budget, "budget", cutover.DefaultBudget, "the longest that writes may be held back")
	}
	return cmd
}

// listed joins words as a sentence has them: "a, b and c".
func listed(words []string) string {
	last := len(words) - 1
	if last < 1 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:last], ", ") + " and " + words[last]
}

func parseWaivers(cmd *cobra.Command, waive, waivable []string) (map[string]string, error) {
	out := map[string]string{}
	for _, w := range waive {
		line, reason, _ := strings.Cut(w, "=")
		if !slices.Contains(waivable, line) {
			return nil, usage(cmd, "--waive %s: what can be waived is %s", w, listed(waivable))
		}
		if strings.TrimSpace(reason) == "" {
			return nil, usage(cmd, "--waive %s: want a reason, as %s=\"reason\"", w, line)
		}
		out[line] = strings.TrimSpace(reason)
	}
	return out, nil
}

// operator returns the name that goes on record: who runs this, and where.
func operator() string {
	name := os.Getenv("SUDO_USER")
	if u, err := user.Current(); name == "" && err == nil {
		name = u.Username
	}
	if host, err := os.Hostname(); err == nil {
		name += "@" + host
	}
	return name
}

func (c *cli) step(ctx context.Context, s step, domain string, o cutover.StepOptions, asJSON bool) error {
	return c.withEngineFromEnv(ctx, func(a *app) error {
		report, err := s.do(a.engine, ctx, domain, o)
		if report.Domain == "" {
			return err
		}
		if perr := c.printReport(report, o.Execute, asJSON); perr != nil {
			return perr
		}
		if len(report.Gate) > 0 && !report.Gate.Passed() {
			return heldError{fmt.Sprintf("the gate holds the %s of %s", s.name, domain)}
		}
		return err
	})
}

func (c *cli) printReport(r cutover.Report, execute, asJSON bool) error {
	if asJSON {
		return c.printJSON(r)
	}
	if len(r.Gate) > 0 {
		if err := writeTable(c.out, []string{"GATE", "PASSED", "EVIDENCE"}, gateRows(r.Domain, r.Gate)); err != nil {
			return err
		}
		fmt.Fprintln(c.out)
	}
	_, err := fmt.Fprintln(c.out, outcome(r, execute))
	return err
}

func gateRows(domain string, g cutover.Gate) (rows [][]string) {
	for _, l := range g {
		passed := yesNo(l.OK)
		evidence := l.Evidence + remediesText(l.Remedies, domain)
		if l.Waived != "" {
			passed, evidence = "waived", evidence+" (waived: "+l.Waived+")"
		} else if !l.OK && l.Waivable {
			evidence += " (can be waived)"
		}
		rows = append(rows, []string{l.Name, passed, evidence})
	}
	return rows
}

// outcome says in a sentence what became of a step.
func outcome(r cutover.Report, execute bool) string {
	move := fmt.Sprintf("%s: %s → %s", r.Domain, r.From, r.To)
	switch {
	case r.Done && r.PauseMS > 0:
		return fmt.Sprintf("%s done, writes were held back for %s, %d records drained, %d compared",
			move, milliseconds(r.PauseMS), r.Drained, r.Matched)
	case r.Done:
		return move + " done"
	case r.Problem != "" || execute || len(r.Gate) > 0 && !r.Gate.Passed():
		return move + " was not done"
	}
	return move + " was not done: add --execute to do it"
}

func (c *cli) setCommand() *cobra.Command {
	var shadow, rate, copyRate int
	var latency time.Duration
	cmd := &cobra.Command{
		Use:   "set <domain>",
		Short: "Change a domain's shadow reads, or the speed of its backfill or copier, while they run",
		Long: `Change a domain's shadow reads, or the speed of its backfill or copier, while they run.

Both slow down by themselves when the primary takes longer for a small read than
--max-latency, or than five times what is usual when that is 0. The backfill also does when
the copies of live writes are more than two seconds behind, but keeps a twentieth of its
time whatever happens; the copier only does while it keeps up with what is written.`,
		Example: "  amanat cutover set payment --shadow 50\n  amanat cutover set payment --rate 2000 --max-latency 40ms",
		Args:    arguments(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f := cmd.Flags()
			if f.NFlag() == 0 {
				return usage(cmd, "there is nothing to set: give --shadow, --rate, --copy-rate or --max-latency")
			}
			return c.changeSettings(cmd.Context(), args[0], func(s *cutover.Settings) {
				if f.Changed("shadow") {
					s.ShadowPercent = shadow
				}
				if f.Changed("rate") {
					s.BackfillRate = rate
				}
				if f.Changed("copy-rate") {
					s.CopyRate = copyRate
				}
				if f.Changed("max-latency") {
					s.MaxLatencyMS = int(latency.Milliseconds())
				}
			})
		},
	}
	cmd.Flags().IntVar(&shadow, "shadow", 0, "percent of reads that also run on the other database, 0 to 100")
	cmd.Flags().IntVar(&rate, "rate", 0, "records per second of the backfill over all workers; 0 sets no limit")
	cmd.Flags().IntVar(&copyRate, "copy-rate", 0, "records per second of the copier; 0 sets no limit")
	cmd.Flags().DurationVar(&latency, "max-latency", 0, "how long the primary may take for a small read before both slow down; 0 for five times the usual")
	return cmd
}

func (c *cli) pauseCommand(pause bool) *cobra.Command {
	name, short := "resume", "Let a domain's backfill and copier go on"
	if pause {
		name, short = "pause", "Hold a domain's backfill and copier until resume"
	}
	var only string
	cmd := &cobra.Command{
		Use:   name + " <domain>",
		Short: short,
		Long: short + `.

While the copier is held the journal grows, members notice nothing, and neither verify nor
switch nor rollback is possible.`,
		Example: "  amanat cutover " + name + " payment\n  amanat cutover " + name + " payment --only backfill",
		Args:    arguments(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if only != "" && only != "backfill" && only != "copier" {
				return usage(cmd, "--only %s: want backfill or copier", only)
			}
			return c.changeSettings(cmd.Context(), args[0], func(s *cutover.Settings) {
				if only != "copier" {
					s.Paused = pause
				}
				if only != "backfill" {
					s.CopyPaused = pause
				}
			})
		},
	}
	cmd.Flags().StringVar(&only, "only", "", "backfill or copier; both when not given")
	return cmd
}

func (c *cli) changeSettings(ctx context.Context, domain string, change func(*cutover.Settings)) error {
	return c.withEngineFromEnv(ctx, func(a *app) error {
		if err := a.knownDomain(domain); err != nil {
			return err
		}
		s, err := a.plane.Settings(ctx, domain)
		if err != nil {
			return err
		}
		change(&s)
		if err := a.plane.SetSettings(ctx, domain, s); err != nil {
			return err
		}
		_, err = fmt.Fprintf(c.out, "%s: %s\n", domain, settingsText(s))
		return err
	})
}

func settingsText(s cutover.Settings) string {
	latency := "5 × usual latency"
	if s.MaxLatencyMS > 0 {
		latency = "a latency of " + milliseconds(float64(s.MaxLatencyMS))
	}
	return fmt.Sprintf("shadow reads %d %%, backfill %s, copier %s, slower above %s",
		s.ShadowPercent, speedText(s.BackfillRate, s.Paused), speedText(s.CopyRate, s.CopyPaused), latency)
}

func speedText(rate int, paused bool) string {
	switch {
	case paused:
		return "paused"
	case rate > 0:
		return fmt.Sprintf("%d/s", rate)
	}
	return "no limit"
}

func (c *cli) withEngineFromEnv(ctx context.Context, do func(*app) error) error {
	conf, err := config.Read(c.environ, config.Command)
	if err != nil {
		return err
	}
	return c.withEngine(ctx, conf, do)
}

// ago returns how long ago t was; "-" for never.
func ago(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return time.Since(t).Round(time.Second).String()
}
