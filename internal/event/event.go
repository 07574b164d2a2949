// Package event carries what one domain must tell another. An event is a
// record, put in the same Update as the change that it tells of; it is
// delivered at least once, and Once makes its handling happen just once.
//
// A Type is declared by the domain that sends it. The program wires it with On
// to the one handler that it has, and a Dispatcher delivers. An event whose
// handler fails waits, longer each time, and is parked in the end, for an
// operator to see: it is never lost, and never in the way of others.
package event

import (
	"context"
	"reflect"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/cutover/query"
)

// Event tells of a change in one domain. It is removed once it is delivered.
type Event struct {
	cutover.Meta
	Type     string            `json:"type"`    // such as "payment.funded"
	Subject  cutover.ID        `json:"subject"` // the record that it is about
	Data     map[string]string `json:"data" field:"data,jsonb"`
	Attempts int64             `json:"attempts"` // to deliver it, that failed
	NextAt   time.Time         `json:"nextAt"`   // when it is tried again; zero: at once
	Parked   bool              `json:"parked"`   // it is not tried again until an operator says so
	Reason   string            `json:"reason"`   // why the last attempt failed
}

// Handled marks, in the receiving domain, the event of the same ID as handled.
type Handled struct {
	cutover.Meta
	Type string `json:"type"`
}

// Kinds returns the two kinds that every domain with events has, named after it
// ("payment_event", "payment_handled_event").
func Kinds(domain string) cutover.Kinds {
	return cutover.Kinds{
		{
			Name: kindOf(domain), Type: reflect.TypeFor[Event](), Table: domain + "_events", Collection: domain + "_events",
			Indexes: []query.Index{{"parked", "nextAt"}},
		},
		{
			Name: domain + "_handled_event", Type: reflect.TypeFor[Handled](), Table: domain + "_handled_events", Collection: domain + "_handled_events",
			Indexes: []query.Index{{"createdAt"}},
		},
	}
}

func kindOf(domain string) string { return domain + "_event" }

// QueryPending is the View with which a Dispatcher looks for events; a domain
// that sends events names it among its queries.
const QueryPending = "event.pending"

// Waiting returns events that are to be delivered, those that were never tried
// first, then those that are due soonest.
func Waiting(ctx context.Context, tx cutover.Tx, limit int) ([]Event, error) {
	return cutover.Find[Event](ctx, tx, query.Eq("parked", false).OrderBy("nextAt").Limit(limit))
}

// Parked returns events that wait for an operator.
func Parked(ctx context.Context, tx cutover.Tx, limit int) ([]Event, error) {
	return cutover.Find[Event](ctx, tx, query.Eq("parked", true).OrderBy("nextAt").Limit(limit))
}

// CountParked returns how many events wait for an operator.
func CountParked(ctx context.Context, tx cutover.Tx) (int64, error) {
	return cutover.Count[Event](ctx, tx, query.Eq("parked", true))
}

// HandledBefore returns marks that are older than a time, the oldest first.
func HandledBefore(ctx context.Context, tx cutover.Tx, before time.Time, limit int) ([]Handled, error) {
	return cutover.Find[Handled](ctx, tx, query.Less("createdAt", before).OrderBy("createdAt").Limit(limit))
}

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
