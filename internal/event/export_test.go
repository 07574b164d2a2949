package event

import (
	"context"
	"time"

	"github.com/amanat-dev/amanat/cutover"
)

// Round and Forget are what Run does, a step at a time.
func (d *Dispatcher) Round(ctx context.Context, from *cutover.Domain) bool {
	more, _ := d.round(ctx, from)
	return more
}

// Work is what Run does for a domain at once.
func (d *Dispatcher) Work(ctx context.Context, from *cutover.Domain) time.Duration {
	return d.work(ctx, from)
}

func (d *Dispatcher) Forget(ctx context.Context, domain *cutover.Domain) error {
	return d.forgetIn(ctx, domain)
}
