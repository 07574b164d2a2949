package marketplace_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/domain/marketplace"
	"github.com/amanat-dev/amanat/internal/money"
	"github.com/amanat-dev/amanat/internal/web"
)

func TestARequestGoesFromPostingToTheSellersBeingPaid(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		r := b.request(t)
		wantStatus(t, r, marketplace.StatusPending)
		o, lost := b.offerBy(t, b.seller, r.ID), b.offerBy(t, b.otherSeller, r.ID)
		wantStatus(t, b.stored(t, r.ID), marketplace.StatusReceivedOffers)

		r = must[marketplace.PurchaseRequest](t)(b.SelectOffer(ctx, b.buyer, r.ID, marketplace.Selection{OfferID: o.ID}))
		wantStatus(t, r, marketplace.StatusPayment)
		wantOffer(t, b.offer(t, o.ID), marketplace.OfferAccepted)
		wantOffer(t, b.offer(t, lost.ID), marketplace.OfferRejected)

		deal := must[marketplace.Deal](t)(b.Deal(ctx, r.ID, o.ID))
		if deal.BuyerID != b.buyer.UserID || deal.SellerID != b.seller.UserID || !deal.Selected ||
			deal.OfferStatus != "accepted" || !deal.Price.Equal(money.MustAmount("12.5")) || deal.Currency != "USD" {
			t.Errorf("want the deal of buyer and seller for 12.5 USD, got %+v", deal)
		}

		b.tell(t, b.HandlePaymentFunded, aboutMoney(r.ID, o.ID))
		wantStatus(t, b.stored(t, r.ID), marketplace.StatusProcessing)
		r = must[marketplace.PurchaseRequest](t)(b.Ship(ctx, b.seller, r.ID, marketplace.Shipment{TrackingNumber: "T1"}))
		wantStatus(t, r, marketplace.StatusDelivery)
		code := must[marketplace.DeliveryCode](t)(b.GenerateCode(ctx, b.buyer, r.ID))
		r = must[marketplace.PurchaseRequest](t)(b.VerifyCode(ctx, b.seller, r.ID, marketplace.CodeProof{Code: code.Code}))
		wantStatus(t, r, marketplace.StatusDelivered)
		r = must[marketplace.PurchaseRequest](t)(b.ConfirmDelivery(ctx, b.buyer, r.ID))
		wantStatus(t, r, marketplace.StatusCompleted)
		events := b.events(t)
		if len(events) != 1 || events[0].Type != marketplace.EventCompleted.Name() || events[0].Subject != r.ID {
			t.Errorf("want one request.completed about the request, got %+v", events)
		}
		b.tell(t, b.HandlePaymentReleased, aboutMoney(r.ID, o.ID))
		wantStatus(t, b.stored(t, r.ID), marketplace.StatusSellerPaid)
		b.wantSound(t)
	})
}

func TestTwoSelectionsAtOnceHaveOneWinner(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		for range 5 {
			r := b.request(t)
			offers := []cutover.ID{b.offerBy(t, b.seller, r.ID).ID, b.offerBy(t, b.otherSeller, r.ID).ID}
			errs := make([]error, len(offers))
			together(len(offers), func(i int) {
				_, errs[i] = b.SelectOffer(t.Context(), b.buyer, r.ID, marketplace.Selection{OfferID: offers[i]})
			})
			if (errs[0] == nil) == (errs[1] == nil) {
				t.Fatalf("want exactly one winner, got %v and %v", errs[0], errs[1])
			}
			for i, err := range errs {
				want := marketplace.OfferAccepted
				if err != nil {
					wantKind(t, "the loser", err, fault.Conflict)
					want = marketplace.OfferRejected
				}
				wantOffer(t, b.offer(t, offers[i]), want)
			}
		}
		b.wantSound(t)
	})
}

func TestAnOfferThatComesDuringSelectionIsNeverLeftPending(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		for range 5 {
			r := b.request(t)
			o := b.offerBy(t, b.seller, r.ID)
			var selected, offered error
			together(2, func(i int) {
				if i == 0 {
					_, selected = b.SelectOffer(t.Context(), b.buyer, r.ID, marketplace.Selection{OfferID: o.ID})
				} else {
					_, offered = b.CreateOffer(t.Context(), b.otherSeller, r.ID, offerDraft())
				}
			})
			if selected != nil {
				t.Fatalf("want the selection to win in the end, got %v", selected)
			}
			if offered != nil {
				wantKind(t, "the late offer", offered, fault.Conflict)
			}
			wantNonePending(t, b, r.ID)
		}
		b.wantSound(t)
	})
}

