package payment_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/domain/payment"
	"github.com/amanat-dev/amanat/internal/web"
)

func TestOnlyOwnersAndAdminsSeeAPayment(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		p := b.open(t)
		for name, who := range map[string]web.Principal{"buyer": b.buyer, "seller": b.seller, "admin": b.admin} {
			b.unchanged(t, "reading", p.ID, func() {
				if v := must[payment.View](t)(b.Get(t.Context(), who, p.ID)); v.ID != p.ID || v.Checkout == nil {
					t.Errorf("%s: got %+v", name, v)
				}
			})
		}
		for name, who := range map[string]web.Principal{"stranger": b.stranger, "resolver": b.arbiter, "nobody": {}} {
			_, err := b.Get(t.Context(), who, p.ID)
			wantKind(t, name, err, fault.NotFound)
		}
		for name, c := range map[string]struct {
			who  web.Principal
			want int
		}{"buyer": {b.buyer, 1}, "seller": {b.seller, 1}, "admin": {b.admin, 1}, "stranger": {b.stranger, 0}, "resolver": {b.arbiter, 0}} {
			if got := must[[]payment.Payment](t)(b.List(t.Context(), c.who, cutover.ID{}, 10)); len(got) != c.want {
				t.Errorf("%s lists %d payments, want %d", name, len(got), c.want)
			}
		}
	})
}

func TestReadingAStalePaymentChangesNothing(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		p := b.open(t)
		b.clock.advance(time.Hour)
		b.unchanged(t, "reading", p.ID, func() { must[payment.View](t)(b.Get(t.Context(), b.buyer, p.ID)) })
	})
}

func TestMoneyIsHeldFromSeenToPaidOut(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		want := func(what string, want bool) {
			t.Helper()
			if got := must[bool](t)(b.MoneyHeld(ctx, b.request)); got != want {
				t.Errorf("%s: held is %v", what, got)
			}
		}
		want("before", false)
		p := b.open(t)
		want("pending", false)
		b.delivered(t, p, func(c map[string]any) { c["confirmations"] = 1 })
		want("seen", true)
		b.delivered(t, p, nil)
		want("funded", true)
		must[payment.PayoutView](t)(b.Begin(ctx, b.admin, payment.PayRefund, p.ID, payment.PayoutDraft{}))
		want("refunding", true)
		must[payment.PayoutView](t)(b.Confirm(ctx, b.admin, payment.PayRefund, p.ID, payment.PayoutProof{TxHash: hash(2)}))
		want("refunded", false)
	})
}

func TestACancelledRequestCancelsItsPendingPaymentOnly(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		p := b.open(t)
		e := b.tell(t, b.HandleRequestCancelled, b.request)
		if got := b.stored(t, p.ID); got.Status != payment.Cancelled {
			t.Errorf("got %s", got.Status)
		}
		b.unchanged(t, "the event again", p.ID, func() {
			if err := b.HandleRequestCancelled(t.Context(), e); err != nil {
				t.Error(err)
			}
		})
		b.request, b.offer = b.deal(b.buyer, nil)
		funded := b.funded(t)
		b.unchanged(t, "a funded payment", funded.ID, func() { b.tell(t, b.HandleRequestCancelled, b.request) })
	})
}

func TestACompletedRequestMakesItsMoneyReleasableOnce(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		p := b.open(t)
		b.unchanged(t, "a pending payment", p.ID, func() { b.tell(t, b.HandleRequestCompleted, b.request) })
		b.delivered(t, p, nil)
		b.tell(t, b.HandleRequestCompleted, b.request)
		if got := b.stored(t, p.ID); got.EscrowState != payment.Releasable {
			t.Errorf("got %s", got.EscrowState)
		}
	})
}

func TestStalePaymentsExpireAndStay(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		p := b.open(t)
		if n := must[int](t)(b.ExpireStale(t.Context(), 10)); n != 0 {
			t.Errorf("%d payments expired too early", n)
		}
		b.clock.advance(payment.DefaultLife + time.Second)
		counts := make([]int, 3)
		together(3, func(i int) { counts[i], _ = b.ExpireStale(t.Context(), 10) })
		if counts[0]+counts[1]+counts[2] != 1 {
			t.Errorf("three at once expired %v", counts)
		}
		if got := b.stored(t, p.ID); got.Status != payment.Cancelled {
			t.Errorf("got %s", got.Status)
		}
	})
}

// watcher is a scanner that remembers what it was told.
type watcher struct {
	mu   sync.Mutex
	fail error
	told []payment.Watch
}

func (w *watcher) Watch(_ context.Context, what payment.Watch) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fail == nil {
		w.told = append(w.told, what)
	}
	return w.fail
}

