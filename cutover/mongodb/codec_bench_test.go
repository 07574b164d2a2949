package mongodb

import (
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/domain/payment"
	"github.com/amanat-dev/amanat/internal/money"
)

// aPayment is a new payment as most are.
func aPayment() *payment.Payment {
	units := money.MustUnits("125250000000000000000")
	return &payment.Payment{
		Meta:              cutover.Meta{ID: cutover.NewID(), Rev: 1, CreatedAt: cutover.Now(), UpdatedAt: cutover.Now()},
		PurchaseRequestID: cutover.NewID(), SellerOfferID: cutover.NewID(), BuyerID: cutover.NewID(), SellerID: cutover.NewID(),
		Amount:   payment.Price{Amount: money.MustAmount("125.25"), Currency: "USDT"},
		Provider: payment.ProviderRequestNetwork, Direction: payment.DirectionIn, Status: payment.Pending,
		Blockchain: &payment.Blockchain{ChainID: 56, Network: "bsc", Token: "USDT", TokenAddress: "0x55d398326f99059fF775485246999027B3197955",
			Destination: "0x0000000000000000000000000000000000000001", PaymentReference: "0000000000000001", ConfirmationsRequired: 200},
		ExpectedUnits: &units, CallbackSecret: "s", Salt: "s", ExpiresAt: cutover.Now(),
	}
}

func BenchmarkDecode(b *testing.B) {
	col := paymentCollection()
	doc, err := col.encode(aPayment())
	if err != nil {
		b.Fatal(err)
	}
	raw, err := bson.Marshal(doc)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := col.decode(raw); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	col, p := paymentCollection(), aPayment()
	for b.Loop() {
		if _, err := col.encode(p); err != nil {
			b.Fatal(err)
		}
	}
}

func paymentCollection() *collection {
	kind, _ := payment.Kinds.Named(payment.KindPayment)
	return newCollection(kind)
}
