package chaos

import (
	"context"
	"errors"
	"time"

	"github.com/amanat-dev/amanat/internal/devstack/await"
	"github.com/amanat-dev/amanat/internal/devstack/link"
)

// hitWithin is how long after a move its fault may still be met, by what goes
// on all the time: writes and copies.
const hitWithin = 10 * time.Second

// befall has a fault happen while a move is made, and undoes it. moved is
// closed when the move is over.
func (w *world) befall(ctx context.Context, f Fault, moved <-chan struct{}) error {
	switch f.Kind {
	case KillAt, FreezeAt, VanishAt:
		return w.atStep(ctx, f, moved)
	}
	pause(ctx, f.After)
	switch f.Kind {
	case Kill:
		return errors.Join(w.d.Kill(w.d.PID(f.Who)), w.revive(ctx, f.For))
	case Freeze:
		return errors.Join(w.d.Halt(w.d.PID(f.Who)), w.revive(ctx, f.For))
	case KillMongo:
		return w.restart(ctx, f, w.stack.Mongo)
	case KillPostgres:
		return w.restart(ctx, f, w.stack.Postgres)
	}
	return w.disturb(ctx, f)
}

// revive waits, and then has stopped servers go on and starts ended ones. One
// may not start because a database is not back yet: it is tried again.
func (w *world) revive(ctx context.Context, after time.Duration) error {
	pause(ctx, after)
	var last error
	err := await.Until(ctx, "the servers to start again", time.Second, func() (bool, string, error) {
		last = w.d.Revive(ctx)
		return last == nil, "", nil
	})
	if err != nil {
		return errors.Join(err, last)
	}
	return nil
}

// server is a database server that can be killed.
type server interface {
	Kill() error
	Restart(context.Context) error
}

func (w *world) restart(ctx context.Context, f Fault, s server) error {
	if err := s.Kill(); err != nil {
		return err
	}
	pause(ctx, f.For)
	return errors.Join(s.Restart(ctx), w.revive(ctx, 0))
}

// disturb cuts, slows or silences links for a while.
func (w *world) disturb(ctx context.Context, f Fault) error {
	all := w.linksOf(f)
	var errs []error
	for _, l := range all {
		switch f.Kind {
		case Cut:
			l.Cut()
		case Slow:
			errs = append(errs, l.Slow(150*time.Millisecond))
		case Silence:
			errs = append(errs, l.Silence())
		}
	}
	pause(ctx, f.For)
	for _, l := range all {
		errs = append(errs, l.Heal())
	}
	return errors.Join(append(errs, w.revive(ctx, 0))...)
}

func (w *world) linksOf(f Fault) []*link.Link {
	var out []*link.Link
	for process, l := range w.network.all() {
		switch {
		case f.Who != Everybody && f.Who != process:
		case f.Mongo:
			out = append(out, l.mongo)
		default:
			out = append(out, l.postgres)
		}
	}
	return out
}

// atStep orders a process to stop or end at a step, and waits for it.
func (w *world) atStep(ctx context.Context, f Fault, moved <-chan struct{}) error {
	signal := "STOP"
	if f.Kind == KillAt {
		signal = "KILL"
	}
	if err := w.orders().Give(f.Step, signal); err != nil {
		return err
	}
	pid, err := w.awaitHit(ctx, moved)
	if err != nil || pid == 0 {
		return err
	}
	w.result.Hits[f.Step]++
	if f.Kind == VanishAt {
		if err := w.vanish(pid); err != nil {
			return err
		}
	}
	pause(ctx, f.For)
	if f.Kind == FreezeAt {
		if err := w.d.Continue(pid); err != nil {
			return err
		}
	}
	return w.revive(ctx, 0)
}

// awaitHit returns the id of the process that has carried the order out. When
// the move is over and nobody has for a while, the order is taken back, and
// it returns 0.
func (w *world) awaitHit(ctx context.Context, moved <-chan struct{}) (pid int, err error) {
	var patience <-chan time.Time
	for {
		if pid, err := w.orders().Done(); err != nil || pid > 0 {
			return pid, err
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-moved:
			moved, patience = nil, time.After(hitWithin)
		case <-patience:
			w.orders().Withdraw()
			return w.orders().Done()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// vanish ends a stopped process behind silent links.
func (w *world) vanish(pid int) error {
	process, known := w.d.ProcessOf(pid)
	if !known {
		return nil // a command that was ended meanwhile
	}
	return errors.Join(w.network.lose(process), w.d.Kill(pid))
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
