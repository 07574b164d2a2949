package marketplace

import (
	"time"

	"github.com/amanat-dev/amanat/internal/job"
)

const expireEvery = 15 * time.Second

// Jobs are what this domain does by itself.
func (s *Service) Jobs() []job.Job {
	return []job.Job{{Name: "expire offers", Every: expireEvery, Do: s.ExpireOffers}}
}
