package payment

import (
	"context"
	"fmt"
	"math/big"
	"strings"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/internal/money"
)

// Entry is one line of the funds ledger: postings between accounts that sum
// to zero. Entries are only ever added.
type Entry struct {
	cutover.Meta
	// IdempotencyKey names the event that the entry records; a second entry
	// with the same key is the same event.
	IdempotencyKey string     `json:"idempotencyKey" field:"idempotencyKey,null"`
	PaymentID      cutover.ID `json:"paymentId,omitzero" field:",ref=payment"`
	Type           EntryType  `json:"type"`
	Asset          Asset      `json:"asset"`
	Postings       []Posting  `json:"postings" field:"postings,table=funds_ledger_postings"`
	ReversalOf     cutover.ID `json:"reversalOf,omitzero" field:",ref=funds_ledger_entry"`
	TxHash         string     `json:"txHash,omitempty"`
	// Reason and PostedBy say why an administrator made the entry, and who.
	Reason   string     `json:"reason,omitempty"`
	PostedBy cutover.ID `json:"postedBy,omitzero" field:",ref=user"`
}

// EntryType says what an entry records.
type EntryType string

// The entry types.
const (
	EntryDeposit    EntryType = "deposit"
	EntryRelease    EntryType = "release"
	EntryRefund     EntryType = "refund"
	EntryFee        EntryType = "fee"
	EntrySweep      EntryType = "sweep"
	EntryAdjustment EntryType = "adjustment"
	EntryReversal   EntryType = "reversal"
)

// Asset is a token on a chain. Different assets never add up.
type Asset struct {
	ChainID int64  `json:"chainId"`
	Token   string `json:"token"` // symbol
}

// String gives, for example, "USDT@56".
func (a Asset) String() string { return fmt.Sprintf("%s@%d", a.Token, a.ChainID) }

// Posting adds Amount to an account; a negative one takes it away.
type Posting struct {
	Account string      `json:"account"`
	Amount  money.Units `json:"amount"`
}

// Accounts. Custody is where money sits on chain and is negative by what came
// in; the others say whom it belongs to. seller:<user> and the buyer's account
// after a refund count what was paid out to them.
const (
	AccountFees     = "fees"
	AccountSuspense = "suspense"
)

// CustodyAccount is that of a deposit address.
func CustodyAccount(address string) string { return "custody:" + strings.ToLower(address) }

// EscrowAccount is that of a payment.
func EscrowAccount(payment cutover.ID) string { return "escrow:" + payment.String() }

// SellerAccount is that of a user as a seller.
func SellerAccount(user cutover.ID) string { return "seller:" + user.String() }

// BuyerAccount is that of a user as a buyer.
func BuyerAccount(user cutover.ID) string { return "buyer:" + user.String() }

// InTransitAccount is that of a payment whose money is between two addresses.
func InTransitAccount(payment cutover.ID) string { return "in-transit:" + payment.String() }

// accountClass returns an account's class: "escrow" of "escrow:…".
func accountClass(account string) string {
	class, _, _ := strings.Cut(account, ":")
	return class
}

// accountKnown says that an account is one that the ledger has.
func accountKnown(account string) bool {
	class, owner, owned := strings.Cut(account, ":")
	switch class {
	case AccountFees, AccountSuspense:
		return !owned
	case "custody", "escrow", "seller", "buyer", "in-transit":
		return owner != ""
	}
	return false
}

// NewEntry makes an entry. Postings of zero are left out; the rest must be at
// least two, on known accounts, and sum to zero.
func NewEntry(key string, typ EntryType, payment cutover.ID, asset Asset, postings ...Posting) (Entry, error) {
	e := Entry{IdempotencyKey: key, Type: typ, PaymentID: payment, Asset: asset}
	for _, p := range postings {
		if !p.Amount.IsZero() {
			e.Postings = append(e.Postings, p)
		}
	}
	return e, e.Normalize()
}

// Normalize fails on an entry that breaks the ledger's rules, so that none is
// made and none is read.
func (e *Entry) Normalize() error {
	if e.IdempotencyKey == "" || e.Asset.Token == "" || !e.Type.known() {
		return fault.New(fault.Internal, "a ledger entry needs a key, a known type and an asset")
	}
	if len(e.Postings) < 2 {
		return fault.New(fault.Internal, "ledger entry %s has %d postings; want at least 2", e.IdempotencyKey, len(e.Postings))
	}
	sum := new(big.Int)
	for _, p := range e.Postings {
		if !accountKnown(p.Account) {
			return fault.New(fault.Internal, "ledger entry %s names an unknown account %q", e.IdempotencyKey, p.Account)
		}
		sum.Add(sum, p.Amount.Big())
	}
	if sum.Sign() != 0 {
		return fault.New(fault.Internal, "ledger entry %s is off balance by %s", e.IdempotencyKey, sum)
	}
	return nil
}

func (t EntryType) known() bool {
	switch t {
	case EntryDeposit, EntryRelease, EntryRefund, EntryFee, EntrySweep, EntryAdjustment, EntryReversal:
		return true
	}
	return false
}

// SameContent says that two entries record the same, whatever their identity
// and whoever posted them.
func (e *Entry) SameContent(o *Entry) bool {
	if e.IdempotencyKey != o.IdempotencyKey || e.Type != o.Type || e.PaymentID != o.PaymentID || e.Reason != o.Reason ||
		e.Asset != o.Asset || e.ReversalOf != o.ReversalOf || len(e.Postings) != len(o.Postings) {
		return false
	}
	for i, p := range e.Postings {
		if q := o.Postings[i]; p.Account != q.Account || !p.Amount.Equal(q.Amount) {
			return false
		}
	}
	return true
}

// On returns what the entry adds to an account.
func (e *Entry) On(account string) money.Units {
	var sum money.Units
	for _, p := range e.Postings {
		if p.Account == account {
			sum = sum.Add(p.Amount)
		}
	}
	return sum
}

// balance returns what entries add to an account together.
func balance(entries []Entry, account string) money.Units {
	var sum money.Units
	for i := range entries {
		sum = sum.Add(entries[i].On(account))
	}
	return sum
}

// post adds an entry to the ledger, unless it is there. Errors: fault.Conflict
// when its key is there with other content.
func post(ctx context.Context, tx cutover.Tx, e *Entry) error {
	there, err := LedgerEntry(ctx, tx, e.IdempotencyKey)
	switch {
	case fault.Is(err, fault.NotFound):
		return tx.Put(ctx, e)
	case err != nil:
		return err
	case !there.SameContent(e):
		return fault.New(fault.Conflict, "the ledger has another entry of this key")
	}
	return nil
}
