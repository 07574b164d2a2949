package cutover

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/amanat-dev/amanat/cutover/failpoint"
)

const (
	copierRole   = "copier" // of who shows what it does
	copyBatch    = 500
	gapRetryMin  = 200 * time.Millisecond
	gapRetryMax  = 30 * time.Second
	copierErrors = time.Second // rest after a database did not answer
	// roundTime bounds a round, which on a silent database would never end.
	roundTime = time.Minute
)

// copyLoop copies what the journal announces while this process leads. It looks
// at the journal when it begins, when it is woken, and until there is nothing.
func (c *copies) copyLoop(ctx context.Context, activities *activityBoard) {
	run := newCopyRun(c)
	show := func(format string, args ...any) { activities.set(c.name, fmt.Sprintf(format, args...)) }
	var reconciled int64
	for ctx.Err() == nil {
		s := c.local.current()
		rest := untilWoken
		if s.Epoch != reconciled && !s.Sealed {
			if c.mirror.reconcile(ctx, s) == nil {
				reconciled = s.Epoch
			} else {
				rest = copierErrors
			}
		}
		if !s.Phase.Copies() {
			activities.set(c.name, "")
			run.rest(ctx, s, rest)
			continue
		}
		if why, d := run.held(); d > 0 {
			show("waits: %s", why)
			run.rest(ctx, s, d)
			continue
		}
		n, err := run.round(ctx, s)
		switch {
		case err != nil && ctx.Err() == nil:
			show("waits: %s", err)
			c.engine.log.Warn("the copier waits", "domain", c.name, "error", err)
			pause(ctx, copierErrors)
		case n == 0:
			show("%s", run.idle())
			run.rest(ctx, s, min(rest, run.untilRetry()))
		default:
			show("%s", run.giveWay(ctx, s, n))
			if !run.behind {
				run.rest(ctx, s, min(rest, run.untilRetry()))
			}
		}
	}
}

// untilWoken is the rest of a copier for which nothing is to be expected by the
// clock.
const untilWoken = time.Hour

// copyRun is one copier at work: it remembers which keys wait for a retry.
type copyRun struct {
	copies  *copies
	waiting map[Key]retry
	copied  map[Key]bool // when not nil: collects the keys that were copied
	batch   int          // notes per round
	behind  bool         // the last round left notes, or found old ones
	next    time.Time    // when the rate that was set allows another round
	gauge   *gauge
	gauged  Phase // of which gauge watches the primary
}

type retry struct {
	at    time.Time
	after time.Duration
}

func newCopyRun(c *copies) *copyRun {
	return &copyRun{copies: c, waiting: map[Key]retry{}, batch: copyBatch}
}

// held says why, and for how long, an operator's settings hold the copier.
func (r *copyRun) held() (why string, d time.Duration) {
	settings := r.copies.local.currentSettings()
	r.batch = copyBatch
	if settings.CopyRate > 0 {
		r.batch = min(copyBatch, settings.CopyRate) // so that no round is for longer than a second
	}
	switch {
	case settings.CopyPaused:
		return pausedText, time.Second
	case settings.CopyRate > 0:
		return rateText(settings.CopyRate), time.Until(r.next)
	}
	return "", 0
}

const (
	slowCopy = 50 * time.Millisecond // the copier's rest after a round while the primary is busy
	freshFor = 2 * slowCopy          // a note that is older at a look shows that the copier is behind
)

// giveWay keeps the rate after a round of n records, rests when the primary is
// busy, and says which. It does not rest while it is behind: a lag that grows
// holds every gate, and costs members more than its reads do. Nor does it ask
// then, since on a slow primary a question is a rest too.
func (r *copyRun) giveWay(ctx context.Context, s State, n int) string {
	settings := r.copies.local.currentSettings()
	if settings.CopyRate > 0 {
		r.next = time.Now().Add(time.Duration(n) * time.Second / time.Duration(settings.CopyRate))
	}
	if r.behind {
		return "copies"
	}
	if r.gauged != s.Phase {
		r.gauge, r.gauged = r.copies.newGauge(s), s.Phase
	}
	why, err := r.gauge.busy(ctx, settings.maxLatency())
	if err != nil || why == "" {
		return "copies" // the next round meets the error
	}
	pause(ctx, slowCopy)
	return "copies, resting in between: " + why
}

// idle says what a copier without work waits for.
func (r *copyRun) idle() string {
	if len(r.waiting) > 0 {
		return fmt.Sprintf("waits: to try again %d records that cannot be copied", len(r.waiting))
	}
	return "has nothing to copy"
}

// untilRetry is how long no record is to be tried again.
func (r *copyRun) untilRetry() time.Duration {
	next := untilWoken
	for _, w := range r.waiting {
		next = min(next, time.Until(w.at))
	}
	return next
}

// gatherFor is how long the copier lets writes gather after the first that it
// hears of. A round costs the databases, and with them the members who write,
// nearly the same for one note as for ten; a lag this short hurts nobody.
const gatherFor = 25 * time.Millisecond

// rest waits until there is word of a write and those that come right after it, a
// change of state, or for d.
func (r *copyRun) rest(ctx context.Context, s State, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	woken := false
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-r.copies.wrote:
		woken = true
	case <-r.copies.local.changedSince(s):
	}
	// Whichever of several came first.
	if woken = discard(r.copies.wrote) || woken; woken && r.copies.local.current() == s {
		pause(ctx, min(gatherFor, d))
	}
	discard(r.copies.wrote) // the look that follows will do for it
}

