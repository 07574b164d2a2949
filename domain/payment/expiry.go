package payment

import (
	"context"
	"errors"

	"github.com/amanat-dev/amanat/cutover"
)

// ExpireStale cancels pending payments past their end, at most limit, and
// gives how many. They are never deleted: money that comes later still finds
// its buyer. It is for calling every few seconds, in any number of processes.
func (s *Service) ExpireStale(ctx context.Context, limit int) (int, error) {
	now := s.now()
	stale, err := cutover.View(ctx, s.db, QueryStale, func(ctx context.Context, tx cutover.Tx) ([]Payment, error) {
		return StalePayments(ctx, tx, now, limit)
	})
	expired, errs := 0, []error{err}
	for _, p := range stale {
		done, err := s.expire(ctx, p.ID)
		if done {
			expired++
		}
		errs = append(errs, err)
	}
	return expired, errors.Join(errs...)
}

func (s *Service) expire(ctx context.Context, id cutover.ID) (bool, error) {
	now := s.now()
	return cutover.Update(ctx, s.db, func(ctx context.Context, tx cutover.Tx) (bool, error) {
		p, err := cutover.Get[Payment](ctx, tx, id)
		if err != nil || !p.Stale(now) || !p.Cancel() {
			return false, err
		}
		return true, tx.Put(ctx, &p)
	})
}
