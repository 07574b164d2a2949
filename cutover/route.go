package cutover

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/cutover/step"
)

// staleTries is how often an Update runs before its caller hears that somebody
// else was first each time; ruleTries before he hears of any other conflict: a
// closure that reads what is in its way may decide otherwise, once.
const (
	staleTries = 6
	ruleTries  = 2
)

// conflicts counts those that an Update met, by sort.
type conflicts struct{ stale, other int }

// mayMend says whether running again may mend err.
func (n *conflicts) mayMend(err error) bool {
	switch {
	case IsStale(err):
		n.stale++
		return n.stale < staleTries
	case fault.Is(err, fault.Conflict):
		n.other++
		return n.other < ruleTries
	}
	return false
}

// errUnknown answers a write that may or may not have been made.
func errUnknown(cause error) error {
	return &fault.Error{Kind: fault.Unavailable, Cause: cause, RetryAfter: time.Second,
		Message: "the outcome of the write is not known; read before you try again"}
}

func errBusy(message string) error {
	return &fault.Error{Kind: fault.Unavailable, Message: message, RetryAfter: time.Second}
}

var errSilent = errors.New("cutover: no answer within Options.MaxTime")

// bound limits a View or an Update to Options.MaxTime.
func (e *Engine) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, e.opts.MaxTime, errSilent)
}

// timely makes a fault of the bare error with which an operation ended when its
// time was up: what a store has not made a fault of has changed nothing.
func timely(ctx context.Context, err error) error {
	var known *fault.Error
	if !errors.Is(err, context.DeadlineExceeded) || errors.As(err, &known) || context.Cause(ctx) != errSilent {
		return err
	}
	return &fault.Error{Kind: fault.Unavailable, Cause: err, RetryAfter: time.Second,
		Message: "the database did not answer in time; nothing was written"}
}

// update admits, runs and confirms one Update; run does it on one side.
func (c *domainCore) update(ctx context.Context, run func(ctx context.Context, source bool, g Guard) error) error {
	deadline := time.Now().Add(c.engine.opts.MaxWait)
	var met conflicts
	for {
		s, term, err := c.admit(ctx, deadline)
		if err != nil {
			return err
		}
		err = c.updateIn(ctx, s, term, run)
		var own refused
		switch {
		case err == nil:
			c.wake()
			return nil
		case errors.As(err, &own):
			return own.error
		case errors.Is(err, ErrMoved):
			if err := c.awaitNewer(ctx, s.Epoch, deadline); err != nil {
				return err
			}
		case met.mayMend(err):
			pause(ctx, c.engine.jitter(met.stale+met.other))
		default:
			return err
		}
		if ctx.Err() != nil {
			return fault.Wrap(ctx.Err(), fault.Unavailable, "the request ended before the write was made")
		}
	}
}

// updateIn runs an Update that was admitted in s, which ends with it even when
// the closure panics: an Update in flight for ever would hold every step.
func (c *domainCore) updateIn(ctx context.Context, s State, term int64, run func(context.Context, bool, Guard) error) error {
	defer c.release(s.Epoch)
	source := s.Phase.PrimaryIsSource()
	c.countOp(source, "update")
	step.At(step.WriteAdmitted)
	if err := run(ctx, source, c.guard(s)); err != nil {
		return err
	}
	step.At(step.WriteDone)
	return c.confirmWrite(ctx, s, term)
}

// guard says what an Update of state s must respect. On a source database
// writes leave notes in phase mongo too, wherever a move may begin: a writer
// that was admitted before a start and wakes up after it has left its note
// all the same. The note is part of the record's own write and costs nothing.
func (c *domainCore) guard(s State) Guard {
	move := c.engine.opts.Control != nil
	return Guard{
		Domain:  c.name,
		Epoch:   s.Epoch,
		Process: c.engine.opts.Process.ID,
		Journal: move && s.Phase != PhasePG && c.source != nil && c.target != nil,
		Fenced:  move && !s.Phase.PrimaryIsSource(),
	}
}

// admit lets an Update in, or has it wait while the domain is sealed. It gives
// the state, and the lease's term from before that was looked at.
func (c *domainCore) admit(ctx context.Context, deadline time.Time) (State, int64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	term := c.engine.leaseTerm()
	if c.state.Epoch == 0 {
		return State{}, 0, errShut()
	}
	for c.state.Sealed {
		if c.elsewhere(c.state) {
			return State{}, 0, errElsewhere(c.name)
		}
		if c.waiting >= c.engine.opts.MaxWaiting {
			return State{}, 0, errBusy("too many writes are waiting; nothing was written")
		}
		if err := c.wait(ctx, deadline); err != nil {
			return State{}, 0, err
		}
		term = c.engine.leaseTerm()
	}
	c.inflight[c.state.Epoch]++
	return c.state, term, nil
}

// wait blocks, with c.mu given up meanwhile, until the state changes.
func (c *domainCore) wait(ctx context.Context, deadline time.Time) error {
	changed := c.changed
	c.waiting++
	c.mu.Unlock()
	err := awaitChange(ctx, changed, deadline)
	c.mu.Lock()
	c.waiting--
	return err
}

