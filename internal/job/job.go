// Package job is what a domain does besides answering: again and again, in the
// process that leads. All of it may happen twice.
package job

import (
	"context"
	"log/slog"
	"time"
)

// Job is one thing that is to be done now and then.
type Job struct {
	Name  string // such as "expire offers"
	Every time.Duration
	// Do does what there is to do, and says how much it was.
	Do func(context.Context) (done int, err error)
}

// Run does the job while this process leads, until ctx ends. A failure is
// logged, and tried again.
func (j Job) Run(ctx context.Context, leads func() bool, log *slog.Logger) {
	tick := time.NewTicker(j.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if !leads() {
			continue
		}
		n, err := j.Do(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			log.Warn("job failed", "job", j.Name, "done", n, "error", err)
		case n > 0:
			log.Info("job", "job", j.Name, "done", n)
		}
	}
}
