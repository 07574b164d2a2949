package payment

import (
	"fmt"
	"strings"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/internal/chain"
	"github.com/amanat-dev/amanat/internal/money"
)

// PayoutKind says where a payout goes.
type PayoutKind string

// The two ways out of escrow.
const (
	PayRelease PayoutKind = "release" // to the seller, less the fee
	PayRefund  PayoutKind = "refund"  // to the buyer
)

// Payout is the instruction for a release or refund, and its reservation.
type Payout struct {
	Kind      PayoutKind  `json:"kind"`
	Units     money.Units `json:"units"`     // taken out of escrow
	FeeUnits  money.Units `json:"feeUnits"`  // of which the platform keeps
	Recipient string      `json:"recipient"` // address to send Units less FeeUnits to
	// From is the escrow state to go back to when something is left.
	From        EscrowState `json:"from"`
	RequestedBy cutover.ID  `json:"requestedBy" field:",ref=user"`
	RequestedAt time.Time   `json:"requestedAt"`
}

// reserving returns the state in which a payout of this kind is under way.
func (k PayoutKind) reserving() EscrowState {
	if k == PayRelease {
		return Releasing
	}
	return Refunding
}

// allowedFrom says in which escrow states such a payout can begin: a release
// once the deal is done, a refund as long as money is held.
func (k PayoutKind) allowedFrom(e EscrowState) bool {
	if k == PayRelease {
		return e == Releasable
	}
	return e == Funded || e == Releasable || e == Partial
}

// Split says which accounts a deposit is credited to.
type Split struct {
	Escrow, Buyer, Suspense money.Units
}

// Receives splits a deposit: into escrow up to the expected amount, the rest
// to the buyer. A payment that takes no money any more passes all of it to the
// buyer. Money whose owner or purpose is unknown goes to suspense.
func (p *Payment) Receives(units, escrowBalance money.Units) Split {
	switch {
	case p.BuyerID.IsZero() || p.ExpectedUnits == nil:
		return Split{Suspense: units}
	case !p.takesMoney():
		return Split{Buyer: units}
	}
	room := p.ExpectedUnits.Sub(escrowBalance)
	if units.Cmp(room) <= 0 {
		return Split{Escrow: units}
	}
	return Split{Escrow: room, Buyer: units.Sub(room)}
}

// takesMoney says that a deposit can still go into escrow.
func (p *Payment) takesMoney() bool {
	return p.Status.Open() && (p.EscrowState == "" || p.EscrowState == Partial)
}

// Deposit books a deposit on the payment: the record's side of the entry that
// DepositEntry makes. escrowBalance is the balance before. It returns true when
// the payment is now funded.
func (p *Payment) Deposit(s Split, escrowBalance money.Units) bool {
	total := s.Escrow.Add(s.Buyer).Add(s.Suspense)
	p.ReceivedUnits = unitsPtr(unitsOr0(p.ReceivedUnits).Add(total))
	if s.Escrow.IsZero() {
		return false
	}
	now := escrowBalance.Add(s.Escrow)
	p.EscrowBalance = unitsPtr(now)
	if now.Cmp(*p.ExpectedUnits) < 0 {
		p.Status, p.EscrowState = Confirmed, Partial
		return false
	}
	p.Status, p.EscrowState = Completed, Funded
	return true
}

// Reservation asks for a payout.
type Reservation struct {
	Kind      PayoutKind
	Units     *money.Units // nil: all there is
	Recipient string
	FeeBps    int64 // of a release, in 1/10000
	DealDone  bool  // the deal is known to be done, though the payment may not say so
	By        cutover.ID
	At        time.Time
}

// Reserve takes a payout on, or fails with a conflict: another one is under
// way, the state does not allow it, or the escrow holds less.
func (p *Payment) Reserve(r Reservation, escrowBalance money.Units) error {
	if p.payoutUnderWay() {
		return errPayoutUnderWay()
	}
	if r.Kind == PayRelease && p.EscrowState == Funded {
		return fault.New(fault.Conflict, "a release is possible once the deal is done: no purchase request of this payment is on record as completed")
	}
	if !r.Kind.allowedFrom(p.EscrowState) {
		return fault.New(fault.Conflict, "a %s is not possible while the money is %s", r.Kind, stateText(p.EscrowState))
	}
	units := escrowBalance
	if r.Units != nil {
		units = *r.Units
	}
	if units.Sign() <= 0 || units.Cmp(escrowBalance) > 0 {
		return fault.New(fault.Conflict, "the escrow holds %s units; cannot %s %s", escrowBalance, r.Kind, units)
	}
	p.Payout = &Payout{
		Kind: r.Kind, Units: units, Recipient: r.Recipient, From: p.EscrowState,
		RequestedBy: r.By, RequestedAt: r.At,
	}
	if r.Kind == PayRelease {
		p.Payout.FeeUnits = fee(units, r.FeeBps)
	}
	p.EscrowBalance = unitsPtr(escrowBalance)
	p.EscrowState = r.Kind.reserving()
	return nil
}

