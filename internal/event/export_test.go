package event

import (
	"context"

	"github.com/amanat-dev/amanat/cutover"
)

// Round and Forget are what Run does, a step at a time.
func (d *Dispatcher) Round(ctx context.Context, from *cutover.Domain) bool { return d.round(ctx, from) }

func (d *Dispatcher) Forget(ctx context.Context, domain *cutover.Domain) error {
	return d.forgetIn(ctx, domain)
}
