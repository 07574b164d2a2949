package cutover

import (
	"context"
	"time"

	"github.com/amanat-dev/amanat/cutover/fault"
)

const (
	verifyPage   = 1000
	walkPage     = 2000
	verifyRounds = 6
	diffsShown   = 100
	maxSuspects  = 200_000
)

// bothStores are two stores that ought to have the same records.
type bothStores struct{ source, target Store }

// both are the domain's own databases.
func (c *base) both() bothStores { return bothStores{c.source, c.target} }

// walker compares bothStores record by record, each in id order, and settles what
// looked different: all of a verify but the invariants, and all of a drill but
// the copying.
type walker struct {
	*domainCore
	state    State
	sides    bothStores
	progress func(kind string, rows int64)
	// refresh, when not nil, brings these records to the target of sides again
	// before they are compared once more: nobody else does.
	refresh func(ctx context.Context, keys []Key) error
	// still says that nobody writes to sides: then there is nothing to wait for.
	still bool

	waived map[string]bool
	found  []KindResult
	diffs  []RecordDiff // the first hundred
}

func (c *domainCore) walker(s State, sides bothStores, progress func(string, int64)) *walker {
	return &walker{domainCore: c, state: s, sides: sides, progress: progress}
}

// walkAll compares all kinds.
func (w *walker) walkAll(ctx context.Context, repair bool) error {
	if err := w.loadWaived(ctx); err != nil {
		return err
	}
	for _, kind := range w.kinds {
		if err := w.kind(ctx, kind.Name, repair); err != nil {
			return err
		}
	}
	return nil
}

// catchUp waits until the records of keys could be alike, were they copied
// rightly.
func (w *walker) catchUp(ctx context.Context, keys []Key) error {
	if w.still {
		return nil
	}
	if err := w.copies.awaitCopied(ctx, w.state); err != nil || w.refresh == nil {
		return err
	}
	return w.refresh(ctx, keys)
}

// fields returns the fields that differ; none where a record is missing.
func (p pair) fields() []FieldDiff {
	if p.source.Record == nil || p.target.Record == nil {
		return nil
	}
	return p.diff()
}

// same compares a pair; tests make it blind, to see that the self-test sees it.
func (w *walker) same(p pair) bool {
	if blind := w.engine.blind; blind != nil && blind(p.fields) {
		return true
	}
	return p.same()
}

func (w *walker) loadWaived(ctx context.Context) error {
	gaps, err := w.engine.opts.Control.Gaps(ctx, w.name, false, 100_000)
	w.waived = map[string]bool{}
	for _, g := range gaps {
		if g.WaivedBy != "" && g.Resolved.IsZero() {
			w.waived[g.Kind+"/"+g.ID] = true
		}
	}
	return err
}

// kind walks both sides in id order and settles what looked different.
func (all *walker) kind(ctx context.Context, kind string, repair bool) error {
	w := &kindWalk{walker: all, result: KindResult{Kind: kind}}
	begin := time.Now()
	if err := w.walk(ctx); err != nil {
		return err
	}
	w.result.Seconds = time.Since(begin).Seconds()
	w.result.Suspects = int64(len(w.suspects))
	left, err := w.settle(ctx)
	if err != nil {
		return err
	}
	if repair && len(left) > 0 {
		if left, err = w.repair(ctx, left); err != nil {
			return err
		}
	}
	for _, p := range left {
		w.count(p)
	}
	w.result.SourceSum, w.result.TargetSum = w.sourceSum.String(), w.targetSum.String()
	all.found = append(all.found, w.result)
	return nil
}

type kindWalk struct {
	*walker
	result               KindResult
	sourceSum, targetSum Sum
	suspects             []Key
	rows                 int64
}

// pair is one record as both sides have it.
type pair struct {
	key            Key
	source, target Item
}

// equal compares canonical values and tells the fields that differ.
func (p pair) diff() []FieldDiff {
	diffs := DiffRecords(Canonical(p.source.Record), Canonical(p.target.Record))
	for _, rule := range p.source.Stale {
		diffs = append(diffs, FieldDiff{"unique key " + rule, "not what the record derives", "as derived"})
	}
	for _, rule := range p.target.Stale {
		diffs = append(diffs, FieldDiff{"unique key " + rule, "as derived", "not what the record derives"})
	}
	return diffs
}

func (p pair) same() bool {
	if p.source.Record == nil || p.target.Record == nil {
		return p.source.Record == nil && p.target.Record == nil && p.source.Err == nil && p.target.Err == nil
	}
	return len(p.source.Stale) == 0 && len(p.target.Stale) == 0 && alike(p.source.Record, p.target.Record)
}

func (w *kindWalk) walk(ctx context.Context) error {
	source := newCursor(ctx, w.sides.source, w.result.Kind)
	defer source.close()
	target := newCursor(ctx, w.sides.target, w.result.Kind)
	defer target.close()
	for {
		s, err := source.peek()
		if err != nil {
			return err
		}
		t, err := target.peek()
		if err != nil {
			return err
		}
		p, done := nextPair(w.result.Kind, s, t, source, target)
		if done {
			return w.countForeign(ctx, source)
		}
		if err := w.see(p); err != nil {
			return err
		}
	}
}

