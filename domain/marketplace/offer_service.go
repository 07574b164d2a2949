package marketplace

import (
	"context"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/internal/limit"
	"github.com/amanat-dev/amanat/internal/web"
)

// CreateOffer makes a seller's offer on a request that they may see. Errors:
// fault.Forbidden on one's own request; fault.Conflict when the request takes
// no offers, or the seller has a live one on it.
func (s *Service) CreateOffer(ctx context.Context, who web.Principal, requestID cutover.ID, d OfferDraft) (SellerOffer, error) {
	if err := sellers.Admit(who); err != nil {
		return SellerOffer{}, err
	}
	now := s.now()
	if err := d.check(now); err != nil {
		return SellerOffer{}, err
	}
	draft := newOffer(cutover.NewID(), who.UserID, requestID, d)
	return cutover.Update(ctx, s.db, func(ctx context.Context, tx cutover.Tx) (SellerOffer, error) {
		return addOffer(ctx, tx, who, draft, now)
	})
}

// addOffer writes the request even when its status stays: a selection or
// cancellation at the same time has not seen this offer and must not pass it
// by. Either this or the other meets a conflict.
func addOffer(ctx context.Context, tx cutover.Tx, who web.Principal, o SellerOffer, now time.Time) (SellerOffer, error) {
	cutover.Expect[SellerOffer](tx, ownOffers(who, o.PurchaseRequestID))
	r, own, err := requestAndOwnOffers(ctx, tx, who, o.PurchaseRequestID)
	if err != nil {
		return SellerOffer{}, err
	}
	if err := r.mayOffer(who, len(own) > 0); err != nil {
		return SellerOffer{}, err
	}
	if err := freePlace(ctx, tx, own, now); err != nil {
		return SellerOffer{}, err
	}
	if r.Status != StatusReceivedOffers {
		if err := r.moveTo(StatusReceivedOffers, ByMember); err != nil {
			return SellerOffer{}, err
		}
	}
	if err := tx.Put(ctx, &r); err != nil {
		return SellerOffer{}, err
	}
	return o, tx.Put(ctx, &o)
}

// mayOffer says whether a member may make an offer; offered says that they
// have made one before. Who could see the request while it was open hears that
// it is too late; to others it does not exist.
func (r PurchaseRequest) mayOffer(who web.Principal, offered bool) error {
	tooLate := r.Status.after(StatusReceivedOffers) && r.welcomes(who.UserID)
	switch {
	case !tooLate && !r.visibleTo(who, offered):
		return errNoRequest()
	case r.BuyerID == who.UserID:
		return fault.New(fault.Forbidden, "nobody makes an offer on their own request")
	case !r.Status.Open():
		return fault.New(fault.Conflict, "the purchase request is %s and takes no offers", r.Status)
	case !r.welcomes(who.UserID):
		return fault.New(fault.Forbidden, "the buyer prefers other sellers")
	}
	return nil
}

// freePlace withdraws an expired offer of the same seller, and fails on a live
// one.
func freePlace(ctx context.Context, tx cutover.Tx, own []SellerOffer, now time.Time) error {
	for _, o := range own {
		switch {
		case !o.Status.Live():
			continue
		case !o.Expired(now):
			return fault.New(fault.Conflict, "you have an offer on this purchase request already")
		}
		o.Status = OfferWithdrawn
		if err := tx.Put(ctx, &o); err != nil {
			return err
		}
	}
	return nil
}

// Offers returns the offers on a request, the newest first: all to its buyer
// and admins, to others who may see it their own.
func (s *Service) Offers(ctx context.Context, who web.Principal, requestID, after cutover.ID, limit int) ([]SellerOffer, error) {
	return cutover.View(ctx, s.db, QueryOffers, func(ctx context.Context, tx cutover.Tx) ([]SellerOffer, error) {
		r, _, err := requestFor(ctx, tx, who, requestID)
		if err != nil {
			return nil, err
		}
		f := OfferFilter{RequestID: r.ID}
		if who.UserID != r.BuyerID && who.Role != web.RoleAdmin {
			f.SellerID = who.UserID
		}
		return Offers(ctx, tx, f, after, limit)
	})
}

// UpdateOffer changes a pending offer; for its seller. The offer itself guards
// this: selecting or cancelling writes every pending offer of the request.
func (s *Service) UpdateOffer(ctx context.Context, who web.Principal, id cutover.ID, p OfferPatch) (SellerOffer, error) {
	now := s.now()
	return cutover.Update(ctx, s.db, func(ctx context.Context, tx cutover.Tx) (SellerOffer, error) {
		o, err := ownOffer(ctx, tx, who, id)
		if err != nil {
			return SellerOffer{}, err
		}
		if err := o.apply(p, now); err != nil {
			return SellerOffer{}, err
		}
		return o, tx.Put(ctx, &o)
	})
}

// WithdrawOffer takes a pending offer back; for its seller.
func (s *Service) WithdrawOffer(ctx context.Context, who web.Principal, id cutover.ID) (SellerOffer, error) {
	return cutover.Update(ctx, s.db, func(ctx context.Context, tx cutover.Tx) (SellerOffer, error) {
		o, err := ownOffer(ctx, tx, who, id)
		if err != nil {
			return SellerOffer{}, err
		}
		if o.Status != OfferPending {
			return SellerOffer{}, fault.New(fault.Conflict, "the offer is %s", o.Status)
		}
		return withdraw(ctx, tx, o)
	})
}

// ownOffer reads an offer for its seller. Errors: fault.NotFound to others.
func ownOffer(ctx context.Context, tx cutover.Tx, who web.Principal, id cutover.ID) (SellerOffer, error) {
	o, err := cutover.Get[SellerOffer](ctx, tx, id)
	if fault.Is(err, fault.NotFound) || (err == nil && o.SellerID != who.UserID) {
		return SellerOffer{}, errNoOffer()
	}
	return o, err
}

