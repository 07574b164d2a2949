package marketplace

import (
	"context"
	"slices"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/query"
)

// Categories returns all categories, active or not, by order, then identity.
func Categories(ctx context.Context, tx cutover.Tx) ([]Category, error) {
	return cutover.Find[Category](ctx, tx, query.All().OrderBy("order"))
}

// RequestFilter says which requests are asked for. Status and CategoryID
// narrow; absent ones do not. Party and OpenTo widen: with either, only
// requests that one of them names; with neither, everybody's.
type RequestFilter struct {
	Status     RequestStatus
	CategoryID cutover.ID
	// Party names the requests whose buyer, or whose seller with an accepted
	// offer, is this member.
	Party cutover.ID
	// OpenTo names the requests in an open status (see OpenStatuses) that
	// prefer no seller, or this member among others.
	OpenTo cutover.ID
}

// Requests returns a page of the requests that f asks for, the newest first,
// after the given one.
func Requests(ctx context.Context, tx cutover.Tx, f RequestFilter, after cutover.ID, limit int) ([]PurchaseRequest, error) {
	alternatives := f.alternatives(after, limit)
	q := query.All()
	if f.Status != "" {
		q = q.And(query.Eq("status", f.Status))
	}
	if !f.CategoryID.IsZero() {
		q = q.And(query.Eq("categoryId", f.CategoryID))
	}
	if len(alternatives) > 0 {
		q = q.And(query.AnyOf(alternatives...))
	}
	return cutover.Find[PurchaseRequest](ctx, tx, q.Page(after, limit))
}

// alternatives are the conditions of which one must hold; none: everybody's.
func (f RequestFilter) alternatives(after cutover.ID, limit int) []query.Query {
	var any []query.Query
	if !f.Party.IsZero() {
		any = append(any, query.Eq("buyerId", f.Party), query.Among(query.ID, KindOffer, "purchaseRequestId", f.sold(after, limit)))
	}
	if !f.OpenTo.IsZero() {
		open := slices.DeleteFunc(slices.Clone(OpenStatuses), func(s RequestStatus) bool { return f.Status != "" && s != f.Status })
		any = append(any,
			query.In("status", open...).And(query.Absent("preferredSellerIds")),
			query.In("status", open...).And(query.Eq("preferredSellerIds", f.OpenTo)))
	}
	return any
}

// sold asks for the party's accepted offers, of which there is one per request:
// as many as a page can show, unless status or category may leave some of them
// out.
func (f RequestFilter) sold(after cutover.ID, limit int) query.Query {
	q := query.Eq("sellerId", f.Party).And(query.Eq("status", OfferAccepted)).OrderByDesc("purchaseRequestId")
	if !after.IsZero() {
		q = q.And(query.Less("purchaseRequestId", after))
	}
	if f.Status == "" && f.CategoryID.IsZero() {
		q = q.Limit(limit)
	}
	return q
}

// OfferFilter says which offers are asked for; absent fields do not narrow.
type OfferFilter struct {
	RequestID cutover.ID
	SellerID  cutover.ID
	Status    OfferStatus
}

// Offers returns a page of the offers that f asks for, the newest first, after
// the given one.
func Offers(ctx context.Context, tx cutover.Tx, f OfferFilter, after cutover.ID, limit int) ([]SellerOffer, error) {
	q := query.All()
	if !f.RequestID.IsZero() {
		q = q.And(query.Eq("purchaseRequestId", f.RequestID))
	}
	if !f.SellerID.IsZero() {
		q = q.And(query.Eq("sellerId", f.SellerID))
	}
	if f.Status != "" {
		q = q.And(query.Eq("status", f.Status))
	}
	return cutover.Find[SellerOffer](ctx, tx, q.Page(after, limit))
}

// ExpiredOffers returns pending offers whose validUntil is before the given time
// and whose identity is above after, in the order of identities.
func ExpiredOffers(ctx context.Context, tx cutover.Tx, before time.Time, after cutover.ID, limit int) ([]SellerOffer, error) {
	expired := query.Eq("status", OfferPending).And(query.Less("validUntil", before))
	if !after.IsZero() {
		expired = expired.And(query.More(query.ID, after))
	}
	return cutover.Find[SellerOffer](ctx, tx, expired.Limit(limit))
}
