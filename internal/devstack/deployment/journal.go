package deployment

import (
	"context"
	"fmt"
	"time"

	"github.com/amanat-dev/amanat/internal/devstack/await"
)

// journalEvery is the time between two looks at the journals.
const journalEvery = 500 * time.Millisecond

// journal is what a domain has still to copy.
type journal struct {
	Domain  string  `json:"domain"`
	Notes   int64   `json:"notes"`
	LagMS   float64 `json:"lagMs"`
	Problem string  `json:"problem"` // what could not be asked
}

// AwaitCopied waits until every domain's journal is empty. Nobody may write
// meanwhile.
func (d *Deployment) AwaitCopied(ctx context.Context) error {
	return d.awaitJournals(ctx, "the journals to be empty", func(all []journal, _ time.Time) (bool, string) {
		var left int64
		for _, j := range all {
			left += j.Notes
		}
		return left == 0, fmt.Sprintf("%d notes", left)
	})
}

// AwaitCaughtUp waits until all that was written before a moment is copied,
// however much is written meanwhile.
func (d *Deployment) AwaitCaughtUp(ctx context.Context, moment time.Time) error {
	best := time.Time{} // a moment does not get older when an answer takes longer
	return d.awaitJournals(ctx, "what was written to be copied", func(all []journal, asked time.Time) (bool, string) {
		oldest := asked
		for _, j := range all {
			if at := asked.Add(-time.Duration(j.LagMS * float64(time.Millisecond))); j.Notes > 0 && at.Before(oldest) {
				oldest = at
			}
		}
		if oldest.After(best) {
			best = oldest
		}
		return !best.Before(moment), "a note of " + best.Format(time.TimeOnly)
	})
}

// awaitJournals looks at the journals until done. One that cannot be asked for
// a moment is asked again.
func (d *Deployment) awaitJournals(ctx context.Context, what string, done func(all []journal, asked time.Time) (bool, string)) error {
	return await.Until(ctx, what, journalEvery, func() (bool, string, error) {
		asked := time.Now()
		var all []journal
		if err := d.JSON(ctx, &all, "cutover", "status"); err != nil {
			return false, err.Error(), nil
		}
		for _, j := range all {
			if j.Problem != "" {
				return false, j.Domain + ": " + j.Problem, nil
			}
		}
		done, far := done(all, asked)
		return done, far, nil
	})
}
