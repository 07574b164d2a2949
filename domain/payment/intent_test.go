package payment_test

import (
	"context"
	"testing"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/domain/payment"
	"github.com/amanat-dev/amanat/internal/chain"
	"github.com/amanat-dev/amanat/internal/money"
	"github.com/amanat-dev/amanat/internal/web"
)

func TestAnIntentGivesACheckout(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		v := b.open(t)
		c := v.Checkout
		if v.Status != payment.Pending || v.BuyerID != b.buyer.UserID || v.SellerID != b.seller.UserID || v.Amount.Currency != "USDT" {
			t.Errorf("got %+v", v.Payment)
		}
		// Index 1 of the published wallet: 0 stays with the registration.
		if c.Destination != "0x70997970C51812dc3A010C7d01b50e0d17dc79C8" || c.Units.String() != allUnits || c.Amount.String() != "12.5" ||
			c.Token != "USDT" || c.ChainID != 56 || c.Network != "bsc" || c.Decimals != 18 || c.Quote != nil {
			t.Errorf("got %+v", c)
		}
		stored := b.stored(t, v.ID)
		if want := chain.Reference(v.ID.String(), stored.Salt, c.Destination); c.Reference != want {
			t.Errorf("reference %s, want %s", c.Reference, want)
		}
		if len(stored.CallbackSecret) != 64 || stored.Blockchain.ConfirmationsRequired != 200 {
			t.Errorf("got %+v", stored)
		}
		b.wantSound(t)
	})
}

func TestASecondAttemptGetsTheFirstPaymentBack(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		first := b.open(t)
		in := b.intent()
		in.ChainID, in.Token = 1, "USDC"
		second := must[payment.View](t)(b.CreateIntent(t.Context(), b.buyer, in))
		if second.ID != first.ID || second.Checkout.Reference != first.Checkout.Reference || second.Rev != first.Rev {
			t.Errorf("want %s again, got %s", first.ID, second.ID)
		}
	})
}

func TestEightAttemptsAtOnceGiveOnePayment(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		// Two services, as of two processes, so that the databases decide.
		services := []*payment.Service{b.Service, b.another()}
		views, errs := make([]payment.View, 8), make([]error, 8)
		together(8, func(i int) { views[i], errs[i] = services[i%2].CreateIntent(t.Context(), b.buyer, b.intent()) })
		for i := range views {
			if errs[i] != nil || views[i].ID != views[0].ID {
				t.Errorf("attempt %d: got %s, %v", i, views[i].ID, errs[i])
			}
		}
		if n := len(b.all(t)); n != 1 {
			t.Errorf("there are %d payments, want 1", n)
		}
	})
}

func TestNoAddressIsGivenTwice(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		const n = 8
		intents, buyers := make([]payment.Intent, n), make([]web.Principal, n)
		for i := range n {
			buyers[i] = as("buyer")
			intents[i] = b.intent()
			intents[i].PurchaseRequestID, intents[i].SellerOfferID = b.deal(buyers[i], nil)
		}
		views, errs := make([]payment.View, n), make([]error, n)
		together(n, func(i int) { views[i], errs[i] = b.CreateIntent(t.Context(), buyers[i], intents[i]) })
		seen := map[string]bool{}
		for i, v := range views {
			if errs[i] != nil {
				t.Fatalf("intent %d: %v", i, errs[i])
			}
			seen[v.Checkout.Destination] = true
		}
		if len(seen) != n {
			t.Errorf("%d payments have %d addresses", n, len(seen))
		}
	})
}

