package cutover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/amanat-dev/amanat/fault"
)

const (
	verifyPage   = 1000
	verifyRounds = 6
	diffsShown   = 100
	maxSuspects  = 200_000
)

// VerifyOptions tune a verify.
type VerifyOptions struct {
	Who      string
	Repair   bool // copy what differs again, then compare it once more
	Progress func(kind string, rows int64)
}

// VerifyResult is what a verify found. OK means that no difference persisted
// and that every invariant holds on both sides.
type VerifyResult struct {
	Domain     string            `json:"domain"`
	Epoch      int64             `json:"epoch"`
	Phase      Phase             `json:"phase"`
	Who        string            `json:"who"`
	Started    time.Time         `json:"started"`
	Seconds    float64           `json:"seconds"`
	Kinds      []KindResult      `json:"kinds"`
	Invariants []InvariantResult `json:"invariants"`
	Diffs      []RecordDiff      `json:"diffs"` // the first hundred
	OK         bool              `json:"ok"`
}

// KindResult counts one kind's records. Rows and sums are those after
// suspects were settled, so that a healthy pair has them equal under load.
type KindResult struct {
	Kind      string `json:"kind"`
	Source    int64  `json:"sourceRows"`
	Target    int64  `json:"targetRows"`
	Missing   int64  `json:"missing"`   // in the source only
	Extra     int64  `json:"extra"`     // in the target only
	Different int64  `json:"different"` // in both, unlike
	Unread    int64  `json:"unreadable"`
	Waived    int64  `json:"waived"` // unlike, with a waived gap
	Suspects  int64  `json:"suspects"`
	Moving    int64  `json:"moving"` // suspects that changed all the while, and whose copies kept following
	SourceSum string `json:"sourceSum"`
	TargetSum string `json:"targetSum"`
}

// Differences counts what is wrong with the kind.
func (k KindResult) Differences() int64 { return k.Missing + k.Extra + k.Different + k.Unread }

// RecordDiff is one record that differs.
type RecordDiff struct {
	Kind   string      `json:"kind"`
	ID     string      `json:"id"`
	What   string      `json:"what"` // missing, extra, different, unreadable
	Fields []FieldDiff `json:"fields,omitempty"`
	Reason string      `json:"reason,omitempty"`
}

// Differences counts what is wrong with the rows of all kinds.
func (r VerifyResult) Differences() int64 {
	var n int64
	for _, k := range r.Kinds {
		n += k.Differences()
	}
	return n
}

// Verify compares both databases record by record, each in id order and
// independently of what the copier did, and evaluates the invariants on both
// sides. A difference counts when it persists after the notes of its moment
// were worked off. The result is stored, and the newest is part of the gate.
func (e *Engine) Verify(ctx context.Context, domain string, o VerifyOptions) (VerifyResult, error) {
	c, err := e.core(domain)
	if err != nil {
		return VerifyResult{}, err
	}
	if err := c.needBoth(); err != nil {
		return VerifyResult{}, err
	}
	s, err := c.recorded(ctx)
	if err != nil {
		return VerifyResult{}, err
	}
	if !s.Phase.Copies() {
		return VerifyResult{}, fault.New(fault.Conflict, "%s is in phase %s; only in dual and mirror are both databases kept alike", domain, s.Phase)
	}
	v := &verifier{domainCore: c, state: s, o: o}
	return v.run(ctx)
}

type verifier struct {
	*domainCore
	state  State
	o      VerifyOptions
	waived map[string]bool
	result VerifyResult
}

