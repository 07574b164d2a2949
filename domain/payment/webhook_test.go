package payment_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/domain/payment"
)

func TestADepositFundsThePayment(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		p := b.open(t)
		early := b.delivered(t, p, func(c map[string]any) { c["confirmations"] = 199 })
		if early.Status != payment.Processing || early.EscrowState != "" || early.Blockchain.Confirmations != 199 || len(b.ledger(t, p.ID)) != 0 {
			t.Errorf("below the floor: %s, %q, %d confirmations", early.Status, early.EscrowState, early.Blockchain.Confirmations)
		}
		done := b.delivered(t, p, nil)
		if done.Status != payment.Completed || done.EscrowState != payment.Funded || done.Blockchain.TxHash != transferTo(p.ID) {
			t.Errorf("at the floor: %s, %s", done.Status, done.EscrowState)
		}
		b.wantBalances(t, p.ID, map[string]string{payment.EscrowAccount(p.ID): allUnits})
		b.wantEvents(t, payment.EventFunded.Name())
		e := b.events(t)[0]
		if e.Subject != p.ID || e.Data["purchaseRequestId"] != b.request.String() || e.Data["sellerOfferId"] != b.offer.String() || e.Data["sellerId"] != b.seller.UserID.String() {
			t.Errorf("got the event %+v", e)
		}
		b.wantSound(t)
	})
}

func TestARaisedFloorHoldsAndALoweredOneDoesNot(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		b.made.Floors = map[int64]int64{56: 250, 1: 3}
		b.start()
		p := b.open(t)
		if got := b.delivered(t, p, nil); got.Status != payment.Processing {
			t.Errorf("at 200 of 250: %s", got.Status)
		}
		if got := b.delivered(t, p, func(c map[string]any) { c["confirmations"] = 250 }); got.Status != payment.Completed {
			t.Errorf("at 250 of 250: %s", got.Status)
		}
		in := b.intent()
		in.PurchaseRequestID, in.SellerOfferID = b.deal(b.buyer, nil)
		in.ChainID = 1
		low := must[payment.View](t)(b.CreateIntent(t.Context(), b.buyer, in))
		if low.Blockchain.ConfirmationsRequired != 50 {
			t.Errorf("Ethereum's floor was lowered to %d", low.Blockchain.ConfirmationsRequired)
		}
	})
}

func TestARepeatChangesNothingAlsoAfterARestart(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		p := b.funded(t)
		for range 2 {
			b.unchanged(t, "a repeat", p.ID, func() {
				if r := must[payment.Receipt](t)(b.deliver(t, p, nil)); !r.Repeated {
					t.Errorf("got %+v", r)
				}
			})
			b.start()
		}
		// More confirmations are news, but not more money.
		more := b.delivered(t, p, func(c map[string]any) { c["confirmations"] = 900 })
		if more.Blockchain.Confirmations != 900 || more.ReceivedUnits.String() != allUnits || len(b.ledger(t, p.ID)) != 1 {
			t.Errorf("got %d confirmations, %s received", more.Blockchain.Confirmations, more.ReceivedUnits)
		}
		b.wantEvents(t, payment.EventFunded.Name())
		b.wantSound(t)
	})
}

func TestParallelDeliveriesDepositOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		p := b.open(t)
		secret := b.secret(t, p.ID)
		services := []*payment.Service{b.Service, b.another()}
		var mu sync.Mutex
		first := 0
		together(8, func(i int) {
			// Half of them say the same, half tell of one confirmation more.
			raw := body(t, callback(p, func(c map[string]any) { c["confirmations"] = 200 + i/4 }))
			for range 20 { // as the scanner does
				r, err := services[i%2].Deliver(t.Context(), raw, payment.Sign(secret, raw))
				if fault.Is(err, fault.Conflict) {
					continue
				}
				if err != nil {
					t.Errorf("delivery %d: %v", i, err)
				}
				mu.Lock()
				defer mu.Unlock()
				if err == nil && !r.Repeated {
					first++
				}
				return
			}
			t.Errorf("delivery %d met conflicts only", i)
		})
		if first != 2 {
			t.Errorf("%d deliveries were taken for new, want 2", first)
		}
		b.wantBalances(t, p.ID, map[string]string{payment.EscrowAccount(p.ID): allUnits})
		b.wantEvents(t, payment.EventFunded.Name())
		b.wantSound(t)
	})
}

