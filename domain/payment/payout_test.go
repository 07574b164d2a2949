package payment_test

import (
	"context"
	"testing"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/domain/payment"
)

func TestAReleasePaysSellerAndFees(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		b.made.FeeBps = 200
		b.start()
		ctx, p := t.Context(), b.releasable(t)
		begun := must[payment.PayoutView](t)(b.Begin(ctx, b.admin, payment.PayRelease, p.ID, payment.PayoutDraft{}))
		i := begun.Instruction
		if begun.EscrowState != payment.Releasing || i.To != b.wallets[b.seller.UserID] || i.From != p.Checkout.Destination ||
			i.Units.String() != "12250000000000000000" || i.FeeUnits.String() != "250000000000000000" || i.Amount.String() != "12.25" {
			t.Fatalf("got %s, %+v", begun.EscrowState, i)
		}
		done := must[payment.PayoutView](t)(b.Confirm(ctx, b.admin, payment.PayRelease, p.ID, payment.PayoutProof{TxHash: hash(9)}))
		if done.EscrowState != payment.Released || done.Status != payment.Completed || done.Payout != nil || done.PayoutTxHash != hash(9) {
			t.Errorf("got %s, %s", done.Status, done.EscrowState)
		}
		b.wantBalances(t, p.ID, map[string]string{
			payment.SellerAccount(b.seller.UserID): "12250000000000000000", payment.AccountFees: "250000000000000000",
		})
		b.wantEvents(t, payment.EventFunded.Name(), payment.EventReleased.Name())
		b.wantSound(t)
	})
}

func TestARefundPaysTheBuyer(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		ctx, p := t.Context(), b.funded(t)
		begun := must[payment.PayoutView](t)(b.Begin(ctx, b.admin, payment.PayRefund, p.ID, payment.PayoutDraft{}))
		if begun.EscrowState != payment.Refunding || begun.Instruction.To != "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC" {
			t.Errorf("got %s to %s", begun.EscrowState, begun.Instruction.To)
		}
		done := must[payment.PayoutView](t)(b.Confirm(ctx, b.admin, payment.PayRefund, p.ID, payment.PayoutProof{TxHash: hash(9)}))
		if done.EscrowState != payment.EscrowRefunded || done.Status != payment.Refunded {
			t.Errorf("got %s, %s", done.Status, done.EscrowState)
		}
		b.wantBalances(t, p.ID, map[string]string{payment.BuyerAccount(b.buyer.UserID): allUnits})
		b.wantEvents(t, payment.EventFunded.Name(), payment.EventRefunded.Name())
		b.wantSound(t)
	})
}

func TestConfirmingTwiceWithTheSameTransactionChangesNothing(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		ctx, p := t.Context(), b.releasable(t)
		_, err := b.Confirm(ctx, b.admin, payment.PayRelease, p.ID, payment.PayoutProof{TxHash: hash(9)})
		wantKind(t, "a confirmation of nothing", err, fault.Conflict)
		must[payment.PayoutView](t)(b.Begin(ctx, b.admin, payment.PayRelease, p.ID, payment.PayoutDraft{}))
		_, err = b.Confirm(ctx, b.admin, payment.PayRefund, p.ID, payment.PayoutProof{TxHash: hash(9)})
		wantKind(t, "the confirmation of a refund", err, fault.Conflict)
		_, err = b.Confirm(ctx, b.admin, payment.PayRelease, p.ID, payment.PayoutProof{TxHash: "0x12"})
		wantField(t, "a hash that is none", err, "txHash")
		must[payment.PayoutView](t)(b.Confirm(ctx, b.admin, payment.PayRelease, p.ID, payment.PayoutProof{TxHash: hash(9)}))
		b.unchanged(t, "the same again", p.ID, func() {
			must[payment.PayoutView](t)(b.Confirm(ctx, b.admin, payment.PayRelease, p.ID, payment.PayoutProof{TxHash: hash(9)}))
		})
		_, err = b.Confirm(ctx, b.admin, payment.PayRelease, p.ID, payment.PayoutProof{TxHash: hash(10)})
		wantKind(t, "another transaction", err, fault.Conflict)
		b.wantEvents(t, payment.EventFunded.Name(), payment.EventReleased.Name())
	})
}

func TestReleaseAndRefundAtOnceHaveOneWinner(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		for range 4 {
			p := b.releasable(t)
			kinds := []payment.PayoutKind{payment.PayRelease, payment.PayRefund, payment.PayRelease, payment.PayRefund}
			errs := make([]error, len(kinds))
			together(len(kinds), func(i int) { _, errs[i] = b.Begin(t.Context(), b.admin, kinds[i], p.ID, payment.PayoutDraft{}) })
			won := -1
			for i, err := range errs {
				switch {
				case err == nil && won >= 0:
					t.Errorf("both %s and %s won", kinds[won], kinds[i])
				case err == nil:
					won = i
				default:
					wantKind(t, "the loser", err, fault.Conflict)
				}
			}
			if won < 0 {
				t.Fatal("nobody won")
			}
			if got := b.stored(t, p.ID); got.Payout == nil || got.Payout.Kind != kinds[won] {
				t.Errorf("%s won, stored is %+v", kinds[won], got.Payout)
			}
			b.request, b.offer = b.deal(b.buyer, nil)
		}
		b.wantSound(t)
	})
}

