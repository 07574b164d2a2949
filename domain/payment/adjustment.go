package payment

import (
	"context"
	"fmt"
	"strings"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/internal/limit"
	"github.com/amanat-dev/amanat/internal/money"
	"github.com/amanat-dev/amanat/internal/web"
)

// Place is one of a payment's own accounts, by the class of it.
type Place string

// The places between which an adjustment moves money.
const (
	AtCustody   Place = "custody" // on chain, at the payment's address: as a source, money that nobody has booked
	AtEscrow    Place = "escrow"
	AtBuyer     Place = "buyer"
	AtSeller    Place = "seller"
	AtInTransit Place = "in-transit"
	AtFees      Place = AccountFees
	AtSuspense  Place = AccountSuspense
)

// Adjustment corrects the ledger of one payment: money that the scanner
// missed, a deposit that was taken back, money in suspense whose owner is
// found, what an older system held without a ledger.
type Adjustment struct {
	// IdempotencyKey names the correction: sent again, it is made once.
	IdempotencyKey string       `json:"idempotencyKey" minLength:"1" maxLength:"100"`
	Reason         string       `json:"reason" format:"lines" minLength:"1" maxLength:"500"`
	From           Place        `json:"from" enum:"custody,escrow,buyer,seller,in-transit,fees,suspense"`
	To             Place        `json:"to" enum:"custody,escrow,buyer,seller,in-transit,fees,suspense"`
	Amount         money.Amount `json:"amount" doc:"Of the payment's token"`
}

// Adjust books an adjustment, and returns its ledger entry. Only admins may.
// Errors: fault.Invalid naming the field; fault.Conflict when the source does
// not hold as much, the escrow cannot take it, or the key is there with other
// content.
func (s *Service) Adjust(ctx context.Context, who web.Principal, id cutover.ID, a Adjustment) (Entry, error) {
	if err := admins.Admit(who); err != nil {
		return Entry{}, err
	}
	if err := limit.Check(a); err != nil {
		return Entry{}, err
	}
	a.Reason = strings.TrimSpace(a.Reason)
	if a.From == a.To {
		return Entry{}, fault.Field("to", "is where the money comes from")
	}
	entryID := cutover.NewID()
	return cutover.Update(ctx, s.db, func(ctx context.Context, tx cutover.Tx) (Entry, error) {
		p, err := cutover.Get[Payment](ctx, tx, id)
		if err != nil {
			return Entry{}, err
		}
		e, err := p.adjustmentEntry(a)
		if err != nil {
			return Entry{}, err
		}
		e.ID, e.PostedBy = entryID, who.UserID
		return adjust(ctx, tx, &p, a, e)
	})
}

// adjust writes the payment always: whoever posts to it at the same moment
// conflicts, so the balances are those that were read.
func adjust(ctx context.Context, tx cutover.Tx, p *Payment, a Adjustment, e Entry) (Entry, error) {
	there, err := LedgerEntry(ctx, tx, e.IdempotencyKey)
	switch {
	case err == nil && there.SameContent(&e):
		return there, nil
	case err == nil:
		return Entry{}, fault.New(fault.Conflict, "this idempotencyKey stands for another adjustment of this payment")
	case !fault.Is(err, fault.NotFound):
		return Entry{}, err
	}
	entries, err := LedgerOfPayment(ctx, tx, p.ID)
	if err != nil {
		return Entry{}, err
	}
	if err := covered(entries, &e); err != nil {
		return Entry{}, err
	}
	if err := freeToLeave(ctx, tx, p, a); err != nil {
		return Entry{}, err
	}
	funded, err := p.adjusted(a, e.Postings[1].Amount, balance(entries, EscrowAccount(p.ID)))
	if err != nil {
		return Entry{}, err
	}
	if err := tx.Put(ctx, &e); err != nil {
		return Entry{}, err
	}
	if err := tx.Put(ctx, p); err != nil || !funded {
		return e, err
	}
	return e, p.tell(ctx, tx, EventFunded)
}

// covered says that the source holds what is taken from it, as far as this
// payment's entries brought it there. Custody is the other way round: it is
// below zero by what came in, and cannot give back more than that.
func covered(entries []Entry, e *Entry) error {
	source, target := e.Postings[0], e.Postings[1]
	if accountClass(source.Account) != string(AtCustody) {
		if held := balance(entries, source.Account); held.Add(source.Amount).Sign() < 0 {
			return fault.New(fault.Conflict, "%s holds %s units of this payment", accountClass(source.Account), held)
		}
	}
	if accountClass(target.Account) == string(AtCustody) {
		if in := balance(entries, target.Account); in.Add(target.Amount).Sign() > 0 {
			return fault.New(fault.Conflict, "%s units are booked as come in for this payment", in.Neg())
		}
	}
	return nil
}

