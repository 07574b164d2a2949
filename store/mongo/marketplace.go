package mongo

import (
	"cmp"
	"context"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/domain/marketplace"
)

// Marketplace gives the marketplace's side in MongoDB.
func Marketplace(db *DB) cutover.Side[marketplace.Tx] {
	return newSide(db, marketplace.Domain, marketplace.Kinds, marketplaceCollections(), func(tx *Tx) marketplace.Tx {
		return marketplaceTx{eventTx{tx, marketplace.Domain}}
	})
}

func marketplaceCollections() []Collection {
	own := []Collection{
		{Kind: marketplace.KindCategory, Name: "categories", Indexes: []Index{
			{Name: "ActiveName", Unique: true, Key: activeName},
			{Fields: []string{"nameEn"}, Unique: true},
		}},
		{Kind: marketplace.KindRequest, Name: "purchaserequests", Indexes: []Index{
			{Fields: []string{"buyerId"}},
			{Fields: []string{"status"}},
			{Fields: []string{"categoryId"}},
		}},
		{Kind: marketplace.KindOffer, Name: "selleroffers", Indexes: []Index{
			{Name: "Live", Unique: true, Key: liveOffer},
			{Fields: []string{"purchaseRequestId"}},
			{Fields: []string{"sellerId"}},
			{Fields: []string{"status"}},
		}},
	}
	return append(own, eventCollections(marketplace.Domain)...)
}

func activeName(r cutover.Record) string { return r.(*marketplace.Category).ActiveNameKey() }
func liveOffer(r cutover.Record) string  { return r.(*marketplace.SellerOffer).LiveKey() }

type marketplaceTx struct{ eventTx }

func (t marketplaceTx) Category(ctx context.Context, id cutover.ID) (marketplace.Category, error) {
	return Get[marketplace.Category](ctx, t.Tx, marketplace.KindCategory, id)
}

// Categories sorts here: a legacy category without an order has order 0, but
// MongoDB would put it before -1.
func (t marketplaceTx) Categories(ctx context.Context) ([]marketplace.Category, error) {
	all, err := Find[marketplace.Category](ctx, t.Tx, marketplace.KindCategory, bson.D{}, newestFirst, 0)
	slices.SortFunc(all, func(a, b marketplace.Category) int {
		return cmp.Or(cmp.Compare(a.Order, b.Order), slices.Compare(a.ID[:], b.ID[:]))
	})
	return all, err
}

func (t marketplaceTx) Request(ctx context.Context, id cutover.ID) (marketplace.PurchaseRequest, error) {
	return Get[marketplace.PurchaseRequest](ctx, t.Tx, marketplace.KindRequest, id)
}

func (t marketplaceTx) Requests(ctx context.Context, f marketplace.RequestFilter, after cutover.ID, limit int) ([]marketplace.PurchaseRequest, error) {
	narrow := pageBelow(after)
	if !f.CategoryID.IsZero() {
		narrow = append(narrow, inEitherForm("categoryId", f.CategoryID))
	}
	found, err := unionOf[marketplace.PurchaseRequest](ctx, t.Tx, marketplace.KindRequest, requestFilters(f, narrow), newestFirst, limit)
	if err != nil || f.Party.IsZero() {
		return newest(found, limit), err
	}
	sold, err := t.soldBy(ctx, f, after, limit)
	return newest(append(found, sold...), limit), err
}

// requestFilters gives the queries whose union is what f asks for, but for
// what a member has sold.
func requestFilters(f marketplace.RequestFilter, narrow bson.D) []bson.D {
	var filters []bson.D
	if !f.Party.IsZero() {
		filters = append(filters, references("buyerId", f.Party, withStatus(f.Status, narrow))...)
	}
	if !f.OpenTo.IsZero() {
		filters = append(filters, openTo(f, narrow)...)
	}
	if f.Party.IsZero() && f.OpenTo.IsZero() {
		filters = append(filters, withStatus(f.Status, narrow))
	}
	return filters
}

// openTo gives a query per open status: each names its status alone, which
// an index answers.
func openTo(f marketplace.RequestFilter, narrow bson.D) []bson.D {
	welcome := bson.E{Key: "preferredSellerIds", Value: bson.D{{Key: "$in", Value: bson.A{
		nil, bson.A{}, oid(f.OpenTo), f.OpenTo.String(),
	}}}}
	var filters []bson.D
	for _, status := range marketplace.OpenStatuses {
		if f.Status == "" || f.Status == status {
			filters = append(filters, append(withStatus(status, narrow), welcome))
		}
	}
	return filters
}

