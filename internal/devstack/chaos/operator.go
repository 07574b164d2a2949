package chaos

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/amanat-dev/amanat/internal/devstack/await"
)

const (
	// moveTime is when a move counts as one that hangs, faults included: a
	// vanished process is waited for until its sessions have ended, and a lost one
	// holds a gate.
	moveTime = 3 * await.Hang
	// commandTime is when one command counts as one that hangs.
	commandTime = await.Hang
)

// status is what the command line says of a domain.
type status struct {
	Domain    string         `json:"domain"`
	Phase     string         `json:"phase"`
	Epoch     int64          `json:"epoch"`
	Sealed    bool           `json:"sealed"`
	Notes     int64          `json:"notes"`
	OpenGaps  int64          `json:"openGaps"`
	Strays    int            `json:"strays"`
	Problem   string         `json:"problem"`
	Backfill  []kindProgress `json:"backfill"`
	Processes []struct {
		ID    string           `json:"id"`
		Acks  map[string]int64 `json:"acks"`
		Alive bool             `json:"alive"`
	} `json:"processes"`
}

type kindProgress struct {
	Chunks int64 `json:"chunks"`
	Done   int64 `json:"done"`
}

func (w *world) status(ctx context.Context, domains ...string) (all []status, err error) {
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	return all, w.d.JSON(ctx, &all, append([]string{"cutover", "status"}, domains...)...)
}

// move is a stubborn operator: whatever goes wrong, the same commands are given
// again until the domain is where it shall be.
func (w *world) move(ctx context.Context, r Round) error {
	ctx, cancel := context.WithTimeout(ctx, moveTime)
	defer cancel()
	to := leadsTo[r.Action]
	for {
		done, err := w.moveOnce(ctx, r, to)
		if done {
			return err
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%s does not come to phase %s within %s: %w", r.Domain, to, moveTime, err)
		}
		w.say("      once more: %v", err)
		pause(ctx, time.Second)
	}
}

// moveOnce goes as far as it gets. done says that there is nothing left to try.
func (w *world) moveOnce(ctx context.Context, r Round, to string) (done bool, err error) {
	if err := w.passTime(ctx); err != nil {
		return false, err
	}
	now, err := w.status(ctx, r.Domain)
	if err != nil {
		return false, err
	}
	if now[0].Strays > 0 {
		return false, errors.Join(errStrays, w.mendStrays(ctx, now[0]))
	}
	if now[0].Phase != to {
		err = w.take(ctx, r)
	} else if now[0].Sealed {
		err = errors.New("it is sealed")
	}
	if err != nil {
		return errors.Is(err, errDifferences), err
	}
	if r.Action == "start" {
		if err := w.command(ctx, "backfill", r.Domain); err != nil {
			return false, err
		}
	}
	if to == "dual" || to == "mirror" {
		if err := w.verify(ctx, r.Domain); err != nil {
			return errors.Is(err, errDifferences), err
		}
	}
	return true, nil
}

// take takes the step itself. Shadow reads and a drill are for other tests.
func (w *world) take(ctx context.Context, r Round) error {
	args := []string{"cutover", r.Action, r.Domain, "--execute", "--why", "chaos"}
	if r.Action == "switch" || r.Action == "rollback" {
		if err := w.verify(ctx, r.Domain); err != nil {
			return err
		}
		args = append(args, "--budget", "5s", "--waive", "shadow=not of this test", "--waive", "way-back=not of this test")
	}
	return w.command(ctx, args...)
}

// errStrays has the operator look again.
var errStrays = errors.New("there were stray writes")

// errDifferences is what no fault excuses.
var errDifferences = errors.New("verify finds differences")

func (w *world) verify(ctx context.Context, domain string) error {
	err := w.command(ctx, "verify", domain)
	if !held(err) {
		return err
	}
	now, serr := w.status(ctx, domain)
	if serr != nil || now[0].Strays > 0 {
		return errors.Join(err, serr) // they differ, and are on record
	}
	return errors.Join(errDifferences, err)
}

func held(err error) bool {
	exit, ok := errors.AsType[*exec.ExitError](err)
	return ok && exit.ExitCode() == exitHeld
}

// mendStrays does what the command's help says about stray writes: a process
// that slept through a flip has made them, and never answered them.
func (w *world) mendStrays(ctx context.Context, s status) error {
	w.say("      %d stray writes in %s", s.Strays, s.Domain)
	if err := w.command(ctx, "verify", s.Domain, "--repair"); err != nil {
		return err
	}
	if err := w.command(ctx, "cutover", "strays", s.Domain, "--forget"); err != nil {
		return err
	}
	w.result.Strays += s.Strays
	return nil
}

// exitHeld is the status of a command whose answer is no.
const exitHeld = 3

// passTime has processes whose lease has run out be lost for longer than they
// are: a gate waits for half a minute in case they come back, and these do not.
func (w *world) passTime(ctx context.Context) error {
	return w.inPostgres(ctx, func(c *pgx.Conn) error {
		_, err := c.Exec(ctx, "UPDATE cutover_processes SET until = until - interval '1 minute' WHERE until BETWEEN now() - interval '1 minute' AND now()")
		return err
	})
}

func (w *world) inPostgres(ctx context.Context, do func(*pgx.Conn) error) error {
	c, err := pgx.Connect(ctx, w.pgURL())
	if err != nil {
		return err
	}
	defer c.Close(context.WithoutCancel(ctx))
	return do(c)
}

// command returns one command; its error has what it said.
func (w *world) command(ctx context.Context, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	var said bytes.Buffer
	if err := w.d.Run(ctx, &said, args...); err != nil {
		return fmt.Errorf("%v: %w: %s", args, err, tail(said.String()))
	}
	return nil
}

func tail(s string) string { return s[max(0, len(s)-1500):] }
