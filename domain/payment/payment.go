// Package payment holds the money part of Amanat: intents to pay for an
// accepted offer, quotes, the addresses that money arrives at, the scanner's
// callbacks, the funds ledger, and release and refund of what is held.
//
// A Payment says in Status what became of the paying and in EscrowState where
// the money is; the funds ledger says the same as postings, and the two are
// written together.
package payment

import (
	"reflect"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/query"
	"github.com/amanat-dev/amanat/internal/event"
	"github.com/amanat-dev/amanat/internal/money"
)

// Payment is one attempt to pay for an accepted offer, and what became of the
// money.
type Payment struct {
	cutover.Meta
	PurchaseRequestID cutover.ID  `json:"purchaseRequestId,omitzero" field:",ref=purchase_request"`
	SellerOfferID     cutover.ID  `json:"sellerOfferId,omitzero" field:",ref=seller_offer"`
	BuyerID           cutover.ID  `json:"buyerId,omitzero" field:",ref=user"`
	SellerID          cutover.ID  `json:"sellerId,omitzero" field:",ref=user"`
	Amount            Price       `json:"amount"`
	Provider          string      `json:"provider"`
	Direction         string      `json:"direction"`
	Status            Status      `json:"status"`
	EscrowState       EscrowState `json:"escrowState,omitempty"`
	Blockchain        *Blockchain `json:"blockchain,omitempty"`

	// ExpectedUnits is what the buyer has to send, in the token's smallest
	// unit; ReceivedUnits is what has arrived past the confirmation floor.
	ExpectedUnits *money.Units `json:"expectedUnits,omitempty"`
	ReceivedUnits *money.Units `json:"receivedUnits,omitempty"`
	// EscrowBalance equals the postings of the payment's escrow account. Absent
	// in legacy documents: there the postings alone count.
	EscrowBalance *money.Units `json:"escrowBalance,omitempty"`
	// ReleasedUnits is what left the escrow for the seller, fee included.
	ReleasedUnits *money.Units `json:"releasedUnits,omitempty"`
	// Payout is the release or refund under way; it reserves its units.
	Payout       *Payout `json:"payout,omitempty"`
	PayoutTxHash string  `json:"payoutTxHash,omitempty"` // of the last confirmed one

	// LegacyReference is the synthetic id that an old document has in place of
	// a purchase request, such as "template-checkout-…".
	LegacyReference string `json:"legacyReference,omitempty"`

	// CallbackSecret signs the scanner's callbacks about this payment. It never
	// leaves, except to the scanner itself.
	CallbackSecret string    `json:"-" field:"callbackSecret"`
	Salt           string    `json:"-" field:"salt"`      // goes into the payment reference
	WatchedAt      time.Time `json:"-" field:"watchedAt"` // when the scanner was told
	ExpiresAt      time.Time `json:"expiresAt,omitzero"`
}

// Price is an amount of a currency.
type Price struct {
	Amount   money.Amount `json:"amount"`
	Currency string       `json:"currency"`
}

// Blockchain says where on which chain the money comes in.
type Blockchain struct {
	ChainID          int64  `json:"chainId"`
	Network          string `json:"network"`
	Token            string `json:"token"` // symbol
	TokenAddress     string `json:"tokenAddress"`
	Destination      string `json:"destination"`
	PaymentReference string `json:"paymentReference"`
	TxHash           string `json:"txHash,omitempty"` // the latest transfer seen
	LogIndex         int64  `json:"logIndex"`
	BlockNumber      int64  `json:"blockNumber"`
	Confirmations    int64  `json:"confirmations"`
	// ConfirmationsRequired is never taken for less than the network's floor.
	ConfirmationsRequired int64 `json:"confirmationsRequired"`
}

// Providers of new payments. Documents keep whatever other provider they
// have (older ones say "decentralized", "manual" and others); nothing here
// depends on it.
const (
	ProviderRequestNetwork = "request.network"
	ProviderScanner        = "amn.scanner"
	ProviderShkeeper       = "shkeeper"
	ProviderOther          = "other"
)

// Directions.
const (
	DirectionIn     = "in"
	DirectionOut    = "out"
	DirectionRefund = "refund"
)

// Status says what became of the paying.
type Status string

// The statuses. Expired and Paid are only read, from legacy documents, where
// they mean Cancelled and Completed.
const (
	Pending    Status = "pending"    // nothing seen yet
	Processing Status = "processing" // seen, below the confirmation floor
	Confirmed  Status = "confirmed"  // at the floor, but not all of it
	Completed  Status = "completed"  // all there
	Failed     Status = "failed"
	Cancelled  Status = "cancelled"
	Refunded   Status = "refunded"

	Expired Status = "expired"
	Paid    Status = "paid"
)

// Open says that the paying goes on.
func (s Status) Open() bool { return s == Pending || s == Processing || s == Confirmed }

// EscrowState says where the money is; "" before any came.
type EscrowState string

// The escrow states.
const (
	Funded          EscrowState = "funded"     // held, all of it
	Partial         EscrowState = "partial"    // held, but not all of it
	Releasable      EscrowState = "releasable" // held, and the deal is done
	Releasing       EscrowState = "releasing"  // reserved for the seller
	Released        EscrowState = "released"
	Refunding       EscrowState = "refunding" // reserved for the buyer
	EscrowRefunded  EscrowState = "refunded"
	EscrowFailed    EscrowState = "failed"
	EscrowCancelled EscrowState = "cancelled"
)

// Held says that money of the buyer is in escrow.
func (e EscrowState) Held() bool {
	switch e {
	case Funded, Partial, Releasable, Releasing, Refunding:
		return true
	}
	return false
}

