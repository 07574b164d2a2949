package marketplace_test

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/cutover/memdb"
	"github.com/amanat-dev/amanat/cutover/query"
	"github.com/amanat-dev/amanat/domain/marketplace"
	"github.com/amanat-dev/amanat/internal/event"
	"github.com/amanat-dev/amanat/internal/money"
	"github.com/amanat-dev/amanat/internal/storetest"
	"github.com/amanat-dev/amanat/internal/web"
)

func postgresSide(t *testing.T) cutover.Side {
	return storetest.PostgresSide(t, marketplace.Definition)
}
func mongoSide(t *testing.T) cutover.Side { return storetest.MongoSide(t, marketplace.Definition) }

// inMemory runs a test on a service in memory: what it says of rules holds on
// each database, since these answer alike (internal/storetest).
func inMemory(t *testing.T, test func(t *testing.T, b *bundle)) {
	t.Parallel()
	test(t, newBundle(cutover.Spec{Source: memdb.New("memory", marketplace.Kinds)}))
}

// onBoth runs a test of what happens at once on a service over each database.
func onBoth(t *testing.T, test func(t *testing.T, b *bundle)) {
	t.Parallel()
	t.Run("mongo", func(t *testing.T) {
		t.Parallel()
		test(t, newBundle(cutover.Spec{Source: mongoSide(t)}))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, newBundle(cutover.Spec{Target: postgresSide(t)}))
	})
}

var silent = slog.New(slog.NewTextHandler(io.Discard, nil))

// bundle is a service with members around it.
type bundle struct {
	*marketplace.Service
	db     *cutover.Domain
	people *people
	escrow *escrow

	buyer, otherBuyer, seller, otherSeller, admin web.Principal
}

func newBundle(spec cutover.Spec) *bundle {
	spec.Definition = marketplace.Definition
	db, err := cutover.Solo(spec)
	if err != nil {
		panic(err)
	}
	b := &bundle{db: db, people: &people{}, escrow: &escrow{}}
	b.Service, err = marketplace.New(marketplace.Deps{DB: b.db, People: b.people, Escrow: b.escrow, CodeSecret: []byte(strings.Repeat("c", 32)), Log: silent})
	if err != nil {
		panic(err)
	}
	b.buyer, b.otherBuyer = member("buyer"), member("buyer")
	b.seller, b.otherSeller = member("seller"), member("seller")
	b.admin = member("admin")
	return b
}

func member(role string) web.Principal {
	return web.Principal{UserID: cutover.NewID(), Role: role}
}

// people knows everybody as a seller but those who are missing, and lists those
// whom it was told of.
type people struct {
	missing []cutover.ID
	sellers []marketplace.Seller // the newest first
}

func (p *people) MissingSellers(_ context.Context, ids []cutover.ID) ([]cutover.ID, error) {
	var missing []cutover.ID
	for _, id := range ids {
		if slices.Contains(p.missing, id) {
			missing = append(missing, id)
		}
	}
	return missing, nil
}

func (p *people) Sellers(_ context.Context, after cutover.ID, limit int) ([]marketplace.Seller, error) {
	from := slices.IndexFunc(p.sellers, func(s marketplace.Seller) bool { return s.ID == after }) + 1
	return p.sellers[from:min(from+limit, len(p.sellers))], nil
}

// escrow holds money for the requests that are named.
type escrow struct {
	mu   sync.Mutex
	held map[cutover.ID]bool
}

func (e *escrow) MoneyHeld(_ context.Context, id cutover.ID) (bool, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.held[id], nil
}

func (e *escrow) hold(id cutover.ID, held bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.held == nil {
		e.held = map[cutover.ID]bool{}
	}
	e.held[id] = held
}

func draft() marketplace.RequestDraft {
	return marketplace.RequestDraft{
		Title: "Shoes", Description: "Blue, size 40", ProductType: "physical_product",
		Budget:       &marketplace.Budget{Min: money.MustAmount("10"), Max: money.MustAmount("20.5"), Currency: "USD"},
		DeliveryInfo: &marketplace.DeliveryDetails{City: "Tabriz", Address: "12 Garden Street"},
	}
}