// nextPair takes the lower of both heads, or both when they are one record.
func nextPair(kind string, s, t *Item, source, target *cursor) (pair, bool) {
	switch {
	case s == nil && t == nil:
		return pair{}, true
	case t == nil || (s != nil && string(s.Key.ID[:]) < string(t.Key.ID[:])):
		source.skip()
		return pair{key: s.Key, source: *s}, false
	case s == nil || string(t.Key.ID[:]) < string(s.Key.ID[:]):
		target.skip()
		return pair{key: t.Key, target: *t}, false
	}
	source.skip()
	target.skip()
	return pair{s.Key, *s, *t}, false
}

func (w *kindWalk) see(p pair) error {
	w.rows++
	if w.progress != nil && w.rows%verifyPage == 0 {
		w.progress(w.result.Kind, w.rows)
	}
	if w.same(p) {
		w.add(p)
		return nil
	}
	if len(w.suspects) >= maxSuspects {
		return fault.New(fault.Conflict, "more than %d records of %s differ: is the backfill complete?", maxSuspects, w.result.Kind)
	}
	w.suspects = append(w.suspects, p.key)
	return nil
}

// add takes a pair's records into rows and sums.
func (w *kindWalk) add(p pair) {
	var source, target digest128
	if p.source.Record != nil {
		w.result.Source++
		source = digestOf(Canonical(p.source.Record))
		w.sourceSum.add(source)
	}
	if p.target.Record == nil {
		return
	}
	w.result.Target++
	if target = source; p.source.Record == nil || !alike(p.source.Record, p.target.Record) {
		target = digestOf(Canonical(p.target.Record))
	}
	w.targetSum.add(target)
}

// count puts a pair that stayed different into the result.
func (w *kindWalk) count(p pair) {
	w.add(p)
	d := RecordDiff{Kind: p.key.Kind, ID: p.key.ID.String()}
	waived := w.waived[p.key.String()]
	switch {
	case waived:
		w.result.Waived++
		return
	case p.source.Err != nil:
		w.result.Unread++
		d.What, d.Reason = "unreadable", "source: "+p.source.Err.Error()
	case p.target.Err != nil:
		w.result.Unread++
		d.What, d.Reason = "unreadable", "target: "+p.target.Err.Error()
	case p.target.Record == nil:
		w.result.Missing++
		d.What = "missing"
	case p.source.Record == nil:
		w.result.Extra++
		d.What = "extra"
	default:
		w.result.Different++
		d.What, d.Fields = "different", p.diff()
	}
	if len(w.diffs) < diffsShown {
		w.diffs = append(w.diffs, d)
	}
}

// countForeign counts source records whose identity is no ID.
func (w *kindWalk) countForeign(ctx context.Context, source *cursor) (err error) {
	items := source.aside
	if !source.foreign {
		items, err = w.sides.source.Foreign(ctx, w.result.Kind, foreignMost)
	}
	for _, i := range items {
		if w.waived[w.result.Kind+"/"+i.RawID] {
			w.result.Waived++
			continue
		}
		w.result.Source++
		w.result.Unread++
		if len(w.diffs) < diffsShown {
			w.diffs = append(w.diffs,
				RecordDiff{Kind: w.result.Kind, ID: i.RawID, What: "unreadable", Reason: "its identity is no ObjectID"})
		}
	}
	return err
}

// settle compares the suspects again, each time after the notes of that
// moment were worked off, until what is left has not changed on the primary
// between two comparisons.
func (w *kindWalk) settle(ctx context.Context) ([]pair, error) {
	keys := w.suspects
	seen := map[Key]int64{}
	var left []pair
	for round := 0; len(keys) > 0 && round < verifyRounds; round++ {
		if err := w.catchUp(ctx, keys); err != nil {
			return nil, err
		}
		var moving []Key
		var stable []pair
		pairs, err := w.sides.fetch(ctx, keys)
		if err != nil {
			return nil, err
		}
		for _, p := range pairs {
			rev, again := seen[p.key]
			switch now := w.state.primaryRev(p); {
			case w.same(p):
				w.add(p)
			case again && rev == now && round >= 2:
				stable = append(stable, p)
			default:
				seen[p.key] = now
				moving = append(moving, p.key)
			}
		}
		left = append(left, stable...)
		keys = moving
		if !w.still {
			pause(ctx, 20*time.Millisecond<<round)
		}
	}
	if len(keys) == 0 {
		return left, nil
	}
	if err := w.catchUp(ctx, keys); err != nil {
		return nil, err
	}
	still, err := w.sides.fetch(ctx, keys)
	for _, p := range still {
		switch {
		case w.same(p):
			w.add(p)
		case w.state.follows(p, seen[p.key]):
			w.result.Moving++
			w.add(w.asPrimary(p))
		default:
			left = append(left, p)
		}
	}
	return left, err
}

