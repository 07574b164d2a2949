package payment_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/cutover/memdb"
	"github.com/amanat-dev/amanat/cutover/query"
	"github.com/amanat-dev/amanat/domain/payment"
	"github.com/amanat-dev/amanat/internal/event"
	"github.com/amanat-dev/amanat/internal/money"
	"github.com/amanat-dev/amanat/internal/storetest"
	"github.com/amanat-dev/amanat/internal/web"
)

// xpub is the key at m/44'/60'/0' of the mnemonic "test test … junk".
const xpub = "xpub6Ce9NcJvTk36xtLSrJLZqE7wtgA5deCeYs7rSQtreh4cj6ByPtrg9sD7V2FNFLPnf8heNP3FGkeV9qwfzvZNSd54JoNXVsXFYSYwHsnJxqP"

// inMemory runs a test on a service in memory: what it says of rules holds on
// each database, since these answer alike (internal/storetest).
func inMemory(t *testing.T, test func(t *testing.T, b *bundle)) {
	t.Parallel()
	test(t, newBundle(t, cutover.Spec{Source: memdb.New("memory", payment.Kinds)}))
}

// onBoth runs a test of what happens at once on a service over each database.
func onBoth(t *testing.T, test func(t *testing.T, b *bundle)) {
	t.Parallel()
	t.Run("mongo", func(t *testing.T) {
		t.Parallel()
		test(t, newBundle(t, cutover.Spec{Source: storetest.MongoSide(t, payment.Definition)}))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, newBundle(t, cutover.Spec{Target: storetest.PostgresSide(t, payment.Definition)}))
	})
}

// bundle is a service with a marketplace and wallets around it. Its deal is of
// 12.5 USDT between buyer and seller, ready to be paid.
type bundle struct {
	*payment.Service
	db      *cutover.Domain
	deals   *deals
	wallets wallets
	made    payment.Deps // what the service is made of
	clock   *clock

	request, offer                          cutover.ID
	buyer, seller, stranger, admin, arbiter web.Principal
}

func newBundle(t *testing.T, spec cutover.Spec) *bundle {
	t.Helper()
	spec.Definition = payment.Definition
	b := &bundle{
		db: must[*cutover.Domain](t)(cutover.Solo(spec)), deals: &deals{known: map[cutover.ID]payment.Deal{}}, wallets: wallets{}, clock: &clock{},
		buyer: as("buyer"), seller: as("seller"), stranger: as("buyer"), admin: as("admin"), arbiter: as("resolver"),
	}
	b.made = payment.Deps{DB: b.db, Deals: b.deals, Wallets: b.wallets, Log: slog.New(slog.DiscardHandler), Now: b.clock.now}
	b.start()
	b.request, b.offer = b.deal(b.buyer, nil)
	b.wallets[b.seller.UserID] = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
	b.wallets[b.buyer.UserID] = "0x3c44cdddb6a900fa2b585dd299e03d12fa4293bc"
	must[payment.TrezorAccount](t)(b.RegisterTrezor(t.Context(), b.admin, payment.TrezorDraft{XPub: xpub, DeviceLabel: "safe"}))
	return b
}

// start makes a service anew, as a restart does.
func (b *bundle) start() { b.Service = b.another() }

// another makes one more service on the same records.
func (b *bundle) another() *payment.Service {
	s, err := payment.New(b.made)
	if err != nil {
		panic(err)
	}
	return s
}

func as(role string) web.Principal { return web.Principal{UserID: cutover.NewID(), Role: role} }

// deal makes another deal of the buyer's, changed before.
func (b *bundle) deal(buyer web.Principal, change func(*payment.Deal)) (request, offer cutover.ID) {
	d := payment.Deal{
		BuyerID: buyer.UserID, SellerID: b.seller.UserID, RequestStatus: "payment", OfferStatus: "accepted",
		Price: money.MustAmount("12.5"), Currency: "USDT",
	}
	if change != nil {
		change(&d)
	}
	request, offer = cutover.NewID(), cutover.NewID()
	b.deals.set(offer, d)
	return request, offer
}

// deals knows deals by their offers.
type deals struct {
	mu    sync.Mutex
	known map[cutover.ID]payment.Deal
}

