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
	"github.com/amanat-dev/amanat/domain/payment"
	"github.com/amanat-dev/amanat/internal/money"
)

// Payment is the contract of the payment domain's side: its records and its
// queries.
func Payment(t *testing.T, open func(*testing.T) cutover.Side) {
	t.Run("Contract", func(t *testing.T) {
		Contract(t, payment.Definition, open, PaymentFixes)
	})
	t.Run("Queries", func(t *testing.T) {
		t.Parallel()
		l := till{open(t)}
		// These two look at all records of a kind, so they come first.
		t.Run("ThePaymentsListIsNewestFirst", func(t *testing.T) { paymentsByPage(t, l) })
		t.Run("TheNewestTrezorAccountIsActive", func(t *testing.T) { trezorNewest(t, l) })
		t.Run("StalePaymentsComeByTheirEnd", func(t *testing.T) { stalePayments(t, l) })
		t.Run("UnwatchedPaymentsComeOldestFirst", func(t *testing.T) { unwatchedPayments(t, l) })
		for name, test := range map[string]func(*testing.T, till){
			"PaymentsOfAUserAreBoughtOrSold": paymentsOfUser,
			"PaymentsOfARequestOldestFirst":  paymentsOfRequest,
			"OnePendingPaymentPerBuyer":      onePending,
			"AReferenceIsUnique":             uniqueReference,
			"AnAddressIsNeverUsedTwice":      uniqueAddress,
			"OneQuotePerPayment":             oneQuote,
			"ALedgerKeyIsUnique":             uniqueLedgerKey,
			"ADeliveryIsRememberedOnce":      uniqueDelivery,
			"TheLedgerOfAPayment":            ledgerOfPayment,
			"OnlyOpenHoldsAreOpen":           openHolds,
			"WhatIsNotThereIsNotFound":       paymentNotFound,
			"EveryPaymentIsVisitedInOrder":   everyPayment,
		} {
			t.Run(name, func(t *testing.T) { test(t, l) })
		}
	})
}

// PaymentFixes make filled records fit for the payment domain's rules.
var PaymentFixes = cutovertest.Fixes{
	payment.KindPayment:     func(r cutover.Record) { fixPayment(r.(*payment.Payment)) },
	payment.KindQuote:       func(r cutover.Record) { fixQuote(r.(*payment.Quote)) },
	payment.KindDestination: func(r cutover.Record) { r.(*payment.Destination).Status = payment.DestinationSwept },
	payment.KindEntry:       func(r cutover.Record) { fixEntry(r.(*payment.Entry)) },
	payment.KindDelivery: func(r cutover.Record) {
		if d := r.(*payment.Delivery); d.Amount.IsZero() {
			d.Amount = money.UnitsOf(1)
		}
	},
}

func fixPayment(p *payment.Payment) {
	p.Status, p.Direction = payment.Completed, payment.DirectionIn
	if p.Amount.Amount.IsZero() {
		p.Amount.Amount = money.MustAmount("0.5")
	}
	if p.EscrowState != "" {
		p.EscrowState = payment.Releasing
	}
	if p.Payout == nil || p.Payout.Kind == "" {
		p.Payout = nil
		return
	}
	balance := p.Payout.Units
	p.Payout.Kind, p.Payout.FeeUnits, p.EscrowBalance = payment.PayRelease, money.UnitsOf(7), &balance
}

func fixQuote(q *payment.Quote) {
	for _, a := range []*money.Amount{&q.PricingAmount, &q.FxRate, &q.TokenUSD, &q.SettleAmount} {
		if a.IsZero() {
			*a = money.MustAmount("0.25")
		}
	}
	if q.OnChainUnits.IsZero() {
		q.OnChainUnits = money.UnitsOf(1)
	}
}

func fixEntry(e *payment.Entry) {
	e.Type = payment.EntryAdjustment
	if e.IdempotencyKey == "" {
		e.IdempotencyKey = "bare " + cutover.NewID().String()
	}
	if e.Asset.Token == "" {
		e.Asset.Token = "USDT"
	}
	units := money.UnitsOf(1)
	if len(e.Postings) > 0 && !e.Postings[0].Amount.IsZero() {
		units = e.Postings[0].Amount
	}
	if units.Sign() < 0 {
		units = units.Neg()
	}
	e.Postings = []payment.Posting{
		{Account: "custody:" + e.IdempotencyKey, Amount: units.Neg()},
		{Account: payment.AccountSuspense, Amount: units},
	}
}

