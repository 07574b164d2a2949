package mongo

import (
	"context"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/domain/payment"
	"github.com/amanat-dev/amanat/fault"
)

// Payments gives the payment domain's side in MongoDB.
func Payments(db *DB) cutover.Side[payment.Tx] {
	return newSide(db, payment.Domain, payment.Kinds, paymentCollections(), func(tx *Tx) payment.Tx {
		return paymentTx{eventTx{tx, payment.Domain}}
	})
}

func paymentCollections() []Collection {
	ofPayment := Index{Fields: []string{"paymentId"}}
	own := []Collection{
		{Kind: payment.KindPayment, Name: "payments", Indexes: []Index{
			{Name: "Pending", Unique: true, Key: pendingPayment},
			{Name: "Reference", Unique: true, Key: paymentReference},
			{Fields: []string{"blockchain.paymentReference"}},
			{Fields: []string{"purchaseRequestId"}},
			{Fields: []string{"buyerId"}},
			{Fields: []string{"sellerId"}},
			{Fields: []string{"status"}},
		}},
		{Kind: payment.KindTrezorAccount, Name: "trezoraccounts", Indexes: []Index{
			{Fields: []string{"xpub"}, Unique: true},
		}},
		{Kind: payment.KindQuote, Name: "paymentquotes", Indexes: []Index{
			{Fields: []string{"paymentId"}, Unique: true},
		}},
		{Kind: payment.KindDestination, Name: "deriveddestinations", Indexes: []Index{
			{Fields: []string{"address"}, Unique: true},
			ofPayment,
		}},
		{Kind: payment.KindEntry, Name: "fundsledgerentries", Indexes: []Index{
			{Fields: []string{"idempotencyKey"}, Unique: true},
			ofPayment,
		}},
		{Kind: payment.KindHold, Name: "releaseholds", Indexes: []Index{ofPayment}},
		{Kind: payment.KindDelivery, Name: "scannerdeliveries", Indexes: []Index{
			{Fields: []string{"key"}, Unique: true},
			ofPayment,
		}},
	}
	return append(own, eventCollections(payment.Domain)...)
}

func pendingPayment(r cutover.Record) string   { return r.(*payment.Payment).PendingKey() }
func paymentReference(r cutover.Record) string { return r.(*payment.Payment).Reference() }

// paymentTx asks for references in both forms that legacy documents have, see
// marketplaceTx. Where a record that is left out would make another amount, or
// another decision, the whole is asked for.
type paymentTx struct{ eventTx }

func (t paymentTx) Payment(ctx context.Context, id cutover.ID) (payment.Payment, error) {
	return Get[payment.Payment](ctx, t.Tx, payment.KindPayment, id)
}

// PaymentByReference looks first where every document of ours has the
// reference, and only then where legacy ones have it.
func (t paymentTx) PaymentByReference(ctx context.Context, reference string) (payment.Payment, error) {
	if reference == "" {
		return payment.Payment{}, notFound(payment.KindPayment)
	}
	p, err := FindOne[payment.Payment](ctx, t.Tx, payment.KindPayment, bson.D{{Key: uniquePrefix + "Reference", Value: reference}})
	if fault.Is(err, fault.NotFound) {
		return FindOne[payment.Payment](ctx, t.Tx, payment.KindPayment, bson.D{{Key: "blockchain.paymentReference", Value: reference}})
	}
	return p, err
}

func (t paymentTx) PaymentsOfRequest(ctx context.Context, requestID cutover.ID) ([]payment.Payment, error) {
	found, err := unionOf[payment.Payment](ctx, t.Tx, payment.KindPayment,
		references("purchaseRequestId", requestID, nil), oldestFirst, 0)
	return oldest(found), err
}

func (t paymentTx) Payments(ctx context.Context, after cutover.ID, limit int) ([]payment.Payment, error) {
	return Find[payment.Payment](ctx, t.Tx, payment.KindPayment, pageBelow(after), newestFirst, limit)
}

func (t paymentTx) PaymentsOfUser(ctx context.Context, userID, after cutover.ID, limit int) ([]payment.Payment, error) {
	filters := slices.Concat(references("buyerId", userID, pageBelow(after)), references("sellerId", userID, pageBelow(after)))
	found, err := unionOf[payment.Payment](ctx, t.Tx, payment.KindPayment, filters, newestFirst, limit)
	return newest(found, limit), err
}

