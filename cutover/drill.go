package cutover

import (
	"context"
	"fmt"
	"time"

	"github.com/amanat-dev/amanat/cutover/fault"
)

const dropTime = 30 * time.Second

// Scratch opens a database of the source's sort that is empty and nobody
// else's, and returns what drops it.
type Scratch func(context.Context) (Store, func(context.Context) error, error)

// DrillOptions tune a drill.
type DrillOptions struct {
	Who string
	// Progress is told how many records of a kind were copied, then compared.
	Progress func(doing, kind string, rows int64)
}

// DrillResult is what a drill found. Of each kind, the source is the live
// database and the target the scratch one that was filled from the target.
type DrillResult struct {
	Domain  string       `json:"domain"`
	Epoch   int64        `json:"epoch"`
	Phase   Phase        `json:"phase"`
	Who     string       `json:"who"`
	Started time.Time    `json:"started"`
	Seconds float64      `json:"seconds"`
	Copied  int64        `json:"copied"` // records, from the target into the scratch database
	Kinds   []KindResult `json:"kinds"`
	Diffs   []RecordDiff `json:"diffs"` // the first hundred
	OK      bool         `json:"ok"`
}

// Differences counts the records that did not come back as they are.
func (r DrillResult) Differences() int64 { return differences(r.Kinds) }

// Drill shows that the way back works before the first switch: it copies the
// target into a scratch database of the source's sort, compares that with the
// live source, and drops it. What is written meanwhile is copied again before
// it counts as a difference. The result is stored, and the newest is part of
// the gate.
func (e *Engine) Drill(ctx context.Context, domain string, o DrillOptions) (DrillResult, error) {
	c, err := e.core(domain)
	if err != nil {
		return DrillResult{}, err
	}
	s, err := c.drillable(ctx)
	if err != nil {
		return DrillResult{}, err
	}
	began := Now()
	d := &drill{domainCore: c, o: o, failed: map[Key]error{},
		result: DrillResult{Domain: domain, Epoch: s.Epoch, Phase: s.Phase, Who: o.Who, Started: began}}
	if err := d.run(ctx, s); err != nil {
		return DrillResult{}, err
	}
	d.result.Seconds = time.Since(began).Seconds()
	d.result.OK = d.result.Differences() == 0
	return d.result, e.save(ctx, domain, DocDrill, s.Epoch, o.Who, d.result.OK, d.result)
}

// drillable returns the domain's state if there is a way back to try.
func (c *domainCore) drillable(ctx context.Context) (State, error) {
	if err := c.needBoth(); err != nil {
		return State{}, err
	}
	if c.scratch == nil {
		return State{}, fault.New(fault.Conflict, "%s has no scratch database to drill with", c.name)
	}
	s, err := c.states.recorded(ctx)
	if err != nil {
		return s, err
	}
	if s.Phase != PhaseDual {
		return s, fault.New(fault.Conflict, "%s is in phase %s; a drill runs in phase dual, before the switch", c.name, s.Phase)
	}
	todo, err := c.evidence.unfinished(ctx)
	if err == nil && todo {
		err = c.refuse(RemedyBackfill, unfinishedText)
	}
	return s, err
}

type drill struct {
	*domainCore
	o      DrillOptions
	spare  Store         // the scratch database
	failed map[Key]error // what could not be copied
	result DrillResult
}

// run works in a scratch database that is gone afterwards, whatever happened.
func (d *drill) run(ctx context.Context, s State) (err error) {
	spare, drop, err := d.scratch(ctx)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dropTime)
		defer cancel()
		if derr := drop(ctx); derr != nil && err == nil {
			err = fmt.Errorf("the scratch database is not dropped, the next drill tries again in a day: %w", derr)
		}
	}()
	d.spare = spare
	for _, kind := range d.kinds {
		if err := d.copyKind(ctx, kind.Name); err != nil {
			return err
		}
	}
	if err := d.compare(ctx, s); err != nil {
		return err
	}
	return d.unmoved(ctx, s)
}

// unmoved fails when the domain was switched during the drill: then what was
// compared with was not the primary all the time.
func (d *drill) unmoved(ctx context.Context, s State) error {
	now, err := d.states.recorded(ctx)
	if err == nil && now.Phase != s.Phase {
		err = fault.New(fault.Conflict, "%s has moved since the drill began", d.name)
	}
	return err
}

// copyKind brings all of a kind from the target into the scratch database.
func (d *drill) copyKind(ctx context.Context, kind string) error {
	var rows int64
	for after := (ID{}); ; {
		items, err := d.target.Scan(ctx, kind, after, ID{}, chunkRows)
		if err != nil || len(items) == 0 {
			return err
		}
		if err := d.load(ctx, kind, items); err != nil {
			return err
		}
		rows += int64(len(items))
		d.result.Copied += int64(len(items))
		d.tell("copying", kind, rows)
		after = items[len(items)-1].Key.ID
	}
}

// load brings a page by the fast way, and record by record when that fails.
func (d *drill) load(ctx context.Context, kind string, items []Item) error {
	for _, i := range items {
		if i.Err != nil {
			return d.bringSome(ctx, items)
		}
	}
	if d.spare.Load(ctx, kind, items) == nil {
		return nil
	}
	return d.bringSome(ctx, items)
}

func (d *drill) bringSome(ctx context.Context, items []Item) error {
	failed, err := d.copies.bring(ctx, d.target, d.spare, items)
	for key, why := range failed {
		d.failed[key] = why
	}
	return err
}

// compare walks the live source and the scratch database.
func (d *drill) compare(ctx context.Context, s State) error {
	w := d.walker(s, bothStores{d.source, d.spare}, func(kind string, rows int64) { d.tell("comparing", kind, rows) })
	w.refresh = d.refresh
	if err := w.walkAll(ctx, false); err != nil {
		return err
	}
	d.result.Kinds, d.result.Diffs = w.found, w.diffs
	for i, diff := range d.result.Diffs {
		if why := d.reason(diff); why != nil && diff.Reason == "" {
			d.result.Diffs[i].Reason = "not copied back: " + why.Error()
		}
	}
	return nil
}

func (d *drill) reason(diff RecordDiff) error {
	id, err := ParseID(diff.ID)
	if err != nil {
		return nil
	}
	return d.failed[Key{diff.Kind, id}]
}

// refresh copies records from the target once more, over whatever the scratch
// database has: they may have been written since, or be gone.
func (d *drill) refresh(ctx context.Context, keys []Key) error {
	for len(keys) > 0 {
		n := min(len(keys), chunkRows)
		if err := d.copyAgain(ctx, keys[:n]); err != nil {
			return err
		}
		keys = keys[n:]
	}
	return nil
}

func (d *drill) copyAgain(ctx context.Context, keys []Key) error {
	now, err := d.target.Get(ctx, keys)
	if err != nil {
		return err
	}
	var items []Item
	for i, item := range now {
		delete(d.failed, keys[i])
		switch {
		case item.Err != nil:
			d.failed[keys[i]] = item.Err
		case item.Record == nil:
			items = append(items, Item{Key: keys[i], Rev: item.Rev, Deleted: true})
		default:
			items = append(items, item)
		}
	}
	errs, err := d.spare.Apply(ctx, items, ApplyOptions{Force: true})
	for i, why := range errs {
		if why != nil {
			d.failed[items[i].Key] = why
		}
	}
	return err
}

func (d *drill) tell(doing, kind string, rows int64) {
	if d.o.Progress != nil {
		d.o.Progress(doing, kind, rows)
	}
}
