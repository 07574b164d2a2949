package payment_test

import (
	"context"
	"strings"
	"testing"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/domain/payment"
	"github.com/amanat-dev/amanat/internal/money"
)

// older puts a payment as an older system left it: without a ledger, and
// without the figures that this one adds.
func (b *bundle) older(t *testing.T, change func(*payment.Payment)) payment.Payment {
	t.Helper()
	p := payment.Payment{
		Meta: cutover.Meta{ID: cutover.NewID()}, PurchaseRequestID: b.request, SellerOfferID: b.offer,
		BuyerID: b.buyer.UserID, SellerID: b.seller.UserID, Amount: payment.Price{Amount: money.MustAmount("12.5"), Currency: "USDT"},
		Provider: "decentralized", Direction: payment.DirectionIn, Status: payment.Completed, EscrowState: payment.Funded,
		Blockchain: &payment.Blockchain{ChainID: 56, Network: "bsc", Token: "USDT", Destination: "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"},
	}
	change(&p)
	return must[payment.Payment](t)(cutover.Update(t.Context(), b.db, func(ctx context.Context, tx cutover.Tx) (payment.Payment, error) {
		p := p
		return p, tx.Put(ctx, &p)
	}))
}

// completed makes the bundle's deal one that was done before anybody told.
func (b *bundle) completed() {
	b.deals.set(b.offer, payment.Deal{BuyerID: b.buyer.UserID, SellerID: b.seller.UserID, RequestStatus: "completed", OfferStatus: "accepted"})
}

func TestADealThatWasDoneBeforeTheMoveIsReleasedOnceItsMoneyIsBooked(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		for name, change := range map[string]func(*payment.Payment){
			"funded":     func(*payment.Payment) {},
			"releasable": func(p *payment.Payment) { p.EscrowState = payment.Releasable },
			"paid":       func(p *payment.Payment) { p.Status, p.EscrowState = payment.Paid, "" },
		} {
			b.completed()
			ctx, p := t.Context(), b.older(t, change)
			_, err := b.Begin(ctx, b.admin, payment.PayRelease, p.ID, payment.PayoutDraft{})
			wantReason(t, name+" without a ledger", err, "by an adjustment from custody to escrow")
			must[payment.Entry](t)(b.Adjust(ctx, b.admin, p.ID, adjustment("opening", payment.AtCustody, payment.AtEscrow, "12.5")))
			must[payment.PayoutView](t)(b.Begin(ctx, b.admin, payment.PayRelease, p.ID, payment.PayoutDraft{}))
			done := must[payment.PayoutView](t)(b.Confirm(ctx, b.admin, payment.PayRelease, p.ID, payment.PayoutProof{TxHash: hash(9)}))
			if done.EscrowState != payment.Released {
				t.Errorf("%s: got %s", name, done.EscrowState)
			}
			b.request, b.offer = b.deal(b.buyer, nil)
		}
		b.wantSound(t)
	})
}

func TestAnOlderPaymentIsNotReleasedWithoutAReasonWhy(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		for reason, change := range map[string]func(*payment.Payment){
			"no purchase request of this payment is on record as completed": func(p *payment.Payment) { p.PurchaseRequestID = cutover.ID{} },
			"names no known chain and token":                                func(p *payment.Payment) { p.Blockchain = nil },
			"the seller has no verified wallet":                             func(p *payment.Payment) { p.SellerID = cutover.ID{} },
		} {
			p := b.older(t, change)
			if p.Blockchain != nil {
				must[payment.Entry](t)(b.Adjust(ctx, b.admin, p.ID, adjustment("opening", payment.AtCustody, payment.AtEscrow, "12.5")))
			}
			_, err := b.Begin(ctx, b.admin, payment.PayRelease, p.ID, payment.PayoutDraft{})
			wantReason(t, "an older payment", err, reason)
		}
		p := b.older(t, func(*payment.Payment) {})
		must[payment.Entry](t)(b.Adjust(ctx, b.admin, p.ID, adjustment("opening", payment.AtCustody, payment.AtEscrow, "12.5")))
		_, err := b.Begin(ctx, b.admin, payment.PayRelease, p.ID, payment.PayoutDraft{})
		wantReason(t, "a deal that is not done", err, "once the deal is done")
	})
}

// The request was completed, but with another seller.
func TestAnOlderPaymentForAnOfferThatLostIsNotReleased(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		ctx, p := t.Context(), b.older(t, func(*payment.Payment) {})
		b.deals.set(b.offer, payment.Deal{BuyerID: b.buyer.UserID, SellerID: b.seller.UserID, RequestStatus: "completed", OfferStatus: "rejected"})
		must[payment.Entry](t)(b.Adjust(ctx, b.admin, p.ID, adjustment("opening", payment.AtCustody, payment.AtEscrow, "12.5")))
		_, err := b.Begin(ctx, b.admin, payment.PayRelease, p.ID, payment.PayoutDraft{})
		wantReason(t, "a payment for an offer that lost", err, "once the deal is done")
	})
}

// An older system took it for paid, and less than that is there: it is booked as
// it is, and holds its parties' accounts until it is out.
func TestAnOlderPaymentIsBookedAsMuchAsIsThere(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		p := b.older(t, func(p *payment.Payment) {
			p.Status, p.EscrowState = payment.Paid, ""
			units := money.MustUnits("12500000000000000000")
			p.ExpectedUnits = &units
		})
		if n := must[int64](t)(b.HeldPayments(ctx, b.seller.UserID)); n != 1 {
			t.Errorf("before it is booked the seller has %d held payments, want 1", n)
		}
		must[payment.Entry](t)(b.Adjust(ctx, b.admin, p.ID, adjustment("opening", payment.AtCustody, payment.AtEscrow, "10")))
		now := must[payment.View](t)(b.Get(ctx, b.admin, p.ID))
		if now.EscrowState != payment.Partial {
			t.Errorf("it is %q, want partial", now.EscrowState)
		}
		must[payment.PayoutView](t)(b.Begin(ctx, b.admin, payment.PayRefund, p.ID, payment.PayoutDraft{}))
	})
}

// One that an older system began can be given up, and begun again here.
func TestAReleaseThatAnOlderSystemBeganCanBeCancelled(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		ctx, p := t.Context(), b.older(t, func(p *payment.Payment) { p.EscrowState = payment.Releasing })
		_, err := b.Begin(ctx, b.admin, payment.PayRelease, p.ID, payment.PayoutDraft{})
		wantReason(t, "a release under way", err, "confirm or cancel it first")
		free := must[payment.PayoutView](t)(b.CancelPayout(ctx, b.admin, payment.PayRelease, p.ID))
		if free.EscrowState != payment.Releasable {
			t.Errorf("got %s", free.EscrowState)
		}
	})
}

func wantReason(t *testing.T, what string, err error, reason string) {
	t.Helper()
	if !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), reason) {
		t.Errorf("%s: got %v, want a conflict that says %q", what, err, reason)
	}
}
