package marketplace

import (
	"context"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/internal/event"
)

// The events that this domain sends; their subject is the purchase request.
var (
	EventCompleted = event.NewType[RequestNews]("request.completed")
	EventCancelled = event.NewType[RequestNews]("request.cancelled")
)

// Sends lists them.
var Sends = []event.Sent{EventCompleted, EventCancelled}

// RequestNews says whose request it is, and which offer was selected.
type RequestNews struct {
	PurchaseRequestID cutover.ID `json:"purchaseRequestId"`
	BuyerID           cutover.ID `json:"buyerId"`
	SellerOfferID     cutover.ID `json:"sellerOfferId,omitzero"`
}

// tell puts an event about a request. id is made outside of the closure, so
// that a closure which runs twice sends one event.
func tell(ctx context.Context, tx cutover.Tx, id cutover.ID, what event.Type[RequestNews], r PurchaseRequest) error {
	return what.Send(ctx, tx, id, r.ID, RequestNews{r.ID, r.BuyerID, r.SelectedOfferID})
}
