package payment

import (
	"context"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/event"
)

// Events of the marketplace that this domain handles; Subject is the request.
const (
	EventRequestCompleted = "request.completed"
	EventRequestCancelled = "request.cancelled"
)

// Handlers gives what this domain does about other domains' events, by type.
func (s *Service) Handlers() map[string]event.Handler {
	return map[string]event.Handler{
		EventRequestCompleted: s.requestCompleted,
		EventRequestCancelled: s.requestCancelled,
	}
}

// requestCompleted makes the request's money releasable.
func (s *Service) requestCompleted(ctx context.Context, e event.Event) error {
	return s.once(ctx, e, (*Payment).DealDone)
}

// requestCancelled cancels the request's pending payments.
func (s *Service) requestCancelled(ctx context.Context, e event.Event) error {
	return s.once(ctx, e, (*Payment).Cancel)
}

// once changes the payments of the event's request, unless that was done.
func (s *Service) once(ctx context.Context, e event.Event, change func(*Payment) bool) error {
	return s.update(ctx, func(ctx context.Context, tx cutover.Tx) error {
		return event.Once(ctx, tx, e, func() error {
			payments, err := PaymentsOfRequest(ctx, tx, e.Subject)
			if err != nil {
				return err
			}
			for i := range payments {
				if !change(&payments[i]) {
					continue
				}
				if err := tx.Put(ctx, &payments[i]); err != nil {
					return err
				}
			}
			return nil
		})
	})
}
