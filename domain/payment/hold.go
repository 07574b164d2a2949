package payment

import (
	"context"
	"strings"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/internal/limit"
	"github.com/amanat-dev/amanat/internal/web"
)

// Hold keeps a payment's money where it is until it is resolved.
type Hold struct {
	cutover.Meta
	PaymentID  cutover.ID `json:"paymentId" field:",ref=payment"`
	Reason     string     `json:"reason"`
	RaisedBy   cutover.ID `json:"raisedBy,omitzero" field:",ref=user"` // zero: the server itself
	ResolvedBy cutover.ID `json:"resolvedBy,omitzero" field:",ref=user"`
	ResolvedAt time.Time  `json:"resolvedAt,omitzero"`
}

// HoldDraft says why money must stay where it is.
type HoldDraft struct {
	Reason string `json:"reason" format:"lines" minLength:"1" maxLength:"500"`
}

// Open says that the hold is in force.
func (h *Hold) Open() bool { return h.ResolvedAt.IsZero() }

// OpenHold keeps a payment's money where it is. Admins and resolvers may.
// Errors: fault.Conflict when the money is on its way out or gone.
func (s *Service) OpenHold(ctx context.Context, who web.Principal, paymentID cutover.ID, d HoldDraft) (Hold, error) {
	if err := judges.Admit(who); err != nil {
		return Hold{}, err
	}
	if err := limit.Check(d); err != nil {
		return Hold{}, err
	}
	id, reason := cutover.NewID(), strings.TrimSpace(d.Reason)
	return cutover.Update(ctx, s.db, func(ctx context.Context, tx cutover.Tx) (Hold, error) {
		p, err := cutover.Get[Payment](ctx, tx, paymentID)
		if err != nil {
			return Hold{}, err
		}
		if p.leaving() {
			return Hold{}, fault.New(fault.Conflict, "too late for a hold: the money is %s", p.EscrowState)
		}
		// The payment is written for its revision: a release or refund at the
		// same moment conflicts with it.
		if err := tx.Put(ctx, &p); err != nil {
			return Hold{}, err
		}
		h := Hold{Meta: cutover.Meta{ID: id}, PaymentID: paymentID, Reason: reason, RaisedBy: who.UserID}
		err = tx.Put(ctx, &h)
		return h, err
	})
}

// leaving says that money is on its way out of escrow, or out.
func (p *Payment) leaving() bool {
	switch p.EscrowState {
	case Releasing, Released, Refunding, EscrowRefunded:
		return true
	}
	return false
}

// ResolveHold ends a hold. Admins and resolvers may; a second time changes
// nothing.
func (s *Service) ResolveHold(ctx context.Context, who web.Principal, paymentID, holdID cutover.ID) (Hold, error) {
	if err := judges.Admit(who); err != nil {
		return Hold{}, err
	}
	now := s.now()
	return cutover.Update(ctx, s.db, func(ctx context.Context, tx cutover.Tx) (Hold, error) {
		h, err := cutover.Get[Hold](ctx, tx, holdID)
		if err != nil {
			return Hold{}, err
		}
		if h.PaymentID != paymentID {
			return Hold{}, fault.New(fault.NotFound, "there is no such hold on this payment")
		}
		if !h.Open() {
			return h, nil
		}
		h.ResolvedAt, h.ResolvedBy = now, who.UserID
		err = tx.Put(ctx, &h)
		return h, err
	})
}