// withdraw writes the request as well: a selection at the same time counts on
// its offers being as it read them.
func withdraw(ctx context.Context, tx cutover.Tx, o SellerOffer) (SellerOffer, error) {
	r, err := cutover.Get[PurchaseRequest](ctx, tx, o.PurchaseRequestID)
	if err == nil {
		err = tx.Put(ctx, &r)
	}
	if err != nil && !fault.Is(err, fault.NotFound) { // a legacy offer may have lost its request
		return SellerOffer{}, err
	}
	o.Status = OfferWithdrawn
	return o, tx.Put(ctx, &o)
}

// Selection says which offer a buyer selects, and as of which revision they
// have read it.
type Selection struct {
	OfferID  cutover.ID `json:"offerId"`
	OfferRev *int64     `json:"offerRev,omitempty" minimum:"0" doc:"The offer's rev as it was shown: an offer that changed since is not selected"`
}

// SelectOffer accepts one pending offer and rejects all others; for the buyer
// alone. Errors: fault.NotFound when the request has no such offer;
// fault.Conflict when either is past selecting, or the offer is not as the
// buyer has read it.
func (s *Service) SelectOffer(ctx context.Context, who web.Principal, requestID cutover.ID, choice Selection) (PurchaseRequest, error) {
	if err := limit.Check(choice); err != nil {
		return PurchaseRequest{}, err
	}
	now := s.now()
	return cutover.Update(ctx, s.db, func(ctx context.Context, tx cutover.Tx) (PurchaseRequest, error) {
		r, err := requestAsOnlyBuyer(ctx, tx, who, requestID)
		if err != nil {
			return PurchaseRequest{}, err
		}
		return selectOffer(ctx, tx, r, choice, now)
	})
}

// selectOffer reads the offers after the request, and writes the request:
// whoever adds or withdraws one meanwhile conflicts with this.
func selectOffer(ctx context.Context, tx cutover.Tx, r PurchaseRequest, choice Selection, now time.Time) (PurchaseRequest, error) {
	o, err := offerOn(ctx, tx, r.ID, choice.OfferID)
	if err != nil {
		return PurchaseRequest{}, err
	}
	if choice.OfferRev != nil && *choice.OfferRev != o.Rev {
		return PurchaseRequest{}, fault.New(fault.Conflict, "the offer has changed since you read it: read it again")
	}
	if err := r.moveTo(StatusPayment, ByMember); err != nil {
		return PurchaseRequest{}, err
	}
	if err := o.mustBePending(now); err != nil {
		return PurchaseRequest{}, err
	}
	if err := rejectPending(ctx, tx, r.ID, o.ID); err != nil {
		return PurchaseRequest{}, err
	}
	o.Status = OfferAccepted
	if err := tx.Put(ctx, &o); err != nil {
		return PurchaseRequest{}, err
	}
	r.SelectedOfferID = o.ID
	return r, tx.Put(ctx, &r)
}

// offerOn reads an offer of that request. Errors: fault.NotFound.
func offerOn(ctx context.Context, tx cutover.Tx, requestID, offerID cutover.ID) (SellerOffer, error) {
	o, err := cutover.Get[SellerOffer](ctx, tx, offerID)
	if fault.Is(err, fault.NotFound) || (err == nil && o.PurchaseRequestID != requestID) {
		return SellerOffer{}, errNoOffer()
	}
	return o, err
}

func errNoOffer() error { return fault.New(fault.NotFound, "there is no such offer") }

// rejectPending rejects a request's pending offers other than except.
func rejectPending(ctx context.Context, tx cutover.Tx, requestID, except cutover.ID) error {
	pending, err := Offers(ctx, tx, OfferFilter{RequestID: requestID, Status: OfferPending}, cutover.ID{}, 0)
	if err != nil {
		return err
	}
	for _, o := range pending {
		if o.ID == except {
			continue
		}
		o.Status = OfferRejected
		if err := tx.Put(ctx, &o); err != nil {
			return err
		}
	}
	return nil
}

// ExpireOffers withdraws the pending offers whose time is over and says how
// many; call it periodically. An offer that could not be withdrawn is logged
// and left for the next time.
func (s *Service) ExpireOffers(ctx context.Context) (int, error) {
	const page = 100
	now := s.now()
	count := 0
	var after cutover.ID
	for {
		offers, err := s.expired(ctx, now, after, page)
		if err != nil {
			return count, err
		}
		for _, o := range offers {
			after = o.ID
			if s.expire(ctx, o.ID, now) {
				count++
			}
		}
		if len(offers) < page {
			return count, ctx.Err()
		}
	}
}

func (s *Service) expired(ctx context.Context, now time.Time, after cutover.ID, limit int) ([]SellerOffer, error) {
	return cutover.View(ctx, s.db, QueryExpiredOffers, func(ctx context.Context, tx cutover.Tx) ([]SellerOffer, error) {
		return ExpiredOffers(ctx, tx, now, after, limit)
	})
}

// expire reads the offer again: it may have changed since it was listed.
func (s *Service) expire(ctx context.Context, id cutover.ID, now time.Time) bool {
	done, err := cutover.Update(ctx, s.db, func(ctx context.Context, tx cutover.Tx) (bool, error) {
		o, err := cutover.Get[SellerOffer](ctx, tx, id)
		if err != nil || !o.Expired(now) {
			return false, err
		}
		_, err = withdraw(ctx, tx, o)
		return err == nil, err
	})
	if err != nil && ctx.Err() == nil {
		s.log.Warn("expired offer not withdrawn", "offer", id.String(), "error", err)
	}
	return done && err == nil
}
