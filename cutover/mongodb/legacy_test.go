package mongodb

import (
	"reflect"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/shape"
	"github.com/amanat-dev/amanat/domain/payment"
)

func TestAPaymentWithASyntheticRequestIsReadable(t *testing.T) {
	t.Parallel()
	kind, _ := payment.Kinds.Named(payment.KindPayment)
	c := &collection{kind: kind, fields: shape.Of(reflect.TypeFor[payment.Payment]())}
	id, buyer := cutover.NewID(), cutover.NewID()
	for request, want := range map[any][2]string{
		"template-checkout-17":       {"", "template-checkout-17"},
		buyer.String():               {buyer.String(), ""},
		oid(buyer):                   {buyer.String(), ""},
		any("0123456789abcdef-long"): {"", "0123456789abcdef-long"},
	} {
		raw, err := bson.Marshal(bson.D{
			{Key: "_id", Value: oid(id)}, {Key: "__v", Value: 0}, {Key: "purchaseRequestId", Value: request},
			{Key: "buyerId", Value: buyer.String()}, {Key: "status", Value: "paid"}, {Key: "provider", Value: "decentralized"},
			{Key: "amount", Value: bson.D{{Key: "amount", Value: 12.5}, {Key: "currency", Value: "USDT"}}},
		})
		if err != nil {
			t.Fatal(err)
		}
		r, err := c.decode(raw)
		if err != nil {
			t.Fatalf("%v: %v", request, err)
		}
		p := r.(*payment.Payment)
		if p.PurchaseRequestID.String() != want[0] || p.LegacyReference != want[1] || p.BuyerID != buyer ||
			p.Status != payment.Paid || p.Provider != "decentralized" || p.Amount.Amount.String() != "12.5" || len(p.Extra) == 0 {
			t.Errorf("%v: got %+v", request, p)
		}
	}
}
