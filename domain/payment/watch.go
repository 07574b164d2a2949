package payment

import (
	"context"
	"errors"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
)

// announceTimeout bounds how long an intent waits for the scanner. What does
// not get through in time, RegisterPending tells it.
const announceTimeout = 2 * time.Second

// announce tells the scanner of a new payment at once. A failure is only
// logged: the payment stays on the list of RegisterPending.
func (s *Service) announce(ctx context.Context, id cutover.ID) {
	if s.deps.Scanner == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, announceTimeout)
	defer cancel()
	p, err := cutover.View(ctx, s.db, QueryPayment, func(ctx context.Context, tx cutover.Tx) (Payment, error) {
		return cutover.Get[Payment](ctx, tx, id)
	})
	if err == nil && p.WatchedAt.IsZero() {
		err = s.watch(ctx, &p)
	}
	if err != nil {
		s.log.Warn("scanner not told of a payment yet", "payment", id.String(), "error", err)
	}
}

// RegisterPending tells the scanner of the payments that it does not know of,
// at most limit, and returns how many it was told. Without a scanner it does
// nothing. It is for calling every few seconds, in any number of processes.
func (s *Service) RegisterPending(ctx context.Context, limit int) (int, error) {
	if s.deps.Scanner == nil {
		return 0, nil
	}
	payments, err := cutover.View(ctx, s.db, QueryUnwatched, func(ctx context.Context, tx cutover.Tx) ([]Payment, error) {
		return UnwatchedPayments(ctx, tx, limit)
	})
	told, errs := 0, []error{err}
	for i := range payments {
		if err := s.watch(ctx, &payments[i]); err != nil {
			errs = append(errs, err)
			continue
		}
		told++
	}
	return told, errors.Join(errs...)
}

// watch asks the scanner to watch a payment, and notes that it does.
func (s *Service) watch(ctx context.Context, p *Payment) error {
	b := p.Blockchain
	if b == nil {
		return fault.New(fault.Internal, "payment %s has nothing to watch", p.ID)
	}
	err := s.deps.Scanner.Watch(ctx, Watch{
		PaymentReference: b.PaymentReference, ChainID: b.ChainID, Network: b.Network,
		Token: b.Token, TokenAddress: b.TokenAddress, Destination: b.Destination,
		Amount: unitsOr0(p.ExpectedUnits).String(), ConfirmationsRequired: b.ConfirmationsRequired,
		CallbackSecret: p.CallbackSecret, CallbackURL: s.deps.CallbackURL,
	})
	if err != nil {
		return err
	}
	id, expected, now := p.ID, unitsOr0(p.ExpectedUnits), s.now()
	return s.update(ctx, func(ctx context.Context, tx cutover.Tx) error {
		p, err := cutover.Get[Payment](ctx, tx, id)
		if err != nil || !p.WatchedAt.IsZero() || !unitsOr0(p.ExpectedUnits).Equal(expected) {
			return err
		}
		p.WatchedAt = now
		return tx.Put(ctx, &p)
	})
}
