package cutover

import (
	"context"
	"time"
)

// Blind has e's comparisons overlook pairs whose differences f says yes to; a
// missing record has none.
func (e *Engine) Blind(f func([]FieldDiff) bool) {
	e.blind = func(diff func() []FieldDiff) bool { return f(diff()) }
}

// Gauge returns what says why a domain's source counts as busy.
func (e *Engine) Gauge(domain string) func(ctx context.Context, limit time.Duration) (string, error) {
	return e.domains[domain].newGauge(State{Phase: PhaseSource}).busy
}

// AwaitCopied waits for the copies of what is in a domain's journal now.
func (e *Engine) AwaitCopied(ctx context.Context, domain string) error {
	c := e.domains[domain]
	return c.copies.awaitCopied(ctx, c.local.current())
}

// EngineOf returns a domain's engine.
func EngineOf(d *Domain) *Engine { return d.core.engine }
