package cutover

import (
	"context"
	"sync"
	"time"

	"github.com/amanat-dev/amanat/cutover/fault"
)

// Of all processes that have the same control plane one leads: it copies for all
// domains, clears away what dead writers left, and does what the application does
// once for all. So a process that has nothing to do asks next to nothing, and it
// asks no more for many domains than for few: what is looked for without a reason
// is looked for in one place after the other.

const (
	leaderRole = "leader"
	// leadEvery is how often a process tries to become the leader.
	leadEvery = time.Second
	// recoverEvery is how often the leader looks for what dead writers left, in one
	// domain in turn.
	recoverEvery = 5 * time.Second
)

// What a process knows of its own part.
const (
	follows = int32(iota) // another one leads
	leads
	unsure // the control plane does not say
)

// Leads says whether this process shall do what one process does for all: it
// leads, or nobody can tell who does, as while the control plane is away. So it
// is rather done twice than not at all, and must be right when it is. Without a
// control plane every process leads.
func (e *Engine) Leads() bool { return e.opts.Control == nil || e.role.Load() != follows }

// lead leads while nobody else does, and tries to every second otherwise.
func (e *Engine) lead(ctx context.Context) {
	for ; ctx.Err() == nil; pause(ctx, leadEvery) {
		if !e.mayLead() {
			e.role.Store(follows)
			continue
		}
		led, err := e.opts.Control.Lead(ctx, leaderRole, e.leadAll)
		if err != nil && ctx.Err() == nil && !fault.Is(err, fault.Unavailable) {
			e.log.Warn("stopped leading", "error", err)
		}
		switch {
		case !led && err == nil:
			e.role.Store(follows)
		case e.role.Swap(unsure) != unsure && ctx.Err() == nil:
			e.ringAll()
		}
		if led && ctx.Err() == nil {
			e.words.add(Written{}) // of what came to this process alone meanwhile
		}
	}
}

// mayLead says that this process was given every database that a leader needs at
// the moment.
func (e *Engine) mayLead() bool {
	for _, name := range e.order {
		c := e.domains[name]
		s := c.local.current()
		if c.elsewhere(s) || s.Phase.Copies() && (c.source == nil || c.target == nil) {
			return false
		}
	}
	return true
}

// leadAll does the leader's work until ctx ends. Each domain is copied for by
// itself, so that a slow one holds up no other. It begins with a look everywhere.
func (e *Engine) leadAll(all context.Context) error {
	ctx, stop := context.WithCancel(all)
	defer stop()
	e.role.Store(leads)
	e.ringAll()
	activities := newActivityBoard(e, copierRole)
	moving := e.moving()
	var work sync.WaitGroup
	for _, c := range moving {
		work.Go(func() { c.copies.copyLoop(ctx, activities) })
	}
	work.Go(func() {
		defer stop()
		e.lookAround(ctx, moving)
	})
	work.Go(func() { e.recoverAll(ctx) })
	work.Go(func() { activities.show(ctx) })
	work.Wait()
	return all.Err() // none when this process gives the role up
}

// lookAround looks for notes of which no word has come, in one place in turn,
// until ctx ends or this process may not lead any more.
func (e *Engine) lookAround(ctx context.Context, domains []*domainCore) {
	for e.restBetween(ctx) {
		for _, c := range domains {
			for _, look := range c.copies.looks() {
				c.copies.lookOnce(ctx, look)
				if !e.restBetween(ctx) {
					return
				}
			}
		}
	}
}

// restBetween rests between two looks, and says whether there is to be another.
func (e *Engine) restBetween(ctx context.Context) bool {
	pause(ctx, e.opts.LookEvery)
	return ctx.Err() == nil && e.mayLead()
}

// looks returns the questions, of which each is about one place, that together say
// whether the primary's journal is empty; none where nothing is copied.
func (c *copies) looks() (out []func(context.Context) (bool, error)) {
	s := c.local.current()
	if !s.Phase.Copies() {
		return nil
	}
	primary, _ := c.stores(s)
	spread, ok := primary.(SpreadJournal)
	if !ok {
		return append(out, func(ctx context.Context) (bool, error) {
			notes, err := primary.Notes(ctx, 1)
			return len(notes) > 0, err
		})
	}
	for _, kind := range c.kinds {
		out = append(out, func(ctx context.Context) (bool, error) { return spread.HasNotes(ctx, kind.Name) })
	}
	return out
}

// lookOnce wakes the copier where there is a note, or an error, which it shows.
func (c *copies) lookOnce(ctx context.Context, look func(context.Context) (bool, error)) {
	asking, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	if noted, err := look(asking); (noted || err != nil) && ctx.Err() == nil {
		wake(c.wrote)
	}
}

// recoverInTurn clears away what dead writers left, in every phase: neither a
// copier nor a writer that meets it may come by.
func (e *Engine) recoverInTurn(ctx context.Context) {
	if e.opts.Control == nil {
		e.recoverAll(ctx)
	}
	for n := 0; ctx.Err() == nil && len(e.order) > 0; n++ {
		pause(ctx, recoverEvery)
		if e.Leads() {
			e.domains[e.order[n%len(e.order)]].recover(ctx)
		}
	}
}

func (e *Engine) recoverAll(ctx context.Context) {
	for _, name := range e.order {
		if ctx.Err() == nil {
			e.domains[name].recover(ctx)
		}
	}
}

// recover looks once. A database that is away has its turn when it is back.
func (c *domainCore) recover(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, roundTime)
	defer cancel()
	for _, store := range []Store{c.source, c.target} {
		r, ok := store.(Recoverer)
		if !ok {
			continue
		}
		found, err := r.Recover(ctx)
		if err != nil && ctx.Err() == nil && !fault.Is(err, fault.Unavailable) {
			c.engine.log.Warn("what dead writers left was not cleared away", "domain", c.name, "error", err)
		}
		if found {
			wake(c.copies.wrote)
		}
	}
}
