package payment

import (
	"context"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/internal/chain"
	"github.com/amanat-dev/amanat/internal/money"
)

// Receipt is what the scanner is answered.
type Receipt struct {
	Received bool `json:"received"`
	Repeated bool `json:"repeated"` // it was taken in before; nothing changed
}

// Deliver takes in a callback of the scanner: its raw body and the value of
// its signature header. Errors: fault.Unauthenticated alike for an unknown
// payment and a wrong signature; fault.Invalid naming the fields when the body
// or what it tells does not fit the payment; fault.Conflict when the transfer
// is on record with other content. Nothing is written in any of these.
func (s *Service) Deliver(ctx context.Context, raw []byte, signature string) (Receipt, error) {
	id, err := s.authentic(ctx, raw, signature)
	if err != nil {
		return Receipt{}, err
	}
	c, err := ParseCallback(raw)
	if err != nil {
		return Receipt{}, err
	}
	now := s.now()
	return cutover.Update(ctx, s.db, func(ctx context.Context, tx cutover.Tx) (Receipt, error) {
		return receive(ctx, tx, id, c, now)
	})
}

// authentic returns the payment whose secret signed the body.
func (s *Service) authentic(ctx context.Context, raw []byte, signature string) (cutover.ID, error) {
	reference := peekReference(raw)
	p, err := cutover.View(ctx, s.db, QueryByReference, func(ctx context.Context, tx cutover.Tx) (Payment, error) {
		return PaymentByReference(ctx, tx, reference)
	})
	if err != nil && !fault.Is(err, fault.NotFound) {
		return cutover.ID{}, err
	}
	// Without a payment the secret is empty: signedBy takes its time and says no.
	if !signedBy(p.CallbackSecret, raw, signature) || p.Blockchain == nil {
		return cutover.ID{}, fault.New(fault.Unauthenticated, "not accepted")
	}
	return p.ID, nil
}

// receive checks everything, and only then writes.
func receive(ctx context.Context, tx cutover.Tx, id cutover.ID, c Callback, now time.Time) (Receipt, error) {
	p, err := cutover.Get[Payment](ctx, tx, id)
	if err != nil {
		return Receipt{}, err
	}
	if err := c.Concerns(&p); err != nil {
		return Receipt{}, err
	}
	switch _, err := DeliveryByKey(ctx, tx, c.Key(p.ID)); {
	case err == nil:
		return Receipt{Received: true, Repeated: true}, nil
	case !fault.Is(err, fault.NotFound):
		return Receipt{}, err
	}
	deposit, err := recorded(ctx, tx, &p, &c)
	if err != nil {
		return Receipt{}, err
	}
	if err := tx.Put(ctx, c.delivery(p.ID)); err != nil {
		return Receipt{}, err
	}
	return Receipt{Received: true}, act(ctx, tx, &p, &c, deposit, now)
}

// recorded returns the ledger's entry of the callback's transfer, nil when there
// is none. Errors: fault.Conflict when it has other content.
func recorded(ctx context.Context, tx cutover.Tx, p *Payment, c *Callback) (*Entry, error) {
	e, err := LedgerEntry(ctx, tx, c.depositKey())
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !c.recordedBy(&e, p) {
		return nil, fault.New(fault.Conflict, "this transfer is on record with other content")
	}
	return &e, nil
}

// act does what a new callback asks for.
func act(ctx context.Context, tx cutover.Tx, p *Payment, c *Callback, deposit *Entry, now time.Time) error {
	switch {
	case c.Failed() && deposit != nil:
		return holdForFailure(ctx, tx, p, c)
	case c.Failed():
		if p.unsee(c) {
			return tx.Put(ctx, p)
		}
		return nil
	}
	if err := lockQuote(ctx, tx, p, now); err != nil {
		return err
	}
	changed := p.see(c)
	if deposit == nil && c.Confirmations >= p.floor() {
		return credit(ctx, tx, p, c)
	}
	if !changed {
		return nil
	}
	return tx.Put(ctx, p)
}

// floor is the number of confirmations that the payment needs.
func (p *Payment) floor() int64 {
	network, _ := chain.NetworkOf(p.Blockchain.ChainID)
	return max(network.Floor, p.Blockchain.ConfirmationsRequired)
}

// see notes the latest transfer. Confirmations of one transfer never go down,
// and no status goes backwards. It returns false when that changes nothing.
func (p *Payment) see(c *Callback) bool {
	b := p.Blockchain
	before, status := *b, p.Status
	if b.TxHash == c.TxHash && b.LogIndex == c.LogIndex {
		b.Confirmations, b.BlockNumber = max(b.Confirmations, c.Confirmations), max(b.BlockNumber, c.BlockNumber)
	} else {
		b.TxHash, b.LogIndex, b.BlockNumber, b.Confirmations = c.TxHash, c.LogIndex, c.BlockNumber, c.Confirmations
	}
	if p.Status == Pending {
		p.Status = Processing
	}
	return before != *b || status != p.Status
}

// unsee takes back a transfer that did not happen after all, as long as
// nothing came of it.
func (p *Payment) unsee(c *Callback) bool {
	b := p.Blockchain
	if p.Status != Processing || b.TxHash != c.TxHash || b.LogIndex != c.LogIndex {
		return false
	}
	b.TxHash, b.LogIndex, b.BlockNumber, b.Confirmations = "", 0, 0, 0
	p.Status = Pending
	return true
}

// holdForFailure freezes a payment whose deposit the scanner takes back: a
// person has to look at it.
func holdForFailure(ctx context.Context, tx cutover.Tx, p *Payment, c *Callback) error {
	hold := &Hold{PaymentID: p.ID, Reason: "the scanner reports the deposit " + c.TxHash + " as " + c.Status}
	if err := tx.Put(ctx, hold); err != nil {
		return err
	}
	return tx.Put(ctx, p) // so that a release at the same moment conflicts
}

// lockQuote fixes the price once the payment is seen.
func lockQuote(ctx context.Context, tx cutover.Tx, p *Payment, now time.Time) error {
	q, err := quoteOf(ctx, tx, p.ID)
	if err != nil || q == nil || !q.LockedAt.IsZero() {
		return err
	}
	q.LockedAt = now
	return tx.Put(ctx, q)
}

// credit books the deposit, and tells of it when the payment is funded.
func credit(ctx context.Context, tx cutover.Tx, p *Payment, c *Callback) error {
	held, err := escrowBalance(ctx, tx, p)
	if err != nil {
		return err
	}
	split := p.Receives(c.Amount, held)
	e, err := DepositEntry(p, c, split)
	if err != nil {
		return err
	}
	funded := p.Deposit(split, held)
	if err := post(ctx, tx, &e); err != nil {
		return err
	}
	if err := tx.Put(ctx, p); err != nil || !funded {
		return err
	}
	return p.tell(ctx, tx, EventFunded)
}

// escrowBalance is the payment's own figure, or that of its postings when it
// has none.
func escrowBalance(ctx context.Context, tx cutover.Tx, p *Payment) (money.Units, error) {
	if p.EscrowBalance != nil {
		return *p.EscrowBalance, nil
	}
	entries, err := LedgerOfPayment(ctx, tx, p.ID)
	return balance(entries, EscrowAccount(p.ID)), err
}
