package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/internal/config"
)

// dossier is what is signed: a domain's reports, the newest first. They are
// signed together, so that none can be left out.
type dossier struct {
	Domain  string           `json:"domain"`
	Reports []cutover.Report `json:"reports"`
}

func (c *cli) reportCommand() *cobra.Command {
	var asJSON bool
	var limit int
	var file, key string
	cmd := &cobra.Command{
		Use:   "report <domain>",
		Short: "Tell what was done to a domain, with the evidence, signed",
		Long: `Tell what was done to a domain: of each executed step the gate with its evidence,
epochs, records drained and compared, rows and checksums of the newest verify, the
pause, who and why. Steps that were not done are told too.

It is signed with the key in REPORT_KEY_FILE, which is made when it is not there
(see "amanat cutover key"). The signature is over the JSON form. With --check it
tells whether a file with that form is as it was signed, and by the owner of the
key given, or of the key in REPORT_KEY_FILE.

The exit status of a check is 3 when the report was changed or signed by another.`,
		Example: "  amanat cutover report payment\n  amanat cutover report payment --json > payment.json\n" +
			"  amanat cutover report --check payment.json --key \"$(cat public.key)\"",
		Args: arguments(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case file != "" && len(args) > 0:
				return usage(cmd, "a check is of a file: give no domain")
			case file != "":
				return c.checkReport(cmd, file, key)
			case len(args) == 0:
				return usage(cmd, "want report <domain>, or --check FILE")
			case key != "":
				return usage(cmd, "--key is for --check")
			}
			return c.report(cmd.Context(), args[0], limit, asJSON)
		},
	}
	f := cmd.Flags()
	f.IntVar(&limit, "limit", 20, "how many, the newest first")
	f.StringVar(&file, "check", "", "a file with a report in JSON, to be checked")
	f.StringVar(&key, "key", "", "the public key that must have signed it, as amanat cutover key prints it")
	jsonFlag(cmd, &asJSON)
	return cmd
}

func (c *cli) keyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "key",
		Short: "Print the public half of the key that signs reports, and make the key at first",
		Long: `Print the public half of the key that signs reports. The private half is in the
file REPORT_KEY_FILE, which is made at first, for its owner's eyes alone. Keep the
public half where whoever checks reports finds it.`,
		Example: "  amanat cutover key > public.key",
		Args:    arguments(0, 0),
		RunE: func(*cobra.Command, []string) error {
			conf, err := config.Read(c.environ, config.Alone)
			if err != nil {
				return err
			}
			key, made, err := reportKey(conf.ReportKeyFile)
			if err != nil {
				return err
			}
			c.tellOfKey(made, conf.ReportKeyFile)
			_, err = fmt.Fprintln(c.out, publicHalf(key))
			return err
		},
	}
}

func (c *cli) tellOfKey(made bool, path string) {
	if made {
		fmt.Fprintf(c.err, "made a key for reports: %s\n", path)
	}
}

func (c *cli) report(ctx context.Context, domain string, limit int, asJSON bool) error {
	return c.withEngineFromEnv(ctx, func(a *app) error {
		if err := a.knownDomain(domain); err != nil {
			return err
		}
		reports, err := a.engine.Reports(ctx, domain, limit)
		if err != nil {
			return err
		}
		key, made, err := reportKey(a.conf.ReportKeyFile)
		if err != nil {
			return err
		}
		c.tellOfKey(made, a.conf.ReportKeyFile)
		s, err := sign(key, dossier{domain, reports})
		if err != nil {
			return err
		}
		if asJSON {
			return c.printJSON(s)
		}
		return c.printReports(reports, s)
	})
}

