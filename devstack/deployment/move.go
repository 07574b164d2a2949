package deployment

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// Domains that move, in the order in which they do.
var Domains = []string{"user", "marketplace", "payment"}

// Move takes one domain from MongoDB to PostgreSQL, back, and over again, with
// the commands that an operator would type.
type Move struct {
	Deployment *Deployment
	Domain     string
	Out        io.Writer     // of the commands
	ShadowMin  int           // shadow reads that the gate asks for; at least 1
	Budget     time.Duration // longest pause; when zero the command's own default, and more when that does not do
	// Say is told what comes next. May be nil.
	Say func(format string, args ...any)
}

// Turn is a switch or rollback that was done.
type Turn struct {
	Domain, Action string
	PauseMS        float64
	Tries          int // how often it took; one that overruns its budget is undone
}

// Run goes there, back, and there again: dual, mirror, dual, mirror.
func (m *Move) Run(ctx context.Context) ([]Turn, error) {
	if err := m.Begin(ctx); err != nil {
		return nil, err
	}
	return m.Turns(ctx)
}

// Begin starts the move and copies what was there before: to phase dual.
func (m *Move) Begin(ctx context.Context) error {
	if err := m.command(ctx, "start", "cutover", "start", m.Domain, "--execute", "--why", "moving to PostgreSQL"); err != nil {
		return err
	}
	if err := m.command(ctx, "backfill", "backfill", m.Domain); err != nil {
		return err
	}
	return m.command(ctx, "settings", "cutover", "set", m.Domain, "--shadow", "100")
}

// Turns goes on from Begin: mirror, dual, mirror.
func (m *Move) Turns(ctx context.Context) ([]Turn, error) {
	var turns []Turn
	for i, action := range []string{"switch", "rollback", "switch"} {
		t, err := m.turn(ctx, action, i == 0)
		if err != nil {
			return turns, err
		}
		turns = append(turns, t)
	}
	return turns, nil
}

// Finish ends the move; nothing leads back from there.
func (m *Move) Finish(ctx context.Context) error {
	return m.command(ctx, "finish", "cutover", "finish", m.Domain, "--execute", "--why", "the move is over")
}

// turn goes through everything that a switch or rollback asks for, and does it.
func (m *Move) turn(ctx context.Context, action string, first bool) (Turn, error) {
	if err := m.command(ctx, "verify", "verify", m.Domain); err != nil {
		return Turn{}, err
	}
	ask := []string{"cutover", action, m.Domain, "--shadow-min", fmt.Sprint(m.ShadowMin)}
	if first { // before any rollback, a drill shows that there is a way back
		if err := m.command(ctx, "drill", "cutover", "drill", m.Domain); err != nil {
			return Turn{}, err
		}
	}
	if err := m.awaitGate(ctx, ask); err != nil {
		return Turn{}, err
	}
	if first { // the gate as an operator sees it; the step below shows it as well
		if err := m.command(ctx, "gate", ask...); err != nil && !gateHolds(err) {
			return Turn{}, err
		}
	}
	return m.execute(ctx, action, ask)
}

// budgets are the pauses that are allowed, one after the other: the command's
// own default for a few tries, then more, for a machine that has much else to
// do. A step that would overrun its budget is undone, which is no failure.
var budgets = []time.Duration{0, 0, 0, 0, 0, time.Second, time.Second, 5 * time.Second, 5 * time.Second, 5 * time.Second}

func (m *Move) execute(ctx context.Context, action string, ask []string) (Turn, error) {
	t := Turn{Domain: m.Domain, Action: action}
	for {
		args := append(slices.Clone(ask), "--execute", "--why", "the gate is open")
		if budget := max(m.Budget, budgets[t.Tries]); budget > 0 {
			args = append(args, "--budget", budget.String())
		}
		t.Tries++
		err := m.command(ctx, action, args...)
		if err == nil {
			t.PauseMS, err = m.pauseOf(ctx, action)
			return t, err
		}
		if t.Tries == len(budgets) || ctx.Err() != nil {
			return t, err
		}
		m.say("the %s was not done, and %s goes on as before: once more", action, m.Domain)
		if err := m.awaitGate(ctx, ask); err != nil {
			return t, err
		}
	}
}