func (t paymentTx) StalePayments(ctx context.Context, now time.Time, limit int) ([]payment.Payment, error) {
	return Find[payment.Payment](ctx, t.Tx, payment.KindPayment, bson.D{
		{Key: "status", Value: string(payment.Pending)},
		{Key: "expiresAt", Value: bson.D{{Key: "$lte", Value: bson.NewDateTimeFromTime(now)}}},
	}, bson.D{{Key: "expiresAt", Value: 1}, {Key: "_id", Value: 1}}, limit)
}

func (t paymentTx) UnwatchedPayments(ctx context.Context, limit int) ([]payment.Payment, error) {
	return Find[payment.Payment](ctx, t.Tx, payment.KindPayment, bson.D{
		{Key: "status", Value: string(payment.Pending)},
		{Key: "watchedAt", Value: nil},
		{Key: "callbackSecret", Value: bson.D{{Key: "$gt", Value: ""}}},
	}, oldestFirst, limit)
}

func (t paymentTx) Quote(ctx context.Context, paymentID cutover.ID) (payment.Quote, error) {
	found, err := unionOf[payment.Quote](ctx, t.whole(), payment.KindQuote, references("paymentId", paymentID, nil), oldestFirst, 1)
	return onlyOne(found, payment.KindQuote, err)
}

func (t paymentTx) ActiveTrezorAccount(ctx context.Context) (payment.TrezorAccount, error) {
	found, err := Find[payment.TrezorAccount](ctx, t.whole(), payment.KindTrezorAccount, bson.D{}, newestFirst, 1)
	return onlyOne(found, payment.KindTrezorAccount, err)
}

func (t paymentTx) TrezorAccounts(ctx context.Context) ([]payment.TrezorAccount, error) {
	return Find[payment.TrezorAccount](ctx, t.Tx, payment.KindTrezorAccount, bson.D{}, newestFirst, 0)
}

func (t paymentTx) DestinationByAddress(ctx context.Context, address string) (payment.Destination, error) {
	return FindOne[payment.Destination](ctx, t.Tx, payment.KindDestination, bson.D{{Key: "address", Value: address}})
}

func (t paymentTx) LedgerEntry(ctx context.Context, idempotencyKey string) (payment.Entry, error) {
	return FindOne[payment.Entry](ctx, t.Tx, payment.KindEntry, bson.D{{Key: "idempotencyKey", Value: idempotencyKey}})
}

func (t paymentTx) LedgerOfPayment(ctx context.Context, paymentID cutover.ID) ([]payment.Entry, error) {
	found, err := unionOf[payment.Entry](ctx, t.whole(), payment.KindEntry, references("paymentId", paymentID, nil), oldestFirst, 0)
	return oldest(found), err
}

func (t paymentTx) Hold(ctx context.Context, id cutover.ID) (payment.Hold, error) {
	return Get[payment.Hold](ctx, t.Tx, payment.KindHold, id)
}

func (t paymentTx) OpenHolds(ctx context.Context, paymentID cutover.ID) ([]payment.Hold, error) {
	open := bson.D{{Key: "resolvedAt", Value: nil}}
	found, err := unionOf[payment.Hold](ctx, t.whole(), payment.KindHold, references("paymentId", paymentID, open), oldestFirst, 0)
	return oldest(found), err
}

func (t paymentTx) Delivery(ctx context.Context, key string) (payment.Delivery, error) {
	return FindOne[payment.Delivery](ctx, t.Tx, payment.KindDelivery, bson.D{{Key: "key", Value: key}})
}

func (t paymentTx) EachPayment(ctx context.Context, fn func(payment.Payment) error) error {
	return Each(ctx, t.Tx, payment.KindPayment, fn)
}

func (t paymentTx) EachEntry(ctx context.Context, fn func(payment.Entry) error) error {
	return Each(ctx, t.Tx, payment.KindEntry, fn)
}

// oldest is newest the other way round, without a limit.
func oldest[T any, P interface {
	*T
	cutover.Record
}](records []T) []T {
	sorted := newest[T, P](records, 0)
	slices.Reverse(sorted)
	return sorted
}

// onlyOne gives the first of what was found.
func onlyOne[T any](found []T, kind string, err error) (T, error) {
	var none T
	switch {
	case err != nil:
		return none, err
	case len(found) == 0:
		return none, notFound(kind)
	}
	return found[0], nil
}
