package user

import "github.com/amanat-dev/amanat/internal/job"

// Jobs are what this domain does by itself: nothing yet.
func (s *Service) Jobs() []job.Job { return nil }
