package cutover

import (
	"context"
	"sync"
	"time"

	"github.com/amanat-dev/amanat/cutover/fault"
)

// Run takes part in the moves of all domains until Close: it keeps this
// process's lease, follows state changes, copies where it leads, and counts
// shadow reads. Call it once, after Open. A process that only gives commands
// does not call it.
func (e *Engine) Run(ctx context.Context) {
	ctx, e.stop = context.WithCancel(ctx)
	for _, name := range e.order {
		c := e.domains[name]
		for _, store := range []Store{c.source, c.target} {
			if r, ok := store.(Recoverer); ok {
				e.goDo(func() { c.recover(ctx, r) })
			}
		}
	}
	if e.opts.Control == nil {
		e.goDo(func() { e.watchMirror(ctx) })
		return
	}
	e.renew(ctx)
	e.goDo(func() { e.agent(ctx) })
	e.goDo(func() { e.opts.Control.Watch(ctx, e.wakeAgent) })
	e.goDo(func() { e.pool.run(ctx) })
	e.goDo(func() { e.flushShadows(ctx) })
	moving := e.moving()
	if len(moving) > 0 {
		e.goDo(func() { e.lead(ctx, moving) })
	}
	for _, c := range moving {
		e.goDo(func() { c.copies.forgetTombstones(ctx) })
		e.goDo(func() { c.states.mendSeals(ctx) })
	}
}

// moving gives the domains that have both databases.
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
		for _, name := range e.order {
			c := e.domains[name]
			if !c.mirror.present() {
				continue
			}
			kept, err := c.mirror.read(ctx)
			if err != nil || kept.Epoch <= max(1, c.local.current().Epoch) {
				continue
			}
			e.log.Error("others are moving this domain, and this process was given no control plane: it serves the domain no more", "domain", name)
			c.local.setState(State{Domain: name, Phase: PhaseTarget, Epoch: kept.Epoch, Sealed: true})
		}
	}
}

// recoverEvery is how often a process looks for what dead writers left.
const recoverEvery = 5 * time.Second

// recover clears away what dead writers left, in every process that serves the
// domain and in every phase: neither a copier nor a writer that meets it may
// come by. A database that is away has its turn when it is back.
func (c *base) recover(ctx context.Context, r Recoverer) {
	for ctx.Err() == nil {
		err := r.Recover(ctx)
		if err != nil && ctx.Err() == nil && !fault.Is(err, fault.Unavailable) {
			c.engine.log.Warn("what dead writers left was not cleared away", "domain", c.name, "error", err)
		}
		pause(ctx, recoverEvery)
	}
}

func (e *Engine) goDo(do func()) {
	e.done.Add(1)
	go func() {
		defer e.done.Done()
		do()
	}()
}

func (e *Engine) wakeAgent() {
	select {
	case e.poke <- struct{}{}:
	default:
	}
}

// agent renews the lease, and looks at the control plane whenever something
// may have changed.
func (e *Engine) agent(ctx context.Context) {
	tick := time.NewTicker(e.opts.LeaseTTL / 5)
	defer tick.Stop()
	for {
		e.renew(ctx)
		e.reloadSettings(ctx)
		select {
		case <-ctx.Done():
			return
		case <-e.poke:
		case <-tick.C:
		}
		discard(e.poke) // the look that follows will do for both
		discard(tick.C)
	}
}

// discard takes away what waits in a channel of one.
func discard[T any](c <-chan T) {
	select {
	case <-c:
	default:
	}
}

// renew learns the states, acknowledges them and renews the lease.
//
// While the old lease holds, nobody can have gone on without this process. Once
// it has run out somebody may have: a process that was frozen, or has just
// started, and renewed its lease on what it knew before would answer writes to
// a database that is no longer primary. So a lease that does not continue an
// old one counts only when the states were read after it was there.
func (e *Engine) renew(ctx context.Context) {
	if err := e.reload(ctx); err != nil && ctx.Err() == nil {
		e.log.Warn("the control plane does not answer", "error", err)
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

// reloadSettings takes over the settings, and looks whether shadow reads have
// something to compare with; after the acknowledgement, for which a switch may
// be waiting.
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
		e.domains[name].local.setSettings(settings)
	}
	e.lookFilled(ctx)
}

// lookFilled has one domain at a time look whether its backfill is complete,
// each in its turn, so that many domains ask no more than one.
func (e *Engine) lookFilled(ctx context.Context) {
	for range e.order {
		c := e.domains[e.order[e.filling%len(e.order)]]
		e.filling++
		if asked, err := c.shadows.lookFilled(ctx); asked || err != nil {
			return // the next time will do
		}
	}
}

// beat asks for a lease and acknowledges the epochs on which this process
// works. It gives the lease's end, which counts from before the request. A
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

// leaseTerm gives the term of the lease that holds, 0 when none does. As long
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

// lead copies for all domains while this process leads those that copy, and
// tries to become their leader every second otherwise.
func (e *Engine) lead(ctx context.Context, domains []*domainCore) {
	for ctx.Err() == nil {
		_, err := e.opts.Control.Lead(ctx, copierRole, func(ctx context.Context) error { return copyAll(ctx, domains) })
		if err != nil && ctx.Err() == nil && !fault.Is(err, fault.Unavailable) {
			e.log.Warn("stopped leading", "role", copierRole, "error", err)
		}
		pause(ctx, time.Second)
	}
}

// Lead runs do while this process alone, of all that have the same control
// plane, holds a role of the application's, and returns false when another one
// holds it. do's context ends when the role may have been lost; do may outlive
// it by seconds, so what it does must be right when it is done twice. Without a
// control plane every process has every role. Errors: what do returns;
// fault.Unavailable when the control plane is away.
func (e *Engine) Lead(ctx context.Context, role string, do func(context.Context) error) (bool, error) {
	if e.opts.Control == nil {
		return true, do(ctx)
	}
	return e.opts.Control.Lead(ctx, "application:"+role, do)
}

// copyAll copies for each domain by itself, so that a slow one holds up no
// other, until ctx ends.
func copyAll(ctx context.Context, domains []*domainCore) error {
	var copiers sync.WaitGroup
	for _, c := range domains {
		copiers.Go(func() { c.copies.copyLoop(ctx) })
	}
	copiers.Wait()
	return ctx.Err()
}
