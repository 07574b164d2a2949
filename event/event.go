// Package event carries what one domain must tell another. An event is a
// record, put in the same Update as the change that it tells of; it is
// delivered at least once, and Once makes its handling happen just once.
package event

import (
	"context"
	"log/slog"
	"reflect"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/query"
	"github.com/amanat-dev/amanat/fault"
)

// Event tells of a change in one domain. It is removed once it is delivered.
type Event struct {
	cutover.Meta
	Type    string            `json:"type"`    // such as "payment.funded"
	Subject cutover.ID        `json:"subject"` // the record that it is about
	Data    map[string]string `json:"data" field:"data,jsonb"`
}

// Handled marks, in the receiving domain, the event of the same ID as handled.
type Handled struct {
	cutover.Meta
	Type string `json:"type"`
}

// Kinds gives the two kinds that every domain with events has, named after it
// ("payment_event", "payment_handled_event").
func Kinds(domain string) cutover.Kinds {
	return cutover.Kinds{
		{Name: domain + "_event", Type: reflect.TypeFor[Event](), Table: domain + "_events", Collection: domain + "_events"},
		{Name: domain + "_handled_event", Type: reflect.TypeFor[Handled](), Table: domain + "_handled_events", Collection: domain + "_handled_events"},
	}
}

// QueryPending is the View with which Dispatch looks for events; a domain
// that sends events names it among its queries.
const QueryPending = "event.pending"

// Once runs do unless this domain has handled the event before, and marks it
// as handled in the same Update.
func Once(ctx context.Context, tx cutover.Tx, e Event, do func() error) error {
	_, err := cutover.Get[Handled](ctx, tx, e.ID)
	if !fault.Is(err, fault.NotFound) {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	return tx.Put(ctx, &Handled{Meta: cutover.Meta{ID: e.ID}, Type: e.Type})
}

// Handler acts on an event in another domain.
type Handler func(context.Context, Event) error

// Dispatch delivers the events of a domain to their handlers until ctx ends.
// An event whose handler fails stays and is tried again; the others go on. An
// event without a handler is delivered to nobody and removed.
func Dispatch(ctx context.Context, from *cutover.Domain, every time.Duration, handlers map[string][]Handler, log *slog.Logger) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		deliver(ctx, from, handlers, log)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func deliver(ctx context.Context, from *cutover.Domain, handlers map[string][]Handler, log *slog.Logger) {
	events, err := cutover.View(ctx, from, QueryPending, func(ctx context.Context, tx cutover.Tx) ([]Event, error) {
		return cutover.Find[Event](ctx, tx, query.All().Limit(100))
	})
	if err != nil {
		if ctx.Err() == nil {
			log.Warn("events not read", "domain", from.Name(), "error", err)
		}
		return
	}
	for _, e := range events {
		if err := deliverOne(ctx, from, e, handlers[e.Type]); err != nil && ctx.Err() == nil {
			log.Warn("event not delivered", "domain", from.Name(), "event", e.ID.String(), "type", e.Type, "error", err)
		}
	}
}

func deliverOne(ctx context.Context, from *cutover.Domain, e Event, handlers []Handler) error {
	for _, handle := range handlers {
		if err := handle(ctx, e); err != nil {
			return err
		}
	}
	_, err := cutover.Update(ctx, from, func(ctx context.Context, tx cutover.Tx) (struct{}, error) {
		return struct{}{}, tx.Delete(ctx, &e)
	})
	if fault.Is(err, fault.Conflict) {
		return nil // another process has delivered it as well
	}
	return err
}
