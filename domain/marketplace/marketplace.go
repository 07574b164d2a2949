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
	"reflect"
	"sort"
	"strings"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/query"
	"github.com/amanat-dev/amanat/internal/event"
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
	{
		Name: KindCategory, Type: reflect.TypeFor[Category](), Table: "categories", Collection: "categories",
		Unique:  []cutover.Unique{cutover.UniqueKey("ActiveName", (*Category).ActiveNameKey), {Fields: query.Index{"nameEn"}}},
		Indexes: []query.Index{{"order"}},
	},
	{
		Name: KindRequest, Type: reflect.TypeFor[PurchaseRequest](), Table: "purchase_requests", Collection: "purchaserequests",
		Indexes: []query.Index{{"buyerId"}, {"status"}, {"categoryId"}},
	},
	{
		Name: KindOffer, Type: reflect.TypeFor[SellerOffer](), Table: "seller_offers", Collection: "selleroffers",
		Unique:  []cutover.Unique{cutover.UniqueKey("Live", (*SellerOffer).LiveKey)},
		Indexes: []query.Index{{"purchaseRequestId"}, {"sellerId"}, {"sellerId", "status", "purchaseRequestId"}, {"status"}, {"status", "validUntil"}},
	},
}, event.Kinds(Domain)...)

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
var Invariants = []cutover.Invariant{
	{Name: "requests by status", Eval: requestsByStatus},
	{Name: "offers by status", Eval: offersByStatus},
	{Name: "a selected offer is an accepted one of its request", Kind: KindRequest, Check: checkSelected, Suspects: suspectSelected},
	{Name: "at most one live offer per seller and request", Kind: KindOffer, Check: checkOneLive, Suspects: suspectLive},
}

func requestsByStatus(ctx context.Context, tx cutover.Tx) (string, error) {
	counts := map[string]int{}
	err := cutover.Each(ctx, tx, func(r PurchaseRequest) error {
		counts[string(r.Status)]++
		return nil
	})
	return countsText(counts), err
}

func offersByStatus(ctx context.Context, tx cutover.Tx) (string, error) {
	counts := map[string]int{}
	err := cutover.Each(ctx, tx, func(o SellerOffer) error {
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

func checkSelected(ctx context.Context, tx cutover.Tx, record cutover.Record) error {
	r := record.(*PurchaseRequest)
	if r.SelectedOfferID.IsZero() {
		return nil
	}
	o, err := cutover.Get[SellerOffer](ctx, tx, r.SelectedOfferID)
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
func suspectSelected(ctx context.Context, tx cutover.Tx) ([]cutover.ID, error) {
	accepted := map[cutover.ID]cutover.ID{} // offer → request
	err := cutover.Each(ctx, tx, func(o SellerOffer) error {
		if o.Status == OfferAccepted {
			accepted[o.ID] = o.PurchaseRequestID
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var out []cutover.ID
	err = cutover.Each(ctx, tx, func(r PurchaseRequest) error {
		if !r.SelectedOfferID.IsZero() && accepted[r.SelectedOfferID] != r.ID {
			out = append(out, r.ID)
		}
		return nil
	})
	return out, err
}

// suspectLive names the offers that are the second live one of their seller on
// a request.
func suspectLive(ctx context.Context, tx cutover.Tx) ([]cutover.ID, error) {
	type place struct{ request, seller cutover.ID }
	live := map[place]bool{}
	var out []cutover.ID
	err := cutover.Each(ctx, tx, func(o SellerOffer) error {
		at := place{o.PurchaseRequestID, o.SellerID}
		if o.Status.Live() && live[at] {
			out = append(out, o.ID)
		}
		live[at] = live[at] || o.Status.Live()
		return nil
	})
	return out, err
}

func checkOneLive(ctx context.Context, tx cutover.Tx, record cutover.Record) error {
	o := record.(*SellerOffer)
	if !o.Status.Live() {
		return nil
	}
	offers, err := Offers(ctx, tx, OfferFilter{RequestID: o.PurchaseRequestID, SellerID: o.SellerID}, cutover.ID{}, 0)
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

// Definition is this domain.
var Definition = cutover.Definition{Name: Domain, Kinds: Kinds, Refers: []string{"user"}, Queries: Queries, Invariants: Invariants}