func TestAHoldStopsPayoutsUntilItIsResolved(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		ctx, p := t.Context(), b.releasable(t)
		h := must[payment.Hold](t)(b.OpenHold(ctx, b.arbiter, p.ID, payment.HoldDraft{Reason: " the parcel was empty "}))
		if h.Reason != "the parcel was empty" || h.RaisedBy != b.arbiter.UserID {
			t.Errorf("got %+v", h)
		}
		for _, kind := range []payment.PayoutKind{payment.PayRelease, payment.PayRefund} {
			_, err := b.Begin(ctx, b.admin, kind, p.ID, payment.PayoutDraft{})
			wantKind(t, "a "+string(kind)+" under a hold", err, fault.Conflict)
		}
		if v := must[payment.View](t)(b.Get(ctx, b.buyer, p.ID)); len(v.Holds) != 1 || v.Holds[0].ID != h.ID {
			t.Errorf("the payment shows the holds %+v", v.Holds)
		}
		_, err := b.ResolveHold(ctx, b.arbiter, cutover.NewID(), h.ID)
		wantKind(t, "resolving on another payment", err, fault.NotFound)
		must[payment.Hold](t)(b.ResolveHold(ctx, b.arbiter, p.ID, h.ID))
		again := must[payment.Hold](t)(b.ResolveHold(ctx, b.admin, p.ID, h.ID))
		if again.ResolvedBy != b.arbiter.UserID || again.Rev != 2 {
			t.Errorf("resolving twice changed it: %+v", again)
		}
		must[payment.PayoutView](t)(b.Begin(ctx, b.admin, payment.PayRelease, p.ID, payment.PayoutDraft{}))
		_, err = b.OpenHold(ctx, b.admin, p.ID, payment.HoldDraft{Reason: "too late"})
		wantKind(t, "a hold on a release under way", err, fault.Conflict)
	})
}

func TestHoldAndReleaseAtOnceHaveOneWinner(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		p := b.releasable(t)
		errs := make([]error, 2)
		together(2, func(i int) {
			if i == 0 {
				_, errs[i] = b.OpenHold(t.Context(), b.admin, p.ID, payment.HoldDraft{Reason: "wait"})
			} else {
				_, errs[i] = b.Begin(t.Context(), b.admin, payment.PayRelease, p.ID, payment.PayoutDraft{})
			}
		})
		if (errs[0] == nil) == (errs[1] == nil) {
			t.Errorf("hold: %v, release: %v; want one winner", errs[0], errs[1])
		}
	})
}

func TestAPayoutIsRefused(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		ctx, p := t.Context(), b.open(t)
		_, err := b.Begin(ctx, b.admin, payment.PayRefund, p.ID, payment.PayoutDraft{})
		wantKind(t, "a refund of nothing", err, fault.Conflict)
		b.delivered(t, p, nil)
		_, err = b.Begin(ctx, b.admin, payment.PayRelease, p.ID, payment.PayoutDraft{})
		wantKind(t, "a release before completion", err, fault.Conflict)
		b.tell(t, b.HandleRequestCompleted, b.request)
		b.unchanged(t, "refused payouts", p.ID, func() {
			for _, who := range []struct {
				name string
				err  error
			}{
				{"the seller", second(b.Begin(ctx, b.seller, payment.PayRelease, p.ID, payment.PayoutDraft{}))},
				{"the buyer", second(b.Begin(ctx, b.buyer, payment.PayRefund, p.ID, payment.PayoutDraft{}))},
				{"a resolver", second(b.Begin(ctx, b.arbiter, payment.PayRelease, p.ID, payment.PayoutDraft{}))},
				{"the seller's confirmation", second(b.Confirm(ctx, b.seller, payment.PayRelease, p.ID, payment.PayoutProof{TxHash: hash(3)}))},
				{"the seller's hold", second(b.OpenHold(ctx, b.seller, p.ID, payment.HoldDraft{Reason: "x"}))},
				{"the seller's resolution", second(b.ResolveHold(ctx, b.seller, p.ID, cutover.NewID()))},
			} {
				wantKind(t, who.name, who.err, fault.Forbidden)
			}
			_, err = b.Begin(ctx, b.admin, payment.PayRelease, p.ID, payment.PayoutDraft{Amount: amount("12.500000000000000001")})
			wantKind(t, "more than there is", err, fault.Conflict)
			for _, bad := range []string{"0", "-1", "0.0000000000000000001"} {
				_, err = b.Begin(ctx, b.admin, payment.PayRelease, p.ID, payment.PayoutDraft{Amount: amount(bad)})
				wantField(t, "the amount "+bad, err, "amount")
			}
			_, err = b.Begin(ctx, b.admin, payment.PayRelease, cutover.NewID(), payment.PayoutDraft{})
			wantKind(t, "an unknown payment", err, fault.NotFound)
			_, err = b.OpenHold(ctx, b.admin, p.ID, payment.HoldDraft{Reason: "  "})
			wantField(t, "a hold without a reason", err, "reason")
			wallet := b.wallets[b.seller.UserID]
			delete(b.wallets, b.seller.UserID)
			_, err = b.Begin(ctx, b.admin, payment.PayRelease, p.ID, payment.PayoutDraft{})
			wantKind(t, "a release to nowhere", err, fault.Conflict)
			b.wallets[b.seller.UserID] = "TJRabPrwbZy45sbavfcjinPJC18kjpRTv8"
			_, err = b.Begin(ctx, b.admin, payment.PayRelease, p.ID, payment.PayoutDraft{})
			wantKind(t, "a release to another sort of chain", err, fault.Conflict)
			b.wallets[b.seller.UserID] = wallet
		})
	})
}

