// Package marketplace is where buyers post what they want, sellers offer it,
// and a chosen offer is delivered: categories, purchase requests with their
// delivery, and seller offers.
//
// A purchase request is the aggregate that guards its offers: whatever adds,
// withdraws, chooses or ends offers also writes the request, so that two such
// decisions at the same time conflict in either database.
package marketplace

import (
	"context"
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/event"
)

// Domain is the name under which the engine knows this domain.
const Domain = "marketplace"

// The names of the kinds of records.
const (
	KindCategory = "category"
	KindRequest  = "purchase_request"
	KindOffer    = "seller_offer"
)

// Kinds are the domain's kinds, parents first.
var Kinds = append(cutover.Kinds{
	{Name: KindCategory, New: func() cutover.Record { return new(Category) }, Parents: categoryParents},
	{Name: KindRequest, New: func() cutover.Record { return new(PurchaseRequest) }, Parents: requestParents},
	{Name: KindOffer, New: func() cutover.Record { return new(SellerOffer) }, Parents: offerParents},
}, event.Kinds(Domain)...)

func categoryParents(r cutover.Record) []cutover.Key {
	return parent(KindCategory, r.(*Category).ParentID)
}

func requestParents(r cutover.Record) []cutover.Key {
	return parent(KindCategory, r.(*PurchaseRequest).CategoryID)
}

func offerParents(r cutover.Record) []cutover.Key {
	return parent(KindRequest, r.(*SellerOffer).PurchaseRequestID)
}

func parent(kind string, id cutover.ID) []cutover.Key {
	if id.IsZero() {
		return nil
	}
	return []cutover.Key{{Kind: kind, ID: id}}
}

