package main

import (
	"context"
	"errors"
	"os/exec"
	"sync"
	"time"
)

// Switches and rollbacks under load: two servers, writers that pause a little
// between two writes.
const (
	switchWriters = 2                     // of each server
	switchEvery   = 20 * time.Millisecond // between two writes of one writer
	switchGroups  = 3
	switchSteps   = 8 // of a group: switch, rollback, switch …
)

// switches is what came of them, one sample for each group.
type switches struct {
	waits  samples // p99, in milliseconds, of the writes that were under way during a step
	failed samples // writes that were not answered with success
}

func switchPause(ctx context.Context, e *env) (samples, error) {
	s, err := e.switched(ctx)
	if err != nil {
		return nil, err
	}
	return s.waits, nil
}

func switchFailed(ctx context.Context, e *env) (samples, error) {
	s, err := e.switched(ctx)
	if err != nil {
		return nil, err
	}
	return s.failed, nil
}

// switched switches when it is first asked for.
func (e *env) switched(ctx context.Context) (*switches, error) {
	if e.switches != nil {
		return e.switches, nil
	}
	l, err := e.live(ctx)
	if err != nil {
		return nil, err
	}
	if err := l.toDual(ctx); err != nil {
		return nil, err
	}
	var s switches
	for range e.times(switchGroups) {
		if err := l.group(ctx, &s); err != nil {
			return nil, err
		}
	}
	e.switches = &s
	return e.switches, nil
}

// group takes steps under load, and adds what it came to.
func (l *live) group(ctx context.Context, s *switches) error {
	steps := switchSteps
	if l.e.small {
		steps = 2
	}
	w := l.write(ctx)
	var err error
	for i := 0; i < steps && err == nil; i++ {
		err = l.turn(ctx, w, []string{"switch", "rollback"}[i%2])
	}
	w.end()
	if err != nil {
		return err
	}
	ms := func(q float64) float64 { return float64(quantile(w.during, q)) / 1e6 }
	l.e.say("%d steps, %d writes during them: p50 %.0f ms, p99 %.0f ms, longest %.0f ms; %d of all %d failed", steps, len(w.during),
		ms(0.5), ms(0.99), ms(1), w.failed, w.all)
	if w.why != nil {
		l.e.say("the first failure: %v", w.why)
	}
	s.waits, s.failed = append(s.waits, ms(0.99)), append(s.failed, float64(w.failed))
	return nil
}

// gateTime is how long the copies may take to catch up before a step.
const gateTime = 2 * time.Minute

// turn takes one step, as soon as its gate lets it. What the gate asks for beyond
// short lags is left out: it takes long, and nobody waits for it.
func (l *live) turn(ctx context.Context, w *writes, action string) error {
	const reason = "=the pause alone is of interest"
	for deadline := time.Now().Add(gateTime); ; {
		w.watch()
		err := l.step(ctx, action, "--budget", "10s", "--shadow-min", "1",
			"--waive", "verify"+reason, "--waive", "shadow"+reason, "--waive", "way-back"+reason)
		w.watched(err == nil)
		exit, ok := errors.AsType[*exec.ExitError](err)
		if held := ok && exit.ExitCode() == 3; !held || time.Now().After(deadline) {
			return err
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// writes are those of all writers.
type writes struct {
	stop    context.CancelFunc
	writers sync.WaitGroup

	mu       sync.Mutex
	watching bool
	seen     []int64 // nanoseconds of each write that ended while watching
	during   []int64 // those of the steps that were taken
	all      int
	failed   int
	why      error // the first failure
}

// write has writers write until the end.
func (l *live) write(ctx context.Context) *writes {
	ctx, stop := context.WithCancel(ctx)
	w := &writes{stop: stop}
	for _, server := range l.servers {
		for range switchWriters {
			w.writers.Go(func() {
				for ctx.Err() == nil {
					began := time.Now()
					_, err := server.ask(context.WithoutCancel(ctx), l.post())
					w.add(time.Since(began), err)
					time.Sleep(switchEvery)
				}
			})
		}
	}
	return w
}

func (w *writes) add(took time.Duration, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all++
	if err != nil {
		w.failed++
		if w.why == nil {
			w.why = err
		}
		return
	}
	if w.watching {
		w.seen = append(w.seen, took.Nanoseconds())
	}
}

func (w *writes) watch() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.watching, w.seen = true, nil
}

// watched ends a watch; what was seen counts when the step was taken.
func (w *writes) watched(taken bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.watching = false
	if taken {
		w.during = append(w.during, w.seen...)
	}
}

// end waits for the last writes.
func (w *writes) end() {
	w.stop()
	w.writers.Wait()
}
