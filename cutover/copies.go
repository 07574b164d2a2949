package cutover

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/amanat-dev/amanat/cutover/fault"
)

// copies are a domain's records on their way from one database to the other: one
// by one as a note, a gap or a page of a backfill asks for them, and how far
// they are behind.
type copies struct {
	*base
	local    *local
	mirror   *stateMirror
	evidence *evidence
	strays   *strays
	wrote    chan struct{} // wakes the copier
}

// recordCopied keeps the books of a round: touched keys for the comparison at
// the switch, gaps, and their retries.
func (c *copies) recordCopied(ctx context.Context, r *copyRun, keys []Key, failed map[Key]error) error {
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

// bring applies items to a database: what fails at first is tried once more
// when the rest is in, with its parents brought first. It returns what failed.
func (c *copies) bring(ctx context.Context, from, to Store, items []Item) (map[Key]error, error) {
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
	return failed, c.strays.outrun(ctx, from, to, ahead, failed)
}

// applyAll returns the items that could not be applied, with their reasons. Into
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
func (c *copies) bringOne(ctx context.Context, from, to Store, item Item) (why, err error) {
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
func (c *copies) bringParents(ctx context.Context, from, to Store, item Item, seen map[Key]bool) error {
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
// or when ctx ends. It returns the keys it copied.
func (c *copies) drain(ctx context.Context, s State) (map[Key]bool, error) {
	primary, _ := c.stores(s)
	run := newCopyRun(c)
	run.copied = map[Key]bool{}
	for {
		n, err := run.round(ctx, s)
		if err != nil {
			return nil, err
		}
		held, err := c.evidence.unwaived(ctx, slices.Collect(maps.Keys(run.waiting)))
		if err != nil {
			return nil, err
		}
		if len(held) > 0 {
			return nil, c.refuse(RemedyGaps, "%d records cannot be copied", len(held))
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

// awaitBatch is how many notes awaitCopied follows at most.
const awaitBatch = 5000

// awaitCopied looks at the journal again after lookFirst, then less and less
// often, and asks after helpAfter looks whether anybody copies at all.
const (
	lookFirst = 10 * time.Millisecond
	lookMost  = 100 * time.Millisecond
	helpAfter = 5
)

// awaitCopied waits until every note that s's primary has now is worked off or
// on record as a gap.
func (c *copies) awaitCopied(ctx context.Context, s State) error {
	primary, _ := c.stores(s)
	notes, err := primary.Notes(ctx, awaitBatch)
	if err != nil {
		return err
	}
	if len(notes) > 0 {
		c.urge(ctx)
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

// expectCopies fails when an operator has the copier paused, and copies when
// nobody does.
func (c *copies) expectCopies(ctx context.Context, s State) error {
	settings, err := c.engine.opts.Control.Settings(ctx, c.name)
	if err != nil {
		return err
	}
	if settings.CopyPaused {
		return c.refuse(RemedyResume, "the copier of %s is paused", c.name)
	}
	c.urge(ctx)
	return c.helpCopy(ctx, s)
}

// helpCopy copies while no process leads: a command may be run when no server is
// up. It copies what awaitCopied may be waiting for and no more: under steady
// writes there is always another note.
func (c *copies) helpCopy(ctx context.Context, s State) error {
	_, err := c.engine.opts.Control.Lead(ctx, leaderRole, func(ctx context.Context) error {
		run := newCopyRun(c)
		for range awaitBatch / copyBatch {
			if n, err := run.round(ctx, s); err != nil || n == 0 {
				return err
			}
		}
		return nil
	})
	return err
}

// unsettled returns those of the notes whose copies are not in and that are on no
// record. That a note has made way for a later one of the same key does not say
// that its copy is in: then the secondary is asked.
func (c *copies) unsettled(ctx context.Context, s State, notes []Note) ([]Note, error) {
	primary, secondary := c.stores(s)
	now, err := primary.Notes(ctx, awaitBatch)
	if err != nil || len(now) == 0 {
		return nil, err
	}
	more := len(now) == awaitBatch // notes, behind which a later one of a key may stand
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
	gaps, err := c.evidence.gapsOf(ctx, keysOf(open))
	return slices.DeleteFunc(open, func(n Note) bool { return gaps[n.Key.String()].Kind != "" }), err
}

// lag is the age of the oldest note of s's primary that is not on record as a
// gap; zero when there is none. It is the age at which the question was asked:
// how long a slow database takes to answer is no lag of the copier.
func (c *copies) lag(ctx context.Context, s State) (time.Duration, error) {
	primary, _ := c.stores(s)
	for limit := copyBatch; ; limit = awaitBatch {
		begin := time.Now()
		notes, err := primary.Notes(ctx, limit)
		if err != nil || len(notes) == 0 {
			return 0, err
		}
		gaps, err := c.evidence.gapsOf(ctx, keysOf(notes))
		if err != nil {
			return 0, err
		}
		for _, n := range notes {
			if gaps[n.Key.String()].Kind == "" {
				age := max(0, begin.Sub(n.At))
				if age > freshFor {
					c.urge(ctx)
				}
				return age, nil
			}
		}
		if len(notes) < limit || limit == awaitBatch {
			return 0, nil
		}
	}
}

// notArrived returns the notes whose revision, or a later one, is not in the
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