func TestTheScannerIsToldOfEachIntentSoonerOrLater(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		scanner := &watcher{fail: errors.New("away")}
		b.made.Scanner, b.made.CallbackURL = scanner, "https://amanat.example/api/payment/amn-scanner/webhook"
		b.start()
		p := b.open(t) // although the scanner is away
		if _, err := b.RegisterPending(t.Context(), 10); err == nil {
			t.Error("the scanner's failure was not told")
		}
		scanner.fail = nil
		for _, want := range []int{1, 0} {
			if n := must[int](t)(b.RegisterPending(t.Context(), 10)); n != want {
				t.Errorf("told of %d, want %d", n, want)
			}
		}
		stored, w := b.stored(t, p.ID), scanner.told[0]
		if w.CallbackSecret != stored.CallbackSecret || w.PaymentReference != p.Checkout.Reference || w.Destination != p.Checkout.Destination ||
			w.Amount != allUnits || w.ConfirmationsRequired != 200 || w.CallbackURL != b.made.CallbackURL || stored.WatchedAt.IsZero() {
			t.Errorf("the scanner was told %+v", w)
		}
		b.request, b.offer = b.deal(b.buyer, nil)
		b.open(t)
		if len(scanner.told) != 2 {
			t.Errorf("a scanner at hand was told of %d payments", len(scanner.told))
		}
	})
}

func TestWithoutAScannerNobodyIsTold(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		b.open(t)
		if n := must[int](t)(b.RegisterPending(t.Context(), 10)); n != 0 {
			t.Errorf("told of %d", n)
		}
	})
}

func TestTheNewestWalletKeyIsUsedAndNoneTwice(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		_, err := b.RegisterTrezor(ctx, b.admin, payment.TrezorDraft{XPub: xpub, DeviceLabel: "again"})
		wantKind(t, "the same key", err, fault.Conflict)
		for name, who := range map[string]web.Principal{"buyer": b.buyer, "resolver": b.arbiter} {
			_, err := b.RegisterTrezor(ctx, who, payment.TrezorDraft{XPub: xpub, DeviceLabel: ""})
			wantKind(t, name, err, fault.Forbidden)
			_, err = b.TrezorAccounts(ctx, who)
			wantKind(t, name, err, fault.Forbidden)
		}
		// The key at the same path of the mnemonic "abandon … about".
		const other = "xpub6DCoCpSuQZB2jawqnGMEPS63ePKWkwWPH4TU45Q7LPXWuNd8TMtVxRrgjtEshuqpK3mdhaWHPFsBngh5GFZaM6si3yZdUsT8ddYM3PwnATt"
		newest := must[payment.TrezorAccount](t)(b.RegisterTrezor(ctx, b.admin, payment.TrezorDraft{XPub: other, DeviceLabel: "new"}))
		accounts := must[[]payment.TrezorAccount](t)(b.TrezorAccounts(ctx, b.admin))
		if len(accounts) != 2 || accounts[0].ID != newest.ID {
			t.Errorf("got %+v", accounts)
		}
		b.open(t)
		accounts = must[[]payment.TrezorAccount](t)(b.TrezorAccounts(ctx, b.admin))
		if accounts[0].NextAddressIndex != 2 || accounts[1].NextAddressIndex != 1 {
			t.Errorf("the counters are at %d and %d, want 2 and 1", accounts[0].NextAddressIndex, accounts[1].NextAddressIndex)
		}
	})
}

func TestWhatAServiceIsMadeOfIsChecked(t *testing.T) {
	t.Parallel()
	source := payment.Source(&payment.HTTPSource{})
	two := []payment.Source{source, source}
	for name, o := range map[string]payment.Deps{
		"nobody to ask":    {},
		"negative fee":     {FeeBps: -1},
		"more than all":    {FeeBps: 10001},
		"one source":       {Quoter: &payment.Quoter{Sources: two[:1], Validity: 90 * time.Second}},
		"too short a life": {Quoter: &payment.Quoter{Sources: two, Validity: 59 * time.Second}},
		"too long a life":  {Quoter: &payment.Quoter{Sources: two, Validity: 121 * time.Second}},
	} {
		if name != "nobody to ask" {
			o.Deals, o.Wallets = &deals{}, wallets{}
		}
		if _, err := payment.New(o); err == nil {
			t.Errorf("%s: was taken", name)
		}
	}
	if _, err := payment.New(payment.Deps{Deals: &deals{}, Wallets: wallets{}, FeeBps: 250, Quoter: &payment.Quoter{Sources: two, Validity: 90 * time.Second}}); err != nil {
		t.Error(err)
	}
}

// The deal is done, and the seller's money still waits for its release.
func TestHeldPaymentsAreThoseOfBuyerAndSellerUntilTheMoneyIsOut(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		ctx, p := t.Context(), b.releasable(t)
		held := func(want int64) {
			t.Helper()
			for _, who := range []web.Principal{b.buyer, b.seller} {
				if n := must[int64](t)(b.HeldPayments(ctx, who.UserID)); n != want {
					t.Errorf("a %s has %d held payments, want %d", who.Role, n, want)
				}
			}
		}
		held(1)
		if n := must[int64](t)(b.HeldPayments(ctx, b.stranger.UserID)); n != 0 {
			t.Errorf("a stranger has %d held payments", n)
		}
		must[payment.PayoutView](t)(b.Begin(ctx, b.admin, payment.PayRelease, p.ID, payment.PayoutDraft{}))
		held(1)
		must[payment.PayoutView](t)(b.Confirm(ctx, b.admin, payment.PayRelease, p.ID, payment.PayoutProof{TxHash: hash(9)}))
		held(0)
	})
}