func (c *cli) checkReport(cmd *cobra.Command, file, owner string) error {
	if owner = strings.TrimSpace(owner); owner == "" {
		var err error
		if owner, err = c.ownKey(cmd); err != nil {
			return err
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	s, err := parseSigned(text)
	if err == nil {
		err = s.check(owner)
	}
	if errors.Is(err, errOtherKey) {
		return heldError{fmt.Sprintf("%s: %v: %s", file, err, s.PublicKey)}
	}
	if err != nil {
		return heldError{fmt.Sprintf("%s: %v", file, err)}
	}
	_, err = fmt.Fprintf(c.out, "%s: ok, as signed with %s\n", file, owner)
	return err
}

// ownKey returns the public half of this machine's key. Without any key to hold a
// report against, a check would believe whoever signed it.
func (c *cli) ownKey(cmd *cobra.Command) (string, error) {
	conf, err := config.Read(c.environ, config.Alone)
	if err != nil {
		return "", err
	}
	key, err := readKey(conf.ReportKeyFile)
	if errors.Is(err, fs.ErrNotExist) {
		return "", usage(cmd, "say with --key who must have signed it: %s is not there", conf.ReportKeyFile)
	}
	if err != nil {
		return "", err
	}
	return publicHalf(key), nil
}

// printReports prints a list of all reports, each in full, and the signature.
func (c *cli) printReports(reports []cutover.Report, s signed) error {
	var rows [][]string
	for _, r := range reports {
		result := "done"
		if !r.Done {
			result = oneLine("not done: "+r.Problem, 60)
		}
		rows = append(rows, []string{moment(r.At), r.Action, string(r.From), string(r.To), number(r.Epoch), result,
			milliseconds(r.PauseMS), r.Who, oneLine(r.Why, 60)})
	}
	if err := c.printTable("Nothing was done yet.", []string{"AT", "STEP", "FROM", "TO", "EPOCH", "RESULT", "PAUSE", "WHO", "WHY"}, rows); err != nil {
		return err
	}
	for _, r := range reports {
		if err := c.printFull(r); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(c.out, "\nsigned with  %s\nsignature    %s\n(of the JSON form, which --check takes: --json)\n", s.PublicKey, s.Signature)
	return err
}

// printFull prints one report with its evidence.
func (c *cli) printFull(r cutover.Report) error {
	fmt.Fprintf(c.out, "\n%s  %s\n", moment(r.At), outcome(r, true))
	facts := [][]string{
		{"  step", r.Action}, {"  who", r.Who}, {"  why", oneLine(r.Why, 200)},
		{"  epochs", fmt.Sprintf("%d → %d", r.Before, r.Epoch)},
		{"  problem", oneLine(r.Problem, 200)}, {"  pause", pauseText(r)},
	}
	for _, l := range gateRows(r.Domain, r.Gate) {
		facts = append(facts, []string{"  gate: " + l[0], l[1] + "; " + l[2]})
	}
	for _, f := range append(facts, verifyFacts(r.Verify)...) {
		if f[1] == "" {
			continue
		}
		if _, err := fmt.Fprintf(c.out, "%-22s %s\n", f[0], f[1]); err != nil {
			return err
		}
	}
	return nil
}

// pauseText says where the pause went; "" for a step that holds nobody up.
func pauseText(r cutover.Report) string {
	if len(r.Steps) == 0 {
		return ""
	}
	var parts []string
	for _, s := range r.Steps {
		parts = append(parts, s.Name+" "+milliseconds(s.MS))
	}
	return fmt.Sprintf("%s (%s)", milliseconds(r.PauseMS), strings.Join(parts, ", "))
}

func verifyFacts(v *cutover.VerifyEvidence) [][]string {
	if v == nil {
		return nil
	}
	facts := [][]string{{"  verify", fmt.Sprintf("%s by %s, alike: %s", moment(v.At), v.Who, yesNo(v.OK))}}
	for _, k := range v.Kinds {
		facts = append(facts, []string{"  verify: " + k.Kind, fmt.Sprintf("%d rows %s in MongoDB, %d rows %s in PostgreSQL",
			k.Source, k.SourceSum, k.Target, k.TargetSum)})
	}
	return facts
}
