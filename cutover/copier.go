package cutover

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/cutover/step"
)

const (
	copierRole   = "copier"
	copyBatch    = 500
	gapRetryMin  = 200 * time.Millisecond
	gapRetryMax  = 30 * time.Second
	copierErrors = time.Second // rest after a database did not answer
	// roundTime bounds a round, which on a silent database would never end.
	roundTime = time.Minute
)

// copyLoop copies what the journal announces while this process leads.
func (c *domainCore) copyLoop(ctx context.Context) {
	run := newCopyRun(c)
	say := &teller{core: c, role: copierRole}
	var reconciled int64
	for ctx.Err() == nil {
		s := c.current()
		if s.Epoch != reconciled && !s.Sealed && c.reconcileKeeper(ctx, s) == nil {
			reconciled = s.Epoch
		}
		if !s.Phase.Copies() {
			run.rest(ctx, s, time.Second)
			continue
		}
		if why, d := run.held(); d > 0 {
			say.tell(ctx, "waits: %s", why)
			run.rest(ctx, s, d)
			continue
		}
		n, err := run.round(ctx, s)
		switch {
		case err != nil && ctx.Err() == nil:
			say.tell(ctx, "waits: %s", err)
			c.engine.log.Warn("the copier waits", "domain", c.name, "error", err)
			pause(ctx, copierErrors)
		case n == 0:
			say.tell(ctx, "%s", run.idle())
			run.rest(ctx, s, c.engine.opts.CopyEvery)
		default:
			say.tell(ctx, "%s", run.giveWay(ctx, s, n))
		}
	}
}

// copyRun is one copier at work: it remembers which keys wait for a retry.
type copyRun struct {
	core    *domainCore
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

func newCopyRun(c *domainCore) *copyRun {
	return &copyRun{core: c, waiting: map[Key]retry{}, batch: copyBatch}
}

// held says why, and for how long, an operator's settings hold the copier.
func (r *copyRun) held() (why string, d time.Duration) {
	settings := r.core.currentSettings()
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
	settings := r.core.currentSettings()
	if settings.CopyRate > 0 {
		r.next = time.Now().Add(time.Duration(n) * time.Second / time.Duration(settings.CopyRate))
	}
	if r.behind {
		return "copies"
	}
	if r.gauged != s.Phase {
		r.gauge, r.gauged = r.core.newGauge(s), s.Phase
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
		return fmt.Sprintf("waits: to try again %d records that cannot be copied; see: amanat gaps list", len(r.waiting))
	}
	return "has nothing to copy"
}

// rest waits until a write of this process, a change of state, or for d.
func (r *copyRun) rest(ctx context.Context, s State, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-r.core.wrote:
	case <-r.core.changedSince(s):
	}
	drain(r.core.wrote) // the look that follows will do for it
}

// round copies one batch of notes from s's primary to its secondary and says
// how many records it copied. What cannot be applied stays in the journal and
// goes on record as a gap.
func (r *copyRun) round(ctx context.Context, s State) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, roundTime)
	defer cancel()
	primary, secondary := r.core.stores(s)
	begin, limit := time.Now(), r.batch+len(r.waiting)
	notes, err := primary.Notes(ctx, limit)
	if err != nil {
		return 0, err
	}
	full := len(notes) == limit
	notes = r.due(notes)
	if len(notes) == 0 {
		return 0, nil
	}
	r.behind = full || begin.Sub(notes[0].At) > freshFor
	keys := keysOf(notes)
	items, err := primary.Get(ctx, keys)
	if err != nil {
		return 0, err
	}
	step.At(step.CopyRead)
	failed, err := r.core.bring(ctx, primary, secondary, items)
	if err != nil {
		return 0, err
	}
	step.At(step.CopyApplied)
	if err := r.settle(ctx, primary, notes, keys, failed); err != nil {
		return 0, err
	}
	step.At(step.CopyForgot)
	r.core.countOps(!s.Phase.PrimaryIsSource(), "copy", int64(len(keys)-len(failed)))
	return len(keys) - len(failed), nil
}

