package marketplace

import (
	"context"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/internal/money"
	"github.com/amanat-dev/amanat/internal/web"
)

// CreateRequest posts a request. Errors: fault.Forbidden unless who is a buyer
// or seller; fault.Invalid.
func (s *Service) CreateRequest(ctx context.Context, who web.Principal, d RequestDraft) (PurchaseRequest, error) {
	if err := traders.Admit(who); err != nil {
		return PurchaseRequest{}, err
	}
	if err := d.check(who.UserID); err != nil {
		return PurchaseRequest{}, err
	}
	draft := newRequest(cutover.NewID(), who.UserID, d)
	if err := s.mustSell(ctx, draft.PreferredSellerIDs); err != nil {
		return PurchaseRequest{}, err
	}
	return cutover.Update(ctx, s.db, func(ctx context.Context, tx cutover.Tx) (PurchaseRequest, error) {
		r := draft
		if err := mustBeActive(ctx, tx, r.CategoryID); err != nil {
			return PurchaseRequest{}, err
		}
		return r, tx.Put(ctx, &r)
	})
}

func (s *Service) mustSell(ctx context.Context, sellers []cutover.ID) error {
	if len(sellers) == 0 {
		return nil
	}
	missing, err := s.deps.People.MissingSellers(ctx, sellers)
	if err == nil && len(missing) > 0 {
		err = fault.Field("preferredSellerIds", "there is no seller %s", missing[0])
	}
	return err
}

// mustBeActive does not write the category: that one was made inactive in the
// same moment does no harm, and categories are never deleted.
func mustBeActive(ctx context.Context, tx cutover.Tx, category cutover.ID) error {
	if category.IsZero() {
		return nil
	}
	c, err := cutover.Get[Category](ctx, tx, category)
	if fault.Is(err, fault.NotFound) || (err == nil && !c.IsActive) {
		return fault.Field("categoryId", "there is no such category")
	}
	return err
}

// Request returns a request as the member may see it. Errors: fault.NotFound,
// also when they may not see it at all.
func (s *Service) Request(ctx context.Context, who web.Principal, id cutover.ID) (PurchaseRequest, error) {
	return cutover.View(ctx, s.db, QueryRequest, func(ctx context.Context, tx cutover.Tx) (PurchaseRequest, error) {
		r, own, err := requestFor(ctx, tx, who, id)
		return r.shownTo(who, r.selectedAmong(own)), err
	})
}

// RequestList says which requests a member asks for.
type RequestList struct {
	Mine       bool // only those of which they are the buyer or the selected seller
	Status     RequestStatus
	CategoryID cutover.ID
}

// Requests returns what a member may see, the newest first: their own, and open
// ones that are public or prefer them; to an admin all. Where to deliver is
// left out of others' requests, whoever is selected: Request has it.
func (s *Service) Requests(ctx context.Context, who web.Principal, l RequestList, after cutover.ID, limit int) ([]PurchaseRequest, error) {
	f := RequestFilter{Status: l.Status, CategoryID: l.CategoryID}
	if l.Mine || who.Role != web.RoleAdmin {
		f.Party = who.UserID
	}
	if !l.Mine && who.Role != web.RoleAdmin {
		f.OpenTo = who.UserID
	}
	return cutover.View(ctx, s.db, QueryRequests, func(ctx context.Context, tx cutover.Tx) ([]PurchaseRequest, error) {
		requests, err := Requests(ctx, tx, f, after, limit)
		for i, r := range requests {
			requests[i] = r.shownTo(who, false)
		}
		return requests, err
	})
}

// UpdateRequest changes a request's terms or delivery; for its buyer and
// admins. Errors: fault.Conflict when its status does not allow it.
func (s *Service) UpdateRequest(ctx context.Context, who web.Principal, id cutover.ID, p RequestPatch) (PurchaseRequest, error) {
	if p.PreferredSellerIDs != nil {
		if err := s.mustSell(ctx, *p.PreferredSellerIDs); err != nil {
			return PurchaseRequest{}, err
		}
	}
	return cutover.Update(ctx, s.db, func(ctx context.Context, tx cutover.Tx) (PurchaseRequest, error) {
		r, err := requestAsBuyer(ctx, tx, who, id)
		if err != nil {
			return PurchaseRequest{}, err
		}
		if err := r.apply(p); err != nil {
			return PurchaseRequest{}, err
		}
		if p.CategoryID != nil {
			if err := mustBeActive(ctx, tx, r.CategoryID); err != nil {
				return PurchaseRequest{}, err
			}
		}
		return r, tx.Put(ctx, &r)
	})
}

