package mongodb

import (
	"reflect"
	"slices"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"pgregory.net/rapid"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/cutovertest"
	"github.com/amanat-dev/amanat/cutover/shape"
	"github.com/amanat-dev/amanat/domain/marketplace"
	"github.com/amanat-dev/amanat/domain/payment"
	"github.com/amanat-dev/amanat/domain/user"
	"github.com/amanat-dev/amanat/internal/money"
)

// TestDocumentsKeepEveryRecordOfEveryKind takes random records through their
// documents. Package postgres's test of the same shows the same of rows, so
// both hold equal records.
func TestDocumentsKeepEveryRecordOfEveryKind(t *testing.T) {
	t.Parallel()
	for _, c := range allCollections() {
		t.Run(c.kind.Name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				r := c.kind.New()
				cutovertest.Random(t, r)
				fit(r)
				want := cutover.Canonical(r)
				doc, err := c.encode(r)
				if err != nil {
					t.Fatal(err)
				}
				raw, err := bson.Marshal(doc)
				if err != nil {
					t.Fatal(err)
				}
				got, err := c.decode(raw)
				if err != nil {
					t.Fatalf("%s: %v", raw, err)
				}
				if !slices.Equal(cutover.Canonical(got), want) {
					t.Fatalf("%s is read as another record:\n%v", raw, cutover.DiffRecords(want, cutover.Canonical(got)))
				}
			})
		})
	}
}

// fit makes a random record one that its domain's rules let through.
func fit(r cutover.Record) {
	shape.Settle(reflect.ValueOf(r).Elem(), shape.Of(reflect.TypeOf(r)))
	switch r := r.(type) {
	case *user.User:
		if err := r.Normalize(); err != nil {
			panic(err)
		}
	case *marketplace.PurchaseRequest:
		r.Status = marketplace.StatusPending
	case *marketplace.SellerOffer:
		r.Status = marketplace.OfferAccepted
	case *payment.Entry:
		e, err := payment.NewEntry("k"+r.IdempotencyKey, payment.EntryFee, r.PaymentID, payment.Asset{Token: "T"},
			payment.Posting{Account: payment.AccountFees, Amount: money.UnitsOf(1)}, payment.Posting{Account: payment.AccountSuspense, Amount: money.UnitsOf(-1)})
		if err != nil {
			panic(err)
		}
		e.Meta = r.Meta
		*r = e
	}
}
