package payment_test

import (
	"testing"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/domain/payment"
	"github.com/amanat-dev/amanat/internal/money"
)

func adjustment(key string, from, to payment.Place, amount string) payment.Adjustment {
	return payment.Adjustment{IdempotencyKey: key, Reason: "as the bank says", From: from, To: to, Amount: money.MustAmount(amount)}
}

func TestAnAdjustmentIsBookedOnceWithItsReasonAndBalances(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		ctx, p := t.Context(), b.open(t)
		half := adjustment("1", payment.AtCustody, payment.AtEscrow, "6.25")
		e := must[payment.Entry](t)(b.Adjust(ctx, b.admin, p.ID, half))
		if e.Reason != "as the bank says" || e.PostedBy != b.admin.UserID || e.Type != payment.EntryAdjustment || e.PaymentID != p.ID {
			t.Errorf("got %+v", e)
		}
		if got := b.stored(t, p.ID); got.EscrowState != payment.Partial || got.EscrowBalance.String() != halfUnits || got.ReceivedUnits.String() != halfUnits {
			t.Errorf("after half of it: %s, %s", got.EscrowState, got.EscrowBalance)
		}
		b.unchanged(t, "the same again", p.ID, func() {
			again := must[payment.Entry](t)(b.Adjust(ctx, as("admin"), p.ID, half))
			if again.ID != e.ID {
				t.Errorf("the entry is %s, sent again %s", e.ID, again.ID)
			}
			other := half
			other.Reason = "another one"
			_, err := b.Adjust(ctx, b.admin, p.ID, other)
			wantKind(t, "the key with another reason", err, fault.Conflict)
			_, err = b.Adjust(ctx, b.admin, p.ID, adjustment("2", payment.AtCustody, payment.AtEscrow, "6.3"))
			wantKind(t, "more than is expected", err, fault.Conflict)
		})
		must[payment.Entry](t)(b.Adjust(ctx, b.admin, p.ID, adjustment("2", payment.AtCustody, payment.AtEscrow, "6.25")))
		if got := b.stored(t, p.ID); got.EscrowState != payment.Funded || got.Status != payment.Completed {
			t.Errorf("after all of it: %s, %s", got.Status, got.EscrowState)
		}
		b.wantBalances(t, p.ID, map[string]string{payment.EscrowAccount(p.ID): allUnits})
		b.wantEvents(t, payment.EventFunded.Name())
		b.wantSound(t)
	})
}

func TestADepositThatDidNotHappenIsTakenBack(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		ctx, p := t.Context(), b.funded(t)
		must[payment.Hold](t)(b.OpenHold(ctx, b.admin, p.ID, payment.HoldDraft{Reason: "the chain was reorganised"}))
		_, err := b.Adjust(ctx, b.admin, p.ID, adjustment("1", payment.AtEscrow, payment.AtSeller, "1"))
		wantKind(t, "money for the seller under a hold", err, fault.Conflict)
		must[payment.Entry](t)(b.Adjust(ctx, b.admin, p.ID, adjustment("1", payment.AtEscrow, payment.AtCustody, "12.5")))
		if got := b.stored(t, p.ID); got.Status != payment.Failed || got.EscrowState != payment.EscrowFailed || got.EscrowBalance.Sign() != 0 {
			t.Errorf("got %s, %s, %s", got.Status, got.EscrowState, got.EscrowBalance)
		}
		b.wantBalances(t, p.ID, map[string]string{})
		b.wantSound(t)
	})
}

func TestAnAdjustmentIsRefused(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		ctx, p := t.Context(), b.releasable(t)
		b.unchanged(t, "refused adjustments", p.ID, func() {
			for _, who := range []struct {
				name string
				err  error
			}{
				{"the buyer", second(b.Adjust(ctx, b.buyer, p.ID, adjustment("1", payment.AtEscrow, payment.AtBuyer, "1")))},
				{"the seller", second(b.Adjust(ctx, b.seller, p.ID, adjustment("1", payment.AtEscrow, payment.AtSeller, "1")))},
				{"a resolver", second(b.Adjust(ctx, b.arbiter, p.ID, adjustment("1", payment.AtEscrow, payment.AtSeller, "1")))},
			} {
				wantKind(t, who.name, who.err, fault.Forbidden)
			}
			for what, a := range map[string]payment.Adjustment{
				"more than the escrow holds": adjustment("1", payment.AtEscrow, payment.AtSuspense, "12.6"),
				"fees that nobody paid":      adjustment("1", payment.AtFees, payment.AtSuspense, "1"),
				"more back than came in":     adjustment("1", payment.AtSuspense, payment.AtCustody, "1"),
				"more than is expected":      adjustment("1", payment.AtCustody, payment.AtEscrow, "1"),
			} {
				_, err := b.Adjust(ctx, b.admin, p.ID, a)
				wantKind(t, what, err, fault.Conflict)
			}
			_, err := b.Adjust(ctx, b.admin, p.ID, adjustment("1", payment.AtEscrow, payment.AtEscrow, "1"))
			wantField(t, "from where it goes", err, "to")
			_, err = b.Adjust(ctx, b.admin, p.ID, adjustment("1", payment.AtEscrow, payment.AtSuspense, "0"))
			wantField(t, "nothing", err, "amount")
			_, err = b.Adjust(ctx, b.admin, p.ID, adjustment("1", payment.AtEscrow, "attic", "1"))
			wantField(t, "an unknown place", err, "to")
			_, err = b.Adjust(ctx, b.admin, cutover.NewID(), adjustment("1", payment.AtEscrow, payment.AtSuspense, "1"))
			wantKind(t, "an unknown payment", err, fault.NotFound)
		})
		must[payment.PayoutView](t)(b.Begin(ctx, b.admin, payment.PayRelease, p.ID, payment.PayoutDraft{}))
		_, err := b.Adjust(ctx, b.admin, p.ID, adjustment("1", payment.AtEscrow, payment.AtSuspense, "1"))
		wantKind(t, "money that a release has reserved", err, fault.Conflict)
		b.wantSound(t)
	})
}

