package marketplace

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/cutover/shape"
)

func TestEveryMoveOfARequestIsAllowedOrRefusedAsStated(t *testing.T) {
	t.Parallel()
	// Every pair that is not named is refused.
	allowed := map[Cause][]string{
		ByMember: {
			"pending_payment>cancelled",
			"pending>active", "pending>received_offers", "pending>payment", "pending>cancelled",
			"active>received_offers", "active>payment", "active>cancelled",
			"received_offers>payment", "received_offers>cancelled",
			"payment>cancelled",
			"processing>delivery",
			"delivery>delivered", "delivery>completed",
			"delivered>completed",
		},
		ByMoney: {
			"pending_payment>processing", "pending_payment>cancelled",
			"payment>processing", "payment>seller_paid", "payment>cancelled",
			"processing>seller_paid", "processing>cancelled",
			"delivery>seller_paid", "delivery>cancelled",
			"delivered>seller_paid", "delivered>cancelled",
			"completed>seller_paid", "completed>cancelled",
		},
	}
	for by, pairs := range allowed {
		for _, from := range RequestStatuses {
			for _, to := range RequestStatuses {
				want := slices.Contains(pairs, fmt.Sprintf("%s>%s", from, to))
				if got := from.CanBecome(to, by); got != want {
					t.Errorf("%s to %s by cause %d: want %v, got %v", from, to, by, want, got)
				}
			}
		}
	}
}

func TestNoMoveGoesBackExceptIntoCancelled(t *testing.T) {
	t.Parallel()
	for from, causes := range moves {
		for _, tos := range causes {
			for _, to := range tos {
				if !to.after(from) {
					t.Errorf("%s to %s goes back", from, to)
				}
			}
		}
	}
	if len(moves) != len(RequestStatuses) {
		t.Errorf("want a line per status, got %d of %d", len(moves), len(RequestStatuses))
	}
}

func TestMembersCannotCancelFromProcessingOn(t *testing.T) {
	t.Parallel()
	for _, from := range RequestStatuses {
		want := !from.after(StatusPayment)
		if got := from.CanBecome(StatusCancelled, ByMember); got != want {
			t.Errorf("cancelling when %s: want %v, got %v", from, want, got)
		}
	}
}

func TestARefusedMoveIsAConflictAndChangesNothing(t *testing.T) {
	t.Parallel()
	r := PurchaseRequest{Status: StatusDelivered}
	if err := r.moveTo(StatusPending, ByMember); !fault.Is(err, fault.Conflict) {
		t.Errorf("want a conflict, got %v", err)
	}
	if r.Status != StatusDelivered {
		t.Errorf("want delivered, got %s", r.Status)
	}
}

func TestAnUnknownStatusMakesARecordUnreadable(t *testing.T) {
	t.Parallel()
	if err := (&PurchaseRequest{Status: "paused"}).Normalize(); err == nil {
		t.Error("want an error for a request that is paused")
	}
	if err := (&SellerOffer{Status: "paused"}).Normalize(); err == nil {
		t.Error("want an error for an offer that is paused")
	}
	if err := (&SellerOffer{}).Normalize(); err == nil {
		t.Error("want an error for an offer without a status")
	}
}

func TestTheOlderNameOfPendingIsRead(t *testing.T) {
	t.Parallel()
	o := SellerOffer{Status: "active"}
	shape.Settle(reflect.ValueOf(&o).Elem(), shape.Of(reflect.TypeFor[SellerOffer]()))
	if o.Status != OfferPending {
		t.Errorf("want pending, got %s", o.Status)
	}
}
