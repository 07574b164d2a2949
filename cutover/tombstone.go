package cutover

import (
	"context"
	"errors"
	"time"
)

// forgetTombstones has both databases forget old tombstones, a hundred times in a
// tombstone's life.
func (c *copies) forgetTombstones(ctx context.Context) {
	life := c.engine.opts.TombstoneLife
	for ctx.Err() == nil {
		pause(ctx, life/100)
		if err := c.forgetTombstonesOnce(ctx, life); err != nil && ctx.Err() == nil {
			c.engine.log.Warn("old tombstones were not forgotten", "domain", c.name, "error", err)
		}
	}
}

func (c *copies) forgetTombstonesOnce(ctx context.Context, life time.Duration) error {
	s := c.local.current()
	if s.Sealed || !s.Phase.Copies() {
		return nil
	}
	if s.Phase == PhaseDual {
		if todo, err := c.evidence.unfinished(ctx); err != nil || todo {
			return err
		}
	}
	return errors.Join(c.source.ForgetTombstones(ctx, life), c.target.ForgetTombstones(ctx, life))
}
