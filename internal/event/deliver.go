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
	// lookEvery is how often one domain in turn is asked for events of which no
	// bell has told.
	lookEvery = 10 * time.Second
	perRound  = 100
	// restTime is how long a domain rests whose database has trouble, or that has
	// more events to try again than a round takes.
	restTime = time.Second
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
	// Leads says whether this process shall deliver, see cutover.Engine.
	Leads func() bool
	Log   *slog.Logger
	Now   func() time.Time
}

// Dispatcher delivers the events of all domains. Make it with NewDispatcher.
type Dispatcher struct {
	Options
	senders  []*sender
	handlers map[string]Handler
}

// sender is a domain that sends events.
type sender struct {
	domain *cutover.Domain
	put    <-chan struct{} // something comes when there may be new ones
	turn   chan struct{}   // it is its turn to be asked without a reason
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
			d.senders = append(d.senders, &sender{domain, domain.Bell(kindOf(domain.Name())), make(chan struct{}, 1)})
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
	var running sync.WaitGroup
	for _, s := range d.senders {
		running.Go(func() { d.follow(ctx, s) })
	}
	running.Go(func() { d.takeTurns(ctx) })
	running.Go(func() { d.forget(ctx) })
	running.Wait()
}

func pause(ctx context.Context, t time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(t):
	}
}

// takeTurns has one sender after the other asked for events of which no bell has
// told: of a process that died before it could.
func (d *Dispatcher) takeTurns(ctx context.Context) {
	for n := 0; ctx.Err() == nil && len(d.senders) > 0; n++ {
		pause(ctx, lookEvery)
		select {
		case d.senders[n%len(d.senders)].turn <- struct{}{}:
		default: // it is at work
		}
	}
}

// follow delivers a domain's events when there may be new ones, and those that
// failed when they are due again.
func (d *Dispatcher) follow(ctx context.Context, from *sender) {
	for ctx.Err() == nil {
		next := untilPut
		if d.Leads() {
			next = d.work(ctx, from.domain)
		}
		again := time.NewTimer(next)
		select {
		case <-ctx.Done():
		case <-from.put:
		case <-from.turn:
		case <-again.C:
		}
		again.Stop()
	}
}

// untilPut is the wait of a domain that has no events.
const untilPut = time.Hour

// work delivers all that is due, and returns when more will be.
func (d *Dispatcher) work(ctx context.Context, from *cutover.Domain) (next time.Duration) {
	for more := true; more && ctx.Err() == nil; {
		more, next = d.round(ctx, from)
	}
	return next
}

// round delivers what is due, and says whether there may be more, and when more
// will be.
func (d *Dispatcher) round(ctx context.Context, from *cutover.Domain) (more bool, next time.Duration) {
	events, err := cutover.View(ctx, from, QueryPending, func(ctx context.Context, tx cutover.Tx) ([]Event, error) {
		return Waiting(ctx, tx, perRound)
	})
	if err != nil {
		d.warn(ctx, err, "events not read", "domain", from.Name())
		return false, restTime
	}
	again, more, next := 0, len(events) == perRound, untilPut
	for _, e := range events {
		if e.Attempts > 0 {
			again++
		}
		switch {
		case ctx.Err() != nil:
			return false, next
		case e.NextAt.After(d.Now()):
			return false, min(next, e.NextAt.Sub(d.Now()))
		case again > againPerRound:
			return more, restTime
		}
		failed, err := d.deliverOne(ctx, from, e)
		if failed {
			next = min(next, firstWait)
		}
		if err != nil {
			d.warn(ctx, err, "what became of an event was not stored", "domain", from.Name(), "event", e.ID.String())
			more, next = false, min(next, restTime) // the database has trouble: rest, as if there were nothing to do
		}
	}
	return more, next
}

func (d *Dispatcher) warn(ctx context.Context, err error, message string, about ...any) {
	if ctx.Err() == nil {
		d.Log.Warn(message, append(about, "error", err)...)
	}
}

// deliverOne removes the event once its handler has succeeded; failed says that
// it is to be tried again. Where somebody else has changed it meanwhile, it has
// been seen to.
func (d *Dispatcher) deliverOne(ctx context.Context, from *cutover.Domain, e Event) (failed bool, err error) {
	why := d.handle(ctx, e)
	if why != nil && ctx.Err() != nil {
		return true, nil // this process stops: the next one tries
	}
	_, err = cutover.Update(ctx, from, func(ctx context.Context, tx cutover.Tx) (struct{}, error) {
		e := e
		if why == nil {
			return struct{}{}, tx.Delete(ctx, &e)
		}
		e.fail(why, d.Now())
		return struct{}{}, tx.Put(ctx, &e)
	})
	if why != nil {
		d.warn(ctx, why, "event not delivered", "domain", from.Name(), "event", e.ID.String(), "type", e.Type, "attempt", e.Attempts+1)
	}
	if fault.Is(err, fault.Conflict) {
		err = nil
	}
	return why != nil, err
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
	for ctx.Err() == nil && len(d.Domains) > 0 {
		for _, domain := range d.Domains {
			pause(ctx, forgetEvery/time.Duration(len(d.Domains)))
			if !d.Leads() || ctx.Err() != nil {
				continue
			}
			if err := d.forgetIn(ctx, domain); err != nil {
				d.warn(ctx, err, "handled events are not forgotten", "domain", domain.Name())
			}
		}
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