func TestOnlyThePaymentsSecretIsBelieved(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		p := b.open(t)
		other := must[payment.View](t)(b.CreateIntent(t.Context(), b.buyer, func() payment.Intent {
			in := b.intent()
			in.PurchaseRequestID, in.SellerOfferID = b.deal(b.buyer, nil)
			return in
		}()))
		good := body(t, callback(p, nil))
		secret := b.secret(t, p.ID)
		unknown := body(t, callback(p, func(c map[string]any) { c["paymentReference"] = "0011223344556677" }))
		var messages []string
		b.unchanged(t, "unsigned callbacks", p.ID, func() {
			for name, c := range map[string]struct {
				raw       []byte
				signature string
			}{
				"no signature":        {good, ""},
				"another's secret":    {good, payment.Sign(b.secret(t, other.ID), good)},
				"another body":        {append([]byte(" "), good...), payment.Sign(secret, good)},
				"an empty secret":     {good, payment.Sign("", good)},
				"an unknown payment":  {unknown, payment.Sign(secret, unknown)},
				"no reference":        {[]byte(`{}`), payment.Sign(secret, []byte(`{}`))},
				"no JSON":             {[]byte(`x`), payment.Sign(secret, []byte(`x`))},
				"nothing":             {nil, payment.Sign(secret, nil)},
				"an empty reference":  {[]byte(`{"paymentReference":""}`), ""},
				"a reference of null": {[]byte(`{"paymentReference":null}`), ""},
			} {
				_, err := b.Deliver(t.Context(), c.raw, c.signature)
				wantKind(t, name, err, fault.Unauthenticated)
				messages = append(messages, err.Error())
			}
		})
		for _, m := range messages {
			if m != messages[0] {
				t.Errorf("refusals tell apart: %q and %q", messages[0], m)
			}
		}
	})
}

func TestASignedCallbackThatDoesNotFitWritesNothing(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		p := b.open(t)
		for field, bad := range map[string]any{
			"token": "USDC", "chainId": 1, "destination": "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
			"amount": "0", "txHash": "0x12", "status": "lovely", "confirmations": -1, "surprise": true,
		} {
			b.unchanged(t, field, p.ID, func() {
				_, err := b.deliver(t, p, func(c map[string]any) { c[field] = bad })
				wantField(t, field, err, field)
			})
		}
		// It can be sent again, right.
		if got := b.delivered(t, p, func(c map[string]any) { c["destination"] = p.Checkout.Destination }); got.EscrowState != payment.Funded {
			t.Errorf("got %s", got.EscrowState)
		}
	})
}

func TestPartsSumUpAndTheExcessIsTheBuyers(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		p := b.open(t)
		part := b.delivered(t, p, func(c map[string]any) { c["amount"] = halfUnits })
		if part.Status != payment.Confirmed || part.EscrowState != payment.Partial {
			t.Errorf("after half: %s, %s", part.Status, part.EscrowState)
		}
		b.wantEvents(t)
		all := b.delivered(t, p, func(c map[string]any) { c["txHash"], c["amount"] = hash(2), allUnits })
		if all.Status != payment.Completed || all.EscrowState != payment.Funded || all.EscrowBalance.String() != allUnits {
			t.Errorf("after one and a half: %s, %s", all.Status, all.EscrowState)
		}
		b.wantBalances(t, p.ID, map[string]string{
			payment.EscrowAccount(p.ID): allUnits, payment.BuyerAccount(b.buyer.UserID): halfUnits,
		})
		b.wantEvents(t, payment.EventFunded.Name())
		b.delivered(t, p, func(c map[string]any) { c["txHash"], c["logIndex"], c["amount"] = hash(2), 7, halfUnits })
		b.wantBalances(t, p.ID, map[string]string{
			payment.EscrowAccount(p.ID): allUnits, payment.BuyerAccount(b.buyer.UserID): allUnits,
		})
		b.wantSound(t)
	})
}

