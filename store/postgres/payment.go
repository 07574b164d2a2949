package postgres

import (
	"context"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/domain/payment"
)

var paymentTables = register(payment.Domain, payment.Kinds, append([]Table{
	{Kind: payment.KindPayment, Name: "payments"},
	{Kind: payment.KindTrezorAccount, Name: "trezor_accounts"},
	{Kind: payment.KindQuote, Name: "payment_quotes"},
	{Kind: payment.KindDestination, Name: "derived_destinations"},
	{Kind: payment.KindEntry, Name: "funds_ledger_entries"},
	{Kind: payment.KindHold, Name: "release_holds"},
	{Kind: payment.KindDelivery, Name: "scanner_deliveries"},
}, eventTables(payment.Domain)...))

// Payments gives the payment domain's side in PostgreSQL.
func Payments(db *DB) cutover.Side[payment.Tx] {
	return newSide(db, payment.Domain, payment.Kinds, paymentTables, func(tx *Tx) payment.Tx {
		return paymentTx{eventTx{tx, payment.Domain}}
	})
}

type paymentTx struct{ eventTx }

func (t paymentTx) Payment(ctx context.Context, id cutover.ID) (payment.Payment, error) {
	return Get[payment.Payment](ctx, t.Tx, payment.KindPayment, id)
}

func (t paymentTx) PaymentByReference(ctx context.Context, reference string) (payment.Payment, error) {
	return SelectOne[payment.Payment](ctx, t.Tx, payment.KindPayment, "WHERE blockchain_payment_reference = $1", reference)
}

func (t paymentTx) PaymentsOfRequest(ctx context.Context, requestID cutover.ID) ([]payment.Payment, error) {
	return Select[payment.Payment](ctx, t.Tx, payment.KindPayment, "WHERE purchase_request_id = $1 ORDER BY id", requestID.String())
}

func (t paymentTx) Payments(ctx context.Context, after cutover.ID, limit int) ([]payment.Payment, error) {
	var w where
	w.id("id < %s", after)
	w.newest(limit)
	return Find[payment.Payment](ctx, t.Tx, payment.KindPayment, w)
}

func (t paymentTx) PaymentsOfUser(ctx context.Context, userID, after cutover.ID, limit int) ([]payment.Payment, error) {
	var w where
	user := w.arg(userID)
	w.or("buyer_id = " + user)
	w.or("seller_id = " + user)
	w.id("id < %s", after)
	w.newest(limit)
	return Find[payment.Payment](ctx, t.Tx, payment.KindPayment, w)
}

func (t paymentTx) StalePayments(ctx context.Context, now time.Time, limit int) ([]payment.Payment, error) {
	w := where{conditions: []string{"status = 'pending'"}}
	w.conditions = append(w.conditions, "expires_at <= "+w.arg(now))
	w.sorted("expires_at, id", limit)
	return Find[payment.Payment](ctx, t.Tx, payment.KindPayment, w)
}

func (t paymentTx) UnwatchedPayments(ctx context.Context, limit int) ([]payment.Payment, error) {
	w := where{conditions: []string{"status = 'pending'", "watched_at IS NULL", "callback_secret <> ''"}}
	w.sorted("id", limit)
	return Find[payment.Payment](ctx, t.Tx, payment.KindPayment, w)
}

func (t paymentTx) Quote(ctx context.Context, paymentID cutover.ID) (payment.Quote, error) {
	return SelectOne[payment.Quote](ctx, t.Tx, payment.KindQuote, "WHERE payment_id = $1", paymentID.String())
}

func (t paymentTx) ActiveTrezorAccount(ctx context.Context) (payment.TrezorAccount, error) {
	return SelectOne[payment.TrezorAccount](ctx, t.Tx, payment.KindTrezorAccount, "ORDER BY id DESC LIMIT 1")
}

func (t paymentTx) TrezorAccounts(ctx context.Context) ([]payment.TrezorAccount, error) {
	return Select[payment.TrezorAccount](ctx, t.Tx, payment.KindTrezorAccount, "ORDER BY id DESC")
}

func (t paymentTx) DestinationByAddress(ctx context.Context, address string) (payment.Destination, error) {
	return SelectOne[payment.Destination](ctx, t.Tx, payment.KindDestination, "WHERE lower(address) = lower($1)", address)
}

func (t paymentTx) LedgerEntry(ctx context.Context, idempotencyKey string) (payment.Entry, error) {
	return SelectOne[payment.Entry](ctx, t.Tx, payment.KindEntry, "WHERE idempotency_key = $1", idempotencyKey)
}

func (t paymentTx) LedgerOfPayment(ctx context.Context, paymentID cutover.ID) ([]payment.Entry, error) {
	return Select[payment.Entry](ctx, t.Tx, payment.KindEntry, "WHERE payment_id = $1 ORDER BY id", paymentID.String())
}

func (t paymentTx) Hold(ctx context.Context, id cutover.ID) (payment.Hold, error) {
	return Get[payment.Hold](ctx, t.Tx, payment.KindHold, id)
}

func (t paymentTx) OpenHolds(ctx context.Context, paymentID cutover.ID) ([]payment.Hold, error) {
	return Select[payment.Hold](ctx, t.Tx, payment.KindHold,
		"WHERE payment_id = $1 AND resolved_at IS NULL ORDER BY id", paymentID.String())
}

func (t paymentTx) Delivery(ctx context.Context, key string) (payment.Delivery, error) {
	return SelectOne[payment.Delivery](ctx, t.Tx, payment.KindDelivery, "WHERE key = $1", key)
}

func (t paymentTx) EachPayment(ctx context.Context, fn func(payment.Payment) error) error {
	return Each(ctx, t.Tx, payment.KindPayment, fn)
}

func (t paymentTx) EachEntry(ctx context.Context, fn func(payment.Entry) error) error {
	return Each(ctx, t.Tx, payment.KindEntry, fn)
}
