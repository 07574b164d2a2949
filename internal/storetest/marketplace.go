package storetest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/cutovertest"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/domain/marketplace"
	"github.com/amanat-dev/amanat/internal/money"
)

// Marketplace is the contract of the marketplace's side: its records and its
// queries.
func Marketplace(t *testing.T, open func(*testing.T) cutover.Side) {
	t.Run("Contract", func(t *testing.T) {
		Contract(t, marketplace.Definition, open, marketplaceFixes)
	})
	queries := map[string]func(*testing.T, market){
		"RequestsComeNewestFirstAPageAtATime":    requestsByPage,
		"RequestsOfAPartyAreBoughtOrSold":        requestsOfAParty,
		"OpenRequestsAreThosePublicOrPreferring": requestsOpenTo,
		"OffersComeNewestFirstAPageAtATime":      offersByPage,
		"OneLiveOfferPerSellerAndRequest":        oneLiveOffer,
		"ActiveCategoryNamesAreUnique":           uniqueCategoryNames,
		"EveryRecordIsVisitedInOrder":            everyRecord,
	}
	t.Run("Queries", func(t *testing.T) {
		t.Parallel()
		m := market{open(t)}
		t.Run("CategoriesComeByOrder", func(t *testing.T) { categoriesByOrder(t, m) })
		t.Run("ExpiredOffersComeOldestFirst", func(t *testing.T) { expiredOffers(t, m) })
		for name, test := range queries {
			t.Run(name, func(t *testing.T) { test(t, m) })
		}
	})
}

var marketplaceFixes = cutovertest.Fixes{
	marketplace.KindRequest: func(r cutover.Record) { r.(*marketplace.PurchaseRequest).Status = marketplace.StatusPayment },
	marketplace.KindOffer: func(r cutover.Record) {
		o := r.(*marketplace.SellerOffer)
		o.Status = marketplace.OfferPending
		if o.Price.Amount.IsZero() {
			o.Price.Amount = money.MustAmount("0.5")
		}
	},
}

// market is a side with what its tests need. They share it, and stay out of
// each other's way by members of their own.
type market struct {
	side cutover.Side
}

func (m market) try(ctx context.Context, records ...cutover.Record) error {
	guard := cutover.Guard{Domain: marketplace.Domain, Epoch: 1, Process: "storetest"}
	return m.side.Update(ctx, guard, func(ctx context.Context, tx cutover.Tx) error {
		for _, r := range records {
			if err := tx.Put(ctx, r); err != nil {
				return err
			}
		}
		return nil
	})
}

func (m market) put(t *testing.T, records ...cutover.Record) {
	t.Helper()
	if err := m.try(t.Context(), records...); err != nil {
		t.Fatal(err)
	}
}

func (m market) request(t *testing.T, buyer cutover.ID, status marketplace.RequestStatus, preferred ...cutover.ID) *marketplace.PurchaseRequest {
	t.Helper()
	r := &marketplace.PurchaseRequest{BuyerID: buyer, Status: status, Quantity: 1, PreferredSellerIDs: preferred}
	r.ID = cutover.NewID()
	m.put(t, r)
	return r
}

func (m market) offer(t *testing.T, request *marketplace.PurchaseRequest, seller cutover.ID, status marketplace.OfferStatus) *marketplace.SellerOffer {
	t.Helper()
	o := newOffer(request.ID, seller, status)
	m.put(t, o)
	return o
}

func newOffer(request, seller cutover.ID, status marketplace.OfferStatus) *marketplace.SellerOffer {
	return &marketplace.SellerOffer{
		Meta:     cutover.Meta{ID: cutover.NewID()},
		SellerID: seller, PurchaseRequestID: request, Status: status,
		Price: marketplace.Price{Amount: money.MustAmount("1"), Currency: "USD"},
	}
}

