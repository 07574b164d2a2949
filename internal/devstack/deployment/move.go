package deployment

import (
	"bytes"
	"context"
	"fmt"
	"io"
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
	ShadowMin  int           // shadow reads that the gate asks for; at least 1
	Budget     time.Duration // longest pause; when zero the command's own default, and more when that does not do
	Audience   Audience
}

// Audience is told how a move goes on.
type Audience interface {
	io.Writer // gets all that the commands print
	// Typed is told of a command as it is typed.
	Typed(command string)
	// Waits is told what is waited for at present: what the command that runs
	// said last, or which lines of a gate still hold.
	Waits(what string)
	// Undone is told of a step that was not done, or undone, and is tried again.
	Undone(what, why string)
	// Said is told the last line that a command printed.
	Said(what, line string)
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
	return m.execute(ctx, action, ask)
}

// budgets are the pauses that are allowed, one after the other: the command's
// own default for a few tries, then more, for a machine that has much else to
// do, the last one as often as it takes. A step that would overrun its budget is
// undone, which is no failure.
var budgets = []time.Duration{0, 0, time.Second, time.Second, 5 * time.Second}

// maxTries is when a step counts as one that cannot be done.
const maxTries = 25

func (m *Move) execute(ctx context.Context, action string, ask []string) (Turn, error) {
	t := Turn{Domain: m.Domain, Action: action}
	for {
		args := append(slices.Clone(ask), "--execute", "--why", "the gate is open")
		if budget := max(m.Budget, budgets[min(t.Tries, len(budgets)-1)]); budget > 0 {
			args = append(args, "--budget", budget.String())
		}
		t.Tries++
		err := m.command(ctx, action, args...)
		if err == nil {
			t.PauseMS, err = m.pauseOf(ctx, action)
			return t, err
		}
		if t.Tries == maxTries || ctx.Err() != nil {
			return t, err
		}
		m.Audience.Undone(action, err.Error())
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

// command tells of a command and runs it.
func (m *Move) command(ctx context.Context, what string, args ...string) error {
	m.Audience.Typed("amanat " + quoted(args))
	out := &listener{m: m, what: what}
	if err := m.Deployment.Run(ctx, out, args...); err != nil {
		return fmt.Errorf("%s of %s: %w: %s", what, m.Domain, err, out.last)
	}
	m.Audience.Said(what, out.last)
	return nil
}

// listener passes on what a command prints, and keeps its last line.
type listener struct {
	m    *Move
	what string
	rest []byte
	last string
}

func (l *listener) Write(p []byte) (int, error) {
	l.rest = append(l.rest, p...)
	for {
		line, rest, whole := bytes.Cut(l.rest, []byte("\n"))
		if !whole {
			return l.m.Audience.Write(p)
		}
		l.rest = rest
		if text := strings.TrimPrefix(strings.TrimSpace(string(line)), l.m.Domain+": "); text != "" {
			l.last = text
			l.m.Audience.Waits(l.what + ": " + text)
		}
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