func offerDraft() marketplace.OfferDraft {
	return marketplace.OfferDraft{Description: "New, boxed", Price: marketplace.Price{Amount: money.MustAmount("12.5"), Currency: "USD"}}
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func (b *bundle) request(t *testing.T) marketplace.PurchaseRequest {
	t.Helper()
	return must[marketplace.PurchaseRequest](t)(b.CreateRequest(t.Context(), b.buyer, draft()))
}

func (b *bundle) offerBy(t *testing.T, seller web.Principal, request cutover.ID) marketplace.SellerOffer {
	t.Helper()
	return must[marketplace.SellerOffer](t)(b.CreateOffer(t.Context(), seller, request, offerDraft()))
}

// chosen returns a request with the seller's offer selected.
func (b *bundle) chosen(t *testing.T) (marketplace.PurchaseRequest, marketplace.SellerOffer) {
	t.Helper()
	r := b.request(t)
	o := b.offerBy(t, b.seller, r.ID)
	return must[marketplace.PurchaseRequest](t)(b.SelectOffer(t.Context(), b.buyer, r.ID, marketplace.Selection{OfferID: o.ID})), b.offer(t, o.ID)
}

// paid returns a request whose money is held.
func (b *bundle) paid(t *testing.T) (marketplace.PurchaseRequest, marketplace.SellerOffer) {
	t.Helper()
	r, o := b.chosen(t)
	b.escrow.hold(r.ID, true)
	b.tell(t, b.HandlePaymentFunded, aboutMoney(r.ID, o.ID))
	return b.stored(t, r.ID), o
}

// shipped returns a request that is on its way.
func (b *bundle) shipped(t *testing.T) marketplace.PurchaseRequest {
	t.Helper()
	r, _ := b.paid(t)
	return must[marketplace.PurchaseRequest](t)(b.Ship(t.Context(), b.seller, r.ID, marketplace.Shipment{TrackingNumber: "T1"}))
}

// news is an event of the payment domain and what it is about.
type news struct {
	event.Event
	marketplace.Money
}

func aboutMoney(request, offer cutover.ID) news {
	e := event.Event{Meta: cutover.Meta{ID: cutover.NewID(), Rev: 1}, Type: "a test's", Subject: cutover.NewID()}
	return news{e, marketplace.Money{RequestID: request, OfferID: offer}}
}

func (b *bundle) tell(t *testing.T, handle func(context.Context, event.Event, marketplace.Money) error, n news) {
	t.Helper()
	if err := handle(t.Context(), n.Event, n.Money); err != nil {
		t.Fatal(err)
	}
}

// view reads past the service.
func view[R any](t *testing.T, b *bundle, fn func(context.Context, cutover.Tx) (R, error)) R {
	t.Helper()
	return must[R](t)(cutover.View(t.Context(), b.db, marketplace.QueryRequest, fn))
}

func (b *bundle) stored(t *testing.T, id cutover.ID) marketplace.PurchaseRequest {
	t.Helper()
	return view(t, b, func(ctx context.Context, tx cutover.Tx) (marketplace.PurchaseRequest, error) {
		return cutover.Get[marketplace.PurchaseRequest](ctx, tx, id)
	})
}

func (b *bundle) offer(t *testing.T, id cutover.ID) marketplace.SellerOffer {
	t.Helper()
	return view(t, b, func(ctx context.Context, tx cutover.Tx) (marketplace.SellerOffer, error) {
		return cutover.Get[marketplace.SellerOffer](ctx, tx, id)
	})
}

func (b *bundle) events(t *testing.T) []event.Event {
	t.Helper()
	return view(t, b, func(ctx context.Context, tx cutover.Tx) ([]event.Event, error) {
		return cutover.Find[event.Event](ctx, tx, query.All().Limit(100))
	})
}

// force writes a record past the service.
func (b *bundle) force(t *testing.T, r cutover.Record) {
	t.Helper()
	must[struct{}](t)(cutover.Update(t.Context(), b.db, func(ctx context.Context, tx cutover.Tx) (struct{}, error) {
		return struct{}{}, tx.Put(ctx, r)
	}))
}

// wantSound evaluates the domain's invariants.
func (b *bundle) wantSound(t *testing.T) {
	t.Helper()
	view(t, b, func(ctx context.Context, tx cutover.Tx) (struct{}, error) {
		for _, inv := range marketplace.Invariants {
			if err := evaluate(ctx, tx, inv); err != nil {
				t.Errorf("%s: %v", inv.Name, err)
			}
		}
		return struct{}{}, nil
	})
}

func evaluate(ctx context.Context, tx cutover.Tx, inv cutover.Invariant) error {
	switch {
	case inv.Check == nil:
		_, err := inv.Eval(ctx, tx)
		return err
	case inv.Kind == marketplace.KindRequest:
		return cutover.Each(ctx, tx, func(r marketplace.PurchaseRequest) error { return inv.Check(ctx, tx, &r) })
	}
	return cutover.Each(ctx, tx, func(o marketplace.SellerOffer) error { return inv.Check(ctx, tx, &o) })
}

func wantKind(t *testing.T, what string, err error, want fault.Kind) {
	t.Helper()
	if got := fault.KindOf(err); got != want {
		t.Errorf("%s: want %q, got %q: %v", what, want, got, err)
	}
}

func wantStatus(t *testing.T, r marketplace.PurchaseRequest, want marketplace.RequestStatus) {
	t.Helper()
	if r.Status != want {
		t.Errorf("want the request %s, got %s", want, r.Status)
	}
}

func wantOffer(t *testing.T, o marketplace.SellerOffer, want marketplace.OfferStatus) {
	t.Helper()
	if o.Status != want {
		t.Errorf("want the offer %s, got %s", want, o.Status)
	}
}