// Tx is the domain's transaction on either database. Getters fail with
// fault.NotFound. A limit of 0 means all.
type Tx interface {
	event.Tx

	Category(ctx context.Context, id cutover.ID) (Category, error)
	// Categories gives all categories, active or not, by order, then id.
	Categories(ctx context.Context) ([]Category, error)

	Request(ctx context.Context, id cutover.ID) (PurchaseRequest, error)
	// Requests gives the requests that f asks for whose id is below after
	// (any when zero), by id descending: the newest first.
	Requests(ctx context.Context, f RequestFilter, after cutover.ID, limit int) ([]PurchaseRequest, error)

	Offer(ctx context.Context, id cutover.ID) (SellerOffer, error)
	// Offers gives the offers that f asks for whose id is below after (any
	// when zero), by id descending: the newest first.
	Offers(ctx context.Context, f OfferFilter, after cutover.ID, limit int) ([]SellerOffer, error)
	// ExpiredOffers gives pending offers whose validUntil is before the given
	// time and whose id is above after (any when zero), by id ascending.
	ExpiredOffers(ctx context.Context, before time.Time, after cutover.ID, limit int) ([]SellerOffer, error)

	// EachRequest and EachOffer call fn for every one, by id ascending.
	EachRequest(ctx context.Context, fn func(PurchaseRequest) error) error
	EachOffer(ctx context.Context, fn func(SellerOffer) error) error
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

// OfferFilter says which offers are asked for; absent fields do not narrow.
type OfferFilter struct {
	RequestID cutover.ID
	SellerID  cutover.ID
	Status    OfferStatus
}

// The names of the domain's Views.
const (
	QueryCategory      = "category.get"
	QueryCategories    = "category.list"
	QueryRequest       = "purchase_request.get"
	QueryRequests      = "purchase_request.list"
	QueryDeal          = "purchase_request.deal"
	QueryOpenRequests  = "purchase_request.open"
	QueryOffers        = "seller_offer.list"
	QueryExpiredOffers = "seller_offer.expired"
)

// Queries lists every View of the domain.
var Queries = []string{
	QueryCategory, QueryCategories,
	QueryRequest, QueryRequests, QueryDeal, QueryOpenRequests,
	QueryOffers, QueryExpiredOffers,
	event.QueryPending,
}

// Invariants are what must hold of the whole domain on both sides.
var Invariants = []cutover.Invariant[Tx]{
	{Name: "requests by status", Eval: requestsByStatus},
	{Name: "offers by status", Eval: offersByStatus},
	{Name: "a selected offer is an accepted one of its request", Kind: KindRequest, Check: checkSelected, Suspects: suspectSelected},
	{Name: "at most one live offer per seller and request", Kind: KindOffer, Check: checkOneLive, Suspects: suspectLive},
}

func requestsByStatus(ctx context.Context, tx Tx) (string, error) {
	counts := map[string]int{}
	err := tx.EachRequest(ctx, func(r PurchaseRequest) error {
		counts[string(r.Status)]++
		return nil
	})
	return countsText(counts), err
}

func offersByStatus(ctx context.Context, tx Tx) (string, error) {
	counts := map[string]int{}
	err := tx.EachOffer(ctx, func(o SellerOffer) error {
		counts[string(o.Status)]++
		return nil
	})
	return countsText(counts), err
}

// countsText gives "3 active, 1 pending" in the order of the names.
func countsText(counts map[string]int) string {
	parts := make([]string, 0, len(counts))
	for name := range counts {
		parts = append(parts, name)
	}
	sort.Strings(parts)
	for i, name := range parts {
		parts[i] = fmt.Sprintf("%d %s", counts[name], name)
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}

func checkSelected(ctx context.Context, tx Tx, record cutover.Record) error {
	r := record.(*PurchaseRequest)
	if r.SelectedOfferID.IsZero() {
		return nil
	}
	o, err := tx.Offer(ctx, r.SelectedOfferID)
	switch {
	case err != nil:
		return fmt.Errorf("selected offer %s: %w", r.SelectedOfferID, err)
	case o.PurchaseRequestID != r.ID:
		return fmt.Errorf("selected offer %s is of request %s", o.ID, o.PurchaseRequestID)
	case o.Status != OfferAccepted:
		return fmt.Errorf("selected offer %s is %s", o.ID, o.Status)
	}
	return nil
}

// suspectSelected names the requests whose selected offer was not found among
// the accepted ones of that request.
func suspectSelected(ctx context.Context, tx Tx) ([]cutover.ID, error) {
	accepted := map[cutover.ID]cutover.ID{} // offer → request
	err := tx.EachOffer(ctx, func(o SellerOffer) error {
		if o.Status == OfferAccepted {
			accepted[o.ID] = o.PurchaseRequestID
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var out []cutover.ID
	err = tx.EachRequest(ctx, func(r PurchaseRequest) error {
		if !r.SelectedOfferID.IsZero() && accepted[r.SelectedOfferID] != r.ID {
			out = append(out, r.ID)
		}
		return nil
	})
	return out, err
}

// suspectLive names the offers that are the second live one of their seller on
// a request.
func suspectLive(ctx context.Context, tx Tx) ([]cutover.ID, error) {
	type place struct{ request, seller cutover.ID }
	live := map[place]bool{}
	var out []cutover.ID
	err := tx.EachOffer(ctx, func(o SellerOffer) error {
		at := place{o.PurchaseRequestID, o.SellerID}
		if o.Status.Live() && live[at] {
			out = append(out, o.ID)
		}
		live[at] = live[at] || o.Status.Live()
		return nil
	})
	return out, err
}

func checkOneLive(ctx context.Context, tx Tx, record cutover.Record) error {
	o := record.(*SellerOffer)
	if !o.Status.Live() {
		return nil
	}
	offers, err := tx.Offers(ctx, OfferFilter{RequestID: o.PurchaseRequestID, SellerID: o.SellerID}, cutover.ID{}, 0)
	if err != nil {
		return err
	}
	live := 0
	for _, o := range offers {
		if o.Status.Live() {
			live++
		}
	}
	if live > 1 {
		return fmt.Errorf("its seller has %d live offers on request %s", live, o.PurchaseRequestID)
	}
	return nil
}
