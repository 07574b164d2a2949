package marketplace

import (
	"fmt"
	"slices"

	"github.com/amanat-dev/amanat/cutover/fault"
)

// RequestStatus is where a purchase request stands.
type RequestStatus string

// The statuses in their order: a request never goes back, except into
// cancelled.
const (
	StatusPendingPayment RequestStatus = "pending_payment" // made by a checkout, before its payment
	StatusPending        RequestStatus = "pending"
	StatusActive         RequestStatus = "active"
	StatusReceivedOffers RequestStatus = "received_offers"
	StatusPayment        RequestStatus = "payment"    // an offer is chosen and is to be paid
	StatusProcessing     RequestStatus = "processing" // the money is held
	StatusDelivery       RequestStatus = "delivery"
	StatusDelivered      RequestStatus = "delivered"
	StatusCompleted      RequestStatus = "completed"
	StatusSellerPaid     RequestStatus = "seller_paid"
	StatusCancelled      RequestStatus = "cancelled"
)

// RequestStatuses lists them in their order.
var RequestStatuses = []RequestStatus{
	StatusPendingPayment, StatusPending, StatusActive, StatusReceivedOffers, StatusPayment,
	StatusProcessing, StatusDelivery, StatusDelivered, StatusCompleted, StatusSellerPaid, StatusCancelled,
}

// OpenStatuses are those in which a request takes offers and others than its
// parties may see it.
var OpenStatuses = []RequestStatus{StatusPending, StatusActive, StatusReceivedOffers}

// Cause says what moves a request: what a member does, or what the payment
// domain tells of the money.
type Cause int

// The causes.
const (
	ByMember Cause = iota // buyer, seller or an admin in their place
	ByMoney               // funded, released or refunded
)

// moves is the whole of the rule: from a status, by a cause, into which. The
// money's news may skip steps, because it tells what has already happened: a
// release is true of a parcel whose arrival nobody confirmed. Only a refund
// cancels once money is held: then it is held no longer.
var moves = map[RequestStatus]map[Cause][]RequestStatus{
	StatusPendingPayment: {ByMember: {StatusCancelled}, ByMoney: {StatusProcessing, StatusCancelled}},
	StatusPending:        {ByMember: {StatusActive, StatusReceivedOffers, StatusPayment, StatusCancelled}},
	StatusActive:         {ByMember: {StatusReceivedOffers, StatusPayment, StatusCancelled}},
	StatusReceivedOffers: {ByMember: {StatusPayment, StatusCancelled}},
	StatusPayment:        {ByMember: {StatusCancelled}, ByMoney: {StatusProcessing, StatusSellerPaid, StatusCancelled}},
	StatusProcessing:     {ByMember: {StatusDelivery}, ByMoney: {StatusSellerPaid, StatusCancelled}},
	StatusDelivery:       {ByMember: {StatusDelivered, StatusCompleted}, ByMoney: {StatusSellerPaid, StatusCancelled}},
	StatusDelivered:      {ByMember: {StatusCompleted}, ByMoney: {StatusSellerPaid, StatusCancelled}},
	StatusCompleted:      {ByMoney: {StatusSellerPaid, StatusCancelled}},
	StatusSellerPaid:     {},
	StatusCancelled:      {},
}

// CanBecome says whether a request may go from s to next by that cause.
func (s RequestStatus) CanBecome(next RequestStatus, by Cause) bool {
	return slices.Contains(moves[s][by], next)
}

// Known says that s is one of RequestStatuses.
func (s RequestStatus) Known() bool { return slices.Contains(RequestStatuses, s) }

// Open says that the request takes offers.
func (s RequestStatus) Open() bool { return slices.Contains(OpenStatuses, s) }

// Finished says that nothing more is expected of its parties.
func (s RequestStatus) Finished() bool {
	return s == StatusCompleted || s == StatusSellerPaid || s == StatusCancelled
}

// moveTo changes the status, or fails with fault.Conflict when the table does
// not allow it.
func (r *PurchaseRequest) moveTo(next RequestStatus, by Cause) error {
	if !r.Status.CanBecome(next, by) {
		return fault.New(fault.Conflict, "the purchase request is %s and cannot become %s", r.Status, next)
	}
	r.Status = next
	return nil
}

func (s RequestStatus) check() error {
	if !s.Known() {
		return fmt.Errorf("status %.40q is not known", string(s))
	}
	return nil
}

// after says that s comes later than t in the order of the statuses.
func (s RequestStatus) after(t RequestStatus) bool {
	return slices.Index(RequestStatuses, s) > slices.Index(RequestStatuses, t)
}