// till is a side with what its tests need. They share it, and stay out of each
// other's way by payments of their own.
type till struct{ side cutover.Side }

func (l till) try(ctx context.Context, records ...cutover.Record) error {
	guard := cutover.Guard{Domain: payment.Domain, Epoch: 1, Process: "storetest"}
	return l.side.Update(ctx, guard, func(ctx context.Context, tx cutover.Tx) error {
		for _, r := range records {
			if err := tx.Put(ctx, r); err != nil {
				return err
			}
		}
		return nil
	})
}

func (l till) put(t *testing.T, records ...cutover.Record) {
	t.Helper()
	if err := l.try(t.Context(), records...); err != nil {
		t.Fatal(err)
	}
}

func (l till) wantConflict(t *testing.T, what string, r cutover.Record) {
	t.Helper()
	if err := l.try(t.Context(), r); !fault.Is(err, fault.Conflict) {
		t.Errorf("%s: want a conflict, got %v", what, err)
	}
}

// ask runs a query that gives records and returns their ids.
func ask[T any, P interface {
	*T
	cutover.Record
}](t *testing.T, l till, query func(context.Context, cutover.Tx) ([]T, error)) []cutover.ID {
	t.Helper()
	var out []T
	err := l.side.View(t.Context(), func(ctx context.Context, tx cutover.Tx) (err error) {
		out, err = query(ctx, tx)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return idsOf[T, P](out)
}

// askOne runs a query that gives one record.
func askOne[T any](t *testing.T, l till, query func(context.Context, cutover.Tx) (T, error)) (T, error) {
	t.Helper()
	var out T
	err := l.side.View(t.Context(), func(ctx context.Context, tx cutover.Tx) (err error) {
		out, err = query(ctx, tx)
		return err
	})
	return out, err
}

// newPayment makes a completed payment between people of its own.
func newPayment() *payment.Payment {
	return &payment.Payment{
		Meta:              cutover.Meta{ID: cutover.NewID()},
		PurchaseRequestID: cutover.NewID(), SellerOfferID: cutover.NewID(), BuyerID: cutover.NewID(), SellerID: cutover.NewID(),
		Amount:   payment.Price{Amount: money.MustAmount("10"), Currency: "USDT"},
		Provider: payment.ProviderRequestNetwork, Direction: payment.DirectionIn, Status: payment.Completed,
	}
}

// paymentsPut puts as many new payments, each changed before.
func (l till) paymentsPut(t *testing.T, n int, change func(i int, p *payment.Payment)) []cutover.ID {
	t.Helper()
	ids := make([]cutover.ID, n)
	for i := range ids {
		p := newPayment()
		change(i, p)
		l.put(t, p)
		ids[i] = p.ID
	}
	return ids
}

func reversed(ids []cutover.ID) []cutover.ID {
	out := slices.Clone(ids)
	slices.Reverse(out)
	return out
}

func paymentsByPage(t *testing.T, l till) {
	want := reversed(l.paymentsPut(t, 5, func(int, *payment.Payment) {}))
	page := func(after cutover.ID, limit int) []cutover.ID {
		return ask(t, l, func(ctx context.Context, tx cutover.Tx) ([]payment.Payment, error) {
			return payment.Payments(ctx, tx, after, limit)
		})
	}
	wantIDs(t, "first page", page(cutover.ID{}, 2), want[:2]...)
	wantIDs(t, "second page", page(want[1], 2), want[2:4]...)
	wantIDs(t, "last page", page(want[3], 2), want[4:]...)
	wantIDs(t, "past the end", page(want[4], 2))
}

func paymentsOfUser(t *testing.T, l till) {
	user := cutover.NewID()
	ids := l.paymentsPut(t, 5, func(i int, p *payment.Payment) {
		switch i {
		case 0, 3:
			p.BuyerID = user
		case 1:
			p.SellerID = user
		case 4:
			p.BuyerID, p.SellerID = user, user
		}
	})
	page := func(after cutover.ID, limit int) []cutover.ID {
		return ask(t, l, func(ctx context.Context, tx cutover.Tx) ([]payment.Payment, error) {
			return payment.PaymentsOfUser(ctx, tx, user, after, limit)
		})
	}
	wantIDs(t, "all of the user's", page(cutover.ID{}, 10), ids[4], ids[3], ids[1], ids[0])
	wantIDs(t, "first page", page(cutover.ID{}, 2), ids[4], ids[3])
	wantIDs(t, "second page", page(ids[3], 2), ids[1], ids[0])
}

func paymentsOfRequest(t *testing.T, l till) {
	request := cutover.NewID()
	ids := l.paymentsPut(t, 3, func(i int, p *payment.Payment) {
		if i != 1 {
			p.PurchaseRequestID = request
		}
	})
	got := ask(t, l, func(ctx context.Context, tx cutover.Tx) ([]payment.Payment, error) {
		return payment.PaymentsOfRequest(ctx, tx, request)
	})
	wantIDs(t, "payments of the request", got, ids[0], ids[2])
}

func stalePayments(t *testing.T, l till) {
	now := cutover.Now()
	ends := []time.Duration{-time.Hour, -3 * time.Hour, time.Millisecond, 0, -time.Hour, -5 * time.Hour, 0}
	ids := l.paymentsPut(t, len(ends), func(i int, p *payment.Payment) {
		p.ExpiresAt, p.Status = now.Add(ends[i]), payment.Pending
		switch i {
		case 5:
			p.Status = payment.Cancelled
		case 6:
			p.ExpiresAt = time.Time{}
		}
	})
	stale := func(limit int) []cutover.ID {
		return ask(t, l, func(ctx context.Context, tx cutover.Tx) ([]payment.Payment, error) {
			return payment.StalePayments(ctx, tx, now, limit)
		})
	}
	wantIDs(t, "stale payments", stale(10), ids[1], ids[0], ids[4], ids[3])
	wantIDs(t, "at most two", stale(2), ids[1], ids[0])
}

func unwatchedPayments(t *testing.T, l till) {
	ids := l.paymentsPut(t, 5, func(i int, p *payment.Payment) {
		p.Status, p.CallbackSecret = payment.Pending, "secret"
		switch i {
		case 1:
			p.WatchedAt = cutover.Now()
		case 2:
			p.CallbackSecret = ""
		case 3:
			p.Status = payment.Processing
		}
	})
	got := func(limit int) []cutover.ID {
		return ask(t, l, func(ctx context.Context, tx cutover.Tx) ([]payment.Payment, error) {
			return payment.UnwatchedPayments(ctx, tx, limit)
		})
	}
	wantIDs(t, "unwatched payments", got(10), ids[0], ids[4])
	wantIDs(t, "at most one", got(1), ids[0])
}

func onePending(t *testing.T, l till) {
	first := newPayment()
	first.Status = payment.Pending
	l.put(t, first)
	second := func(change func(*payment.Payment)) *payment.Payment {
		p := *first
		p.Meta = cutover.Meta{ID: cutover.NewID()}
		change(&p)
		return &p
	}
	l.wantConflict(t, "a second pending payment", second(func(*payment.Payment) {}))
	for _, change := range []func(*payment.Payment){
		func(p *payment.Payment) { p.Status = payment.Cancelled },
		func(p *payment.Payment) { p.BuyerID = cutover.NewID() },
		func(p *payment.Payment) { p.PurchaseRequestID = cutover.NewID() },
		func(p *payment.Payment) { p.Provider = payment.ProviderShkeeper },
		func(p *payment.Payment) { p.Direction = payment.DirectionRefund },
		func(p *payment.Payment) { p.PurchaseRequestID, p.LegacyReference = cutover.ID{}, "template-checkout-1" },
		func(p *payment.Payment) { p.PurchaseRequestID, p.LegacyReference = cutover.ID{}, "template-checkout-2" },
	} {
		l.put(t, second(change))
	}
	first.Cancel()
	l.put(t, first)
	l.put(t, second(func(p *payment.Payment) { p.Status = payment.Pending }))
}

func uniqueReference(t *testing.T, l till) {
	with := func(reference string) *payment.Payment {
		p := newPayment()
		p.Blockchain = &payment.Blockchain{ChainID: 56, PaymentReference: reference}
		return p
	}
	reference := cutover.NewID().String()
	first := with(reference)
	l.put(t, first)
	l.wantConflict(t, "the same reference again", with(reference))
	l.put(t, with(""))
	l.put(t, with(""))
	got, err := askOne(t, l, func(ctx context.Context, tx cutover.Tx) (payment.Payment, error) {
		return payment.PaymentByReference(ctx, tx, reference)
	})
	if err != nil || got.ID != first.ID {
		t.Errorf("by reference: want %s, got %s, %v", first.ID, got.ID, err)
	}
}

// parents puts a payment and a trezor account and returns their ids.
func (l till) parents(t *testing.T) (paymentID, accountID cutover.ID) {
	t.Helper()
	p := newPayment()
	a := &payment.TrezorAccount{Meta: cutover.Meta{ID: cutover.NewID()}}
	a.XPub = "xpub" + a.ID.String()
	l.put(t, p, a)
	return p.ID, a.ID
}

func uniqueAddress(t *testing.T, l till) {
	p, a := l.parents(t)
	address := "0x" + cutover.NewID().String()
	with := func() *payment.Destination {
		return &payment.Destination{PaymentID: p, TrezorAccountID: a, Address: address, Status: payment.DestinationActive}
	}
	first := with()
	l.put(t, first)
	l.wantConflict(t, "the same address again", with())
	got, err := askOne(t, l, func(ctx context.Context, tx cutover.Tx) (payment.Destination, error) {
		return payment.DestinationByAddress(ctx, tx, address)
	})
	if err != nil || got.ID != first.ID {
		t.Errorf("by address: want %s, got %s, %v", first.ID, got.ID, err)
	}
}

func oneQuote(t *testing.T, l till) {
	p, _ := l.parents(t)
	with := func() *payment.Quote {
		q := &payment.Quote{PaymentID: p}
		fixQuote(q)
		return q
	}
	first := with()
	l.put(t, first)
	l.wantConflict(t, "a second quote", with())
	got, err := askOne(t, l, func(ctx context.Context, tx cutover.Tx) (payment.Quote, error) { return payment.QuoteOf(ctx, tx, p) })
	if err != nil || got.ID != first.ID {
		t.Errorf("quote: want %s, got %s, %v", first.ID, got.ID, err)
	}
}

func trezorNewest(t *testing.T, l till) {
	var ids []cutover.ID
	for range 3 {
		_, a := l.parents(t)
		ids = append(ids, a)
	}
	got := ask(t, l, func(ctx context.Context, tx cutover.Tx) ([]payment.TrezorAccount, error) {
		return payment.TrezorAccounts(ctx, tx)
	})
	wantIDs(t, "accounts", got, reversed(ids)...)
	active, err := askOne(t, l, func(ctx context.Context, tx cutover.Tx) (payment.TrezorAccount, error) {
		return payment.ActiveTrezorAccount(ctx, tx)
	})
	if err != nil || active.ID != ids[2] {
		t.Errorf("active account: want %s, got %s, %v", ids[2], active.ID, err)
	}
	l.wantConflict(t, "the same key again", &payment.TrezorAccount{XPub: active.XPub})
}

func newEntry(t *testing.T, paymentID cutover.ID, key string) *payment.Entry {
	t.Helper()
	e, err := payment.NewEntry(key, payment.EntryDeposit, paymentID, payment.Asset{ChainID: 56, Token: "USDT"},
		payment.Posting{Account: payment.CustodyAccount("0xA"), Amount: money.UnitsOf(-5)},
		payment.Posting{Account: payment.AccountSuspense, Amount: money.UnitsOf(5)})
	if err != nil {
		t.Fatal(err)
	}
	e.ID = cutover.NewID()
	return &e
}

func uniqueLedgerKey(t *testing.T, l till) {
	p, _ := l.parents(t)
	key := cutover.NewID().String()
	first := newEntry(t, p, key)
	l.put(t, first)
	l.wantConflict(t, "the same key again", newEntry(t, p, key))
	got, err := askOne(t, l, func(ctx context.Context, tx cutover.Tx) (payment.Entry, error) {
		return payment.LedgerEntry(ctx, tx, key)
	})
	if err != nil || got.ID != first.ID || !got.SameContent(first) {
		t.Errorf("by key: want %+v, got %+v, %v", first, got, err)
	}
}

func ledgerOfPayment(t *testing.T, l till) {
	p, _ := l.parents(t)
	other, _ := l.parents(t)
	var ids []cutover.ID
	for i := range 3 {
		e := newEntry(t, p, fmt.Sprint(p, i))
		l.put(t, e, newEntry(t, other, fmt.Sprint(other, i)))
		ids = append(ids, e.ID)
	}
	got := ask(t, l, func(ctx context.Context, tx cutover.Tx) ([]payment.Entry, error) {
		return payment.LedgerOfPayment(ctx, tx, p)
	})
	wantIDs(t, "entries of the payment", got, ids...)
}

func uniqueDelivery(t *testing.T, l till) {
	p, _ := l.parents(t)
	key := cutover.NewID().String()
	with := func() *payment.Delivery {
		return &payment.Delivery{Key: key, PaymentID: p, Amount: money.UnitsOf(3)}
	}
	first := with()
	l.put(t, first)
	l.wantConflict(t, "the same delivery again", with())
	got, err := askOne(t, l, func(ctx context.Context, tx cutover.Tx) (payment.Delivery, error) {
		return payment.DeliveryByKey(ctx, tx, key)
	})
	if err != nil || got.ID != first.ID {
		t.Errorf("by key: want %s, got %s, %v", first.ID, got.ID, err)
	}
}

func openHolds(t *testing.T, l till) {
	p, _ := l.parents(t)
	var ids []cutover.ID
	for i := range 3 {
		h := &payment.Hold{Meta: cutover.Meta{ID: cutover.NewID()}, PaymentID: p, Reason: "r"}
		if i == 1 {
			h.ResolvedAt = cutover.Now()
		}
		l.put(t, h)
		ids = append(ids, h.ID)
	}
	got := ask(t, l, func(ctx context.Context, tx cutover.Tx) ([]payment.Hold, error) { return payment.OpenHolds(ctx, tx, p) })
	wantIDs(t, "open holds", got, ids[0], ids[2])
}

func paymentNotFound(t *testing.T, l till) {
	id := cutover.NewID()
	for name, query := range map[string]func(context.Context, cutover.Tx) error{
		payment.KindPayment: func(ctx context.Context, tx cutover.Tx) error {
			_, err := cutover.Get[payment.Payment](ctx, tx, id)
			return err
		},
		"reference": func(ctx context.Context, tx cutover.Tx) error {
			_, err := payment.PaymentByReference(ctx, tx, "no")
			return err
		},
		"empty": func(ctx context.Context, tx cutover.Tx) error {
			_, err := payment.PaymentByReference(ctx, tx, "")
			return err
		},
		"quote": func(ctx context.Context, tx cutover.Tx) error { _, err := payment.QuoteOf(ctx, tx, id); return err },
		"destination": func(ctx context.Context, tx cutover.Tx) error {
			_, err := payment.DestinationByAddress(ctx, tx, "no")
			return err
		},
		"entry": func(ctx context.Context, tx cutover.Tx) error {
			_, err := payment.LedgerEntry(ctx, tx, "no")
			return err
		},
		"hold": func(ctx context.Context, tx cutover.Tx) error {
			_, err := cutover.Get[payment.Hold](ctx, tx, id)
			return err
		},
		"delivery": func(ctx context.Context, tx cutover.Tx) error {
			_, err := payment.DeliveryByKey(ctx, tx, "no")
			return err
		},
	} {
		if err := l.side.View(t.Context(), query); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s: want not found, got %v", name, err)
		}
	}
}

func everyPayment(t *testing.T, l till) {
	l.paymentsPut(t, 3, func(int, *payment.Payment) {})
	var ids []cutover.ID
	err := l.side.View(t.Context(), func(ctx context.Context, tx cutover.Tx) error {
		ids = nil
		return cutover.Each(ctx, tx, func(p payment.Payment) error {
			ids = append(ids, p.ID)
			return nil
		})
	})
	all := ask(t, l, func(ctx context.Context, tx cutover.Tx) ([]payment.Payment, error) {
		return payment.Payments(ctx, tx, cutover.ID{}, 10_000)
	})
	if err != nil || len(ids) < 3 {
		t.Fatalf("visited %d payments, %v", len(ids), err)
	}
	wantIDs(t, "visited payments", ids, reversed(all)...)
}