// CancelRequest is for the buyer and admins, before money is held. Errors:
// fault.Conflict when it is too late.
func (s *Service) CancelRequest(ctx context.Context, who web.Principal, id cutover.ID) (PurchaseRequest, error) {
	if err := s.mayCancel(ctx, who, id); err != nil {
		return PurchaseRequest{}, err
	}
	eventID := cutover.NewID()
	return cutover.Update(ctx, s.db, func(ctx context.Context, tx cutover.Tx) (PurchaseRequest, error) {
		r, err := requestAsBuyer(ctx, tx, who, id)
		if err != nil {
			return PurchaseRequest{}, err
		}
		return cancel(ctx, tx, r, ByMember, eventID)
	})
}

// mayCancel asks for held money outside of the Update, since the answer is
// another domain's: a reading of that moment. Money that arrives right after
// it is met when its event does (see HandlePaymentFunded).
func (s *Service) mayCancel(ctx context.Context, who web.Principal, id cutover.ID) error {
	_, err := cutover.View(ctx, s.db, QueryRequest, func(ctx context.Context, tx cutover.Tx) (PurchaseRequest, error) {
		return requestAsBuyer(ctx, tx, who, id)
	})
	if err != nil {
		return err
	}
	held, err := s.deps.Escrow.MoneyHeld(ctx, id)
	if err == nil && held {
		err = fault.New(fault.Conflict, "money is held for this purchase request: it can only be refunded")
	}
	return err
}

// cancel ends a request and the offers that still wait on it. Offers are read
// after the request, which is written: an offer that comes in between conflicts.
func cancel(ctx context.Context, tx cutover.Tx, r PurchaseRequest, by Cause, eventID cutover.ID) (PurchaseRequest, error) {
	if err := r.moveTo(StatusCancelled, by); err != nil {
		return PurchaseRequest{}, err
	}
	if err := rejectPending(ctx, tx, r.ID, cutover.ID{}); err != nil {
		return PurchaseRequest{}, err
	}
	if err := tell(ctx, tx, eventID, EventCancelled, r); err != nil {
		return PurchaseRequest{}, err
	}
	return r, tx.Put(ctx, &r)
}

// Deal is what the payment domain asks about: a request and an offer on it.
type Deal struct {
	RequestID, OfferID         cutover.ID
	BuyerID, SellerID          cutover.ID
	RequestStatus, OfferStatus string
	Selected                   bool // the offer is the request's selected one
	Price                      money.Amount
	Currency                   string
}

// Deal returns a request and an offer on it. Errors: fault.NotFound when either
// is missing, or the offer is another request's.
func (s *Service) Deal(ctx context.Context, requestID, offerID cutover.ID) (Deal, error) {
	return cutover.View(ctx, s.db, QueryDeal, func(ctx context.Context, tx cutover.Tx) (Deal, error) {
		r, err := cutover.Get[PurchaseRequest](ctx, tx, requestID)
		if err != nil {
			return Deal{}, err
		}
		o, err := offerOn(ctx, tx, r.ID, offerID)
		if err != nil {
			return Deal{}, err
		}
		return Deal{
			RequestID: r.ID, OfferID: o.ID, BuyerID: r.BuyerID, SellerID: o.SellerID,
			RequestStatus: string(r.Status), OfferStatus: string(o.Status), Selected: r.SelectedOfferID == o.ID,
			Price: o.Price.Amount, Currency: o.Price.Currency,
		}, nil
	})
}

// OpenRequests counts the unfinished requests of which the user is the buyer
// or the selected seller: what keeps an account from going.
func (s *Service) OpenRequests(ctx context.Context, userID cutover.ID) (int64, error) {
	return cutover.View(ctx, s.db, QueryOpenRequests, func(ctx context.Context, tx cutover.Tx) (int64, error) {
		return countUnfinished(ctx, tx, userID)
	})
}

func countUnfinished(ctx context.Context, tx cutover.Tx, userID cutover.ID) (int64, error) {
	const page = 200
	var count int64
	var after cutover.ID
	for {
		requests, err := Requests(ctx, tx, RequestFilter{Party: userID}, after, page)
		if err != nil {
			return 0, err
		}
		for _, r := range requests {
			if !r.Status.Finished() {
				count++
			}
			after = r.ID
		}
		if len(requests) < page {
			return count, nil
		}
	}
}
