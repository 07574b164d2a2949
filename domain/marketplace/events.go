package marketplace

import (
	"context"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
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

// Money says which deal a payment is for. An OfferID that is absent is not held
// against the request.
type Money struct{ RequestID, OfferID cutover.ID }

// HandlePaymentFunded takes a request into processing once the money for its
// selected offer is held. Money for a request that was cancelled in the same
// moment, or for another offer, changes nothing here: it is logged, and the
// payment is to be refunded.
func (s *Service) HandlePaymentFunded(ctx context.Context, e event.Event, m Money) error {
	return s.onMoney(ctx, e, m, StatusProcessing)
}

// HandlePaymentReleased takes a request to seller_paid.
func (s *Service) HandlePaymentReleased(ctx context.Context, e event.Event, m Money) error {
	return s.onMoney(ctx, e, m, StatusSellerPaid)
}

// HandlePaymentRefunded cancels the request that the money was for, unless
// another payment still holds money for it: then that one decides.
func (s *Service) HandlePaymentRefunded(ctx context.Context, e event.Event, m Money) error {
	held, err := s.deps.Escrow.MoneyHeld(ctx, m.RequestID)
	if err != nil || held {
		return err
	}
	return s.onMoney(ctx, e, m, StatusCancelled)
}

// onMoney moves the event's request into next. Events come at least once and
// in no order that can be relied on: news that is no longer new changes
// nothing.
func (s *Service) onMoney(ctx context.Context, e event.Event, m Money, next RequestStatus) error {
	if m.RequestID.IsZero() {
		return fault.New(fault.Invalid, "event %s names no purchase request", e.ID)
	}
	eventID := cutover.NewID()
	odd, err := cutover.Update(ctx, s.db, func(ctx context.Context, tx cutover.Tx) (string, error) {
		var odd string
		err := event.Once(ctx, tx, e, func() (err error) {
			odd, err = moveByMoney(ctx, tx, m, next, eventID)
			return err
		})
		return odd, err
	})
	if err == nil && odd != "" {
		s.log.Warn("payment event does not fit its purchase request", "event", e.ID.String(),
			"type", e.Type, "request", m.RequestID.String(), "reason", odd)
	}
	return err
}

// moveByMoney says what is odd when it leaves the request as it is although
// the news was new.
func moveByMoney(ctx context.Context, tx cutover.Tx, m Money, next RequestStatus, eventID cutover.ID) (odd string, err error) {
	r, err := cutover.Get[PurchaseRequest](ctx, tx, m.RequestID)
	switch {
	case fault.Is(err, fault.NotFound):
		return "there is no such request", nil
	case err != nil:
		return "", err
	case next == StatusProcessing && !m.OfferID.IsZero() && m.OfferID != r.SelectedOfferID:
		return "the money is for an offer that is not selected", nil
	case !r.Status.CanBecome(next, ByMoney):
		return r.Status.oddFor(next), nil
	case next == StatusCancelled:
		_, err = cancel(ctx, tx, r, ByMoney, eventID)
		return "", err
	}
	r.Status = next
	return "", tx.Put(ctx, &r)
}

// oddFor is "" when a request that cannot become next is there or further on.
func (s RequestStatus) oddFor(next RequestStatus) string {
	if s == next || (s != StatusCancelled && s.after(next)) {
		return ""
	}
	return "it is " + string(s)
}