func (v *verifier) run(ctx context.Context) (VerifyResult, error) {
	control := v.engine.opts.Control
	began, err := control.Clock(ctx)
	if err != nil {
		return VerifyResult{}, err
	}
	start := time.Now()
	v.result = VerifyResult{Domain: v.name, Epoch: v.state.Epoch, Phase: v.state.Phase, Who: v.o.Who, Started: began.UTC()}
	if err := v.loadWaived(ctx); err != nil {
		return VerifyResult{}, err
	}
	for _, kind := range v.kinds {
		if err := v.kind(ctx, kind.Name); err != nil {
			return VerifyResult{}, err
		}
	}
	if err := v.evalInvariants(ctx); err != nil {
		return VerifyResult{}, err
	}
	v.result.Seconds = time.Since(start).Seconds()
	v.result.OK = v.result.Differences() == 0 && invariantsHold(v.result.Invariants)
	if err := v.store(ctx); err != nil {
		return VerifyResult{}, err
	}
	return v.result, control.Untouch(ctx, v.name, began)
}

func (v *verifier) store(ctx context.Context) error {
	return v.engine.save(ctx, v.name, DocVerify, v.result.Epoch, v.o.Who, v.result.OK, v.result)
}

func (v *verifier) loadWaived(ctx context.Context) error {
	gaps, err := v.engine.opts.Control.Gaps(ctx, v.name, false, 100_000)
	v.waived = map[string]bool{}
	for _, g := range gaps {
		if g.WaivedBy != "" && g.Resolved.IsZero() {
			v.waived[g.Kind+"/"+g.ID] = true
		}
	}
	return err
}

// kind walks both sides in id order and settles what looked different.
func (v *verifier) kind(ctx context.Context, kind string) error {
	w := &kindWalk{verifier: v, result: KindResult{Kind: kind}}
	if err := w.walk(ctx); err != nil {
		return err
	}
	if err := w.foreign(ctx); err != nil {
		return err
	}
	w.result.Suspects = int64(len(w.suspects))
	left, err := w.settle(ctx)
	if err != nil {
		return err
	}
	if v.o.Repair && len(left) > 0 {
		if left, err = w.repair(ctx, left); err != nil {
			return err
		}
	}
	for _, p := range left {
		w.count(p)
	}
	w.result.SourceSum, w.result.TargetSum = w.sourceSum.String(), w.targetSum.String()
	v.result.Kinds = append(v.result.Kinds, w.result)
	return nil
}

type kindWalk struct {
	*verifier
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
	return DiffRecords(Canonical(p.source.Record), Canonical(p.target.Record))
}

func (p pair) same() bool {
	if p.source.Record == nil || p.target.Record == nil {
		return p.source.Record == nil && p.target.Record == nil && p.source.Err == nil && p.target.Err == nil
	}
	return len(p.diff()) == 0
}

