// Package marketplace is where buyers post what they want, sellers offer it,
// and a chosen offer is delivered: categories, purchase requests with their
// delivery, and seller offers.
//
// A purchase request is the aggregate that guards its offers: whatever adds,
// withdraws, chooses or ends offers also writes the request, so that two such
// decisions at the same time conflict in either database.
package marketplace

import (
	"reflect"

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

// Definition is this domain.
var Definition = cutover.Definition{Name: Domain, Kinds: Kinds, Refers: []string{"user"}, Queries: Queries, Invariants: Invariants}
