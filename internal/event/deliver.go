package event

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
)

const (
	role     = "events"
	askEvery = time.Second // for events that another process has put, and for those that are due again
	perRound = 100
	// againPerRound is how many events that have failed before are tried in a
	// round, so that new ones do not wait for long behind slow failures.
	againPerRound = 10

	firstWait   = time.Second // doubled by each attempt
	longestWait = 10 * time.Minute
	maxAttempts = 20 // after which an event is parked: about two hours

	forgetEvery  = time.Hour
	forgetAfter  = 30 * 24 * time.Hour
	forgetRounds = 100 // of perRound marks each
)

// Options say what a Dispatcher delivers, and how. Now may be nil.
type Options struct {
	Domains  []*cutover.Domain // all that send or handle events
	Sends    map[string][]Sent // by domain
	Handlers []Handling
	// Lead runs do while this process alone has a role, see cutover.Engine.
	Lead func(ctx context.Context, role string, do func(context.Context) error) (bool, error)
	Log  *slog.Logger
	Now  func() time.Time
}

// Dispatcher delivers the events of all domains. Make it with NewDispatcher.
type Dispatcher struct {
	Options
	senders  []*cutover.Domain
	handlers map[string]Handler
}

// NewDispatcher makes a Dispatcher. Its error is that of Check.
func NewDispatcher(o Options) (*Dispatcher, error) {
	d := &Dispatcher{Options: o, handlers: map[string]Handler{}}
	if d.Now == nil {
		d.Now = cutover.Now
	}
	var sends []Sent
	for _, domain := range o.Domains {
		if len(o.Sends[domain.Name()]) > 0 {
			d.senders = append(d.senders, domain)
			sends = append(sends, o.Sends[domain.Name()]...)
		}
	}
	for _, h := range o.Handlers {
		d.handlers[h.name] = h.handle
	}
	return d, Check(sends, o.Handlers)
}

// Run delivers until ctx ends, while this process leads. While nobody can tell
// who leads, it delivers all the same: twice is better than not at all.
func (d *Dispatcher) Run(ctx context.Context) {
	for ctx.Err() == nil {
		_, err := d.Lead(ctx, role, d.deliver)
		switch {
		case err == nil || ctx.Err() != nil:
		case fault.Is(err, fault.Unavailable):
			for _, from := range d.senders {
				d.round(ctx, from)
			}
		default:
			d.Log.Warn("events are not delivered by this process any more", "error", err)
		}
		pause(ctx, askEvery)
	}
}

func pause(ctx context.Context, t time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(t):
	}
}

// deliver follows each domain by itself until ctx ends.
func (d *Dispatcher) deliver(ctx context.Context) error {
	var running sync.WaitGroup
	for _, from := range d.senders {
		running.Go(func() { d.follow(ctx, from) })
	}
	running.Go(func() { d.forget(ctx) })
	running.Wait()
	return ctx.Err()
}

// follow delivers a domain's events at once when this process has put some, and
// looks for others now and then.
func (d *Dispatcher) follow(ctx context.Context, from *cutover.Domain) {
	put := from.Bell(kindOf(from.Name()))
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for {
		for ctx.Err() == nil && d.round(ctx, from) {
		}
		select {
		case <-ctx.Done():
			return
		case <-put:
		case <-tick.C:
		}
	}
}

// round delivers what is due, and says whether there may be more.
func (d *Dispatcher) round(ctx context.Context, from *cutover.Domain) (more bool) {
	events, err := cutover.View(ctx, from, QueryPending, func(ctx context.Context, tx cutover.Tx) ([]Event, error) {
		return Waiting(ctx, tx, perRound)
	})
	if err != nil {
		d.warn(ctx, err, "events not read", "domain", from.Name())
		return false
	}
	again, more := 0, len(events) == perRound
	for _, e := range events {
		if e.Attempts > 0 {
			again++
		}
		switch {
		case ctx.Err() != nil || e.NextAt.After(d.Now()):
			return false
		case again > againPerRound:
			return more
		}
		if err := d.deliverOne(ctx, from, e); err != nil {
			d.warn(ctx, err, "what became of an event was not stored", "domain", from.Name(), "event", e.ID.String())
			more = false // the database has trouble: rest, as if there were nothing to do
		}
	}
	return more
}

func (d *Dispatcher) warn(ctx context.Context, err error, message string, about ...any) {
	if ctx.Err() == nil {
		d.Log.Warn(message, append(about, "error", err)...)
	}
}

// deliverOne removes the event once its handler has succeeded. Where somebody
// else has changed it meanwhile, it has been seen to.
func (d *Dispatcher) deliverOne(ctx context.Context, from *cutover.Domain, e Event) error {
	failed := d.handle(ctx, e)
	if failed != nil && ctx.Err() != nil {
		return nil // this process stops: the next one tries
	}
	_, err := cutover.Update(ctx, from, func(ctx context.Context, tx cutover.Tx) (struct{}, error) {
		e := e
		if failed == nil {
			return struct{}{}, tx.Delete(ctx, &e)
		}
		e.fail(failed, d.Now())
		return struct{}{}, tx.Put(ctx, &e)
	})
	if failed != nil {
		d.warn(ctx, failed, "event not delivered", "domain", from.Name(), "event", e.ID.String(), "type", e.Type, "attempt", e.Attempts+1)
	}
	if fault.Is(err, fault.Conflict) {
		return nil
	}
	return err
}

// handle calls the handler. A type without one is a failure like others: where
// programs of two versions serve, the newer one may come to lead in time.
func (d *Dispatcher) handle(ctx context.Context, e Event) error {
	handle, ok := d.handlers[e.Type]
	if !ok {
		return fault.New(fault.Internal, "this version of the program handles no events of type %s", e.Type)
	}
	return handle(ctx, e)
}

// fail notes an attempt that failed. That a database is away is no reason to
// give up.
func (e *Event) fail(why error, now time.Time) {
	e.Attempts++
	e.Reason = reason(why)
	e.NextAt = now.Add(wait(e.Attempts)).UTC().Truncate(time.Millisecond)
	e.Parked = e.Attempts >= maxAttempts && !fault.Is(why, fault.Unavailable)
}

// wait is how long an event rests after so many attempts.
func wait(attempts int64) time.Duration {
	d := firstWait
	for i := int64(1); i < attempts && d < longestWait; i++ {
		d *= 2
	}
	return min(d, longestWait)
}

// reason is what an operator is told; what a driver says is in the log.
func reason(err error) string {
	var f *fault.Error
	if errors.As(err, &f) {
		return f.Message
	}
	return "it failed in a way that only the log tells"
}

// forget removes, now and then, what marks events of long ago as handled.
func (d *Dispatcher) forget(ctx context.Context) {
	for ctx.Err() == nil {
		for _, domain := range d.Domains {
			if err := d.forgetIn(ctx, domain); err != nil {
				d.warn(ctx, err, "handled events are not forgotten", "domain", domain.Name())
			}
		}
		pause(ctx, forgetEvery)
	}
}

func (d *Dispatcher) forgetIn(ctx context.Context, domain *cutover.Domain) error {
	before := d.Now().Add(-forgetAfter)
	for range forgetRounds {
		n, err := cutover.Update(ctx, domain, func(ctx context.Context, tx cutover.Tx) (int, error) {
			old, err := HandledBefore(ctx, tx, before, perRound)
			for i := range old {
				err = errors.Join(err, tx.Delete(ctx, &old[i]))
			}
			return len(old), err
		})
		if err != nil || n < perRound {
			return err
		}
	}
	return nil
}