func TestAnIntentIsRefused(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		for name, c := range map[string]struct {
			who    web.Principal
			deal   func(*payment.Deal)
			intent func(*payment.Intent)
			kind   fault.Kind
			field  string
		}{
			"by a stranger":                {b.stranger, nil, nil, fault.Forbidden, ""},
			"by the seller":                {b.seller, nil, nil, fault.Forbidden, ""},
			"by an admin":                  {b.admin, nil, nil, fault.Forbidden, ""},
			"before an offer is selected":  {b.buyer, func(d *payment.Deal) { d.RequestStatus = "received_offers" }, nil, fault.Conflict, ""},
			"after it was paid":            {b.buyer, func(d *payment.Deal) { d.RequestStatus = "processing" }, nil, fault.Conflict, ""},
			"after it was cancelled":       {b.buyer, func(d *payment.Deal) { d.RequestStatus = "cancelled" }, nil, fault.Conflict, ""},
			"for an offer that lost":       {b.buyer, func(d *payment.Deal) { d.OfferStatus = "rejected" }, nil, fault.Conflict, ""},
			"in a currency without quotes": {b.buyer, func(d *payment.Deal) { d.Currency = "IRR" }, nil, fault.Conflict, ""},
			"for nothing":                  {b.buyer, func(d *payment.Deal) { d.Price = money.Amount{} }, nil, fault.Conflict, ""},
			"for an unknown offer":         {b.buyer, nil, func(i *payment.Intent) { i.SellerOfferID = cutover.NewID() }, fault.NotFound, ""},
			"on an unknown chain":          {b.buyer, nil, func(i *payment.Intent) { i.ChainID = 5 }, fault.Invalid, "chainId"},
			"on Tron":                      {b.buyer, nil, func(i *payment.Intent) { i.ChainID = 728126428 }, fault.Invalid, "chainId"},
			"in an unknown token":          {b.buyer, nil, func(i *payment.Intent) { i.Token = "DOGE" }, fault.Invalid, "token"},
			"for less than the price":      {b.buyer, nil, func(i *payment.Intent) { i.Amount = amount("12.4999999") }, fault.Invalid, "amount"},
			"for more than the price":      {b.buyer, nil, func(i *payment.Intent) { i.Amount = amount("13") }, fault.Invalid, "amount"},
		} {
			in := b.intent()
			in.PurchaseRequestID, in.SellerOfferID = b.deal(b.buyer, c.deal)
			if c.intent != nil {
				c.intent(&in)
			}
			_, err := b.CreateIntent(ctx, c.who, in)
			if wantKind(t, name, err, c.kind); c.field != "" {
				wantField(t, name, err, c.field)
			}
		}
		if n := len(b.all(t)); n != 0 {
			t.Errorf("%d payments were made", n)
		}
		in := b.intent()
		in.Amount = amount("12.50")
		must[payment.View](t)(b.CreateIntent(ctx, b.buyer, in))
	})
}

func amount(s string) *money.Amount {
	a := money.MustAmount(s)
	return &a
}

func TestWithoutARegisteredKeyNothingCanBePaid(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		accounts := must[[]payment.TrezorAccount](t)(b.TrezorAccounts(t.Context(), b.admin))
		must[struct{}](t)(cutover.Update(t.Context(), b.db, func(ctx context.Context, tx cutover.Tx) (struct{}, error) {
			a := accounts[0]
			return struct{}{}, tx.Delete(ctx, &a)
		}))
		_, err := b.CreateIntent(t.Context(), b.buyer, b.intent())
		wantKind(t, "an intent", err, fault.Unavailable)
	})
}

func TestAnExpiredPaymentIsCancelledAndReplaced(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		first := b.open(t)
		b.clock.advance(payment.DefaultLife + time.Second)
		views, errs := make([]payment.View, 4), make([]error, 4)
		together(4, func(i int) { views[i], errs[i] = b.CreateIntent(t.Context(), b.buyer, b.intent()) })
		for i := range views {
			if errs[i] != nil || views[i].ID != views[0].ID || views[i].ID == first.ID {
				t.Fatalf("attempt %d: got %s, %v", i, views[i].ID, errs[i])
			}
		}
		old := b.stored(t, first.ID)
		if old.Status != payment.Cancelled || old.EscrowState != payment.EscrowCancelled {
			t.Errorf("the expired one is %s, %s", old.Status, old.EscrowState)
		}
		if views[0].Checkout.Destination == first.Checkout.Destination {
			t.Error("the address was used again")
		}
		if n := len(b.all(t)); n != 2 {
			t.Errorf("there are %d payments, want 2", n)
		}
	})
}