// freeToLeave holds money in escrow while a hold is open, except for what puts
// right the very thing that the hold is about.
func freeToLeave(ctx context.Context, tx cutover.Tx, p *Payment, a Adjustment) error {
	if a.From != AtEscrow || a.To == AtCustody || a.To == AtSuspense {
		return nil
	}
	holds, err := OpenHolds(ctx, tx, p.ID)
	if err == nil && len(holds) > 0 {
		err = fault.New(fault.Conflict, "a hold on this payment is open: %s", holds[0].Reason)
	}
	return err
}

// adjustmentEntry makes the ledger entry: the source first.
func (p *Payment) adjustmentEntry(a Adjustment) (Entry, error) {
	units, err := p.exactUnits(&a.Amount)
	if err != nil {
		return Entry{}, err
	}
	asset, err := p.Asset()
	if err != nil {
		return Entry{}, err
	}
	from, err := p.account("from", a.From)
	if err != nil {
		return Entry{}, err
	}
	to, err := p.account("to", a.To)
	if err != nil {
		return Entry{}, err
	}
	key := fmt.Sprintf("adjustment:%s:%s", p.ID, a.IdempotencyKey)
	e, err := NewEntry(key, EntryAdjustment, p.ID, asset, Posting{from, units.Neg()}, Posting{to, *units})
	e.Reason = a.Reason
	return e, err
}

// account returns the payment's account at a place. Errors: fault.Invalid naming
// the field when the payment has none.
func (p *Payment) account(field string, at Place) (string, error) {
	switch {
	case at == AtCustody && p.Blockchain.Destination != "":
		return CustodyAccount(p.Blockchain.Destination), nil
	case at == AtEscrow:
		return EscrowAccount(p.ID), nil
	case at == AtBuyer && !p.BuyerID.IsZero():
		return BuyerAccount(p.BuyerID), nil
	case at == AtSeller && !p.SellerID.IsZero():
		return SellerAccount(p.SellerID), nil
	case at == AtInTransit:
		return InTransitAccount(p.ID), nil
	case at == AtFees, at == AtSuspense:
		return string(at), nil
	}
	return "", fault.Field(field, "is no account of this payment")
}

// adjusted books an adjustment on the record. held is what the escrow held
// before. It returns true when the payment is funded by it.
func (p *Payment) adjusted(a Adjustment, units, held money.Units) (funded bool, err error) {
	switch {
	case a.From == AtEscrow:
		err = p.takeOut(units, held)
	case a.To == AtEscrow:
		funded, err = p.putIn(units, held)
	}
	if err != nil {
		return false, err
	}
	if a.From == AtCustody {
		p.ReceivedUnits = unitsPtr(unitsOr0(p.ReceivedUnits).Add(units))
	}
	if received := unitsOr0(p.ReceivedUnits).Sub(units); a.To == AtCustody && received.Sign() >= 0 {
		p.ReceivedUnits = &received
	}
	return funded, nil
}

// takeOut takes money out of escrow. Money that a payout has reserved stays.
func (p *Payment) takeOut(units, held money.Units) error {
	if p.payoutUnderWay() {
		return errPayoutUnderWay()
	}
	left := held.Sub(units)
	p.EscrowBalance = &left
	switch {
	case left.Sign() > 0 && p.EscrowState == Funded:
		p.Status, p.EscrowState = Confirmed, Partial
	case left.Sign() > 0:
	case !unitsOr0(p.ReleasedUnits).IsZero():
		p.EscrowState = Released
	default:
		p.Status, p.EscrowState = Failed, EscrowFailed
	}
	return nil
}

// putIn puts money into escrow, as much as is expected and not more. It gives
// true when that makes the payment funded.
func (p *Payment) putIn(units, held money.Units) (funded bool, err error) {
	total := held.Add(units)
	full := p.ExpectedUnits == nil || total.Cmp(*p.ExpectedUnits) >= 0
	switch {
	case p.payoutUnderWay():
		return false, errPayoutUnderWay()
	case p.ExpectedUnits != nil && total.Cmp(*p.ExpectedUnits) > 0:
		return false, fault.New(fault.Conflict, "the escrow takes %s units and holds %s", p.ExpectedUnits, held)
	case p.EscrowState == Partial && full, p.takesMoney() && full, p.paidUnbooked() && full:
		p.Status, p.EscrowState, funded = Completed, Funded, true
	case p.takesMoney(), p.paidUnbooked():
		p.Status, p.EscrowState = Confirmed, Partial
	case !p.EscrowState.Held():
		return false, fault.New(fault.Conflict, "the money of this payment is %s: it takes no more", stateText(p.EscrowState))
	}
	p.EscrowBalance = &total
	return funded, nil
}

func errPayoutUnderWay() error {
	return fault.New(fault.Conflict, "a release or refund of this payment is under way: confirm or cancel it first")
}