// pauseOf reads the pause in the record that the step just done has left.
func (m *Move) pauseOf(ctx context.Context, action string) (ms float64, err error) {
	var signed struct {
		Report struct {
			Reports []struct {
				Action  string  `json:"action"`
				Done    bool    `json:"done"`
				PauseMS float64 `json:"pauseMs"`
			} `json:"reports"`
		} `json:"report"`
	}
	if err := m.Deployment.JSON(ctx, &signed, "cutover", "report", m.Domain); err != nil {
		return 0, err
	}
	reports := signed.Report.Reports
	if len(reports) == 0 || reports[0].Action != action || !reports[0].Done {
		return 0, fmt.Errorf("the newest report of %s is not of the %s just done: %+v", m.Domain, action, reports)
	}
	return reports[0].PauseMS, nil
}

// gateLine is a condition of a step as the command line prints it.
type gateLine struct {
	Name     string `json:"name"`
	OK       bool   `json:"ok"`
	Evidence string `json:"evidence"`
	Waived   string `json:"waived"`
}

// gateTime is how long time and traffic have to open a gate.
const gateTime = 3 * time.Minute

// awaitGate waits until shadow reads have seen enough, and the lag is low: the
// lines that time and traffic bring about.
func (m *Move) awaitGate(ctx context.Context, ask []string) error {
	m.say("waiting for the gate: shadow reads of every query, a short lag")
	deadline := time.Now().Add(gateTime)
	for {
		var report struct {
			Gate []gateLine `json:"gate"`
		}
		err := m.Deployment.JSON(ctx, &report, ask...)
		held, broken := held(report.Gate)
		switch {
		case len(report.Gate) > 0 && held == "":
			return nil
		case broken != "" || !gateHolds(err):
			return errors.Join(fmt.Errorf("the gate of %s: %s", m.Domain, held), err)
		case time.Now().After(deadline):
			return fmt.Errorf("the gate of %s does not open: %s", m.Domain, held)
		}
		pause(ctx, time.Second)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// held names the lines that hold the step, and those among them that waiting
// does not mend: differences.
func held(gate []gateLine) (all, broken string) {
	for _, l := range gate {
		if l.OK || l.Waived != "" || l.Name == "rehearsal" {
			continue // a rehearsal that took too long comes again with the step
		}
		all += l.Name + ": " + l.Evidence + "; "
		if l.Name == "shadow" && !strings.Contains(l.Evidence, " 0 diffs") || l.Name == "verify" {
			broken += l.Name
		}
	}
	return strings.TrimSuffix(all, "; "), broken
}

// gateHolds says that a command ended because of the gate, or not at all in
// error.
func gateHolds(err error) bool {
	exit, ok := errors.AsType[*exec.ExitError](err)
	return err == nil || ok && exit.ExitCode() == 3
}

// command says what it does and runs it.
func (m *Move) command(ctx context.Context, what string, args ...string) error {
	m.say("$ amanat %s", quoted(args))
	if err := m.Deployment.Run(ctx, m.Out, args...); err != nil {
		return fmt.Errorf("%s of %s: %w", what, m.Domain, err)
	}
	return nil
}

func (m *Move) say(format string, args ...any) {
	if m.Say != nil {
		m.Say(format, args...)
	}
}

// quoted writes arguments the way they would be typed.
func quoted(args []string) string {
	out := make([]string, len(args))
	for i, a := range args {
		out[i] = a
		if strings.ContainsAny(a, " =") {
			out[i] = "'" + a + "'"
		}
	}
	return strings.Join(out, " ")
}

// AwaitCopied waits until every domain's journal is empty.
func (d *Deployment) AwaitCopied(ctx context.Context) error {
	deadline := time.Now().Add(time.Minute)
	for {
		notes, err := d.notes(ctx)
		if err != nil || notes == 0 {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d notes are left in the journals after a minute", notes)
		}
		pause(ctx, 300*time.Millisecond)
	}
}

func (d *Deployment) notes(ctx context.Context) (int64, error) {
	var all []struct {
		Notes   int64  `json:"notes"`
		Problem string `json:"problem"`
	}
	if err := d.JSON(ctx, &all, "cutover", "status"); err != nil {
		return 0, err
	}
	var sum int64
	for _, s := range all {
		if s.Problem != "" {
			return 0, errors.New(s.Problem)
		}
		sum += s.Notes
	}
	return sum, ctx.Err()
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