func TestAPaymentForAnotherOfferIsReplaced(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		first := b.open(t)
		_, other := b.deal(b.buyer, func(d *payment.Deal) { d.Price = money.MustAmount("3") })
		in := b.intent()
		in.SellerOfferID = other
		second := must[payment.View](t)(b.CreateIntent(t.Context(), b.buyer, in))
		if second.ID == first.ID || second.Checkout.Amount.String() != "3" || b.stored(t, first.ID).Status != payment.Cancelled {
			t.Errorf("got %s for %s", second.ID, second.Checkout.Amount)
		}
	})
}

func TestAPaymentUnderWayIsGivenBackAndADoneOneIsAConflict(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		p := b.open(t)
		b.delivered(t, p, func(c map[string]any) { c["confirmations"] = 1 })
		b.clock.advance(24 * time.Hour)
		if again := b.open(t); again.ID != p.ID || again.Status != payment.Processing {
			t.Errorf("want %s processing, got %s %s", p.ID, again.ID, again.Status)
		}
		b.delivered(t, p, nil)
		_, err := b.CreateIntent(t.Context(), b.buyer, b.intent())
		wantKind(t, "an intent for what is paid", err, fault.Conflict)
	})
}

// rates is a source whose prices a test may change.
type rates struct {
	name  string
	price string
	now   func() time.Time
}

func (r *rates) Name() string         { return r.name }
func (r *rates) Stale() time.Duration { return time.Minute }
func (r *rates) Price(context.Context, string) (money.Amount, time.Time, error) {
	return money.MustAmount(r.price), r.now(), nil
}

// quoting restarts the service with two sources that agree.
func (b *bundle) quoting(price string) (set func(price string)) {
	one, two := &rates{"one", price, b.clock.now}, &rates{"two", price, b.clock.now}
	b.made.Quoter = &payment.Quoter{Sources: []payment.Source{one, two}, Validity: 90 * time.Second, Now: b.clock.now}
	b.start()
	return func(price string) { one.price, two.price = price, price }
}

func TestAQuoteDecidesAndIsMadeAnewOnlyUntilThePaymentIsSeen(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		set := b.quoting("0.5")
		b.request, b.offer = b.deal(b.buyer, func(d *payment.Deal) { d.Currency = "USD" })
		in := b.intent()
		in.Amount = amount("1") // ignored
		first := must[payment.View](t)(b.CreateIntent(t.Context(), b.buyer, in))
		if q := first.Checkout.Quote; q == nil || q.SettleAmount.String() != "25" || first.Checkout.Amount.String() != "25" || len(q.Sources) != 2 {
			t.Fatalf("got %+v", first.Checkout)
		}

		set("1")
		if again := b.open(t); again.Checkout.Amount.String() != "25" {
			t.Errorf("a valid quote was changed to %s", again.Checkout.Amount)
		}
		b.clock.advance(91 * time.Second)
		fresh := b.open(t)
		if fresh.ID != first.ID || fresh.Checkout.Amount.String() != "12.5" || fresh.Checkout.Quote.ID != first.Checkout.Quote.ID {
			t.Errorf("an expired quote gave %s for %s", fresh.ID, fresh.Checkout.Amount)
		}

		b.delivered(t, fresh, func(c map[string]any) { c["confirmations"] = 3 })
		set("0.5")
		b.clock.advance(time.Hour)
		seen := b.open(t)
		if seen.Checkout.Amount.String() != "12.5" || seen.Checkout.Quote.LockedAt.IsZero() {
			t.Errorf("after it was seen the quote is %+v", seen.Checkout.Quote)
		}
		if p := b.delivered(t, fresh, nil); p.EscrowState != payment.Funded {
			t.Errorf("the quoted amount made it %s", p.EscrowState)
		}
	})
}

func TestWithoutAPriceThereIsNoIntent(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		b.quoting("0") // no price at all
		b.request, b.offer = b.deal(b.buyer, func(d *payment.Deal) { d.Currency = "EUR" })
		_, err := b.CreateIntent(t.Context(), b.buyer, b.intent())
		wantKind(t, "an intent", err, fault.Unavailable)
		if n := len(b.all(t)); n != 0 {
			t.Errorf("%d payments were made", n)
		}
	})
}
