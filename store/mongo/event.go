package mongo

import (
	"context"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/event"
	"github.com/amanat-dev/amanat/fault"
)

// eventCollections gives the collections of event.Kinds(domain).
func eventCollections(domain string) []Collection {
	return []Collection{
		{Kind: domain + "_event", Name: domain + "_events"},
		{Kind: domain + "_handled_event", Name: domain + "_handled_events"},
	}
}

// eventTx is the event part of a domain's transaction: embed it instead of
// *Tx.
type eventTx struct {
	*Tx
	domain string
}

// Events gives the oldest undelivered events, by ID, at most limit.
func (t eventTx) Events(ctx context.Context, limit int) ([]event.Event, error) {
	return Find[event.Event](ctx, t.Tx, t.domain+"_event", nil, bson.D{{Key: fieldID, Value: 1}}, limit)
}

// EventHandled says whether the event of that ID was handled here.
func (t eventTx) EventHandled(ctx context.Context, id cutover.ID) (bool, error) {
	_, err := Get[event.Handled](ctx, t.Tx, t.domain+"_handled_event", id)
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	return err == nil, err
}
