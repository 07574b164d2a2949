package cutover

import (
	"context"
	"time"
)

// Run takes part in the moves of all domains until Close: it keeps this
// process's lease, follows state changes, copies where it leads, and counts
// shadow reads. Call it once, after Open. A process that only gives commands
// does not call it.
func (e *Engine) Run(ctx context.Context) {
	ctx, e.stop = context.WithCancel(ctx)
	e.running.Store(true)
	e.goDo(func() { e.recoverInTurn(ctx) })
	if e.opts.Control == nil {
		e.goDo(func() { e.watchMirror(ctx) })
		return
	}
	e.renew(ctx, true)
	e.goDo(func() { e.agent(ctx) })
	e.goDo(func() { e.opts.Control.Watch(ctx, e.wakeAgent, e.heard) })
	e.goDo(func() { e.spread(ctx) })
	e.goDo(func() { e.lead(ctx) })
	e.goDo(func() { e.pool.run(ctx) })
	e.goDo(func() { e.flushShadows(ctx) })
	for _, c := range e.moving() {
		e.goDo(func() { c.copies.forgetTombstones(ctx) })
		e.goDo(func() { c.states.mendSeals(ctx) })
	}
}

// moving returns the domains that have both databases.
func (e *Engine) moving() (out []*domainCore) {
	for _, name := range e.order {
		if c := e.domains[name]; c.source != nil && c.target != nil {
			out = append(out, c)
		}
	}
	return out
}

// Close stops what Run started and gives up the lease. Call it when no
// Update is in flight any more.
func (e *Engine) Close(ctx context.Context) error {
	if e.stop == nil {
		return nil
	}
	e.stop()
	e.done.Wait()
	if e.opts.Control == nil {
		return nil
	}
	e.lease.Store(nil) // nobody waits for this process from here on
	return e.opts.Control.Leave(ctx, e.opts.Process.ID)
}

// watchMirror is the agent of a process without a control plane: when others,
// which have one, change the state kept in the source, this process stops
// serving the domain, since it can neither leave notes nor be waited for.
func (e *Engine) watchMirror(ctx context.Context) {
	for ctx.Err() == nil {
		pause(ctx, time.Second)
		for name, kept := range e.mirrored(ctx) {
			c := e.domains[name]
			if kept.Epoch <= max(1, c.local.current().Epoch) {
				continue
			}
			e.log.Error("others are moving this domain, and this process was given no control plane: it serves the domain no more", "domain", name)
			c.local.setState(State{Domain: name, Phase: PhaseTarget, Epoch: kept.Epoch, Sealed: true})
		}
	}
}

// mirrored reads the domains' mirrors, those of one place with one question. What
// cannot be read is left out.
func (e *Engine) mirrored(ctx context.Context) map[string]State {
	out := map[string]State{}
	places := map[any]map[string]State{}
	for _, name := range e.order {
		c := e.domains[name]
		shared, ok := c.source.(SharedMirror)
		switch {
		case ok && places[shared.Place()] == nil:
			places[shared.Place()] = readShared(ctx, shared)
			fallthrough
		case ok:
			out[name] = places[shared.Place()][name]
		case c.mirror.present():
			if kept, err := c.mirror.read(ctx); err == nil {
				out[name] = kept
			}
		}
	}
	return out
}

// readShared returns what a place keeps; nothing when it does not answer.
func readShared(ctx context.Context, m SharedMirror) map[string]State {
	ctx, cancel := context.WithTimeout(ctx, mirrorTime)
	defer cancel()
	states, err := m.ReadStates(ctx)
	if err != nil || states == nil {
		return map[string]State{}
	}
	return states
}

func (e *Engine) goDo(do func()) {
	e.done.Add(1)
	go func() {
		defer e.done.Done()
		do()
	}()
}

func (e *Engine) wakeAgent() { wake(e.poke) }

// learnEvery is how many renewals of the lease come to one reading of states and
// settings where nobody says that one has changed.
const learnEvery = 5

// agent renews the lease, and looks at the control plane whenever something
// may have changed.
func (e *Engine) agent(ctx context.Context) {
	tick := time.NewTicker(e.opts.LeaseTTL / 5)
	defer tick.Stop()
	woken := true
	for n := 0; ; n++ {
		learn := woken || n%learnEvery == 0
		e.renew(ctx, learn)
		if learn {
			e.reloadSettings(ctx)
		}
		if e.stirred.Swap(false) || learn {
			e.lookFilled(ctx)
		}
		select {
		case <-ctx.Done():
			return
		case <-e.poke:
			woken = true
			discard(tick.C) // the look that follows will do for both
		case <-tick.C:
			woken = discard(e.poke)
		}
	}
}