// follows says of a record that changes all the time, so that its two copies
// are hardly ever of one revision, that the secondary has what the primary had
// at the last look. Copies are whole records, and the switch compares it once
// more when it stands still.
func (s State) follows(p pair, before int64) bool {
	now, copied := s.primaryRev(p), s.secondaryRev(p)
	return p.source.Err == nil && p.target.Err == nil && copied < now && before < now && copied >= before
}

// astray gives, of pairs that differ, the keys of those whose copies do not
// follow, where seen has what the primary had at the last look, and what it has
// now.
func (s State) astray(pairs []pair, seen map[Key]int64) (keys []Key, now map[Key]int64) {
	now = map[Key]int64{}
	for _, p := range pairs {
		if before, again := seen[p.key]; !again || !s.follows(p, before) {
			keys = append(keys, p.key)
		}
		now[p.key] = s.primaryRev(p)
	}
	return keys, now
}

// asPrimary is p with the primary's record on both sides.
func (w *kindWalk) asPrimary(p pair) pair {
	if w.state.Phase.PrimaryIsSource() {
		return pair{p.key, p.source, p.source}
	}
	return pair{p.key, p.target, p.target}
}

func (s State) primaryRev(p pair) int64 {
	if s.Phase.PrimaryIsSource() {
		return p.source.Rev
	}
	return p.target.Rev
}

// fetch reads keys from both sides, the secondary first: what the primary has
// got since then is a later revision, not a difference.
func (t bothStores) fetch(ctx context.Context, keys []Key) ([]pair, error) {
	var out []pair
	for len(keys) > 0 {
		n := min(len(keys), verifyPage)
		target, err := t.target.Get(ctx, keys[:n])
		if err != nil {
			return nil, err
		}
		source, err := t.source.Get(ctx, keys[:n])
		if err != nil {
			return nil, err
		}
		for i := range source {
			out = append(out, pair{keys[i], source[i], target[i]})
		}
		keys = keys[n:]
	}
	return out, nil
}

// repair copies what differs from the primary again, over whatever is there. It
// does so in the coordinator's place: after a flip it would overwrite the new
// primary with the old one.
func (w *kindWalk) repair(ctx context.Context, left []pair) ([]pair, error) {
	err := w.states.inPlace(ctx, "repair", func(ctx context.Context) error {
		s, err := w.states.recorded(ctx)
		if err != nil {
			return err
		}
		if s.Phase != w.state.Phase || s.Sealed {
			return fault.New(fault.Conflict, "%s has moved since the verify began: verify again", w.name)
		}
		return w.overwrite(ctx, left)
	})
	if err != nil {
		return nil, err
	}
	w.suspects = w.suspects[:0:0]
	for _, p := range left {
		w.suspects = append(w.suspects, p.key)
	}
	return w.settle(ctx)
}

// overwrite brings the primary's records in by force, and then once more
// without: a live copy that came in between was perhaps overwritten by an older
// record, and its note is gone.
func (w *kindWalk) overwrite(ctx context.Context, left []pair) error {
	primary, secondary := w.stores(w.state)
	keys := make([]Key, len(left))
	for i, p := range left {
		keys[i] = p.key
	}
	now, err := primary.Get(ctx, keys)
	if err != nil {
		return err
	}
	var items []Item
	for i, item := range now {
		if item.Missing() {
			item = Item{Key: keys[i], Deleted: true, Rev: w.state.secondaryRev(left[i])}
		}
		if item.Err == nil {
			items = append(items, item)
		}
	}
	if _, err := secondary.Apply(ctx, items, ApplyOptions{Force: true}); err != nil {
		return err
	}
	again, err := primary.Get(ctx, keys)
	if err != nil {
		return err
	}
	for i, item := range again {
		if item.Missing() && now[i].Record != nil { // deleted meanwhile
			again[i] = Item{Key: keys[i], Deleted: true, Rev: now[i].Rev + 1}
		}
	}
	_, err = w.copies.bring(ctx, primary, secondary, again)
	return err
}

func (s State) secondaryRev(p pair) int64 {
	if s.Phase.PrimaryIsSource() {
		return p.target.Rev
	}
	return p.source.Rev
}

// cursor goes through the records of one kind of one store in id order. Close it
// at the end.
type cursor struct {
	*reader
	page  []Item
	at    int
	aside []Item // whose identity is no ID, the first of them
}

func newCursor(ctx context.Context, store Store, kind string) *cursor {
	return &cursor{reader: read(ctx, store, kind, ID{}, ID{}, func() int { return walkPage })}
}

// peek returns the record at hand, nil at the end.
func (c *cursor) peek() (*Item, error) {
	for c.at == len(c.page) {
		page, err := c.reader.next()
		if err != nil || len(page) == 0 {
			return nil, err
		}
		with, foreign := apart(page)
		c.page, c.at = with, 0
		c.aside = append(c.aside, foreign[:min(len(foreign), foreignMost-len(c.aside))]...)
	}
	return &c.page[c.at], nil
}

func (c *cursor) skip() { c.at++ }