// AdaptLegacy moves a synthetic purchase request id, which is no identity,
// into legacyReference, before the document is decoded.
func (p *Payment) AdaptLegacy(doc map[string]any) {
	synthetic, isText := doc["purchaseRequestId"].(string)
	if !isText || synthetic == "" {
		return
	}
	if _, err := cutover.ParseID(synthetic); err == nil {
		return
	}
	delete(doc, "purchaseRequestId")
	if kept, _ := doc["legacyReference"].(string); kept == "" {
		doc["legacyReference"] = synthetic
	}
}

// PendingKey is equal for two payments of which only one may exist: those
// that are pending for the same buyer, request, provider and direction. It is
// "" for a payment that the rule does not concern.
func (p *Payment) PendingKey() string {
	if p.Status != Pending || p.PurchaseRequestID.IsZero() || p.BuyerID.IsZero() {
		return ""
	}
	return p.BuyerID.String() + ":" + p.PurchaseRequestID.String() + ":" + p.Provider + ":" + p.Direction
}

// Reference returns the payment reference, "" without one.
func (p *Payment) Reference() string {
	if p.Blockchain == nil {
		return ""
	}
	return p.Blockchain.PaymentReference
}

// OwnedBy says that the user is the payment's buyer or seller.
func (p *Payment) OwnedBy(user cutover.ID) bool {
	return !user.IsZero() && (user == p.BuyerID || user == p.SellerID)
}

// Stale says that the payment is pending past its end.
func (p *Payment) Stale(now time.Time) bool {
	return p.Status == Pending && !p.ExpiresAt.IsZero() && !now.Before(p.ExpiresAt)
}

// Cancel ends a pending payment; it returns false, and changes nothing, when
// the payment is not pending.
func (p *Payment) Cancel() bool {
	if p.Status != Pending {
		return false
	}
	p.Status, p.EscrowState = Cancelled, EscrowCancelled
	return true
}

// unitsOr0 reads an optional figure.
func unitsOr0(u *money.Units) money.Units {
	if u == nil {
		return money.Units{}
	}
	return *u
}

func unitsPtr(u money.Units) *money.Units { return &u }

// Domain is the name under which the engine knows this domain.
const Domain = "payment"

// The names of the kinds of records.
const (
	KindPayment       = "payment"
	KindTrezorAccount = "trezor_account"
	KindQuote         = "payment_quote"
	KindDestination   = "derived_destination"
	KindEntry         = "funds_ledger_entry"
	KindHold          = "release_hold"
	KindDelivery      = "scanner_delivery"
)

// Kinds of the domain, parents first.
var Kinds = append(cutover.Kinds{
	{
		Name: KindPayment, Type: reflect.TypeFor[Payment](), Table: "payments", Collection: "payments",
		Unique:  []cutover.Unique{cutover.UniqueKey("Pending", (*Payment).PendingKey), cutover.UniqueKey("Reference", (*Payment).Reference)},
		Indexes: []query.Index{{"blockchain.paymentReference"}, {"purchaseRequestId"}, {"buyerId"}, {"sellerId"}, {"status", "expiresAt"}, {"status", "watchedAt"}},
	},
	{
		Name: KindTrezorAccount, Type: reflect.TypeFor[TrezorAccount](), Table: "trezor_accounts", Collection: "trezoraccounts",
		Unique: []cutover.Unique{{Fields: query.Index{"xpub"}}},
	},
	{
		Name: KindQuote, Type: reflect.TypeFor[Quote](), Table: "payment_quotes", Collection: "paymentquotes",
		Unique: []cutover.Unique{{Fields: query.Index{"paymentId"}}},
	},
	{
		Name: KindDestination, Type: reflect.TypeFor[Destination](), Table: "derived_destinations", Collection: "deriveddestinations",
		Unique:  []cutover.Unique{cutover.UniqueKey("Address", (*Destination).AddressKey)},
		Indexes: []query.Index{{"address"}, {"paymentId"}},
	},
	{
		Name: KindEntry, Type: reflect.TypeFor[Entry](), Table: "funds_ledger_entries", Collection: "fundsledgerentries",
		Unique:  []cutover.Unique{{Fields: query.Index{"idempotencyKey"}}},
		Indexes: []query.Index{{"paymentId"}},
	},
	{
		Name: KindHold, Type: reflect.TypeFor[Hold](), Table: "release_holds", Collection: "releaseholds",
		Indexes: []query.Index{{"paymentId"}},
	},
	{
		Name: KindDelivery, Type: reflect.TypeFor[Delivery](), Table: "scanner_deliveries", Collection: "scannerdeliveries",
		Unique:  []cutover.Unique{{Fields: query.Index{"key"}}},
		Indexes: []query.Index{{"paymentId"}},
	},
}, event.Kinds(Domain)...)

// Names of the domain's Views.
const (
	QueryPayment     = "payment.get"
	QueryPayments    = "payment.list"
	QueryOfRequest   = "payment.of_request"
	QueryByReference = "payment.by_reference"
	QueryStale       = "payment.stale"
	QueryUnwatched   = "payment.unwatched"
	QueryTrezorList  = "payment.trezor_list"
)

// Queries names every View of the domain.
var Queries = []string{
	QueryPayment, QueryPayments, QueryOfRequest, QueryByReference, QueryStale,
	QueryUnwatched, QueryTrezorList, event.QueryPending,
}

// Definition is this domain.
var Definition = cutover.Definition{Name: Domain, Kinds: Kinds, Refers: []string{"user", "purchase_request", "seller_offer"}, Queries: Queries, Invariants: Invariants}