func (d *deals) set(offer cutover.ID, deal payment.Deal) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.known[offer] = deal
}

func (d *deals) Deal(_ context.Context, _, offer cutover.ID) (payment.Deal, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	deal, ok := d.known[offer]
	if !ok {
		return deal, fault.New(fault.NotFound, "there is no such offer")
	}
	return deal, nil
}

// wallets are verified addresses by user.
type wallets map[cutover.ID]string

func (w wallets) VerifiedWallet(_ context.Context, user cutover.ID) (string, string, error) {
	if address, ok := w[user]; ok {
		return address, "ethereum", nil
	}
	return "", "", fault.New(fault.NotFound, "no wallet")
}

// clock runs ahead of the real one by what a test says.
type clock struct {
	mu    sync.Mutex
	ahead time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return cutover.Now().Add(c.ahead)
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
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

func wantKind(t *testing.T, what string, err error, want fault.Kind) {
	t.Helper()
	if got := fault.KindOf(err); got != want {
		t.Errorf("%s: want %q, got %q: %v", what, want, got, err)
	}
}

func wantField(t *testing.T, what string, err error, fields ...string) {
	t.Helper()
	var f *fault.Error
	if !errors.As(err, &f) || f.Kind != fault.Invalid {
		t.Errorf("%s: want an invalid %v, got %v", what, fields, err)
		return
	}
	if got := slices.Sorted(maps.Keys(f.Fields)); !slices.Equal(got, fields) {
		t.Errorf("%s: want the fields %v, got %v", what, fields, got)
	}
}

func (b *bundle) intent() payment.Intent {
	return payment.Intent{PurchaseRequestID: b.request, SellerOfferID: b.offer, ChainID: 56, Token: "USDT"}
}

// open makes the bundle's payment.
func (b *bundle) open(t *testing.T) payment.View {
	t.Helper()
	return must[payment.View](t)(b.CreateIntent(t.Context(), b.buyer, b.intent()))
}

// The price of the bundle's deal in BSC's USDT, and halves of it.
const (
	allUnits  = "12500000000000000000"
	halfUnits = "6250000000000000000"
)

// callback is a scanner's message about a payment: at the floor and for the
// whole price, unless it is changed.
func callback(p payment.View, change func(map[string]any)) map[string]any {
	body := map[string]any{
		"paymentReference": p.Checkout.Reference, "txHash": transferTo(p.ID), "blockNumber": 1000, "confirmations": 200,
		"amount": allUnits, "token": "USDT", "chainId": 56, "status": "confirmed",
	}
	if change != nil {
		change(body)
	}
	return body
}

// transferTo is the transaction of a payment's usual transfer.
func transferTo(payment cutover.ID) string { return "0x" + strings.Repeat("0", 40) + payment.String() }

func hash(n int) string { return fmt.Sprintf("0x%064x", n) }

func body(t *testing.T, v any) []byte {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// deliver signs a callback with the payment's secret and sends it.
func (b *bundle) deliver(t *testing.T, p payment.View, change func(map[string]any)) (payment.Receipt, error) {
	t.Helper()
	raw := body(t, callback(p, change))
	return b.Deliver(t.Context(), raw, payment.Sign(b.secret(t, p.ID), raw))
}

func (b *bundle) delivered(t *testing.T, p payment.View, change func(map[string]any)) payment.Payment {
	t.Helper()
	if r := must[payment.Receipt](t)(b.deliver(t, p, change)); !r.Received || r.Repeated {
		t.Fatalf("want a first delivery, got %+v", r)
	}
	return b.stored(t, p.ID)
}

// funded returns a payment whose money is held.
func (b *bundle) funded(t *testing.T) payment.View {
	t.Helper()
	p := b.open(t)
	b.delivered(t, p, nil)
	return p
}

// releasable returns a payment whose deal is done.
func (b *bundle) releasable(t *testing.T) payment.View {
	t.Helper()
	p := b.funded(t)
	b.tell(t, b.HandleRequestCompleted, p.PurchaseRequestID)
	return p
}

// tell delivers an event of the marketplace.
func (b *bundle) tell(t *testing.T, handle event.Handler, subject cutover.ID) event.Event {
	t.Helper()
	e := event.Event{Meta: cutover.Meta{ID: cutover.NewID(), Rev: 1}, Type: "a test's", Subject: subject}
	if err := handle(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	return e
}

// read reads past the service.
func read[R any](t *testing.T, b *bundle, fn func(context.Context, cutover.Tx) (R, error)) R {
	t.Helper()
	return must[R](t)(cutover.View(t.Context(), b.db, payment.QueryPayment, fn))
}

func (b *bundle) stored(t *testing.T, id cutover.ID) payment.Payment {
	t.Helper()
	return read(t, b, func(ctx context.Context, tx cutover.Tx) (payment.Payment, error) {
		return cutover.Get[payment.Payment](ctx, tx, id)
	})
}

func (b *bundle) secret(t *testing.T, id cutover.ID) string {
	t.Helper()
	return b.stored(t, id).CallbackSecret
}

func (b *bundle) ledger(t *testing.T, id cutover.ID) []payment.Entry {
	t.Helper()
	return read(t, b, func(ctx context.Context, tx cutover.Tx) ([]payment.Entry, error) {
		return payment.LedgerOfPayment(ctx, tx, id)
	})
}

// wantBalances compares the balances of a payment's entries, custody left out,
// and without those that are zero.
func (b *bundle) wantBalances(t *testing.T, id cutover.ID, want map[string]string) {
	t.Helper()
	got := map[string]string{}
	for _, e := range b.ledger(t, id) {
		for _, p := range e.Postings {
			got[p.Account] = money.MustUnits(cmp.Or(got[p.Account], "0")).Add(p.Amount).String()
		}
	}
	maps.DeleteFunc(got, func(account, sum string) bool { return sum == "0" || strings.HasPrefix(account, "custody:") })
	if !maps.Equal(got, want) {
		t.Errorf("balances: want %v, got %v", want, got)
	}
}

func (b *bundle) events(t *testing.T) []event.Event {
	t.Helper()
	return read(t, b, func(ctx context.Context, tx cutover.Tx) ([]event.Event, error) {
		return cutover.Find[event.Event](ctx, tx, query.All().Limit(100))
	})
}

// wantEvents compares the types of the events sent so far.
func (b *bundle) wantEvents(t *testing.T, want ...string) {
	t.Helper()
	var got []string
	for _, e := range b.events(t) {
		got = append(got, e.Type)
	}
	if !slices.Equal(got, want) {
		t.Errorf("events: want %v, got %v", want, got)
	}
}

func (b *bundle) all(t *testing.T) []payment.Payment {
	t.Helper()
	return read(t, b, func(ctx context.Context, tx cutover.Tx) ([]payment.Payment, error) {
		return payment.Payments(ctx, tx, cutover.ID{}, 1000)
	})
}

// unchanged runs what must write nothing about a payment.
func (b *bundle) unchanged(t *testing.T, what string, id cutover.ID, do func()) {
	t.Helper()
	before, entries := b.stored(t, id), len(b.ledger(t, id))
	do()
	if after := b.stored(t, id); after.Rev != before.Rev || len(b.ledger(t, id)) != entries {
		t.Errorf("%s: the payment was written", what)
	}
}

// wantSound evaluates the domain's invariants.
func (b *bundle) wantSound(t *testing.T) {
	t.Helper()
	read(t, b, func(ctx context.Context, tx cutover.Tx) (struct{}, error) {
		for _, inv := range payment.Invariants {
			if err := evaluate(ctx, tx, inv); err != nil {
				t.Errorf("%s: %v", inv.Name, err)
			}
		}
		return struct{}{}, nil
	})
}

func evaluate(ctx context.Context, tx cutover.Tx, inv cutover.Invariant) error {
	if inv.Eval != nil {
		if _, err := inv.Eval(ctx, tx); err != nil {
			return err
		}
	}
	switch {
	case inv.Check == nil:
		return nil
	case inv.Kind == payment.KindPayment:
		return cutover.Each(ctx, tx, func(p payment.Payment) error { return inv.Check(ctx, tx, &p) })
	}
	return cutover.Each(ctx, tx, func(e payment.Entry) error { return inv.Check(ctx, tx, &e) })
}

// together runs do n times at once.
func together(n int, do func(i int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			do(i)
		})
	}
	close(start)
	wg.Wait()
}