// due leaves out the notes of keys whose retry is not due.
func (r *copyRun) due(notes []Note) []Note {
	out := notes[:0:0]
	now := time.Now()
	for _, n := range notes {
		if w, waits := r.waiting[n.Key]; !waits || now.After(w.at) {
			out = append(out, n)
		}
	}
	return out
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
	if err := r.core.recordCopied(ctx, r, keys, failed); err != nil {
		return err
	}
	step.At(step.CopyRecorded)
	return primary.Forget(ctx, done)
}

// recordCopied keeps the books of a round: touched keys for the comparison at
// the switch, gaps, and their retries.
func (c *domainCore) recordCopied(ctx context.Context, r *copyRun, keys []Key, failed map[Key]error) error {
	control := c.engine.opts.Control
	if err := control.Touch(ctx, c.name, keys); err != nil {
		return err
	}
	var in []Key
	var gaps []Gap
	for _, k := range keys {
		if why, bad := failed[k]; bad {
			gaps = append(gaps, c.gap(k.Kind, k.ID.String(), why))
			r.delay(k)
			continue
		}
		if r.copied != nil {
			r.copied[k] = true
		}
		delete(r.waiting, k)
		in = append(in, k)
	}
	if len(gaps) > 0 {
		if err := control.RecordGaps(ctx, gaps); err != nil {
			return err
		}
	}
	// Of all that are in: a copier that has just begun to lead does not know
	// which had gaps.
	return control.ResolveGaps(ctx, c.name, in)
}

func (r *copyRun) delay(k Key) {
	w := r.waiting[k]
	w.after = min(max(2*w.after, gapRetryMin), gapRetryMax)
	w.at = time.Now().Add(w.after)
	r.waiting[k] = w
}

func (c *domainCore) gap(kind, id string, why error) Gap {
	return Gap{Domain: c.name, Kind: kind, ID: id, Reason: why.Error(), Attempts: 1}
}

// bring applies items to a database: what fails at first is tried once more
// when the rest is in, with its parents brought first. It gives what failed.
func (c *domainCore) bring(ctx context.Context, from, to Store, items []Item) (map[Key]error, error) {
	failed := map[Key]error{}
	var good []Item
	for _, i := range items {
		switch {
		case i.Err != nil:
			failed[i.Key] = i.Err
		case !i.Missing():
			good = append(good, i)
		}
	}
	ahead := map[Key]int64{}
	again, _, err := applyAll(ctx, to, good, ahead)
	if err != nil {
		return nil, err
	}
	for _, i := range again {
		why, err := c.bringOne(ctx, from, to, i)
		if err != nil {
			return nil, err
		}
		if why != nil {
			failed[i.Key] = why
		}
	}
	return failed, c.outrun(ctx, from, to, ahead, failed)
}

// applyAll gives the items that could not be applied, with their reasons. Into
// ahead, when not nil, go the records of which a later revision is there.
func applyAll(ctx context.Context, to Store, items []Item, ahead map[Key]int64) ([]Item, []error, error) {
	if len(items) == 0 {
		return nil, nil, nil
	}
	var o ApplyOptions
	if ahead != nil {
		o.Ahead = func(k Key, rev int64) { ahead[k] = rev }
	}
	errs, err := to.Apply(ctx, items, o)
	if err != nil {
		return nil, nil, err
	}
	var bad []Item
	var why []error
	for i, e := range errs {
		if e != nil {
			bad, why = append(bad, items[i]), append(why, e)
		}
	}
	return bad, why, nil
}

// bringOne brings an item's parents, as far as there are any, and the item.
func (c *domainCore) bringOne(ctx context.Context, from, to Store, item Item) (why, err error) {
	if err := c.bringParents(ctx, from, to, item, map[Key]bool{item.Key: true}); err != nil {
		return nil, err
	}
	_, reasons, err := applyAll(ctx, to, []Item{item}, nil)
	if err != nil || len(reasons) == 0 {
		return nil, err
	}
	return reasons[0], nil
}