func viewOf[R any](t *testing.T, m market, fn func(context.Context, cutover.Tx) (R, error)) R {
	t.Helper()
	var out R
	err := m.side.View(t.Context(), func(ctx context.Context, tx cutover.Tx) (err error) {
		out, err = fn(ctx, tx)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// idsOf returns the records' ids, for comparing.
func idsOf[T any, P interface {
	*T
	cutover.Record
}](records []T) []cutover.ID {
	ids := make([]cutover.ID, len(records))
	for i := range records {
		ids[i] = P(&records[i]).RecordMeta().ID
	}
	return ids
}

func wantIDs(t *testing.T, what string, got []cutover.ID, want ...cutover.ID) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: want %v, got %v", what, want, got)
	}
}

func (m market) wantRequests(t *testing.T, what string, f marketplace.RequestFilter, after cutover.ID, limit int, want ...*marketplace.PurchaseRequest) {
	t.Helper()
	got := viewOf(t, m, func(ctx context.Context, tx cutover.Tx) ([]marketplace.PurchaseRequest, error) {
		return marketplace.Requests(ctx, tx, f, after, limit)
	})
	ids := make([]cutover.ID, len(want))
	for i, r := range want {
		ids[i] = r.ID
	}
	wantIDs(t, what, idsOf(got), ids...)
}

func requestsByPage(t *testing.T, m market) {
	buyer, other := cutover.NewID(), cutover.NewID()
	shoes := &marketplace.Category{Name: "by page"}
	m.put(t, shoes)
	a := m.request(t, buyer, marketplace.StatusPending)
	b := m.request(t, buyer, marketplace.StatusCompleted)
	m.request(t, other, marketplace.StatusPending)
	c := m.request(t, buyer, marketplace.StatusPending)
	c.CategoryID = shoes.ID
	m.put(t, c)

	own := marketplace.RequestFilter{Party: buyer}
	m.wantRequests(t, "all", own, cutover.ID{}, 0, c, b, a)
	m.wantRequests(t, "first page", own, cutover.ID{}, 2, c, b)
	m.wantRequests(t, "second page", own, b.ID, 2, a)
	m.wantRequests(t, "after the last", own, a.ID, 2)
	own.Status = marketplace.StatusPending
	m.wantRequests(t, "pending", own, cutover.ID{}, 0, c, a)
	own.CategoryID = shoes.ID
	m.wantRequests(t, "pending in a category", own, cutover.ID{}, 0, c)
	m.wantRequests(t, "everybody's in a category", marketplace.RequestFilter{CategoryID: shoes.ID}, cutover.ID{}, 0, c)
	m.wantRequests(t, "none", marketplace.RequestFilter{CategoryID: cutover.NewID()}, cutover.ID{}, 5)
}

func requestsOfAParty(t *testing.T, m market) {
	member, other := cutover.NewID(), cutover.NewID()
	bought := m.request(t, member, marketplace.StatusDelivery)
	sold := m.request(t, other, marketplace.StatusDelivery)
	m.offer(t, sold, member, marketplace.OfferWithdrawn)
	m.offer(t, sold, member, marketplace.OfferAccepted)
	lost := m.request(t, other, marketplace.StatusDelivery)
	m.offer(t, lost, member, marketplace.OfferRejected)
	later := m.request(t, other, marketplace.StatusSellerPaid)
	m.offer(t, later, member, marketplace.OfferAccepted)

	f := marketplace.RequestFilter{Party: member}
	m.wantRequests(t, "bought and sold", f, cutover.ID{}, 0, later, sold, bought)
	m.wantRequests(t, "first page", f, cutover.ID{}, 2, later, sold)
	m.wantRequests(t, "second page", f, sold.ID, 2, bought)
	f.Status = marketplace.StatusDelivery
	m.wantRequests(t, "in delivery", f, cutover.ID{}, 1, sold)
}

func requestsOpenTo(t *testing.T, m market) {
	buyer, seller := cutover.NewID(), cutover.NewID()
	shelf := &marketplace.Category{Name: "open to"}
	m.put(t, shelf)
	in := func(r *marketplace.PurchaseRequest) *marketplace.PurchaseRequest {
		r.CategoryID = shelf.ID
		m.put(t, r)
		return r
	}
	public := in(m.request(t, buyer, marketplace.StatusPending))
	preferring := in(m.request(t, buyer, marketplace.StatusReceivedOffers, cutover.NewID(), seller))
	in(m.request(t, buyer, marketplace.StatusActive, cutover.NewID()))
	in(m.request(t, buyer, marketplace.StatusPayment))
	in(m.request(t, buyer, marketplace.StatusPendingPayment))
	active := in(m.request(t, buyer, marketplace.StatusActive))
	own := in(m.request(t, seller, marketplace.StatusCancelled))

	f := marketplace.RequestFilter{CategoryID: shelf.ID, OpenTo: seller}
	m.wantRequests(t, "open", f, cutover.ID{}, 0, active, preferring, public)
	m.wantRequests(t, "first page", f, cutover.ID{}, 2, active, preferring)
	m.wantRequests(t, "second page", f, preferring.ID, 2, public)
	f.Party = seller
	m.wantRequests(t, "open or own", f, cutover.ID{}, 0, own, active, preferring, public)
	f.Party = buyer
	f.Status = marketplace.StatusPending
	m.wantRequests(t, "pending, each once", f, cutover.ID{}, 0, public)
}

func offersByPage(t *testing.T, m market) {
	r := m.request(t, cutover.NewID(), marketplace.StatusReceivedOffers)
	elsewhere := m.request(t, cutover.NewID(), marketplace.StatusReceivedOffers)
	ann, ben := cutover.NewID(), cutover.NewID()
	a := m.offer(t, r, ann, marketplace.OfferWithdrawn)
	b := m.offer(t, r, ben, marketplace.OfferPending)
	c := m.offer(t, r, ann, marketplace.OfferPending)
	d := m.offer(t, elsewhere, ann, marketplace.OfferAccepted)

	want := func(what string, f marketplace.OfferFilter, after cutover.ID, limit int, ids ...cutover.ID) {
		t.Helper()
		wantIDs(t, what, idsOf(viewOf(t, m, func(ctx context.Context, tx cutover.Tx) ([]marketplace.SellerOffer, error) {
			return marketplace.Offers(ctx, tx, f, after, limit)
		})), ids...)
	}
	on := marketplace.OfferFilter{RequestID: r.ID}
	want("all of a request", on, cutover.ID{}, 0, c.ID, b.ID, a.ID)
	want("first page", on, cutover.ID{}, 2, c.ID, b.ID)
	want("second page", on, b.ID, 2, a.ID)
	want("pending", marketplace.OfferFilter{RequestID: r.ID, Status: marketplace.OfferPending}, cutover.ID{}, 0, c.ID, b.ID)
	want("a seller's on a request", marketplace.OfferFilter{RequestID: r.ID, SellerID: ann}, cutover.ID{}, 0, c.ID, a.ID)
	want("a seller's", marketplace.OfferFilter{SellerID: ann}, cutover.ID{}, 0, d.ID, c.ID, a.ID)
	want("a seller's accepted", marketplace.OfferFilter{SellerID: ann, Status: marketplace.OfferAccepted}, cutover.ID{}, 0, d.ID)
}

func oneLiveOffer(t *testing.T, m market) {
	r := m.request(t, cutover.NewID(), marketplace.StatusReceivedOffers)
	seller := cutover.NewID()
	m.offer(t, r, seller, marketplace.OfferRejected)
	first := m.offer(t, r, seller, marketplace.OfferPending)
	m.offer(t, r, cutover.NewID(), marketplace.OfferPending)
	for _, status := range []marketplace.OfferStatus{marketplace.OfferPending, marketplace.OfferAccepted} {
		err := m.try(t.Context(), newOffer(r.ID, seller, status))
		if !fault.Is(err, fault.Conflict) {
			t.Errorf("a second live offer, %s: want a conflict, got %v", status, err)
		}
	}
	first.Status = marketplace.OfferWithdrawn
	m.put(t, first)
	m.offer(t, r, seller, marketplace.OfferPending)
}

func expiredOffers(t *testing.T, m market) {
	now := cutover.Now()
	r := m.request(t, cutover.NewID(), marketplace.StatusReceivedOffers)
	until := func(status marketplace.OfferStatus, end time.Time) cutover.ID {
		o := newOffer(r.ID, cutover.NewID(), status)
		o.ValidUntil = end
		m.put(t, o)
		return o.ID
	}
	a := until(marketplace.OfferPending, now.Add(-time.Millisecond))
	until(marketplace.OfferPending, now)
	until(marketplace.OfferPending, time.Time{})
	until(marketplace.OfferAccepted, now.Add(-time.Hour))
	b := until(marketplace.OfferPending, now.Add(-time.Hour))
	expired := func(after cutover.ID, limit int) []cutover.ID {
		return idsOf(viewOf(t, m, func(ctx context.Context, tx cutover.Tx) ([]marketplace.SellerOffer, error) {
			return marketplace.ExpiredOffers(ctx, tx, now, after, limit)
		}))
	}
	wantIDs(t, "all", expired(cutover.ID{}, 0), a, b)
	wantIDs(t, "first page", expired(cutover.ID{}, 1), a)
	wantIDs(t, "second page", expired(a, 1), b)
}

func categoriesByOrder(t *testing.T, m market) {
	var want []cutover.ID
	for i, order := range []int{-3, 2, 2, 7} {
		c := &marketplace.Category{Name: fmt.Sprint("order ", i), Order: order, IsActive: i != 1}
		c.ID = cutover.NewID()
		m.put(t, c)
		want = append(want, c.ID)
	}
	got := viewOf(t, m, func(ctx context.Context, tx cutover.Tx) ([]marketplace.Category, error) {
		return marketplace.Categories(ctx, tx)
	})
	wantIDs(t, "categories", idsOf(got), want...)
}

func uniqueCategoryNames(t *testing.T, m market) {
	m.put(t, &marketplace.Category{Name: "Shoes", NameEn: "Shoes", IsActive: true})
	taken := []*marketplace.Category{
		{Name: " sHOES  ", IsActive: true},
		{Name: "Footwear", NameEn: "Shoes"},
	}
	for _, c := range taken {
		if err := m.try(t.Context(), c); !fault.Is(err, fault.Conflict) {
			t.Errorf("%q, %q: want a conflict, got %v", c.Name, c.NameEn, err)
		}
	}
	m.put(t, &marketplace.Category{Name: "shoes"}, &marketplace.Category{Name: "shoes"})
}

func everyRecord(t *testing.T, m market) {
	a := m.request(t, cutover.NewID(), marketplace.StatusPending)
	b := m.request(t, cutover.NewID(), marketplace.StatusPending)
	o := m.offer(t, b, cutover.NewID(), marketplace.OfferPending)
	requests := viewOf(t, m, func(ctx context.Context, tx cutover.Tx) (ids []cutover.ID, err error) {
		err = cutover.Each(ctx, tx, func(r marketplace.PurchaseRequest) error {
			ids = append(ids, r.ID)
			return nil
		})
		return ids, err
	})
	offers := viewOf(t, m, func(ctx context.Context, tx cutover.Tx) (ids []cutover.ID, err error) {
		err = cutover.Each(ctx, tx, func(o marketplace.SellerOffer) error {
			ids = append(ids, o.ID)
			return nil
		})
		return ids, err
	})
	ascending := func(a, b cutover.ID) int { return slices.Compare(a[:], b[:]) }
	if !slices.IsSortedFunc(requests, ascending) || !slices.Contains(requests, a.ID) || !slices.Contains(requests, b.ID) {
		t.Errorf("want all requests in order, got %v", requests)
	}
	if !slices.IsSortedFunc(offers, ascending) || !slices.Contains(offers, o.ID) {
		t.Errorf("want all offers in order, got %v", offers)
	}
}
