package payment

import (
	"context"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/internal/chain"
	"github.com/amanat-dev/amanat/internal/limit"
	"github.com/amanat-dev/amanat/internal/money"
	"github.com/amanat-dev/amanat/internal/web"
)

// Instruction says which transfer a release or refund needs.
type Instruction struct {
	Kind         PayoutKind   `json:"kind"`
	ChainID      int64        `json:"chainId"`
	Network      string       `json:"network"`
	Token        string       `json:"token"`
	TokenAddress string       `json:"tokenAddress"`
	From         string       `json:"from"` // the payment's deposit address
	To           string       `json:"to"`
	Units        money.Units  `json:"units"` // to send: the fee stays
	Amount       money.Amount `json:"amount"`
	FeeUnits     money.Units  `json:"feeUnits"`
}

// PayoutDraft says how much of a payment's money goes out.
type PayoutDraft struct {
	Amount *money.Amount `json:"amount,omitempty" doc:"Of the payment's token; all there is when left out"`
}

// PayoutProof names the transaction that has carried a payout out.
type PayoutProof struct {
	TxHash string `json:"txHash" pattern:"^0x[0-9a-fA-F]{64}$" patternDescription:"0x and 64 hex digits"`
}

// PayoutView is a payment with the transfer that it needs; no instruction
// once it is confirmed.
type PayoutView struct {
	Payment
	Instruction *Instruction `json:"instruction,omitempty"`
}

// Begin reserves a payment's money for a release or refund, and says what to
// transfer: all of it, or an amount of the token. Only admins may. Errors:
// fault.Conflict while a hold is open, without a verified wallet, when the
// state does not allow it, or when the escrow holds less.
func (s *Service) Begin(ctx context.Context, who web.Principal, kind PayoutKind, id cutover.ID, d PayoutDraft) (PayoutView, error) {
	if err := admins.Admit(who); err != nil {
		return PayoutView{}, err
	}
	if err := limit.Check(d); err != nil {
		return PayoutView{}, err
	}
	p, err := s.read(ctx, id)
	if err != nil {
		return PayoutView{}, err
	}
	r := Reservation{Kind: kind, FeeBps: s.deps.FeeBps, By: who.UserID, At: s.now()}
	if r.Units, err = p.exactUnits(d.Amount); err != nil {
		return PayoutView{}, err
	}
	if r.Recipient, err = s.recipient(ctx, kind, &p); err != nil {
		return PayoutView{}, err
	}
	if r.DealDone, err = s.dealDone(ctx, kind, &p); err != nil {
		return PayoutView{}, err
	}
	return cutover.Update(ctx, s.db, func(ctx context.Context, tx cutover.Tx) (PayoutView, error) {
		return reserve(ctx, tx, id, r)
	})
}

func (s *Service) read(ctx context.Context, id cutover.ID) (Payment, error) {
	return cutover.View(ctx, s.db, QueryPayment, func(ctx context.Context, tx cutover.Tx) (Payment, error) {
		return cutover.Get[Payment](ctx, tx, id)
	})
}

// dealDone asks the marketplace whether a deal was completed of which no event
// has told: it was so before this server had the data. Completed it stays.
func (s *Service) dealDone(ctx context.Context, kind PayoutKind, p *Payment) (bool, error) {
	if kind != PayRelease || p.EscrowState != Funded {
		return false, nil
	}
	deal, err := s.deps.Deals.Deal(ctx, p.PurchaseRequestID, p.SellerOfferID)
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	return deal.RequestStatus == requestCompleted && deal.OfferStatus == offerAccepted, err
}

// exactUnits reads an optional amount of the payment's token. Errors:
// fault.Invalid when it is not positive or finer than the token allows.
func (p *Payment) exactUnits(amount *money.Amount) (*money.Units, error) {
	asset, err := p.Asset()
	if err != nil || amount == nil {
		return nil, err
	}
	network, _ := chain.NetworkOf(asset.ChainID)
	token, _ := network.Token(asset.Token)
	units := token.UnitsUp(*amount)
	if units.Sign() <= 0 || !token.Amount(units).Equal(*amount) {
		return nil, fault.Field("amount", "want a positive amount of %s with at most %d decimals", token.Symbol, token.Decimals)
	}
	return &units, nil
}

// recipient returns the verified wallet of whom the payout is for.
func (s *Service) recipient(ctx context.Context, kind PayoutKind, p *Payment) (string, error) {
	whom, user := "seller", p.SellerID
	if kind == PayRefund {
		whom, user = "buyer", p.BuyerID
	}
	address, _, err := s.deps.Wallets.VerifiedWallet(ctx, user)
	if fault.Is(err, fault.NotFound) {
		return "", fault.New(fault.Conflict, "the %s has no verified wallet to send the money to", whom)
	}
	if err != nil {
		return "", err
	}
	checked, err := chain.Checksum(address)
	if err != nil {
		return "", fault.Wrap(err, fault.Conflict, "the %s's wallet is not on a chain that this payment can be paid out on", whom)
	}
	return checked, nil
}

// reserve reads the payment before its holds: whoever opens one writes the
// payment, so a hold that this reading misses makes the Put conflict.
func reserve(ctx context.Context, tx cutover.Tx, id cutover.ID, r Reservation) (PayoutView, error) {
	p, err := cutover.Get[Payment](ctx, tx, id)
	if err != nil {
		return PayoutView{}, err
	}
	holds, err := OpenHolds(ctx, tx, id)
	if err != nil {
		return PayoutView{}, err
	}
	if len(holds) > 0 {
		return PayoutView{}, fault.New(fault.Conflict, "a hold on this payment is open: %s", holds[0].Reason)
	}
	held, err := heldUnits(ctx, tx, &p)
	if err != nil {
		return PayoutView{}, err
	}
	if r.DealDone {
		p.DealDone()
	}
	if err := p.Reserve(r, held); err != nil {
		return PayoutView{}, err
	}
	return PayoutView{p, p.instruction()}, tx.Put(ctx, &p)
}