func TestAdjustmentAndReleaseAtOnceNeverTakeTheSameMoney(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		p := b.releasable(t)
		errs := make([]error, 2)
		together(2, func(i int) {
			if i == 0 {
				_, errs[i] = b.Adjust(t.Context(), b.admin, p.ID, adjustment("1", payment.AtEscrow, payment.AtSuspense, "12.5"))
			} else {
				_, errs[i] = b.Begin(t.Context(), b.admin, payment.PayRelease, p.ID, payment.PayoutDraft{})
			}
		})
		if (errs[0] == nil) == (errs[1] == nil) {
			t.Errorf("adjustment: %v, release: %v; want one winner", errs[0], errs[1])
		}
		b.wantSound(t)
	})
}

func TestACancelledPayoutGivesTheMoneyFree(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		ctx, p := t.Context(), b.releasable(t)
		_, err := b.CancelPayout(ctx, b.admin, payment.PayRelease, p.ID)
		wantKind(t, "cancelling nothing", err, fault.Conflict)
		must[payment.PayoutView](t)(b.Begin(ctx, b.admin, payment.PayRelease, p.ID, payment.PayoutDraft{}))
		for name, who := range map[string]error{
			"the seller": second(b.CancelPayout(ctx, b.seller, payment.PayRelease, p.ID)),
			"a resolver": second(b.CancelPayout(ctx, b.arbiter, payment.PayRelease, p.ID)),
		} {
			wantKind(t, name, who, fault.Forbidden)
		}
		_, err = b.CancelPayout(ctx, b.admin, payment.PayRefund, p.ID)
		wantKind(t, "cancelling a refund", err, fault.Conflict)
		free := must[payment.PayoutView](t)(b.CancelPayout(ctx, b.admin, payment.PayRelease, p.ID))
		if free.EscrowState != payment.Releasable || free.Payout != nil || free.EscrowBalance.String() != allUnits {
			t.Errorf("got %s, %+v", free.EscrowState, free.Payout)
		}
		_, err = b.Confirm(ctx, b.admin, payment.PayRelease, p.ID, payment.PayoutProof{TxHash: hash(9)})
		wantKind(t, "confirming what was given up", err, fault.Conflict)
		must[payment.PayoutView](t)(b.Begin(ctx, b.admin, payment.PayRefund, p.ID, payment.PayoutDraft{}))
		must[payment.PayoutView](t)(b.Confirm(ctx, b.admin, payment.PayRefund, p.ID, payment.PayoutProof{TxHash: hash(9)}))
		b.wantSound(t)
	})
}

func TestLedgerRoutes(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		h, p := b.api().Handler(), b.releasable(t)
		path := "/api/payment/" + p.ID.String()
		const body = `{"idempotencyKey":"k","reason":"r","from":"escrow","to":"suspense","amount":"2.5"}`
		for _, who := range []string{"buyer", "seller", "resolver", "stranger"} {
			for _, route := range []string{"/adjustments", "/release/cancel", "/refund/cancel"} {
				call(t, h, "POST", path+route, who, body).want(t, who+" "+route, 403)
			}
		}
		call(t, h, "POST", path+"/adjustments", "", body).want(t, "nobody", 401)
		call(t, h, "POST", path+"/adjustments", "admin", `{"idempotencyKey":"k","reason":" ","from":"escrow","to":"fees","amount":"1"}`).want(t, "no reason", 400, "reason")
		call(t, h, "POST", path+"/adjustments", "admin", `{"idempotencyKey":"k","reason":"r","from":"attic","to":"fees","amount":"1"}`).want(t, "no place", 400, "from")
		made := call(t, h, "POST", path+"/adjustments", "admin", body).want(t, "an adjustment", 201)
		again := call(t, h, "POST", path+"/adjustments", "admin", body).want(t, "the same again", 201)
		if made.data["id"] != again.data["id"] || made.data["reason"] != "r" {
			t.Errorf("got %s, again %s", made.text, again.text)
		}
		call(t, h, "POST", path+"/release/cancel", "admin", "").want(t, "nothing to cancel", 409)
		call(t, h, "POST", path+"/release", "admin", "").want(t, "a release", 200)
		call(t, h, "POST", path+"/release/cancel", "admin", "").want(t, "its end", 200)
		b.wantSound(t)
	})
}
