package payment

import (
	"context"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/internal/event"
)

// The events that this domain sends; their subject is the payment.
var (
	EventFunded   = event.NewType[Parties]("payment.funded")
	EventReleased = event.NewType[Parties]("payment.released")
	EventRefunded = event.NewType[Parties]("payment.refunded")
)

// Sends lists them.
var Sends = []event.Sent{EventFunded, EventReleased, EventRefunded}

// Parties says what a payment is for, and between whom.
type Parties struct {
	PurchaseRequestID cutover.ID `json:"purchaseRequestId"`
	SellerOfferID     cutover.ID `json:"sellerOfferId"`
	SellerID          cutover.ID `json:"sellerId"`
	BuyerID           cutover.ID `json:"buyerId"`
}

// tell puts an event about the payment.
func (p *Payment) tell(ctx context.Context, tx cutover.Tx, what event.Type[Parties]) error {
	return what.Send(ctx, tx, cutover.ID{}, p.ID, Parties{p.PurchaseRequestID, p.SellerOfferID, p.SellerID, p.BuyerID})
}

// HandleRequestCompleted makes the money of a request, the event's subject,
// releasable.
func (s *Service) HandleRequestCompleted(ctx context.Context, e event.Event) error {
	return s.once(ctx, e, (*Payment).DealDone)
}

// HandleRequestCancelled cancels the pending payments of a request, the event's
// subject.
func (s *Service) HandleRequestCancelled(ctx context.Context, e event.Event) error {
	return s.once(ctx, e, (*Payment).Cancel)
}

// once changes the payments of the event's request, unless that was done.
func (s *Service) once(ctx context.Context, e event.Event, change func(*Payment) bool) error {
	return s.update(ctx, func(ctx context.Context, tx cutover.Tx) error {
		return event.Once(ctx, tx, e, func() error {
			payments, err := PaymentsOfRequest(ctx, tx, e.Subject)
			if err != nil {
				return err
			}
			for i := range payments {
				if !change(&payments[i]) {
					continue
				}
				if err := tx.Put(ctx, &payments[i]); err != nil {
					return err
				}
			}
			return nil
		})
	})
}
