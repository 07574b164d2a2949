package event

import (
	"context"
	"time"

	"github.com/amanat-dev/amanat/cutover"
)

// What an operator can do about events.

// List returns a domain's events that are not delivered, the parked ones first,
// at most limit of either sort.
func List(ctx context.Context, d *cutover.Domain, limit int) ([]Event, error) {
	return cutover.View(ctx, d, QueryPending, func(ctx context.Context, tx cutover.Tx) ([]Event, error) {
		parked, err := Parked(ctx, tx, limit)
		if err != nil {
			return nil, err
		}
		waiting, err := Waiting(ctx, tx, limit)
		return append(parked, waiting...), err
	})
}

// Get returns an event that is not delivered. Errors: fault.NotFound.
func Get(ctx context.Context, d *cutover.Domain, id cutover.ID) (Event, error) {
	return cutover.View(ctx, d, QueryPending, func(ctx context.Context, tx cutover.Tx) (Event, error) {
		return cutover.Get[Event](ctx, tx, id)
	})
}

// Retry has an event delivered at once, as if it had never been tried. Errors:
// fault.NotFound.
func Retry(ctx context.Context, d *cutover.Domain, id cutover.ID) (Event, error) {
	d.Bell(kindOf(d.Name())) // so that word of it goes to who delivers
	return cutover.Update(ctx, d, func(ctx context.Context, tx cutover.Tx) (Event, error) {
		e, err := cutover.Get[Event](ctx, tx, id)
		if err != nil {
			return Event{}, err
		}
		e.again()
		return e, tx.Put(ctx, &e)
	})
}

func (e *Event) again() { e.Attempts, e.NextAt, e.Parked, e.Reason = 0, time.Time{}, false, "" }

// RetryParked is Retry for parked events, at most limit; it returns how many.
func RetryParked(ctx context.Context, d *cutover.Domain, limit int) (int, error) {
	d.Bell(kindOf(d.Name())) // as in Retry
	return cutover.Update(ctx, d, func(ctx context.Context, tx cutover.Tx) (int, error) {
		parked, err := Parked(ctx, tx, limit)
		for i := 0; i < len(parked) && err == nil; i++ {
			parked[i].again()
			err = tx.Put(ctx, &parked[i])
		}
		return len(parked), err
	})
}

// Drop removes an event that shall not be delivered, and returns it. Errors:
// fault.NotFound.
func Drop(ctx context.Context, d *cutover.Domain, id cutover.ID) (Event, error) {
	return cutover.Update(ctx, d, func(ctx context.Context, tx cutover.Tx) (Event, error) {
		e, err := cutover.Get[Event](ctx, tx, id)
		if err != nil {
			return Event{}, err
		}
		return e, tx.Delete(ctx, &e)
	})
}
