package payment

import (
	"context"
	"strings"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/query"
)

// PaymentByReference finds the payment that a transfer names. Errors:
// fault.NotFound.
func PaymentByReference(ctx context.Context, tx cutover.Tx, reference string) (Payment, error) {
	return cutover.First[Payment](ctx, tx, query.Eq("blockchain.paymentReference", reference))
}

// PaymentsOfRequest returns all of a request's payments, the oldest first.
func PaymentsOfRequest(ctx context.Context, tx cutover.Tx, requestID cutover.ID) ([]Payment, error) {
	return cutover.Find[Payment](ctx, tx, query.Eq("purchaseRequestId", requestID))
}

// Payments lists all payments, the newest first, those after the given one.
func Payments(ctx context.Context, tx cutover.Tx, after cutover.ID, limit int) ([]Payment, error) {
	return cutover.Find[Payment](ctx, tx, query.All().Page(after, limit))
}

// PaymentsOfUser is Payments for those whose buyer or seller is the user.
func PaymentsOfUser(ctx context.Context, tx cutover.Tx, userID, after cutover.ID, limit int) ([]Payment, error) {
	party := query.AnyOf(query.Eq("buyerId", userID), query.Eq("sellerId", userID))
	return cutover.Find[Payment](ctx, tx, party.Page(after, limit))
}

// StalePayments returns pending payments whose time is over, the longest first.
func StalePayments(ctx context.Context, tx cutover.Tx, now time.Time, limit int) ([]Payment, error) {
	stale := query.Eq("status", Pending).And(query.AtMost("expiresAt", now))
	return cutover.Find[Payment](ctx, tx, stale.OrderBy("expiresAt").Limit(limit))
}

// UnwatchedPayments returns pending payments with a callback secret that the
// scanner does not know of yet, the oldest first.
func UnwatchedPayments(ctx context.Context, tx cutover.Tx, limit int) ([]Payment, error) {
	unwatched := query.Eq("status", Pending).And(query.Absent("watchedAt"), query.Present("callbackSecret"))
	return cutover.Find[Payment](ctx, tx, unwatched.Limit(limit))
}

// QuoteOf finds a payment's quote. Errors: fault.NotFound.
func QuoteOf(ctx context.Context, tx cutover.Tx, paymentID cutover.ID) (Quote, error) {
	return cutover.First[Quote](ctx, tx, query.Eq("paymentId", paymentID))
}

// ActiveTrezorAccount finds the newest. Errors: fault.NotFound.
func ActiveTrezorAccount(ctx context.Context, tx cutover.Tx) (TrezorAccount, error) {
	return cutover.First[TrezorAccount](ctx, tx, query.All().OrderByDesc(query.ID))
}

// TrezorAccounts returns all of them, the newest first.
func TrezorAccounts(ctx context.Context, tx cutover.Tx) ([]TrezorAccount, error) {
	return cutover.Find[TrezorAccount](ctx, tx, query.All().OrderByDesc(query.ID))
}

// DestinationByAddress finds an address whatever its case: legacy ones may lack
// the case that is its checksum (EIP-55). Errors: fault.NotFound.
func DestinationByAddress(ctx context.Context, tx cutover.Tx, address string) (Destination, error) {
	return cutover.First[Destination](ctx, tx, query.In("address", address, strings.ToLower(address)))
}

// LedgerEntry finds an entry by its idempotency key. Errors: fault.NotFound.
func LedgerEntry(ctx context.Context, tx cutover.Tx, idempotencyKey string) (Entry, error) {
	return cutover.First[Entry](ctx, tx, query.Eq("idempotencyKey", idempotencyKey))
}

// LedgerOfPayment returns a payment's entries, the oldest first.
func LedgerOfPayment(ctx context.Context, tx cutover.Tx, paymentID cutover.ID) ([]Entry, error) {
	return cutover.Find[Entry](ctx, tx, query.Eq("paymentId", paymentID).Whole())
}

// OpenHolds returns a payment's unresolved holds, the oldest first.
func OpenHolds(ctx context.Context, tx cutover.Tx, paymentID cutover.ID) ([]Hold, error) {
	return cutover.Find[Hold](ctx, tx, query.Eq("paymentId", paymentID).And(query.Absent("resolvedAt")).Whole())
}

// DeliveryByKey finds a remembered callback. Errors: fault.NotFound.
func DeliveryByKey(ctx context.Context, tx cutover.Tx, key string) (Delivery, error) {
	return cutover.First[Delivery](ctx, tx, query.Eq("key", key))
}