// heldUnits is escrowBalance for what can be paid out. Errors: fault.Conflict
// when money is said to be held of which the ledger knows nothing: the payment
// is from before there was one, and how much it is must not be guessed.
func heldUnits(ctx context.Context, tx cutover.Tx, p *Payment) (money.Units, error) {
	held, err := escrowBalance(ctx, tx, p)
	if err == nil && p.EscrowBalance == nil && held.IsZero() && !p.payoutUnderWay() && (p.EscrowState.Held() || p.paidUnbooked()) {
		err = fault.New(fault.Conflict, "this payment is from before the funds ledger, which does not know of its money: "+
			"book what it holds first, by an adjustment from custody to escrow")
	}
	return held, err
}

// paidUnbooked says that an older system took the payment for paid and did not
// say where its money is.
func (p *Payment) paidUnbooked() bool {
	return p.EscrowState == "" && (p.Status == Completed || p.Status == Paid)
}

// hasMoney says that money is in escrow, or may be on its way there: while
// nothing is said of the escrow, the status tells.
func (p *Payment) hasMoney() bool {
	switch p.Status {
	case Processing, Confirmed:
		return p.EscrowState == "" || p.EscrowState.Held()
	}
	return p.EscrowState.Held() || p.paidUnbooked()
}

// instruction returns the transfer of the payout under way.
func (p *Payment) instruction() *Instruction {
	b, out := p.Blockchain, p.Payout
	network, _ := chain.NetworkOf(b.ChainID)
	token, _ := b.token(network)
	units := out.Units.Sub(out.FeeUnits)
	return &Instruction{
		Kind: out.Kind, ChainID: b.ChainID, Network: b.Network, Token: token.Symbol, TokenAddress: token.Address,
		From: b.Destination, To: out.Recipient, Units: units, Amount: token.Amount(units), FeeUnits: out.FeeUnits,
	}
}

// Confirm books a payout as done by a transaction. The same transaction again
// changes nothing. Only admins may. Errors: fault.Invalid for what is no
// transaction hash; fault.Conflict when no such payout is under way.
func (s *Service) Confirm(ctx context.Context, who web.Principal, kind PayoutKind, id cutover.ID, proof PayoutProof) (PayoutView, error) {
	if err := admins.Admit(who); err != nil {
		return PayoutView{}, err
	}
	if err := limit.Check(proof); err != nil {
		return PayoutView{}, err
	}
	return cutover.Update(ctx, s.db, func(ctx context.Context, tx cutover.Tx) (PayoutView, error) {
		p, err := confirm(ctx, tx, kind, id, proof.TxHash)
		return PayoutView{Payment: p}, err
	})
}

func confirm(ctx context.Context, tx cutover.Tx, kind PayoutKind, id cutover.ID, txHash string) (Payment, error) {
	p, err := cutover.Get[Payment](ctx, tx, id)
	if err != nil {
		return Payment{}, err
	}
	switch _, err := LedgerEntry(ctx, tx, payoutKey(kind, id, txHash)); {
	case err == nil:
		return p, nil
	case !fault.Is(err, fault.NotFound):
		return Payment{}, err
	}
	if p.Payout == nil || p.Payout.Kind != kind || p.EscrowState != kind.reserving() {
		return Payment{}, fault.New(fault.Conflict, "no %s with another transaction is under way for this payment", kind)
	}
	e, err := p.PayoutEntry(txHash)
	if err != nil {
		return Payment{}, err
	}
	if err := post(ctx, tx, &e); err != nil {
		return Payment{}, err
	}
	return p, finish(ctx, tx, &p, kind, txHash)
}

// CancelPayout gives up a payout that was not carried out, so that the money
// can go another way. Only admins may, who must be sure that no transfer is on
// its way: one that is confirmed later finds nothing reserved. Errors:
// fault.Conflict when no such payout is under way.
func (s *Service) CancelPayout(ctx context.Context, who web.Principal, kind PayoutKind, id cutover.ID) (PayoutView, error) {
	if err := admins.Admit(who); err != nil {
		return PayoutView{}, err
	}
	v, err := cutover.Update(ctx, s.db, func(ctx context.Context, tx cutover.Tx) (PayoutView, error) {
		p, err := cutover.Get[Payment](ctx, tx, id)
		if err != nil {
			return PayoutView{}, err
		}
		if err := p.CancelPayout(kind); err != nil {
			return PayoutView{}, err
		}
		return PayoutView{Payment: p}, tx.Put(ctx, &p)
	})
	if err == nil {
		s.log.InfoContext(ctx, "payout cancelled", "kind", string(kind), "payment", id.String(), "by", who.UserID.String())
	}
	return v, err
}

// finish puts the payment after its payout, and tells of it when that was all.
func finish(ctx context.Context, tx cutover.Tx, p *Payment, kind PayoutKind, txHash string) error {
	empty := p.FinishPayout(txHash)
	if err := tx.Put(ctx, p); err != nil || !empty {
		return err
	}
	if kind == PayRelease {
		return p.tell(ctx, tx, EventReleased)
	}
	return p.tell(ctx, tx, EventRefunded)
}