// soldBy gives the requests on which the member has an accepted offer. All of
// a seller's accepted offers are read, of which there is one per request.
func (t marketplaceTx) soldBy(ctx context.Context, f marketplace.RequestFilter, after cutover.ID, limit int) ([]marketplace.PurchaseRequest, error) {
	accepted, err := t.Offers(ctx, marketplace.OfferFilter{SellerID: f.Party, Status: marketplace.OfferAccepted}, cutover.ID{}, 0)
	if err != nil {
		return nil, err
	}
	ids := slices.DeleteFunc(requestsOf(accepted), func(id cutover.ID) bool {
		return !after.IsZero() && slices.Compare(id[:], after[:]) >= 0
	})
	var found []marketplace.PurchaseRequest
	for page := range slices.Chunk(ids, max(limit, soldAtOnce)) {
		requests, err := GetMany[marketplace.PurchaseRequest](ctx, t.Tx, marketplace.KindRequest, page)
		if err != nil {
			return nil, err
		}
		for _, r := range requests {
			if (f.Status == "" || f.Status == r.Status) && (f.CategoryID.IsZero() || f.CategoryID == r.CategoryID) {
				found = append(found, r)
			}
		}
		if limit > 0 && len(found) >= limit {
			break
		}
	}
	return first(found, limit), nil
}

// soldAtOnce is how many of a seller's requests are read at a time at least.
const soldAtOnce = 20

// requestsOf gives the ids of the offers' requests, each once, the newest
// first.
func requestsOf(offers []marketplace.SellerOffer) []cutover.ID {
	ids := make([]cutover.ID, len(offers))
	for i, o := range offers {
		ids[i] = o.PurchaseRequestID
	}
	slices.SortFunc(ids, func(a, b cutover.ID) int { return slices.Compare(b[:], a[:]) })
	return slices.Compact(ids)
}

func (t marketplaceTx) Offer(ctx context.Context, id cutover.ID) (marketplace.SellerOffer, error) {
	return Get[marketplace.SellerOffer](ctx, t.Tx, marketplace.KindOffer, id)
}

func (t marketplaceTx) Offers(ctx context.Context, f marketplace.OfferFilter, after cutover.ID, limit int) ([]marketplace.SellerOffer, error) {
	narrow := pageBelow(after)
	switch f.Status {
	case "":
	case marketplace.OfferPending:
		narrow = append(narrow, bson.E{Key: "status", Value: bson.D{{Key: "$in", Value: pendingNames}}})
	default:
		narrow = append(narrow, bson.E{Key: "status", Value: string(f.Status)})
	}
	filters := []bson.D{narrow}
	switch {
	case !f.RequestID.IsZero() && !f.SellerID.IsZero():
		filters = references("purchaseRequestId", f.RequestID, append(narrow, inEitherForm("sellerId", f.SellerID)))
	case !f.RequestID.IsZero():
		filters = references("purchaseRequestId", f.RequestID, narrow)
	case !f.SellerID.IsZero():
		filters = references("sellerId", f.SellerID, narrow)
	}
	found, err := unionOf[marketplace.SellerOffer](ctx, t.Tx, marketplace.KindOffer, filters, newestFirst, limit)
	return newest(found, limit), err
}

// pendingNames are the names under which a pending offer may be stored.
var pendingNames = []string{string(marketplace.OfferPending), "active"}

func (t marketplaceTx) ExpiredOffers(ctx context.Context, before time.Time, after cutover.ID, limit int) ([]marketplace.SellerOffer, error) {
	var filters []bson.D
	for _, name := range pendingNames {
		filters = append(filters, bson.D{
			{Key: "status", Value: name},
			{Key: "validUntil", Value: bson.D{{Key: "$lt", Value: bson.NewDateTimeFromTime(before)}}},
			{Key: "_id", Value: bson.D{{Key: "$gt", Value: oid(after)}}},
		})
	}
	found, err := unionOf[marketplace.SellerOffer](ctx, t.Tx, marketplace.KindOffer, filters, oldestFirst, limit)
	found = newest(found, 0)
	slices.Reverse(found)
	return first(found, limit), err
}

func (t marketplaceTx) EachRequest(ctx context.Context, fn func(marketplace.PurchaseRequest) error) error {
	return Each(ctx, t.Tx, marketplace.KindRequest, fn)
}

func (t marketplaceTx) EachOffer(ctx context.Context, fn func(marketplace.SellerOffer) error) error {
	return Each(ctx, t.Tx, marketplace.KindOffer, fn)
}

// withStatus puts the equality that an index answers first. It leaves rest as
// it is.
func withStatus(status marketplace.RequestStatus, rest bson.D) bson.D {
	if status == "" {
		return slices.Clone(rest)
	}
	return append(bson.D{{Key: "status", Value: string(status)}}, rest...)
}