func awaitChange(ctx context.Context, changed <-chan struct{}, deadline time.Time) error {
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case <-changed:
		return nil
	case <-ctx.Done():
		return fault.Wrap(ctx.Err(), fault.Unavailable, "the request ended while it waited; nothing was written")
	case <-timer.C:
		return errBusy("writes are held back for longer than a request may wait; nothing was written")
	}
}

func (c *domainCore) release(epoch int64) {
	c.mu.Lock()
	c.inflight[epoch]--
	idle := c.inflight[epoch] == 0
	if idle {
		delete(c.inflight, epoch)
	}
	behind := idle && epoch < c.state.Epoch
	c.mu.Unlock()
	if behind {
		c.engine.wakeAgent() // somebody may wait for this acknowledgement
	}
}

// awaitNewer waits until this process knows a state later than epoch.
func (c *domainCore) awaitNewer(ctx context.Context, epoch int64, deadline time.Time) error {
	c.engine.wakeAgent()
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.state.Epoch <= epoch {
		if err := c.wait(ctx, deadline); err != nil {
			return err
		}
	}
	return nil
}

// confirmWrite says whether a write that came back may be answered with
// success. A target database has checked the epoch in the write's own
// transaction. For a source database either this process has held its lease
// without a break since the write was admitted, so that no coordinator can
// have flipped without its acknowledgement; that it holds one again is not
// enough. Or the state kept in the source is still this one, so that the write
// came before any seal, and the drain will see its note.
func (c *domainCore) confirmWrite(ctx context.Context, s State, term int64) error {
	if !s.Phase.PrimaryIsSource() || !c.leased() || term != 0 && term == c.engine.leaseTerm() {
		return nil
	}
	kept, err := c.kept(ctx)
	if err != nil {
		return errUnknown(err)
	}
	if c.engine.opts.Control == nil && kept.Epoch == 0 {
		return nil // no move has ever been thought of here
	}
	if kept.Epoch != s.Epoch || kept.Sealed {
		// Not ErrMoved itself: that would have the write made a second time.
		return errUnknown(fmt.Errorf("%s was in epoch %d, and now is in %d", c.name, s.Epoch, kept.Epoch))
	}
	return nil
}

// leased says that this domain's writes to the source depend on a lease, or on
// the state kept there. A process without a control plane never has a lease;
// it must notice all the same when others move the domain.
func (c *domainCore) leased() bool { return !c.fixed && c.keeper() != nil }

// elsewhere says that the domain's primary is a database that this process
// was not given.
func (c *domainCore) elsewhere(s State) bool {
	primary, _ := c.stores(s)
	return primary == nil
}

// errShut answers for a domain of which it is not known where it stands.
func errShut() error { return errBusy("the domain is not open yet; nothing was read or written") }

func errElsewhere(domain string) error {
	return errBusy(domain + " has moved to a database that this process was not given: set MONGODB_URI and PG_URL, and restart it")
}

// readRoute gives the state by which a View is routed. While this process
// cannot hear from the control plane, a target primary must be asked again.
func (c *domainCore) readRoute(ctx context.Context) (s State, term int64, err error) {
	term = c.engine.leaseTerm()
	s = c.current()
	if s.Epoch == 0 {
		return s, 0, errShut()
	}
	if c.elsewhere(s) {
		return s, 0, errElsewhere(c.name)
	}
	if s.Phase.PrimaryIsSource() || c.fixed || c.engine.opts.Control == nil || term != 0 {
		return s, term, nil
	}
	if err := c.engine.reload(ctx); err != nil {
		return s, 0, err
	}
	return c.current(), 0, nil
}

// confirmRead says whether what a View read from the source may be answered.
// It may when a lease held as the route was chosen: what has happened since then
// happened during the View. Otherwise the state kept in the source is asked. A
// new epoch alone does not matter, a seal does: the flip is recorded elsewhere
// first, and may have been.
func (c *domainCore) confirmRead(ctx context.Context, s State, term int64) error {
	if !s.Phase.PrimaryIsSource() || !c.leased() || term != 0 || c.engine.opts.Control == nil {
		return nil // without a control plane watchKept looks once a second
	}
	kept, err := c.kept(ctx)
	if err != nil {
		return err
	}
	if !kept.Phase.PrimaryIsSource() || kept.Sealed {
		return errBusy("the domain has moved, or is about to, and this process cannot reach its new primary")
	}
	return nil
}

// wake tells the copier that there is something to copy.
func (c *domainCore) wake() {
	select {
	case c.wrote <- struct{}{}:
	default:
	}
}

// jitter gives a pause that grows with each try: up to 5, 10, 20 … ms.
func (e *Engine) jitter(try int) time.Duration {
	return time.Duration(e.opts.Random(int64(5*time.Millisecond) << (try - 1)))
}

// pause sleeps for d or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
