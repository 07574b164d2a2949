package mongodb_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/cutover/mongodb"
	"github.com/amanat-dev/amanat/domain/marketplace"
	"github.com/amanat-dev/amanat/internal/storetest"
)

// oldMarket has documents as an earlier application wrote them: references as
// hex digits, prices as doubles, offers that are "active".
type oldMarket struct {
	side                            cutover.Side
	buyer, seller, request, private cutover.ID
	offer, accepted                 cutover.ID
}

func newOldMarket(t *testing.T) oldMarket {
	t.Helper()
	db := storetest.Mongo(t)
	m := oldMarket{side: storetest.SideOn(t, db, marketplace.Definition)}
	for _, id := range []*cutover.ID{&m.buyer, &m.seller, &m.request, &m.private, &m.offer, &m.accepted} {
		*id = cutover.NewID()
	}
	insert := func(collection string, doc bson.D) {
		if _, err := db.Raw(collection).InsertOne(t.Context(), doc); err != nil {
			t.Fatal(err)
		}
	}
	request := func(id cutover.ID, status string, preferred bson.A) {
		insert("purchaserequests", bson.D{{Key: "_id", Value: bson.ObjectID(id)}, {Key: "buyerId", Value: m.buyer.String()},
			{Key: "status", Value: status}, {Key: "quantity", Value: 1.0}, {Key: "preferredSellerIds", Value: preferred},
			{Key: "budget", Value: bson.D{{Key: "min", Value: 0}, {Key: "max", Value: 10.5}}}, {Key: "__v", Value: 3}})
	}
	request(m.request, "received_offers", bson.A{})
	request(m.private, "delivery", bson.A{m.seller.String()})
	offer := func(id, request cutover.ID, status string) {
		insert("selleroffers", bson.D{{Key: "_id", Value: bson.ObjectID(id)}, {Key: "sellerId", Value: m.seller.String()},
			{Key: "purchaseRequestId", Value: request.String()}, {Key: "status", Value: status},
			{Key: "validUntil", Value: time.Now().Add(-time.Hour)},
			{Key: "price", Value: bson.D{{Key: "amount", Value: 9.99}, {Key: "currency", Value: "USD"}}}})
	}
	offer(m.offer, m.request, "active")
	offer(m.accepted, m.private, "accepted")
	return m
}

func (m oldMarket) view(t *testing.T, fn func(context.Context, cutover.Tx) error) {
	t.Helper()
	if err := m.side.View(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

func (m oldMarket) wantRequests(t *testing.T, f marketplace.RequestFilter, want ...cutover.ID) {
	t.Helper()
	m.view(t, func(ctx context.Context, tx cutover.Tx) error {
		requests, err := marketplace.Requests(ctx, tx, f, cutover.ID{}, 0)
		var got []cutover.ID
		for _, r := range requests {
			got = append(got, r.ID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%+v: want %v, got %v", f, want, got)
		}
		return err
	})
}

func TestMarketplace_FindsLegacyReferences(t *testing.T) {
	t.Parallel()
	m := newOldMarket(t)
	m.wantRequests(t, marketplace.RequestFilter{Party: m.buyer}, m.private, m.request)
	m.wantRequests(t, marketplace.RequestFilter{Party: m.seller}, m.private)
	m.wantRequests(t, marketplace.RequestFilter{OpenTo: m.seller}, m.request)
	m.wantRequests(t, marketplace.RequestFilter{Party: cutover.NewID()})
}

func TestMarketplace_ReadsActiveOffersAsPending(t *testing.T) {
	t.Parallel()
	m := newOldMarket(t)
	m.view(t, func(ctx context.Context, tx cutover.Tx) error {
		for _, f := range []marketplace.OfferFilter{
			{RequestID: m.request, Status: marketplace.OfferPending},
			{RequestID: m.request, SellerID: m.seller},
			{SellerID: m.seller, Status: marketplace.OfferPending},
		} {
			offers, err := marketplace.Offers(ctx, tx, f, cutover.ID{}, 5)
			if err != nil {
				return err
			}
			if len(offers) != 1 || offers[0].ID != m.offer || offers[0].Status != marketplace.OfferPending || offers[0].Price.Amount.String() != "9.99" {
				t.Errorf("%+v: want the pending offer of 9.99, got %+v", f, offers)
			}
		}
		expired, err := marketplace.ExpiredOffers(ctx, tx, cutover.Now(), cutover.ID{}, 5)
		if len(expired) != 1 || expired[0].ID != m.offer {
			t.Errorf("want the offer expired, got %+v", expired)
		}
		return err
	})
}

func TestMarketplace_RefusesToReadUnknownStatuses(t *testing.T) {
	t.Parallel()
	for _, r := range []cutover.Record{&marketplace.PurchaseRequest{}, &marketplace.SellerOffer{}} {
		doc := bson.D{{Key: "_id", Value: bson.NewObjectID()}, {Key: "status", Value: "paused"},
			{Key: "price", Value: bson.D{{Key: "amount", Value: 1}}}}
		if _, err := mongodb.Decode(r, doc); err == nil {
			t.Errorf("%T: want an error", r)
		}
	}
}

func TestMarketplace_ALegacyOfferTakesItsPlaceOnceWritten(t *testing.T) {
	t.Parallel()
	m := newOldMarket(t)
	guard := cutover.Guard{Domain: marketplace.Domain, Epoch: 1, Process: "test"}
	update := func(fn func(context.Context, cutover.Tx) error) error {
		return m.side.Update(t.Context(), guard, fn)
	}
	err := update(func(ctx context.Context, tx cutover.Tx) error {
		o, err := cutover.Get[marketplace.SellerOffer](ctx, tx, m.offer)
		if err != nil {
			return err
		}
		return tx.Put(ctx, &o)
	})
	if err != nil {
		t.Fatal(err)
	}
	err = update(func(ctx context.Context, tx cutover.Tx) error {
		o, err := cutover.Get[marketplace.SellerOffer](ctx, tx, m.offer)
		o.Meta = cutover.Meta{}
		if err != nil {
			return err
		}
		return tx.Put(ctx, &o)
	})
	if !fault.Is(err, fault.Conflict) {
		t.Errorf("a second live offer: want a conflict, got %v", err)
	}
}