// bringParents brings what an item refers to, and what that refers to. What is
// in seen comes no second time: references may go round in a circle.
func (c *domainCore) bringParents(ctx context.Context, from, to Store, item Item, seen map[Key]bool) error {
	if item.Record == nil {
		return nil
	}
	parents := slices.DeleteFunc(c.kinds.Parents(item.Record), func(k Key) bool { return seen[k] })
	if len(parents) == 0 {
		return nil
	}
	for _, p := range parents {
		seen[p] = true
	}
	found, err := from.Get(ctx, parents)
	if err != nil {
		return err
	}
	for _, p := range found {
		if p.Record == nil {
			continue
		}
		if err := c.bringParents(ctx, from, to, p, seen); err != nil {
			return err
		}
		if _, _, err := applyAll(ctx, to, []Item{p}, nil); err != nil {
			return err
		}
	}
	return nil
}

// drain copies until s's primary has no notes left but those of waived gaps,
// which stay there, on record. It fails when others stay that cannot be copied,
// or when ctx ends. It gives the keys it copied.
func (c *domainCore) drain(ctx context.Context, s State) (map[Key]bool, error) {
	primary, _ := c.stores(s)
	run := newCopyRun(c)
	run.copied = map[Key]bool{}
	for {
		n, err := run.round(ctx, s)
		if err != nil {
			return nil, err
		}
		held, err := c.unwaived(ctx, slices.Collect(maps.Keys(run.waiting)))
		if err != nil {
			return nil, err
		}
		if len(held) > 0 {
			return nil, fault.New(fault.Conflict, "%d records cannot be copied; see: amanat gaps list", len(held))
		}
		if n > 0 {
			continue
		}
		empty, err := run.empty(ctx, primary)
		if err != nil || empty {
			return run.copied, err
		}
		pause(ctx, 5*time.Millisecond)
		if ctx.Err() != nil {
			return nil, fault.Wrap(ctx.Err(), fault.Unavailable, "the journal did not run empty in time")
		}
	}
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

// unwaived leaves out the keys of records with a waived gap.
func (c *domainCore) unwaived(ctx context.Context, keys []Key) ([]Key, error) {
	gaps, err := c.gapsOf(ctx, keys)
	var out []Key
	for _, k := range keys {
		if gaps[k.String()].WaivedBy == "" {
			out = append(out, k)
		}
	}
	return out, err
}

// gapsOf gives the unresolved gaps of records, waived or not, by key.
func (c *domainCore) gapsOf(ctx context.Context, keys []Key) (map[string]Gap, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	gaps, err := c.engine.opts.Control.GapsOf(ctx, c.name, keys)
	out := map[string]Gap{}
	for _, g := range gaps {
		out[g.Kind+"/"+g.ID] = g
	}
	return out, err
}

// settleBatch is how many notes awaitCopied follows at most.
const settleBatch = 5000

// awaitCopied waits until every note that s's primary has now is worked off or
// on record as a gap.
func (c *domainCore) awaitCopied(ctx context.Context, s State) error {
	primary, _ := c.stores(s)
	notes, err := primary.Notes(ctx, settleBatch)
	if err != nil {
		return err
	}
	for try := 0; len(notes) > 0; try++ {
		pause(ctx, min(lookFirst<<min(try, 8), lookMost))
		if ctx.Err() != nil {
			return fault.Wrap(ctx.Err(), fault.Unavailable, "the journal was not worked off in time")
		}
		if notes, err = c.unsettled(ctx, s, notes); err != nil {
			return err
		}
		if try%helpAfter == helpAfter-1 && len(notes) > 0 {
			if err := c.expectCopies(ctx, s); err != nil {
				return err
			}
		}
	}
	return nil
}

// awaitCopied looks at the journal again after lookFirst, then less and less
// often, and asks after helpAfter looks whether anybody copies at all.
const (
	lookFirst = 10 * time.Millisecond
	lookMost  = 100 * time.Millisecond
	helpAfter = 5
)

// expectCopies fails when an operator has the copier paused, and copies when
// nobody does.
func (c *domainCore) expectCopies(ctx context.Context, s State) error {
	settings, err := c.engine.opts.Control.Settings(ctx, c.name)
	if err != nil {
		return err
	}
	if settings.CopyPaused {
		return fault.New(fault.Conflict, "the copier of %s is paused; run: amanat cutover resume %s", c.name, c.name)
	}
	return c.helpCopy(ctx, s)
}

// helpCopy copies while no process leads as the copier: a command may be run
// when no server is up. It copies what awaitCopied may be waiting for and no
// more: under steady writes there is always another note.
func (c *domainCore) helpCopy(ctx context.Context, s State) error {
	_, err := c.engine.opts.Control.Lead(ctx, copierRole, func(ctx context.Context) error {
		run := newCopyRun(c)
		for range settleBatch / copyBatch {
			if n, err := run.round(ctx, s); err != nil || n == 0 {
				return err
			}
		}
		return nil
	})
	return err
}

// unsettled gives those of the notes whose copies are not in and that are on no
// record. That a note has made way for a later one of the same key does not say
// that its copy is in: then the secondary is asked.
func (c *domainCore) unsettled(ctx context.Context, s State, notes []Note) ([]Note, error) {
	primary, secondary := c.stores(s)
	now, err := primary.Notes(ctx, settleBatch)
	if err != nil || len(now) == 0 {
		return nil, err
	}
	more := len(now) == settleBatch // notes, behind which a later one of a key may stand
	there := map[Key]int64{}
	for _, n := range now {
		there[n.Key] = max(there[n.Key], n.Rev)
	}
	var open, again []Note
	for _, n := range notes {
		switch rev := there[n.Key]; {
		case rev == n.Rev:
			open = append(open, n)
		case rev > n.Rev || more:
			again = append(again, n)
		}
	}
	again, err = notArrived(ctx, secondary, again)
	if err != nil {
		return nil, err
	}
	open = append(open, again...)
	gaps, err := c.gapsOf(ctx, keysOf(open))
	return slices.DeleteFunc(open, func(n Note) bool { return gaps[n.Key.String()].Kind != "" }), err
}

// notArrived gives the notes whose revision, or a later one, is not in the
// secondary.
func notArrived(ctx context.Context, secondary Store, notes []Note) ([]Note, error) {
	if len(notes) == 0 {
		return nil, nil
	}
	keys := keysOf(notes)
	items, err := secondary.Get(ctx, keys)
	revs := map[Key]int64{}
	for i, item := range items {
		revs[keys[i]] = item.Rev
	}
	return slices.DeleteFunc(notes, func(n Note) bool { return revs[n.Key] >= n.Rev }), err
}

// forgetGraves has both databases forget old tombstones, a hundred times in a
// tombstone's life.
func (c *domainCore) forgetGraves(ctx context.Context) {
	life := c.engine.opts.TombstoneLife
	for ctx.Err() == nil {
		pause(ctx, life/100)
		if err := c.forgetGravesOnce(ctx, life); err != nil && ctx.Err() == nil {
			c.engine.log.Warn("old tombstones were not forgotten", "domain", c.name, "error", err)
		}
	}
}

func (c *domainCore) forgetGravesOnce(ctx context.Context, life time.Duration) error {
	s := c.current()
	if s.Sealed || !s.Phase.Copies() {
		return nil
	}
	if s.Phase == PhaseDual {
		if todo, err := c.unfinished(ctx); err != nil || todo != "" {
			return err
		}
	}
	return errors.Join(c.source.ForgetTombstones(ctx, life), c.target.ForgetTombstones(ctx, life))
}

// lag is the age of the oldest note of s's primary that is not on record as a
// gap; zero when there is none. It is the age at which the question was asked:
// how long a slow database takes to answer is no lag of the copier.
func (c *domainCore) lag(ctx context.Context, s State) (time.Duration, error) {
	primary, _ := c.stores(s)
	for limit := copyBatch; ; limit = settleBatch {
		begin := time.Now()
		notes, err := primary.Notes(ctx, limit)
		if err != nil || len(notes) == 0 {
			return 0, err
		}
		gaps, err := c.gapsOf(ctx, keysOf(notes))
		if err != nil {
			return 0, err
		}
		for _, n := range notes {
			if gaps[n.Key.String()].Kind == "" {
				return max(0, begin.Sub(n.At)), nil
			}
		}
		if len(notes) < limit || limit == settleBatch {
			return 0, nil
		}
	}
}
