package postgres

import (
	"context"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/event"
)

// eventTx gives a domain's transaction the two event queries; embed it in
// place of *Tx.
type eventTx struct {
	*Tx
	domain string
}

// eventTables names the tables of a domain's events. Its migration makes them:
//
//	CREATE TABLE payment_events (
//		id         object_id PRIMARY KEY,
//		rev        bigint NOT NULL,
//		created_at timestamptz(3),
//		updated_at timestamptz(3),
//		extra      jsonb,
//		type       text NOT NULL DEFAULT '',
//		subject    object_id,
//		data       jsonb
//	);
//	CREATE TABLE payment_handled_events (
//		id         object_id PRIMARY KEY,
//		rev        bigint NOT NULL,
//		created_at timestamptz(3),
//		updated_at timestamptz(3),
//		extra      jsonb,
//		type       text NOT NULL DEFAULT ''
//	);
func eventTables(domain string) []Table {
	return []Table{
		{Kind: domain + "_event", Name: domain + "_events"},
		{Kind: domain + "_handled_event", Name: domain + "_handled_events"},
	}
}

// Events gives the oldest undelivered events, by ID, at most limit.
func (tx eventTx) Events(ctx context.Context, limit int) ([]event.Event, error) {
	var w where
	w.sorted("id", limit)
	return Find[event.Event](ctx, tx.Tx, tx.domain+"_event", w)
}

// EventHandled says whether the event of that ID was handled here.
func (tx eventTx) EventHandled(ctx context.Context, id cutover.ID) (bool, error) {
	n, err := Count(ctx, tx.Tx, tx.domain+"_handled_event", "WHERE id = $1", id.String())
	return n > 0, err
}
