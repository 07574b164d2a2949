package cutover

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/amanat-dev/amanat/cutover/fault"
)

const (
	sampleRows = 200
	batchRows  = 50 // planted at once: fewer than the differences that a comparison keeps
)

// SelfTestOptions tune a self-test.
type SelfTestOptions struct {
	Who      string
	Progress func(kind string, planted int64)
}

// SelfTestResult says which corruptions a comparison finds. OK means all that
// were planted, and nothing else.
type SelfTestResult struct {
	Domain      string        `json:"domain"`
	Who         string        `json:"who"`
	Started     time.Time     `json:"started"`
	Seconds     float64       `json:"seconds"`
	Sampled     int64         `json:"sampled"` // records
	Classes     []ClassResult `json:"classes"`
	FalseAlarms []RecordDiff  `json:"falseAlarms"` // differences where none was planted
	OK          bool          `json:"ok"`
}

// ClassResult counts one class of corruption.
type ClassResult struct {
	Class   string `json:"class"`
	Planted int64  `json:"planted"`
	Found   int64  `json:"found"`
	// Refused counts what the scratch database did not take, and where absent
	// stands for the very value that was taken away.
	Refused int64    `json:"refused"`
	Kinds   []string `json:"kinds"`            // in which it was planted
	Without []string `json:"without"`          // kinds whose sample has no place for it
	Missed  []string `json:"missed,omitempty"` // kind, field and side
}

// SelfTest shows that a verify would find what it is there to find. It copies a
// sample of each kind into a scratch database of the source's sort and into
// memory, plants each class of corruption at every field that has a place for
// it, now on the one side and now on the other, and compares them with the very
// code of a verify. It touches neither of the live databases. The result is
// stored.
func (e *Engine) SelfTest(ctx context.Context, domain string, o SelfTestOptions) (r SelfTestResult, err error) {
	c, err := e.core(domain)
	if err != nil {
		return r, err
	}
	if err := c.needBoth(); err != nil {
		return r, err
	}
	if c.scratch == nil {
		return r, fault.New(fault.Conflict, "%s has no scratch database to test on", domain)
	}
	s, err := c.states.recorded(ctx)
	if err != nil {
		return r, err
	}
	began := Now()
	t := newSelfTest(c, s, o)
	if err := t.run(ctx); err != nil {
		return r, err
	}
	t.result.Started, t.result.Seconds = began, time.Since(began).Seconds()
	t.result.OK = t.sum()
	return t.result, e.save(ctx, domain, DocTest, s.Epoch, o.Who, t.result.OK, t.result)
}

type selfTest struct {
	*domainCore
	state   State
	o       SelfTestOptions
	sides   bothStores // the scratch database, and memory
	byClass map[string]*ClassResult
	result  SelfTestResult
}

func newSelfTest(c *domainCore, s State, o SelfTestOptions) *selfTest {
	t := &selfTest{domainCore: c, state: s, o: o, byClass: map[string]*ClassResult{},
		result: SelfTestResult{Domain: c.name, Who: o.Who}}
	for _, class := range classes {
		t.byClass[class] = &ClassResult{Class: class}
	}
	return t
}

// sum closes the books.
func (t *selfTest) sum() bool {
	ok := len(t.result.FalseAlarms) == 0
	for _, class := range classes {
		r := t.byClass[class]
		ok = ok && r.Found == r.Planted
		t.result.Classes = append(t.result.Classes, *r)
	}
	return ok
}

func (t *selfTest) run(ctx context.Context) (err error) {
	spare, drop, err := t.scratch(ctx)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dropTime)
		defer cancel()
		err = errors.Join(err, drop(ctx))
	}()
	t.sides = bothStores{spare, newMemoryStore()}
	for _, kind := range t.kinds {
		if err := t.kind(ctx, kind.Name); err != nil {
			return err
		}
	}
	return nil
}

// planted is one corruption in its place.
type planted struct {
	site
	victim int // in the sample
	side   string
	item   Item // what the side gets
}

// kind tests one kind on its sample, of which one record is held back as the
// stray one.
func (t *selfTest) kind(ctx context.Context, kind string) error {
	sample, err := t.sample(ctx, kind)
	if err != nil {
		return err
	}
	t.result.Sampled += int64(len(sample))
	var stray *Item
	if len(sample) > 1 {
		last := sample[len(sample)-1]
		stray, sample = &last, sample[:len(sample)-1]
	}
	for _, side := range []Store{t.sides.source, t.sides.target} {
		if err := put(ctx, side, sample); err != nil {
			return fmt.Errorf("%s: the sample cannot be stored: %w", kind, err)
		}
	}
	if err := t.compare(ctx, kind, nil); err != nil {
		return err
	}
	plan := planOf(sample, stray)
	t.note(kind, plan)
	for _, side := range []Store{t.sides.source, t.sides.target} {
		if err := t.onSide(ctx, kind, side, sample, plan); err != nil {
			return err
		}
	}
	return nil
}

func (t *selfTest) sample(ctx context.Context, kind string) ([]Item, error) {
	primary, _ := t.stores(t.state)
	items, err := primary.Scan(ctx, kind, ID{}, ID{}, sampleRows)
	var out []Item
	for _, i := range items {
		if i.Err == nil && i.Record != nil {
			out = append(out, i)
		}
	}
	return out, err
}