// discard takes away what waits in a channel of one, and says whether something
// did.
func discard[T any](c <-chan T) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// renew acknowledges the states and renews the lease; with learn it reads them
// before.
//
// While the old lease holds, nobody can have gone on without this process. Once
// it has run out somebody may have: a process that was frozen, or has just
// started, and renewed its lease on what it knew before would answer writes to
// a database that is no longer primary. So a lease that does not continue an
// old one counts only when the states were read after it was there.
func (e *Engine) renew(ctx context.Context, learn bool) {
	if learn {
		if err := e.reload(ctx); err != nil && ctx.Err() == nil {
			e.log.Warn("the control plane does not answer", "error", err)
		}
	}
	if ctx.Err() != nil {
		return
	}
	until, ok := e.beat(ctx)
	if !ok {
		return
	}
	term := e.leaseTerm()
	if term == 0 {
		if err := e.reload(ctx); err != nil {
			return
		}
		e.terms++
		term = e.terms
	}
	e.lease.Store(&lease{until, term})
}

// lease lets this process answer on what it knows. Leases that continue each
// other without a break are of one term.
type lease struct {
	until time.Time // on the monotonic clock
	term  int64
}

// reload takes over the recorded states.
func (e *Engine) reload(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, e.opts.LeaseTTL)
	defer cancel()
	states, err := e.opts.Control.States(ctx)
	if err != nil {
		return err
	}
	for _, name := range e.order {
		if s, ok := states[name]; ok {
			e.domains[name].local.setState(s)
		}
	}
	return nil
}

// reloadSettings takes over the settings; after the acknowledgement, for which a
// switch may be waiting.
func (e *Engine) reloadSettings(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, e.opts.LeaseTTL/5)
	defer cancel()
	all, err := e.opts.Control.AllSettings(ctx)
	if err != nil {
		return // the next time will do
	}
	for _, name := range e.order {
		settings, set := all[name]
		if !set {
			settings = DefaultSettings
		}
		if c := e.domains[name]; c.local.setSettings(settings) {
			wake(c.copies.wrote) // they may hold the copier, or let it go
		}
	}
}

// lookFilled has one domain at a time look whether its backfill is complete,
// so that shadow reads have something to compare with: each in its turn, so that
// many domains ask no more than one.
func (e *Engine) lookFilled(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, e.opts.LeaseTTL/5)
	defer cancel()
	for range e.order {
		c := e.domains[e.order[e.filling%len(e.order)]]
		e.filling++
		if asked, err := c.shadows.lookFilled(ctx); asked || err != nil {
			return // the next time will do
		}
	}
}

// beat asks for a lease and acknowledges the epochs on which this process
// works. It returns the lease's end, which counts from before the request. A
// request that was begun is not cut off by Close: it could arrive after the
// process has left, and leave it on record as lost.
func (e *Engine) beat(ctx context.Context) (until time.Time, ok bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.opts.LeaseTTL)
	defer cancel()
	p := e.opts.Process
	p.Acks = map[string]int64{}
	for _, name := range e.order {
		p.Acks[name] = e.domains[name].local.acknowledged()
	}
	before := time.Now()
	if err := e.opts.Control.Beat(ctx, p, e.opts.LeaseTTL); err != nil {
		if ctx.Err() == nil {
			e.log.Warn("the lease was not renewed", "error", err)
		}
		return time.Time{}, false
	}
	// A tenth less than the control plane grants, for clocks that run unlike.
	return before.Add(e.opts.LeaseTTL - e.opts.LeaseTTL/10), true
}

// leaseTerm returns the term of the lease that holds, 0 when none does. As long
// as it stays the same no coordinator can have gone on without this process.
// The monotonic clock stands still while a machine sleeps, the wall clock may
// be set back: each must agree.
func (e *Engine) leaseTerm() int64 {
	l := e.lease.Load()
	now := time.Now()
	if l == nil || !now.Before(l.until) || !now.Round(0).Before(l.until.Round(0)) {
		return 0
	}
	return l.term
}
