package cutover

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/amanat-dev/amanat/cutover/failpoint"
	"github.com/amanat-dev/amanat/cutover/fault"
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

// router takes Views and Updates to the domain's primary, and says whether what
// came of them may be answered.
type router struct {
	*base
	local  *local
	mirror *stateMirror
	copies *copies
}

// update admits, runs and confirms one Update; run does it on one side.
func (c *router) update(ctx context.Context, run func(ctx context.Context, source bool, g Guard) error) error {
	deadline := time.Now().Add(c.engine.opts.MaxWait)
	var met conflicts
	for {
		s, term, err := c.local.admit(ctx, deadline)
		if err != nil {
			return err
		}
		err = c.updateIn(ctx, s, term, run)
		var own refused
		if mayHaveWritten(err) {
			c.copies.tell(s)
		}
		switch {
		case err == nil:
			return nil
		case errors.As(err, &own):
			return own.error
		case errors.Is(err, ErrMoved):
			if err := c.local.awaitNewer(ctx, s.Epoch, deadline); err != nil {
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
func (c *router) updateIn(ctx context.Context, s State, term int64, run func(context.Context, bool, Guard) error) error {
	defer c.local.release(s.Epoch)
	source := s.Phase.PrimaryIsSource()
	c.countOp(source, "update")
	failpoint.At(failpoint.WriteAdmitted)
	if err := run(ctx, source, c.guard(s)); err != nil {
		return err
	}
	failpoint.At(failpoint.WriteDone)
	return c.confirmWrite(ctx, s, term)
}

// guard says what an Update of state s must respect. On a source database
// writes leave notes in phase source too, wherever a move may begin: a writer
// that was admitted before a start and wakes up after it has left its note
// all the same. The note is part of the record's own write and costs nothing.
func (c *router) guard(s State) Guard {
	move := c.engine.opts.Control != nil
	return Guard{
		Domain:  c.name,
		Epoch:   s.Epoch,
		Process: c.engine.opts.Process.ID,
		Journal: move && s.Phase != PhaseTarget && c.source != nil && c.target != nil,
		Fenced:  move && !s.Phase.PrimaryIsSource(),
	}
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

// confirmWrite says whether a write that came back may be answered with
// success. A target database has checked the epoch in the write's own
// transaction. For a source database either this process has held its lease
// without a break since the write was admitted, so that no coordinator can
// have flipped without its acknowledgement; that it holds one again is not
// enough. Or the state kept in the source is still this one, so that the write
// came before any seal, and the drain will see its note.
func (c *router) confirmWrite(ctx context.Context, s State, term int64) error {
	if !s.Phase.PrimaryIsSource() || !c.leased() || term != 0 && term == c.engine.leaseTerm() {
		return nil
	}
	kept, err := c.mirror.read(ctx)
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
func (c *router) leased() bool { return !c.fixed && c.mirror.present() }

// elsewhere says that the domain's primary is a database that this process
// was not given.
func (c *base) elsewhere(s State) bool {
	primary, _ := c.stores(s)
	return primary == nil
}

// errShut answers for a domain of which it is not known where it stands.
func errShut() error { return errBusy("the domain is not open yet; nothing was read or written") }

func errElsewhere(domain string) error {
	return errBusy(domain + " has moved to a database that this process was not given")
}

// readRoute returns the state by which a View is routed. While this process
// cannot hear from the control plane, a target primary must be asked again.
func (c *router) readRoute(ctx context.Context) (s State, term int64, err error) {
	term = c.engine.leaseTerm()
	s = c.local.current()
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
	return c.local.current(), 0, nil
}

// confirmRead says whether what a View read from the source may be answered.
// It may when a lease held as the route was chosen: what has happened since then
// happened during the View. Otherwise the state kept in the source is asked. A
// new epoch alone does not matter, a seal does: the flip is recorded elsewhere
// first, and may have been.
func (c *router) confirmRead(ctx context.Context, s State, term int64) error {
	if !s.Phase.PrimaryIsSource() || !c.leased() || term != 0 || c.engine.opts.Control == nil {
		return nil // without a control plane watchMirror looks once a second
	}
	kept, err := c.mirror.read(ctx)
	if err != nil {
		return err
	}
	if !kept.Phase.PrimaryIsSource() || kept.Sealed {
		return errBusy("the domain has moved, or is about to, and this process cannot reach its new primary")
	}
	return nil
}

// jitter returns a pause that grows with each try: up to 5, 10, 20 … ms.
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