// put writes items over whatever is there.
func put(ctx context.Context, side Store, items []Item) error {
	errs, err := side.Apply(ctx, items, ApplyOptions{Force: true})
	return errors.Join(append(errs, err)...)
}

// planOf returns each place of a corruption once, on the record that has the
// fewest so far.
func planOf(sample []Item, stray *Item) []planted {
	var plan []planted
	if stray != nil {
		plan = append(plan, planted{site: site{ClassStray, "row"}, victim: -1, item: *stray})
	}
	if len(sample) == 0 {
		return plan
	}
	plan = append(plan, planted{site: site{ClassDropped, "row"},
		item: Item{Key: sample[0].Key, Rev: sample[0].Rev, Deleted: true}})
	var order []site
	places := map[site][]planted{}
	for n, item := range sample {
		var donor Record
		if len(sample) > 1 {
			donor = sample[(n+1)%len(sample)].Record
		}
		for _, c := range corruptions(item.Record, donor) {
			if places[c.site] == nil {
				order = append(order, c.site)
			}
			changed := Item{Key: item.Key, Rev: c.record.RecordMeta().Rev, Record: c.record}
			places[c.site] = append(places[c.site], planted{site: c.site, victim: n, item: changed})
		}
	}
	load := map[int]int{0: 1}
	for _, s := range order {
		best := places[s][0]
		for _, p := range places[s] {
			if load[p.victim] < load[best.victim] {
				best = p
			}
		}
		load[best.victim]++
		plan = append(plan, best)
	}
	return plan
}

// note writes down which classes the kind has a place for.
func (t *selfTest) note(kind string, plan []planted) {
	has := map[string]bool{}
	for _, p := range plan {
		has[p.class] = true
	}
	for _, class := range classes {
		r := t.byClass[class]
		if has[class] {
			r.Kinds = append(r.Kinds, kind)
		} else {
			r.Without = append(r.Without, kind)
		}
	}
}

// onSide plants a plan on one side, as many at once as are on different records.
func (t *selfTest) onSide(ctx context.Context, kind string, side Store, sample []Item, plan []planted) error {
	for len(plan) > 0 {
		var now, later []planted
		taken := map[int]bool{}
		for _, p := range plan {
			if taken[p.victim] || len(now) == batchRows {
				later = append(later, p)
				continue
			}
			taken[p.victim] = true
			p.side = side.Name()
			now = append(now, p)
		}
		if err := t.batch(ctx, kind, side, sample, now); err != nil {
			return err
		}
		plan = later
		if t.o.Progress != nil {
			t.o.Progress(kind, t.plantedSoFar())
		}
	}
	return nil
}

func (t *selfTest) plantedSoFar() (n int64) {
	for _, r := range t.byClass {
		n += r.Planted
	}
	return n
}

// batch plants, compares and puts everything back.
func (t *selfTest) batch(ctx context.Context, kind string, side Store, sample []Item, batch []planted) error {
	var in []planted
	for _, p := range batch {
		took, err := plantOn(ctx, side, p)
		if err != nil {
			return err
		}
		if !took {
			t.byClass[p.class].Refused++
			continue
		}
		in = append(in, p)
	}
	if err := t.compare(ctx, kind, in); err != nil {
		return err
	}
	var back []Item
	for _, p := range in {
		if p.victim < 0 {
			back = append(back, Item{Key: p.item.Key, Rev: p.item.Rev, Deleted: true})
			continue
		}
		back = append(back, sample[p.victim])
	}
	return put(ctx, side, back)
}

// plantOn plants p; false when a rule of the database is against it, such as a
// unique value, or when a value taken away is read as before: a default.
func plantOn(ctx context.Context, side Store, p planted) (bool, error) {
	before, err := side.Get(ctx, []Key{p.item.Key})
	if err != nil {
		return false, err
	}
	errs, err := side.Apply(ctx, []Item{p.item}, ApplyOptions{Force: true})
	if err != nil || errs[0] != nil {
		return false, err
	}
	if p.class != ClassAbsent {
		return true, nil
	}
	after, err := side.Get(ctx, []Key{p.item.Key})
	return err == nil && !reflect.DeepEqual(before, after), err
}

// compare runs a verify's comparison and holds it against what was planted.
func (t *selfTest) compare(ctx context.Context, kind string, in []planted) error {
	w := t.walker(t.state, t.sides, nil)
	w.still = true
	if err := w.kind(ctx, kind, false); err != nil {
		return err
	}
	found := map[string]RecordDiff{}
	for _, d := range w.diffs {
		found[d.ID] = d
	}
	for _, p := range in {
		r := t.byClass[p.class]
		r.Planted++
		d, there := found[p.item.Key.ID.String()]
		delete(found, p.item.Key.ID.String())
		if there && d.What == t.looksLike(p) || there && d.What == "unreadable" {
			r.Found++
			continue
		}
		r.Missed = append(r.Missed, fmt.Sprintf("%s %s in %s", kind, p.path, p.side))
	}
	for _, d := range found {
		t.result.FalseAlarms = append(t.result.FalseAlarms, d)
	}
	return nil
}

// looksLike returns how a verify tells of a corruption. It takes the source for
// what is right: a row dropped there is one too many in the target.
func (t *selfTest) looksLike(p planted) string {
	inSource := p.side == t.sides.source.Name()
	switch {
	case p.class == ClassDropped && inSource, p.class == ClassStray && !inSource:
		return "extra"
	case p.class == ClassDropped, p.class == ClassStray:
		return "missing"
	}
	return "different"
}