func second[T any](_ T, err error) error { return err }

func TestPartsCanBeReleasedAndRefunded(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		ctx, p := t.Context(), b.releasable(t)
		must[payment.PayoutView](t)(b.Begin(ctx, b.admin, payment.PayRelease, p.ID, payment.PayoutDraft{Amount: amount("2.5")}))
		part := must[payment.PayoutView](t)(b.Confirm(ctx, b.admin, payment.PayRelease, p.ID, payment.PayoutProof{TxHash: hash(5)}))
		if part.EscrowState != payment.Releasable || part.EscrowBalance.String() != "10000000000000000000" {
			t.Errorf("after a part: %s, %s", part.EscrowState, part.EscrowBalance)
		}
		b.wantEvents(t, payment.EventFunded.Name())
		must[payment.PayoutView](t)(b.Begin(ctx, b.admin, payment.PayRefund, p.ID, payment.PayoutDraft{}))
		must[payment.PayoutView](t)(b.Confirm(ctx, b.admin, payment.PayRefund, p.ID, payment.PayoutProof{TxHash: hash(6)}))
		b.wantBalances(t, p.ID, map[string]string{
			payment.SellerAccount(b.seller.UserID): "2500000000000000000", payment.BuyerAccount(b.buyer.UserID): "10000000000000000000",
		})
		b.wantEvents(t, payment.EventFunded.Name(), payment.EventRefunded.Name())
		b.wantSound(t)
	})
}

func TestAPartialPaymentCanBeRefunded(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		ctx, p := t.Context(), b.open(t)
		b.delivered(t, p, func(c map[string]any) { c["amount"] = halfUnits })
		must[payment.PayoutView](t)(b.Begin(ctx, b.admin, payment.PayRefund, p.ID, payment.PayoutDraft{}))
		// Money that arrives meanwhile is the buyer's, not the escrow's.
		b.delivered(t, p, func(c map[string]any) { c["txHash"], c["amount"] = hash(2), halfUnits })
		done := must[payment.PayoutView](t)(b.Confirm(ctx, b.admin, payment.PayRefund, p.ID, payment.PayoutProof{TxHash: hash(6)}))
		if done.Status != payment.Refunded || done.EscrowState != payment.EscrowRefunded {
			t.Errorf("got %s, %s", done.Status, done.EscrowState)
		}
		b.wantBalances(t, p.ID, map[string]string{payment.BuyerAccount(b.buyer.UserID): allUnits})
		b.wantSound(t)
	})
}

// MongoDB has no constraint to refuse such an entry; there it cannot be read.
func TestALedgerEntryThatIsOffBalanceIsNeitherKeptNorRead(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		p := b.funded(t)
		e := b.ledger(t, p.ID)[0]
		_, err := cutover.Update(t.Context(), b.db, func(ctx context.Context, tx cutover.Tx) (struct{}, error) {
			bad := e
			bad.Meta, bad.IdempotencyKey = cutover.Meta{}, "bad"
			bad.Postings = append([]payment.Posting(nil), e.Postings...)
			bad.Postings[0].Amount = bad.Postings[0].Amount.Add(bad.Postings[0].Amount)
			return struct{}{}, tx.Put(ctx, &bad)
		})
		if err == nil {
			_, err = cutover.View(t.Context(), b.db, payment.QueryPayment, func(ctx context.Context, tx cutover.Tx) (payment.Entry, error) {
				return payment.LedgerEntry(ctx, tx, "bad")
			})
		}
		wantKind(t, "an entry that is off balance", err, fault.Internal)
	})
}