// payoutUnderWay says that money is reserved for a release or refund.
func (p *Payment) payoutUnderWay() bool {
	return p.Payout != nil || p.EscrowState == Releasing || p.EscrowState == Refunding
}

// fee is rounded down: in the seller's favour.
func fee(units money.Units, bps int64) money.Units {
	f := units.Big()
	f.Mul(f, money.UnitsOf(bps).Big())
	return money.UnitsOfBig(f.Div(f, money.UnitsOf(10000).Big()))
}

// stateText says an escrow state in words.
func stateText(e EscrowState) string {
	if e == "" {
		return "not there yet"
	}
	return string(e)
}

// PayoutEntry makes the ledger entry of the payout under way.
func (p *Payment) PayoutEntry(txHash string) (Entry, error) {
	out := p.Payout
	asset, err := p.Asset()
	if err != nil {
		return Entry{}, err
	}
	postings := []Posting{{EscrowAccount(p.ID), out.Units.Neg()}}
	if out.Kind == PayRelease {
		postings = append(postings,
			Posting{SellerAccount(p.SellerID), out.Units.Sub(out.FeeUnits)},
			Posting{AccountFees, out.FeeUnits})
	} else {
		postings = append(postings, Posting{BuyerAccount(p.BuyerID), out.Units})
	}
	e, err := NewEntry(payoutKey(out.Kind, p.ID, txHash), EntryType(out.Kind), p.ID, asset, postings...)
	e.TxHash = txHash
	return e, err
}

func payoutKey(kind PayoutKind, payment cutover.ID, txHash string) string {
	return fmt.Sprintf("%s:%s:%s", kind, payment, strings.ToLower(txHash))
}

// FinishPayout books the payout under way as done. It returns true when nothing
// is left in escrow.
func (p *Payment) FinishPayout(txHash string) bool {
	out := p.Payout
	left := unitsOr0(p.EscrowBalance).Sub(out.Units)
	p.EscrowBalance, p.Payout, p.PayoutTxHash = unitsPtr(left), nil, txHash
	if out.Kind == PayRelease {
		p.ReleasedUnits = unitsPtr(unitsOr0(p.ReleasedUnits).Add(out.Units))
	}
	switch {
	case left.Sign() > 0:
		p.EscrowState = out.From
		return false
	case out.Kind == PayRelease:
		p.EscrowState = Released
	default:
		p.EscrowState = EscrowRefunded
		if unitsOr0(p.ReleasedUnits).IsZero() {
			p.Status = Refunded
		}
	}
	return true
}

// CancelPayout gives up a payout that was not carried out: its money is held
// as before. One that an older system began has no reservation to go back to:
// a release was of a deal that is done, a refund may have been of one that is
// not. Errors: fault.Conflict when no such payout is under way.
func (p *Payment) CancelPayout(kind PayoutKind) error {
	switch {
	case p.EscrowState != kind.reserving() || (p.Payout != nil && p.Payout.Kind != kind):
		return fault.New(fault.Conflict, "no %s of this payment is under way", kind)
	case p.Payout != nil:
		p.EscrowState = p.Payout.From
	case kind == PayRelease:
		p.EscrowState = Releasable
	default:
		p.EscrowState = Funded
	}
	p.Payout = nil
	return nil
}

// DealDone makes held money releasable; it returns false when that changes
// nothing.
func (p *Payment) DealDone() bool {
	switch {
	case p.EscrowState == Funded:
		p.EscrowState = Releasable
		return true
	case p.Payout != nil && p.Payout.From == Funded:
		p.Payout.From = Releasable
		return true
	}
	return false
}

// Asset returns the payment's token and chain.
func (p *Payment) Asset() (Asset, error) {
	if p.Blockchain != nil {
		if network, ok := chain.NetworkOf(p.Blockchain.ChainID); ok {
			if token, ok := p.Blockchain.token(network); ok {
				return Asset{network.ID, token.Symbol}, nil
			}
		}
	}
	return Asset{}, fault.New(fault.Conflict, "this payment names no known chain and token")
}

// token finds the token by contract address, else by symbol.
func (b *Blockchain) token(n chain.Network) (chain.Token, bool) {
	if b.TokenAddress != "" {
		return n.Token(b.TokenAddress)
	}
	return n.Token(b.Token)
}