// round copies one batch of notes from s's primary to its secondary and says
// how many records it copied. What cannot be applied stays in the journal and
// goes on record as a gap.
func (r *copyRun) round(ctx context.Context, s State) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, roundTime)
	defer cancel()
	primary, secondary := r.copies.stores(s)
	begin := time.Now()
	notes, full, err := r.read(ctx, primary)
	if err != nil || len(notes) == 0 {
		return 0, err
	}
	r.behind = full || begin.Sub(notes[0].At) > freshFor
	keys := keysOf(notes)
	items, err := primary.Get(ctx, keys)
	if err != nil {
		return 0, err
	}
	failpoint.At(failpoint.CopyRead)
	failed, err := r.copies.bring(ctx, primary, secondary, items)
	if err != nil {
		return 0, err
	}
	failpoint.At(failpoint.CopyApplied)
	if err := r.settle(ctx, primary, notes, keys, failed); err != nil {
		return 0, err
	}
	failpoint.At(failpoint.CopyForgot)
	r.copies.countOps(!s.Phase.PrimaryIsSource(), "copy", int64(len(keys)-len(failed)))
	return len(keys) - len(failed), nil
}

// read returns the notes to copy in this round, and whether there may be more.
func (r *copyRun) read(ctx context.Context, primary Store) (notes []Note, full bool, err error) {
	for {
		limit := r.batch + len(r.waiting)
		if notes, err = primary.Notes(ctx, limit); err != nil {
			return nil, false, err
		}
		if full = len(notes) == limit; !full {
			r.dropWaiting(notes)
		}
		due := r.due(notes)
		if len(due) > 0 || !full {
			return due[:min(r.batch, len(due))], full || len(due) > r.batch, nil
		}
		// All of these are of keys that wait, so that some are of one key. Whose
		// newest is copied needs no older one: they would hide what comes after.
		if err := primary.Forget(ctx, superseded(notes)); err != nil {
			return nil, false, err
		}
	}
}

// superseded returns those of the notes that a later one of the same key follows.
func superseded(notes []Note) (out []Note) {
	newest := map[Key]int64{}
	for _, n := range notes {
		if seq, seen := newest[n.Key]; !seen || n.Seq > seq {
			newest[n.Key] = n.Seq
		}
	}
	for _, n := range notes {
		if n.Seq < newest[n.Key] {
			out = append(out, n)
		}
	}
	return out
}

// due leaves out the notes of keys whose retry is not due. Those that were never
// tried come first, so that many gaps keep nothing from being copied.
func (r *copyRun) due(notes []Note) []Note {
	var fresh, again []Note
	now := time.Now()
	for _, n := range notes {
		switch w, waits := r.waiting[n.Key]; {
		case !waits:
			fresh = append(fresh, n)
		case !now.Before(w.at):
			again = append(again, n)
		}
	}
	return append(fresh, again...)
}

// dropWaiting forgets the retries of keys that have no note any more: all notes
// there are are these.
func (r *copyRun) dropWaiting(notes []Note) {
	if len(r.waiting) == 0 {
		return
	}
	there := map[Key]bool{}
	for _, n := range notes {
		there[n.Key] = true
	}
	maps.DeleteFunc(r.waiting, func(k Key, _ retry) bool { return !there[k] })
}

func keysOf(notes []Note) []Key {
	seen := map[Key]bool{}
	var keys []Key
	for _, n := range notes {
		if !seen[n.Key] {
			seen[n.Key] = true
			keys = append(keys, n.Key)
		}
	}
	return keys
}

// settle removes the notes whose copies are in, and records the others' gaps.
func (r *copyRun) settle(ctx context.Context, primary Store, notes []Note, keys []Key, failed map[Key]error) error {
	var done []Note
	for _, n := range notes {
		if failed[n.Key] == nil {
			done = append(done, n)
		}
	}
	if err := r.copies.recordCopied(ctx, r, keys, failed); err != nil {
		return err
	}
	failpoint.At(failpoint.CopyRecorded)
	return primary.Forget(ctx, done)
}

func (r *copyRun) delay(k Key) {
	w := r.waiting[k]
	w.after = min(max(2*w.after, gapRetryMin), gapRetryMax)
	w.at = time.Now().Add(w.after)
	r.waiting[k] = w
}

func (c *base) gap(kind, id string, why error) Gap {
	return Gap{Domain: c.name, Kind: kind, ID: id, Reason: why.Error(), Attempts: 1}
}

// empty says that the journal has no notes but of keys that wait for a retry.
// The count comes first and must be met: it includes marks that are no notes
// yet.
func (r *copyRun) empty(ctx context.Context, primary Store) (bool, error) {
	count, _, err := primary.Journal(ctx)
	if err != nil || count == 0 || len(r.waiting) == 0 {
		return count == 0, err
	}
	notes, err := primary.Notes(ctx, int(count)+1)
	if err != nil || int64(len(notes)) != count {
		return false, err
	}
	for _, n := range notes {
		if _, waits := r.waiting[n.Key]; !waits {
			return false, nil
		}
	}
	return true, nil
}