func TestOffersDuringCancellingAreNeverLeftPending(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		r := b.request(t)
		b.offerBy(t, b.seller, r.ID)
		together(2, func(i int) {
			if i == 0 {
				if _, err := b.CancelRequest(t.Context(), b.buyer, r.ID); err != nil {
					t.Error(err)
				}
			} else if _, err := b.CreateOffer(t.Context(), b.otherSeller, r.ID, offerDraft()); err != nil {
				wantKind(t, "the late offer", err, fault.Conflict)
			}
		})
		wantNonePending(t, b, r.ID)
	})
}

func TestTheSameSellersOffersAtOnceMakeOne(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		r := b.request(t)
		errs := make([]error, 4)
		together(len(errs), func(i int) { _, errs[i] = b.CreateOffer(t.Context(), b.seller, r.ID, offerDraft()) })
		made := 0
		for _, err := range errs {
			if err == nil {
				made++
			} else {
				wantKind(t, "another offer", err, fault.Conflict)
			}
		}
		if made != 1 {
			t.Errorf("want one offer, got %d: %v", made, errs)
		}
		b.wantSound(t)
	})
}

func together(n int, do func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { do(i) })
	}
	all.Wait()
}

func wantNonePending(t *testing.T, b *bundle, request cutover.ID) {
	t.Helper()
	pending := view(t, b, func(ctx context.Context, tx cutover.Tx) ([]marketplace.SellerOffer, error) {
		return marketplace.Offers(ctx, tx, marketplace.OfferFilter{RequestID: request, Status: marketplace.OfferPending}, cutover.ID{}, 0)
	})
	if len(pending) > 0 {
		t.Errorf("want no pending offer, got %d", len(pending))
	}
}

func TestWrongCodesAtOnceAreAllCounted(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		r := b.shipped(t)
		code := must[marketplace.DeliveryCode](t)(b.GenerateCode(t.Context(), b.buyer, r.ID))
		wrong := "000000"
		if code.Code == wrong {
			wrong = "000001"
		}
		for range 5 {
			_, err := b.VerifyCode(t.Context(), b.seller, r.ID, marketplace.CodeProof{Code: wrong})
			wantKind(t, "a wrong code", err, fault.Invalid)
		}
		_, err := b.VerifyCode(t.Context(), b.seller, r.ID, marketplace.CodeProof{Code: code.Code})
		wantKind(t, "the right code, too late", err, fault.Locked)
		wantStatus(t, b.stored(t, r.ID), marketplace.StatusDelivery)

		errs := make([]error, 3)
		must[marketplace.DeliveryCode](t)(b.GenerateCode(t.Context(), b.buyer, r.ID))
		together(len(errs), func(i int) {
			_, errs[i] = b.VerifyCode(t.Context(), b.seller, r.ID, marketplace.CodeProof{Code: wrong})
		})
		counted := 0
		for _, err := range errs {
			if fault.Is(err, fault.Invalid) {
				counted++
			}
		}
		if got := b.stored(t, r.ID).DeliveryInfo.DeliveryCodeTries; got != counted {
			t.Errorf("want %d answered tries counted, got %d", counted, got)
		}
	})
}

func TestTheCodeIsStoredNowhere(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		r := b.shipped(t)
		code := must[marketplace.DeliveryCode](t)(b.GenerateCode(t.Context(), b.buyer, r.ID))
		info := b.stored(t, r.ID).DeliveryInfo
		if len(info.DeliveryCodeHash) != 64 || info.DeliveryCodeHash == code.Code {
			t.Errorf("want a keyed hash, got %d characters", len(info.DeliveryCodeHash))
		}
		if life := time.Until(code.ExpiresAt); life < 7*24*time.Hour-time.Minute || life > 7*24*time.Hour {
			t.Errorf("want a life of seven days, got %s", life)
		}
		other := b.shipped(t)
		must[marketplace.DeliveryCode](t)(b.GenerateCode(t.Context(), b.buyer, other.ID))
		if b.stored(t, other.ID).DeliveryInfo.DeliveryCodeHash == info.DeliveryCodeHash {
			t.Error("want another hash on another request")
		}
	})
}

