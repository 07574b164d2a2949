package payment

import (
	"context"
	"time"

	"github.com/amanat-dev/amanat/internal/job"
)

const (
	expireEvery = 15 * time.Second
	watchEvery  = 10 * time.Second
	perRound    = 100 // payments
)

// Jobs are what this domain does by itself.
func (s *Service) Jobs() []job.Job {
	return []job.Job{
		{Name: "expire payments", Every: expireEvery, Do: func(ctx context.Context) (int, error) { return s.ExpireStale(ctx, perRound) }},
		{Name: "tell the scanner", Every: watchEvery, Do: func(ctx context.Context) (int, error) { return s.RegisterPending(ctx, perRound) }},
	}
}
