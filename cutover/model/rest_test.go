package model

import (
	"context"
	"fmt"
	"testing/synctest"
	"time"
)

// comeToRest ends all that went wrong, lets everything settle, and says what
// does not hold then; "" when all does.
func (w *world) comeToRest() string {
	s := w.sched
	s.mu.Lock()
	s.quiet = true
	s.note("", "", opQuiet, nil)
	clear(s.wires)
	for _, p := range w.all {
		p.frozen = false
	}
	for _, r := range s.pending {
		r.notStep, r.notBefore = 0, time.Time{}
	}
	s.mu.Unlock()
	if why := w.until("at rest", w.unrest); why != "" {
		return why
	}
	if why := w.everybodyWrites(); why != "" {
		return why
	}
	if why := w.until("at rest after the last writes", w.unrest); why != "" {
		return why
	}
	return w.sameAtLast()
}

const opQuiet = "* quiet: nothing goes wrong from here on"

const restTime = 150 * time.Second

// until goes on until unmet gives "", and returns what it says after restTime.
func (w *world) until(what string, unmet func() string) string {
	s := w.sched
	deadline := time.Now().Add(restTime)
	for {
		s.settle()
		if why := w.check(); why != "" {
			return why
		}
		s.mu.Lock()
		s.fire()
		idle := len(s.eligible()) == 0 && len(s.events) == 0
		s.mu.Unlock()
		synctest.Wait()
		if idle {
			why := unmet()
			if why == "" {
				return ""
			}
			if time.Now().After(deadline) {
				return fmt.Sprintf("not %s after %v: %s", what, restTime, why)
			}
		}
		s.turn(w)
	}
}

// unrest says what has yet to settle.
func (w *world) unrest() string {
	state := w.state()
	if state.Sealed {
		return "the domain is sealed"
	}
	if !w.isScripted() {
		return "a command is under way"
	}
	for _, p := range w.servers {
		if !p.running {
			return p.name + " does not serve"
		}
		if p.engine.State(domainName) != state {
			return p.name + " does not know the state"
		}
	}
	if !state.Phase.Copies() {
		return ""
	}
	primary, _ := w.databases(state)
	if n := w.allNotes(primary); len(n) > 0 {
		return fmt.Sprintf("%d notes are left", len(n))
	}
	return ""
}

// everybodyWrites has each server write each record once more.
func (w *world) everybodyWrites() string {
	failed, left := "", len(w.servers)
	for _, p := range w.servers {
		go func() {
			ctx := as(p.ctx, actorLast)
			for n := range legacy + 1 {
				key := keyOf(n + 1)
				if n+1 <= w.keys && !p.soon(ctx, func() bool { return p.append(ctx, key) && p.view(ctx, key) }) {
					w.mu.Lock()
					failed = fmt.Sprintf("%s cannot write or read %s", p.name, short(key.ID))
					w.mu.Unlock()
				}
			}
			w.mu.Lock()
			left--
			w.mu.Unlock()
			w.sched.wake()
		}()
	}
	return w.until("written by everybody", func() string {
		w.mu.Lock()
		defer w.mu.Unlock()
		if left > 0 {
			return "writes are under way"
		}
		return failed
	})
}

// soon tries for a few seconds.
func (p *process) soon(ctx context.Context, try func() bool) bool {
	for range 10 {
		if try() || p.isDead() {
			return true
		}
		p.sleep(ctx, time.Second)
	}
	return false
}

// sameAtLast says how the databases differ when all is quiet. Stray writes,
// which are on record, are repaired first as an operator would.
func (w *world) sameAtLast() string {
	state := w.state()
	if !w.mustBeAlike(state) || !state.Phase.Copies() {
		return ""
	}
	if n, _ := w.control.CountOpenGaps(context.Background(), domainName); n > 0 {
		return fmt.Sprintf("%d gaps are open", n)
	}
	_, secondary := w.databases(state)
	if len(w.allNotes(secondary)) > 0 {
		if why := w.repair(); why != "" {
			return why
		}
	}
	for n := 1; n <= w.keys; n++ {
		a, inSource := recordOf(w.source, keyOf(n))
		b, inTarget := recordOf(w.target, keyOf(n))
		if inSource != inTarget || inSource && (a.Log != b.Log || a.Rev != b.Rev) {
			return fmt.Sprintf("when all is quiet %s differs: source %s, target %s", short(keyOf(n).ID), describe(a), describe(b))
		}
	}
	return ""
}

func (w *world) repair() string {
	p := w.servers[0]
	var err error
	over := false
	go func() {
		why := w.carry(as(p.ctx, "repair"), p.engine, "repair")
		w.mu.Lock()
		err, over = why, true
		w.mu.Unlock()
		w.sched.wake()
	}()
	return w.until("repaired", func() string {
		w.mu.Lock()
		defer w.mu.Unlock()
		if !over {
			return "the repair is under way"
		}
		if err != nil {
			return err.Error()
		}
		return ""
	})
}