func TestPaymentEventsCountOnceAndMayComeLateOrTwice(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		r, o := b.chosen(t)
		funded := aboutMoney(r.ID, o.ID)
		b.tell(t, b.HandlePaymentFunded, funded)
		rev := b.stored(t, r.ID).Rev
		b.tell(t, b.HandlePaymentFunded, funded)
		b.tell(t, b.HandlePaymentFunded, aboutMoney(r.ID, o.ID))
		if got := b.stored(t, r.ID); got.Rev != rev || got.Status != marketplace.StatusProcessing {
			t.Errorf("want revision %d processing, got %d %s", rev, got.Rev, got.Status)
		}

		r, o = b.chosen(t) // released before funded is heard of
		b.tell(t, b.HandlePaymentReleased, aboutMoney(r.ID, o.ID))
		b.tell(t, b.HandlePaymentFunded, aboutMoney(r.ID, o.ID))
		wantStatus(t, b.stored(t, r.ID), marketplace.StatusSellerPaid)
	})
}

func TestMoneyForAnotherOfferOrACancelledRequestMovesNothing(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		r, o := b.chosen(t)
		b.tell(t, b.HandlePaymentFunded, aboutMoney(r.ID, cutover.NewID()))
		wantStatus(t, b.stored(t, r.ID), marketplace.StatusPayment)
		b.tell(t, b.HandlePaymentFunded, aboutMoney(cutover.NewID(), o.ID))
		must[marketplace.PurchaseRequest](t)(b.CancelRequest(t.Context(), b.buyer, r.ID))
		b.tell(t, b.HandlePaymentFunded, aboutMoney(r.ID, o.ID))
		wantStatus(t, b.stored(t, r.ID), marketplace.StatusCancelled)
		bad := aboutMoney(cutover.ID{}, o.ID)
		wantKind(t, "an event without a request", b.HandlePaymentFunded(t.Context(), bad.Event, bad.Money), fault.Invalid)
	})
}

func TestARefundCancelsUnlessOtherMoneyIsHeld(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		r, o := b.paid(t)
		b.tell(t, b.HandlePaymentRefunded, aboutMoney(r.ID, o.ID))
		wantStatus(t, b.stored(t, r.ID), marketplace.StatusProcessing)
		b.escrow.hold(r.ID, false)
		b.tell(t, b.HandlePaymentRefunded, aboutMoney(r.ID, o.ID))
		wantStatus(t, b.stored(t, r.ID), marketplace.StatusCancelled)
		if events := b.events(t); len(events) != 1 || events[0].Type != marketplace.EventCancelled.Name() {
			t.Errorf("want one request.cancelled, got %+v", events)
		}
		b.wantSound(t)
	})
}

func TestCancellingEndsWaitingOffersAndTellsOfIt(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		r := b.request(t)
		o := b.offerBy(t, b.seller, r.ID)
		must[marketplace.PurchaseRequest](t)(b.CancelRequest(t.Context(), b.admin, r.ID))
		wantStatus(t, b.stored(t, r.ID), marketplace.StatusCancelled)
		wantOffer(t, b.offer(t, o.ID), marketplace.OfferRejected)
		if events := b.events(t); len(events) != 1 || events[0].Type != marketplace.EventCancelled.Name() || events[0].Subject != r.ID {
			t.Errorf("want one request.cancelled, got %+v", events)
		}
		_, err := b.CancelRequest(t.Context(), b.buyer, r.ID)
		wantKind(t, "cancelling twice", err, fault.Conflict)
	})
}

func TestARequestWithMoneyHeldCannotBeCancelled(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		r, _ := b.chosen(t)
		b.escrow.hold(r.ID, true)
		_, err := b.CancelRequest(t.Context(), b.buyer, r.ID)
		wantKind(t, "cancelling", err, fault.Conflict)
		b.escrow.hold(r.ID, false)
		must[marketplace.PurchaseRequest](t)(b.CancelRequest(t.Context(), b.buyer, r.ID))

		r, _ = b.paid(t)
		b.escrow.hold(r.ID, false) // whatever escrow says: too late for members
		_, err = b.CancelRequest(t.Context(), b.buyer, r.ID)
		wantKind(t, "cancelling when processing", err, fault.Conflict)
	})
}

func TestAnOfferPastItsTimeIsWithdrawn(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		r := b.request(t)
		o := b.offerBy(t, b.seller, r.ID)
		o.ValidUntil = cutover.Now().Add(-time.Minute)
		b.force(t, &o)
		_, err := b.SelectOffer(ctx, b.buyer, r.ID, marketplace.Selection{OfferID: o.ID})
		wantKind(t, "selecting it", err, fault.Conflict)
		rev := b.stored(t, r.ID).Rev
		if n, err := b.ExpireOffers(ctx); n != 1 || err != nil {
			t.Errorf("want one withdrawn, got %d, %v", n, err)
		}
		wantOffer(t, b.offer(t, o.ID), marketplace.OfferWithdrawn)
		if got := b.stored(t, r.ID); got.Rev != rev+1 || got.Status != marketplace.StatusReceivedOffers {
			t.Errorf("want the request written and received_offers, got revision %d, %s", got.Rev, got.Status)
		}
		if n, err := b.ExpireOffers(ctx); n != 0 || err != nil {
			t.Errorf("want none withdrawn again, got %d, %v", n, err)
		}

		again := b.offerBy(t, b.seller, r.ID)
		again.ValidUntil = cutover.Now().Add(-time.Minute)
		b.force(t, &again)
		b.offerBy(t, b.seller, r.ID) // takes the expired one's place
		wantOffer(t, b.offer(t, again.ID), marketplace.OfferWithdrawn)
		b.wantSound(t)
	})
}

