package payment

import (
	"testing"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/internal/money"
)

func TestADepositGoesToEscrowUpToTheExpectedAmount(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*Payment)
		held   int64
		units  int64
		want   [3]int64 // escrow, buyer, suspense
	}{
		"less":             {nil, 0, 40, [3]int64{40, 0, 0}},
		"exact":            {nil, 0, 100, [3]int64{100, 0, 0}},
		"more":             {nil, 0, 130, [3]int64{100, 30, 0}},
		"the rest of it":   {func(p *Payment) { p.Status, p.EscrowState = Confirmed, Partial }, 60, 50, [3]int64{40, 10, 0}},
		"after funding":    {func(p *Payment) { p.Status, p.EscrowState = Completed, Funded }, 100, 50, [3]int64{0, 50, 0}},
		"after the end":    {func(p *Payment) { p.Cancel() }, 0, 100, [3]int64{0, 100, 0}},
		"after a refund":   {func(p *Payment) { p.Status, p.EscrowState = Refunded, EscrowRefunded }, 0, 70, [3]int64{0, 70, 0}},
		"nobody's":         {func(p *Payment) { p.BuyerID = cutover.ID{} }, 0, 100, [3]int64{0, 0, 100}},
		"of unknown price": {func(p *Payment) { p.ExpectedUnits = nil }, 0, 100, [3]int64{0, 0, 100}},
	} {
		p := newPayment(100)
		if c.change != nil {
			c.change(p)
		}
		s := p.Receives(money.UnitsOf(c.units), money.UnitsOf(c.held))
		got := [3]string{s.Escrow.String(), s.Buyer.String(), s.Suspense.String()}
		want := [3]string{}
		for i, n := range c.want {
			want[i] = money.UnitsOf(n).String()
		}
		if got != want {
			t.Errorf("%s: escrow, buyer, suspense got %v, want %v", name, got, want)
		}
	}
}

func TestAPayoutIsAllowedOnlyWhereTheStateAllowsIt(t *testing.T) {
	t.Parallel()
	allowed := map[PayoutKind][]EscrowState{
		PayRelease: {Releasable},
		PayRefund:  {Funded, Partial, Releasable},
	}
	all := []EscrowState{"", Funded, Partial, Releasable, Releasing, Released, Refunding, EscrowRefunded, EscrowFailed, EscrowCancelled}
	for kind, from := range allowed {
		for _, state := range all {
			p := newPayment(100)
			p.EscrowState = state
			err := p.Reserve(Reservation{Kind: kind}, money.UnitsOf(100))
			want := false
			for _, s := range from {
				want = want || s == state
			}
			if want != (err == nil) || (err != nil && !fault.Is(err, fault.Conflict)) {
				t.Errorf("%s from %q: got %v", kind, state, err)
			}
		}
	}
}

func TestAPayoutIsNeverBeyondTheBalance(t *testing.T) {
	t.Parallel()
	for _, units := range []int64{-1, 0, 101} {
		p := newPayment(100)
		p.EscrowState = Funded
		err := p.Reserve(Reservation{Kind: PayRefund, Units: unitsPtr(money.UnitsOf(units))}, money.UnitsOf(100))
		if !fault.Is(err, fault.Conflict) || p.Payout != nil || p.EscrowState != Funded {
			t.Errorf("%d units: got %v, %s", units, err, p.EscrowState)
		}
	}
}

func TestTheFeeIsRoundedDown(t *testing.T) {
	t.Parallel()
	for _, c := range [][3]int64{{10000, 250, 250}, {39, 250, 0}, {41, 250, 1}, {7, 10000, 7}, {7, 0, 0}} {
		if got := fee(money.UnitsOf(c[0]), c[1]); !got.Equal(money.UnitsOf(c[2])) {
			t.Errorf("%d bps of %d: got %s, want %d", c[1], c[0], got, c[2])
		}
	}
}

func TestAPartialReleaseLeavesTheRestReleasable(t *testing.T) {
	t.Parallel()
	p := newPayment(100)
	p.Status, p.EscrowState, p.EscrowBalance = Completed, Releasable, unitsPtr(money.UnitsOf(100))
	if err := p.Reserve(Reservation{Kind: PayRelease, Units: unitsPtr(money.UnitsOf(30))}, *p.EscrowBalance); err != nil {
		t.Fatal(err)
	}
	if p.FinishPayout("0x1") || p.EscrowState != Releasable || p.EscrowBalance.String() != "70" {
		t.Fatalf("after a part: %s, %s left", p.EscrowState, p.EscrowBalance)
	}
	if err := p.Reserve(Reservation{Kind: PayRefund}, *p.EscrowBalance); err != nil {
		t.Fatal(err)
	}
	if !p.FinishPayout("0x2") || p.EscrowState != EscrowRefunded || p.Status != Completed || !p.EscrowBalance.IsZero() {
		t.Fatalf("after the rest: %s, %s, %s left", p.Status, p.EscrowState, p.EscrowBalance)
	}
}

func TestADealDoneWhileARefundIsUnderWayMakesTheRestReleasable(t *testing.T) {
	t.Parallel()
	p := newPayment(100)
	p.EscrowState = Funded
	if err := p.Reserve(Reservation{Kind: PayRefund, Units: unitsPtr(money.UnitsOf(10))}, money.UnitsOf(100)); err != nil {
		t.Fatal(err)
	}
	p.DealDone()
	if p.FinishPayout("0x1"); p.EscrowState != Releasable {
		t.Fatalf("got %s, want releasable", p.EscrowState)
	}
}

func TestASyntheticRequestIDBecomesTheLegacyReference(t *testing.T) {
	t.Parallel()
	id := cutover.NewID().String()
	for _, c := range []struct{ doc, want map[string]any }{
		{map[string]any{"purchaseRequestId": "template-checkout-17"}, map[string]any{"legacyReference": "template-checkout-17"}},
		{map[string]any{"purchaseRequestId": id}, map[string]any{"purchaseRequestId": id}},
		{map[string]any{"purchaseRequestId": 7}, map[string]any{"purchaseRequestId": 7}},
		{map[string]any{}, map[string]any{}},
		{map[string]any{"purchaseRequestId": "x", "legacyReference": "kept"}, map[string]any{"legacyReference": "kept"}},
	} {
		new(Payment).AdaptLegacy(c.doc)
		if len(c.doc) != len(c.want) || c.doc["purchaseRequestId"] != c.want["purchaseRequestId"] || c.doc["legacyReference"] != c.want["legacyReference"] {
			t.Errorf("got %v, want %v", c.doc, c.want)
		}
	}
}