func (w *kindWalk) walk(ctx context.Context) error {
	source := cursor{store: w.verifier.source, kind: w.result.Kind}
	target := cursor{store: w.verifier.target, kind: w.result.Kind}
	for {
		s, err := source.peek(ctx)
		if err != nil {
			return err
		}
		t, err := target.peek(ctx)
		if err != nil {
			return err
		}
		p, done := nextPair(w.result.Kind, s, t, &source, &target)
		if done {
			return nil
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
		source.next()
		return pair{key: s.Key, source: *s}, false
	case s == nil || string(t.Key.ID[:]) < string(s.Key.ID[:]):
		target.next()
		return pair{key: t.Key, target: *t}, false
	}
	source.next()
	target.next()
	return pair{s.Key, *s, *t}, false
}

func (w *kindWalk) see(p pair) error {
	w.rows++
	if w.o.Progress != nil && w.rows%verifyPage == 0 {
		w.o.Progress(w.result.Kind, w.rows)
	}
	if p.same() {
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
	if p.source.Record != nil {
		w.result.Source++
		w.sourceSum.Add(Canonical(p.source.Record))
	}
	if p.target.Record != nil {
		w.result.Target++
		w.targetSum.Add(Canonical(p.target.Record))
	}
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
	if len(w.verifier.result.Diffs) < diffsShown {
		w.verifier.result.Diffs = append(w.verifier.result.Diffs, d)
	}
}

// foreign counts source records whose identity is no ID.
func (w *kindWalk) foreign(ctx context.Context) error {
	items, err := w.verifier.source.Foreign(ctx, w.result.Kind, 10_000)
	for _, i := range items {
		if w.waived[w.result.Kind+"/"+i.RawID] {
			w.result.Waived++
			continue
		}
		w.result.Source++
		w.result.Unread++
		if len(w.verifier.result.Diffs) < diffsShown {
			w.verifier.result.Diffs = append(w.verifier.result.Diffs,
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
		if err := w.awaitCopied(ctx, w.state); err != nil {
			return nil, err
		}
		var moving []Key
		var stable []pair
		pairs, err := w.fetch(ctx, keys)
		if err != nil {
			return nil, err
		}
		for _, p := range pairs {
			rev, again := seen[p.key]
			switch now := w.primaryRev(p); {
			case p.same():
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
		pause(ctx, 20*time.Millisecond<<round)
	}
	if len(keys) == 0 {
		return left, nil
	}
	if err := w.awaitCopied(ctx, w.state); err != nil {
		return nil, err
	}
	still, err := w.fetch(ctx, keys)
	for _, p := range still {
		switch {
		case p.same():
			w.add(p)
		case w.follows(p, seen[p.key]):
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
func (w *kindWalk) follows(p pair, before int64) bool {
	now, copied := w.primaryRev(p), w.secondaryRev(p)
	return p.source.Err == nil && p.target.Err == nil && copied < now && before < now && copied >= before
}

// asPrimary is p with the primary's record on both sides.
func (w *kindWalk) asPrimary(p pair) pair {
	if w.state.Phase.PrimaryIsSource() {
		return pair{p.key, p.source, p.source}
	}
	return pair{p.key, p.target, p.target}
}

func (w *kindWalk) primaryRev(p pair) int64 {
	if w.state.Phase.PrimaryIsSource() {
		return p.source.Rev
	}
	return p.target.Rev
}

// fetch reads keys from both sides, the secondary first: what the primary has
// got since then is a later revision, not a difference.
func (c *domainCore) fetch(ctx context.Context, keys []Key) ([]pair, error) {
	var out []pair
	for len(keys) > 0 {
		n := min(len(keys), verifyPage)
		target, err := c.target.Get(ctx, keys[:n])
		if err != nil {
			return nil, err
		}
		source, err := c.source.Get(ctx, keys[:n])
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
	led, err := w.engine.opts.Control.Lead(ctx, coordinatorRole+":"+w.name, func(ctx context.Context) error {
		s, err := w.recorded(ctx)
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
	if !led {
		return nil, fault.New(fault.Conflict, "a step of %s is under way; repair when it is over", w.name)
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
			item = Item{Key: keys[i], Deleted: true, Rev: w.secondaryRev(left[i])}
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
	_, err = w.bring(ctx, primary, secondary, again)
	return err
}

func (w *kindWalk) secondaryRev(p pair) int64 {
	if w.state.Phase.PrimaryIsSource() {
		return p.target.Rev
	}
	return p.source.Rev
}

// cursor pages through one kind of one store.
type cursor struct {
	store Store
	kind  string
	page  []Item
	at    int
	after ID
	end   bool
}

func (c *cursor) peek(ctx context.Context) (*Item, error) {
	if c.at == len(c.page) && !c.end {
		page, err := c.store.Scan(ctx, c.kind, c.after, ID{}, verifyPage)
		if err != nil {
			return nil, err
		}
		c.page, c.at, c.end = page, 0, len(page) < verifyPage
		if len(page) > 0 {
			c.after = page[len(page)-1].Key.ID
		}
	}
	if c.at == len(c.page) {
		return nil, nil
	}
	return &c.page[c.at], nil
}

func (c *cursor) next() { c.at++ }

// InvariantResult is one invariant as both sides have it.
type InvariantResult struct {
	Name   string `json:"name"`
	Source string `json:"source"`
	Target string `json:"target"`
	Moving bool   `json:"moving"` // records changed all the while: agreement rests on the rows
	OK     bool   `json:"ok"`
	Why    string `json:"why,omitempty"`
}

func invariantsHold(all []InvariantResult) bool {
	for _, i := range all {
		if !i.OK {
			return false
		}
	}
	return true
}

func (v *verifier) evalInvariants(ctx context.Context) error {
	for _, inv := range v.invariants {
		r := InvariantResult{Name: inv.name, OK: true}
		if inv.check != nil {
			if err := v.checkEach(ctx, inv, &r); err != nil {
				return err
			}
		}
		if inv.eval != nil {
			if err := v.agree(ctx, inv, &r); err != nil {
				return err
			}
		}
		v.result.Invariants = append(v.result.Invariants, r)
	}
	return nil
}

// checkEach runs a per-record invariant over both sides. A breach counts when
// it persists while the record stays the same.
func (v *verifier) checkEach(ctx context.Context, inv invariant, r *InvariantResult) error {
	for _, source := range []bool{true, false} {
		store := v.target
		if source {
			store = v.source
		}
		records := cursor{store: store, kind: inv.kind}
		for {
			item, err := records.peek(ctx)
			if err != nil {
				return err
			}
			if item == nil {
				break
			}
			records.next()
			if item.Record == nil {
				continue
			}
			breach, err := v.breach(ctx, inv, source, store, *item)
			if err != nil {
				return err
			}
			if breach != nil {
				r.OK = false
				r.Why = fmt.Sprintf("%s %s: %v", store.Name(), item.Key, breach)
			}
		}
	}
	return nil
}

func (v *verifier) breach(ctx context.Context, inv invariant, source bool, store Store, item Item) (breach, err error) {
	var last error
	for round := range verifyRounds {
		why := inv.check(ctx, source, item.Record)
		if why == nil {
			return nil, nil
		}
		if fault.Is(why, fault.Unavailable) || ctx.Err() != nil {
			return nil, errors.Join(why, ctx.Err())
		}
		last = why
		if err := v.awaitCopied(ctx, v.state); err != nil {
			return nil, err
		}
		pause(ctx, 10*time.Millisecond<<round)
		fresh, err := store.Get(ctx, []Key{item.Key})
		if err != nil {
			return nil, err
		}
		if fresh[0].Record == nil {
			return nil, nil
		}
		item = fresh[0]
	}
	return last, nil
}

// agree compares an invariant's text on both sides. While records change, the
// primary's own text changes too; then only the rows can be compared.
func (v *verifier) agree(ctx context.Context, inv invariant, r *InvariantResult) error {
	primaryIsSource := v.state.Phase.PrimaryIsSource()
	for range verifyRounds {
		before, err := inv.eval(ctx, primaryIsSource)
		if err != nil {
			return v.broken(r, err)
		}
		if err := v.awaitCopied(ctx, v.state); err != nil {
			return err
		}
		second, err := inv.eval(ctx, !primaryIsSource)
		if err != nil {
			return v.broken(r, err)
		}
		after, err := inv.eval(ctx, primaryIsSource)
		if err != nil {
			return v.broken(r, err)
		}
		r.Source, r.Target = after, second
		if !primaryIsSource {
			r.Source, r.Target = second, after
		}
		r.Moving = before != after
		if second == after || second == before {
			return nil
		}
	}
	if !r.Moving {
		r.OK, r.Why = false, "the two databases do not agree"
	}
	return nil
}

func (v *verifier) broken(r *InvariantResult, err error) error {
	if fault.Is(err, fault.Unavailable) {
		return err
	}
	r.OK, r.Why = false, err.Error()
	return nil
}

// Document types.
const (
	DocVerify = "verify"
	DocReport = "report"
)

// save stores a result under the control plane.
func (e *Engine) save(ctx context.Context, domain, typ string, epoch int64, who string, ok bool, body any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return e.opts.Control.SaveDocument(ctx, Document{
		ID: NewID().String(), Domain: domain, Type: typ, Epoch: epoch, At: Now(), Who: who, OK: ok, Body: text,
	})
}