func TestOpenRequestsCountsWhatIsUnfinished(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		r, _ := b.chosen(t)
		b.request(t)
		want := func(who web.Principal, n int64) {
			t.Helper()
			if got := must[int64](t)(b.OpenRequests(t.Context(), who.UserID)); got != n {
				t.Errorf("want %d open, got %d", n, got)
			}
		}
		want(b.buyer, 2)
		want(b.seller, 1)
		want(b.otherSeller, 0)
		must[marketplace.PurchaseRequest](t)(b.CancelRequest(t.Context(), b.buyer, r.ID))
		want(b.buyer, 1)
		want(b.seller, 0)
	})
}

func TestADealNeedsAnOfferOfThatRequest(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		r, o := b.chosen(t)
		other := b.request(t)
		for _, c := range []struct{ request, offer cutover.ID }{
			{cutover.NewID(), o.ID}, {r.ID, cutover.NewID()}, {other.ID, o.ID},
		} {
			_, err := b.Deal(t.Context(), c.request, c.offer)
			wantKind(t, "a deal", err, fault.NotFound)
		}
	})
}

func TestTwoMovesThatWouldCloseACircleDoNotBothHappen(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		make := func(name string) marketplace.Category {
			return must[marketplace.Category](t)(b.CreateCategory(ctx, b.admin, marketplace.CategoryDraft{Name: name}))
		}
		x, y := make("x"), make("y")
		errs := [2]error{}
		together(2, func(i int) {
			child, parent := x, y
			if i == 1 {
				child, parent = y, x
			}
			_, errs[i] = b.UpdateCategory(ctx, b.admin, child.ID, marketplace.CategoryPatch{ParentID: &parent.ID})
		})
		if errs[0] == nil && errs[1] == nil {
			t.Error("want one of the moves refused")
		}
		if tree := must[[]marketplace.CategoryNode](t)(b.CategoryTree(ctx)); len(tree) != 1 {
			t.Errorf("want one root, got %d", len(tree))
		}
	})
}

func TestARequestNeedsAnActiveCategoryAndKnownSellers(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		ctx, off := t.Context(), false
		c := must[marketplace.Category](t)(b.CreateCategory(ctx, b.admin, marketplace.CategoryDraft{Name: "old", IsActive: &off}))
		d := draft()
		for _, d.CategoryID = range []cutover.ID{c.ID, cutover.NewID()} {
			_, err := b.CreateRequest(ctx, b.buyer, d)
			wantKind(t, "a request", err, fault.Invalid)
		}
		d = draft()
		d.PreferredSellerIDs = []cutover.ID{cutover.NewID()}
		b.people.missing = d.PreferredSellerIDs
		_, err := b.CreateRequest(ctx, b.buyer, d)
		wantKind(t, "a request", err, fault.Invalid)
	})
}

// A seller who raises the price between the buyer's look and click sells
// nothing by it.
func TestAnOfferThatChangedSinceItWasReadIsNotSelected(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		r := b.request(t)
		read := b.offerBy(t, b.seller, r.ID)
		changed := must[marketplace.SellerOffer](t)(b.UpdateOffer(t.Context(), b.seller, read.ID, marketplace.OfferPatch{Notes: new("dearer now")}))
		_, err := b.SelectOffer(t.Context(), b.buyer, r.ID, marketplace.Selection{OfferID: read.ID, OfferRev: &read.Rev})
		wantKind(t, "the offer as it was", err, fault.Conflict)
		wantOffer(t, b.offer(t, read.ID), marketplace.OfferPending)
		must[marketplace.PurchaseRequest](t)(b.SelectOffer(t.Context(), b.buyer, r.ID, marketplace.Selection{OfferID: read.ID, OfferRev: &changed.Rev}))
		wantOffer(t, b.offer(t, read.ID), marketplace.OfferAccepted)
	})
}