func TestATransferOnRecordCannotChangeItsAmountOrPayment(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		p := b.funded(t)
		b.unchanged(t, "another amount", p.ID, func() {
			_, err := b.deliver(t, p, func(c map[string]any) { c["amount"] = halfUnits })
			wantKind(t, "another amount", err, fault.Conflict)
		})
		b.request, b.offer = b.deal(b.buyer, nil)
		other := b.open(t)
		_, err := b.deliver(t, other, func(c map[string]any) { c["txHash"] = transferTo(p.ID) })
		wantKind(t, "another payment", err, fault.Conflict)
		if got := b.stored(t, other.ID); got.Status != payment.Pending {
			t.Errorf("the other payment is %s", got.Status)
		}
	})
}

func TestLateMoneyIsTheBuyers(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		p := b.open(t)
		b.clock.advance(payment.DefaultLife + time.Second)
		if n := must[int](t)(b.ExpireStale(t.Context(), 10)); n != 1 {
			t.Fatalf("%d payments expired", n)
		}
		got := b.delivered(t, p, nil)
		if got.Status != payment.Cancelled || got.ReceivedUnits.String() != allUnits {
			t.Errorf("got %s, %s received", got.Status, got.ReceivedUnits)
		}
		b.wantBalances(t, p.ID, map[string]string{payment.BuyerAccount(b.buyer.UserID): allUnits})
		b.wantEvents(t)
		b.wantSound(t)
	})
}

func TestMoneyOfNobodyGoesToSuspense(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		p := b.open(t)
		must[struct{}](t)(cutover.Update(t.Context(), b.db, func(ctx context.Context, tx cutover.Tx) (struct{}, error) {
			stored, err := cutover.Get[payment.Payment](ctx, tx, p.ID)
			if err != nil {
				return struct{}{}, err
			}
			stored.BuyerID = cutover.ID{}
			return struct{}{}, tx.Put(ctx, &stored)
		}))
		b.delivered(t, p, nil)
		b.wantBalances(t, p.ID, map[string]string{payment.AccountSuspense: allUnits})
		b.wantSound(t)
	})
}

func TestAFailedTransferIsTakenBackBeforeTheDepositAndFrozenAfterIt(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		p := b.open(t)
		b.delivered(t, p, func(c map[string]any) { c["confirmations"] = 5 })
		back := b.delivered(t, p, func(c map[string]any) { c["confirmations"], c["status"] = 0, "failed" })
		if back.Status != payment.Pending || back.Blockchain.TxHash != "" {
			t.Errorf("before the deposit: %s, %q", back.Status, back.Blockchain.TxHash)
		}
		b.delivered(t, p, func(c map[string]any) { c["txHash"] = hash(2) })
		b.tell(t, b.HandleRequestCompleted, b.request)
		b.delivered(t, p, func(c map[string]any) { c["txHash"], c["status"] = hash(2), "reverted" })
		_, err := b.Begin(t.Context(), b.admin, payment.PayRelease, p.ID, payment.PayoutDraft{})
		wantKind(t, "a release after the deposit was reverted", err, fault.Conflict)
		b.wantSound(t)
	})
}

func TestConfirmationsNeverGoDown(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		p := b.open(t)
		b.delivered(t, p, func(c map[string]any) { c["confirmations"] = 50 })
		if got := b.delivered(t, p, func(c map[string]any) { c["confirmations"] = 40 }); got.Blockchain.Confirmations != 50 {
			t.Errorf("got %d", got.Blockchain.Confirmations)
		}
	})
}
