package memdb

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
)

// Control is a control plane in memory, shared by the engines of one test.
type Control struct {
	hook hook

	mu         sync.Mutex
	states     map[string]cutover.State
	history    map[string][]cutover.HistoryLine
	settings   map[string]cutover.Settings
	activities map[activityKey]cutover.Activity
	processes  map[string]cutover.Process
	gaps       []cutover.Gap
	chunks     map[string][]*chunk
	order      []string // kinds in the order of planning
	shadow     []shadowLine
	samples    []cutover.ShadowSample
	documents  []cutover.Document
	touched    map[string]map[cutover.Key]time.Time
	watchers   map[int]func()
	listeners  map[int]func(cutover.Written)
	watches    int
	leads      map[string]bool
	fences     sync.Map // domain → *fence
}

type chunk struct {
	cutover.Chunk
	claimed, done bool
}

type shadowLine struct {
	domain string
	epoch  int64
	count  cutover.ShadowCount
}

// Before has f called before each operation, by name; its error is the
// operation's. nil takes it away.
func (c *Control) Before(f func(op string) error) { c.hook.set(f) }

// NewControl makes an empty control plane.
func NewControl() *Control {
	return &Control{
		states: map[string]cutover.State{}, history: map[string][]cutover.HistoryLine{},
		settings: map[string]cutover.Settings{}, activities: map[activityKey]cutover.Activity{}, processes: map[string]cutover.Process{},
		chunks: map[string][]*chunk{}, touched: map[string]map[cutover.Key]time.Time{},
		watchers: map[int]func(){}, listeners: map[int]func(cutover.Written){}, leads: map[string]bool{},
	}
}

// enter checks Before and locks; the caller unlocks when the error is nil.
func (c *Control) enter(op string) error {
	if err := c.hook.before(op); err != nil {
		return err
	}
	c.mu.Lock()
	return nil
}

func (c *Control) fenceOf(domain string) *fence {
	f, _ := c.fences.LoadOrStore(domain, newFence())
	return f.(*fence)
}

// fence holds the domain's shared fence for one Update of the target.
func (c *Control) fence(ctx context.Context, g cutover.Guard) (release func(), err error) {
	f := c.fenceOf(g.Domain)
	if err := f.share(ctx); err != nil {
		return nil, err
	}
	c.mu.Lock()
	s := c.states[g.Domain]
	c.mu.Unlock()
	if s.Epoch != g.Epoch || s.Sealed {
		f.unshare()
		return nil, cutover.ErrMoved
	}
	return sync.OnceFunc(f.unshare), nil
}

// fenceCopy is fence for copies that come to a target: they are not taken
// while it is the primary.
func (c *Control) fenceCopy(ctx context.Context, domain string) (release func(), err error) {
	f := c.fenceOf(domain)
	if err := f.share(ctx); err != nil {
		return nil, err
	}
	c.mu.Lock()
	s, known := c.states[domain]
	c.mu.Unlock()
	if known && !s.Phase.PrimaryIsSource() {
		f.unshare()
		return nil, cutover.ErrMoved
	}
	return f.unshare, nil
}

// only returns the name of the only domain, "" when there are none or several.
func (c *Control) only() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name := range c.states {
		if len(c.states) == 1 {
			return name
		}
	}
	return ""
}

// States: see cutover.StateControl.
func (c *Control) States(context.Context) (map[string]cutover.State, error) {
	if err := c.enter("states"); err != nil {
		return nil, err
	}
	defer c.mu.Unlock()
	out := map[string]cutover.State{}
	for k, v := range c.states {
		out[k] = v
	}
	return out, nil
}

// Register: see cutover.StateControl.
func (c *Control) Register(_ context.Context, domain string, first cutover.Phase) (cutover.State, error) {
	if err := c.enter("register"); err != nil {
		return cutover.State{}, err
	}
	defer c.mu.Unlock()
	if _, known := c.states[domain]; !known {
		c.states[domain] = cutover.State{Domain: domain, Phase: first, Epoch: 1}
	}
	return c.states[domain], nil
}

// Advance: see cutover.StateControl.
func (c *Control) Advance(ctx context.Context, from, to cutover.State, why cutover.Change) error {
	if err := c.hook.before("advance"); err != nil {
		return err
	}
	if !from.Phase.PrimaryIsSource() || !to.Phase.PrimaryIsSource() {
		f := c.fenceOf(from.Domain)
		if err := f.exclude(ctx); err != nil {
			return err
		}
		defer f.admit()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.states[from.Domain] != from || to.Epoch != from.Epoch+1 {
		return fault.New(fault.Conflict, "the domain is not in that state")
	}
	c.states[from.Domain] = to
	line := cutover.HistoryLine{Change: why, At: time.Now(), From: from, To: to}
	c.history[from.Domain] = append([]cutover.HistoryLine{line}, c.history[from.Domain]...)
	c.notify()
	return nil
}

func (c *Control) notify() {
	for _, id := range slices.Sorted(maps.Keys(c.watchers)) {
		c.watchers[id]()
	}
}

// Barrier: see cutover.StateControl.
func (c *Control) Barrier(ctx context.Context, domain string) error {
	f := c.fenceOf(domain)
	if err := f.exclude(ctx); err != nil {
		return err
	}
	f.admit()
	return nil
}

// Restore puts a domain's state back to an earlier one, as a control plane
// would that had not written down what came after: a mistake for tests.
func (c *Control) Restore(s cutover.State) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.states[s.Domain] = s
	for len(c.history[s.Domain]) > 0 && c.history[s.Domain][0].To.Epoch > s.Epoch {
		c.history[s.Domain] = c.history[s.Domain][1:]
	}
}

// History: see cutover.StateControl.
func (c *Control) History(_ context.Context, domain string, limit int) ([]cutover.HistoryLine, error) {
	if err := c.enter("history"); err != nil {
		return nil, err
	}
	defer c.mu.Unlock()
	h := c.history[domain]
	return append([]cutover.HistoryLine(nil), h[:min(limit, len(h))]...), nil
}

// Began: see cutover.StateControl.
func (c *Control) Began(_ context.Context, domain string) (b cutover.Began, err error) {
	if err := c.enter("began"); err != nil {
		return b, err
	}
	defer c.mu.Unlock()
	for _, h := range slices.Backward(c.history[domain]) { // the oldest first
		if h.From.Phase == h.To.Phase {
			continue
		}
		b.Phase, b.PhaseAt = h.To.Epoch, h.At
		switch {
		case h.From.Phase == cutover.PhaseSource && h.To.Phase == cutover.PhaseDual:
			b.Move = h.To.Epoch
		case h.From.Phase == cutover.PhaseMirror && h.To.Phase == cutover.PhaseDual:
			b.RolledBackAt = h.At
		}
	}
	return b, nil
}

// Watch: see cutover.StateControl.
func (c *Control) Watch(ctx context.Context, changed func(), wrote func(cutover.Written)) {
	c.mu.Lock()
	c.watches++
	id := c.watches
	c.watchers[id], c.listeners[id] = changed, wrote
	c.mu.Unlock()
	changed()
	wrote(cutover.Written{})
	<-ctx.Done()
	c.mu.Lock()
	delete(c.watchers, id)
	delete(c.listeners, id)
	c.mu.Unlock()
}

// Wrote: see cutover.WordControl.
func (c *Control) Wrote(_ context.Context, all []cutover.Written) error {
	if err := c.enter("wrote"); err != nil {
		return err
	}
	defer c.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(c.listeners)) {
		for _, w := range all {
			c.listeners[id](w)
		}
	}
	return nil
}

// Lead: see cutover.StateControl.
func (c *Control) Lead(ctx context.Context, role string, do func(context.Context) error) (bool, error) {
	if err := c.enter("lead"); err != nil {
		return false, err
	}
	taken := c.leads[role]
	c.leads[role] = true
	c.mu.Unlock()
	if taken {
		return false, nil
	}
	defer func() {
		c.mu.Lock()
		delete(c.leads, role)
		c.mu.Unlock()
	}()
	return true, do(ctx)
}

// Settings: see cutover.StateControl.
func (c *Control) Settings(_ context.Context, domain string) (cutover.Settings, error) {
	if err := c.enter("settings"); err != nil {
		return cutover.Settings{}, err
	}
	defer c.mu.Unlock()
	if s, set := c.settings[domain]; set {
		return s, nil
	}
	return cutover.DefaultSettings, nil
}

// AllSettings: see cutover.StateControl.
func (c *Control) AllSettings(context.Context) (map[string]cutover.Settings, error) {
	if err := c.enter("settings"); err != nil {
		return nil, err
	}
	defer c.mu.Unlock()
	return maps.Clone(c.settings), nil
}

// SetSettings: see cutover.StateControl.
func (c *Control) SetSettings(_ context.Context, domain string, s cutover.Settings) error {
	if err := c.enter("set"); err != nil {
		return err
	}
	defer c.mu.Unlock()
	c.settings[domain] = s
	c.notify()
	return nil
}

// activityKey names a worker.
type activityKey struct{ domain, role, who string }

// activityLife is how long an activity is returned.
const activityLife = 30 * time.Second

// SetActivities: see cutover.ActivityControl.
func (c *Control) SetActivities(_ context.Context, all []cutover.Activity) error {
	if err := c.enter("tell"); err != nil {
		return err
	}
	defer c.mu.Unlock()
	for _, a := range all {
		a.At = time.Now()
		c.activities[activityKey{a.Domain, a.Role, a.Who}] = a
	}
	return nil
}

// Activities: see cutover.ActivityControl.
func (c *Control) Activities(_ context.Context, domain string) ([]cutover.Activity, error) {
	if err := c.enter("activities"); err != nil {
		return nil, err
	}
	defer c.mu.Unlock()
	var out []cutover.Activity
	for _, a := range c.activities {
		if a.Domain == domain && time.Since(a.At) < activityLife {
			out = append(out, a)
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Role+"\x00"+out[i].Who < out[j].Role+"\x00"+out[j].Who })
	return out, nil
}

// Beat: see cutover.ProcessControl.
func (c *Control) Beat(_ context.Context, p cutover.Process, ttl time.Duration) error {
	if err := c.enter("beat"); err != nil {
		return err
	}
	defer c.mu.Unlock()
	p.Seen = time.Now()
	p.Until = p.Seen.Add(ttl)
	c.processes[p.ID] = p
	return nil
}

// Leave: see cutover.ProcessControl.
func (c *Control) Leave(_ context.Context, id string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.processes, id)
	return nil
}

// Processes: see cutover.ProcessControl.
func (c *Control) Processes(context.Context) ([]cutover.Process, error) {
	if err := c.enter("processes"); err != nil {
		return nil, err
	}
	defer c.mu.Unlock()
	var out []cutover.Process
	for _, p := range c.processes {
		p.Alive = time.Now().Before(p.Until)
		out = append(out, p)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].ID < out[j].ID })
	return out, nil
}

// RecordGaps: see cutover.GapControl.
func (c *Control) RecordGaps(_ context.Context, gaps []cutover.Gap) error {
	if err := c.enter("gaps"); err != nil {
		return err
	}
	defer c.mu.Unlock()
	for _, g := range gaps {
		have := c.gap(g.Domain, g.Kind, g.ID)
		if have == nil {
			g.FirstSeen, g.LastSeen = time.Now(), time.Now()
			c.gaps = append(c.gaps, g)
			continue
		}
		have.Attempts++
		have.LastSeen, have.Reason, have.Resolved = time.Now(), g.Reason, time.Time{}
	}
	return nil
}

func (c *Control) gap(domain, kind, id string) *cutover.Gap {
	for i := range c.gaps {
		if g := &c.gaps[i]; g.Domain == domain && g.Kind == kind && g.ID == id {
			return g
		}
	}
	return nil
}

// ResolveGaps: see cutover.GapControl.
func (c *Control) ResolveGaps(ctx context.Context, domain string, keys []cutover.Key) error {
	for _, k := range keys {
		if err := c.ResolveForeignGap(ctx, domain, k.Kind, k.ID.String()); err != nil {
			return err
		}
	}
	return nil
}

// ResolveForeignGap: see cutover.GapControl.
func (c *Control) ResolveForeignGap(_ context.Context, domain, kind, id string) error {
	if err := c.enter("gaps"); err != nil {
		return err
	}
	defer c.mu.Unlock()
	if g := c.gap(domain, kind, id); g != nil {
		g.Resolved = time.Now()
	}
	return nil
}

// Gaps: see cutover.GapControl.
func (c *Control) Gaps(_ context.Context, domain string, openOnly bool, limit int) ([]cutover.Gap, error) {
	if err := c.enter("gaps"); err != nil {
		return nil, err
	}
	defer c.mu.Unlock()
	var out []cutover.Gap
	for _, g := range c.gaps {
		if (domain == "" || g.Domain == domain) && (!openOnly || g.Open()) && len(out) < limit {
			out = append(out, g)
		}
	}
	return out, nil
}

// GapsOf: see cutover.GapControl.
func (c *Control) GapsOf(_ context.Context, domain string, keys []cutover.Key) ([]cutover.Gap, error) {
	if err := c.enter("gaps"); err != nil {
		return nil, err
	}
	defer c.mu.Unlock()
	var out []cutover.Gap
	for _, k := range keys {
		if g := c.gap(domain, k.Kind, k.ID.String()); g != nil && g.Resolved.IsZero() {
			out = append(out, *g)
		}
	}
	return out, nil
}

// CountOpenGaps: see cutover.GapControl.
func (c *Control) CountOpenGaps(ctx context.Context, domain string) (int64, error) {
	gaps, err := c.Gaps(ctx, domain, true, 1<<30)
	return int64(len(gaps)), err
}

// WaiveGap: see cutover.GapControl.
func (c *Control) WaiveGap(_ context.Context, domain, kind, id, who, why string) (int64, error) {
	if err := c.enter("gaps"); err != nil {
		return 0, err
	}
	defer c.mu.Unlock()
	var n int64
	for i := range c.gaps {
		if g := &c.gaps[i]; g.Domain == domain && g.Open() && (id == "" || g.Kind == kind && g.ID == id) {
			g.WaivedBy, g.WaivedWhy = who, why
			n++
		}
	}
	return n, nil
}

// plan is the key of a kind's chunks.
func plan(domain string, since int64, kind string) string {
	return fmt.Sprintf("%s/%d/%s", domain, since, kind)
}

// PlanChunks: see cutover.BackfillControl.
func (c *Control) PlanChunks(_ context.Context, domain string, since int64, kind string, chunks []cutover.Chunk) error {
	if err := c.enter("plan"); err != nil {
		return err
	}
	defer c.mu.Unlock()
	key := plan(domain, since, kind)
	if c.chunks[key] != nil {
		return nil
	}
	c.order = append(c.order, key)
	for _, ch := range chunks {
		c.chunks[key] = append(c.chunks[key], &chunk{Chunk: ch})
	}
	return nil
}

// Planned: see cutover.BackfillControl.
func (c *Control) Planned(ctx context.Context, domain string, since int64) (map[string]bool, error) {
	progress, err := c.Progress(ctx, domain, since)
	out := map[string]bool{}
	for _, p := range progress {
		out[p.Kind] = true
	}
	return out, err
}

// WithChunk: see cutover.BackfillControl.
func (c *Control) WithChunk(ctx context.Context, domain string, since int64, kind string, do func(context.Context, cutover.Chunk) (int64, int64, error)) (bool, error) {
	if err := c.enter("claim"); err != nil {
		return false, err
	}
	var mine *chunk
	for _, ch := range c.chunks[plan(domain, since, kind)] {
		if !ch.claimed && !ch.done && mine == nil {
			mine, ch.claimed = ch, true
		}
	}
	c.mu.Unlock()
	if mine == nil {
		return false, nil
	}
	rows, gaps, err := do(ctx, mine.Chunk)
	c.mu.Lock()
	defer c.mu.Unlock()
	mine.claimed = false
	if err != nil {
		return true, err
	}
	mine.done, mine.Rows, mine.Gaps = true, rows, gaps
	return true, nil
}

// Progress: see cutover.BackfillControl.
func (c *Control) Progress(_ context.Context, domain string, since int64) ([]cutover.KindProgress, error) {
	if err := c.enter("progress"); err != nil {
		return nil, err
	}
	defer c.mu.Unlock()
	var out []cutover.KindProgress
	for _, key := range c.order {
		kind, ours := strings.CutPrefix(key, plan(domain, since, ""))
		if !ours {
			continue
		}
		p := cutover.KindProgress{Kind: kind}
		for _, ch := range c.chunks[key] {
			p.Chunks++
			p.Rows += ch.Rows
			p.Gaps += ch.Gaps
			if ch.done {
				p.Done++
			}
		}
		out = append(out, p)
	}
	return out, nil
}

// AddShadow: see cutover.ShadowControl.
func (c *Control) AddShadow(_ context.Context, domain string, epoch int64, counts []cutover.ShadowCount, samples []cutover.ShadowSample) error {
	if err := c.enter("shadow"); err != nil {
		return err
	}
	defer c.mu.Unlock()
	for _, n := range counts {
		c.shadow = append(c.shadow, shadowLine{domain, epoch, n})
	}
	c.samples = append(c.samples, samples...)
	return nil
}

// Shadow: see cutover.ShadowControl.
func (c *Control) Shadow(_ context.Context, domain string, since int64) ([]cutover.ShadowCount, error) {
	if err := c.enter("shadow"); err != nil {
		return nil, err
	}
	defer c.mu.Unlock()
	var out []cutover.ShadowCount
	at := map[string]int{}
	for _, l := range c.shadow {
		if l.domain != domain || l.epoch < since {
			continue
		}
		i, seen := at[l.count.Query]
		if !seen {
			at[l.count.Query] = len(out)
			out = append(out, l.count)
			continue
		}
		out[i].Compared += l.count.Compared
		out[i].Matched += l.count.Matched
		out[i].Diffs += l.count.Diffs
		out[i].Errors += l.count.Errors
		out[i].Dropped += l.count.Dropped
		out[i].Last = l.count.Last
	}
	return out, nil
}

// ShadowSamples: see cutover.ShadowControl.
func (c *Control) ShadowSamples(_ context.Context, _ string, _ int64, limit int) ([]cutover.ShadowSample, error) {
	if err := c.enter("shadow"); err != nil {
		return nil, err
	}
	defer c.mu.Unlock()
	return c.samples[:min(limit, len(c.samples))], nil
}

// SaveDocument: see cutover.DocumentControl.
func (c *Control) SaveDocument(_ context.Context, d cutover.Document) error {
	if err := c.enter("save"); err != nil {
		return err
	}
	defer c.mu.Unlock()
	c.documents = append([]cutover.Document{d}, c.documents...)
	return nil
}

// Documents: see cutover.DocumentControl.
func (c *Control) Documents(_ context.Context, domain, typ string, limit int) ([]cutover.Document, error) {
	if err := c.enter("documents"); err != nil {
		return nil, err
	}
	defer c.mu.Unlock()
	var out []cutover.Document
	for _, d := range c.documents {
		if d.Domain == domain && d.Type == typ && len(out) < limit {
			out = append(out, d)
		}
	}
	return out, nil
}

// Touch: see cutover.TouchControl.
func (c *Control) Touch(_ context.Context, domain string, keys []cutover.Key) error {
	if err := c.enter("touch"); err != nil {
		return err
	}
	defer c.mu.Unlock()
	if c.touched[domain] == nil {
		c.touched[domain] = map[cutover.Key]time.Time{}
	}
	for _, k := range keys {
		c.touched[domain][k] = time.Now()
	}
	return nil
}

// Touched: see cutover.TouchControl.
func (c *Control) Touched(_ context.Context, domain string, limit int) ([]cutover.Key, error) {
	if err := c.enter("touch"); err != nil {
		return nil, err
	}
	defer c.mu.Unlock()
	var out []cutover.Key
	for k := range c.touched[domain] {
		out = append(out, k)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].String() < out[j].String() })
	return out[:min(limit, len(out))], nil
}

// Untouch: see cutover.TouchControl.
func (c *Control) Untouch(_ context.Context, domain string, before time.Time) error {
	if err := c.enter("touch"); err != nil {
		return err
	}
	defer c.mu.Unlock()
	for k, at := range c.touched[domain] {
		if at.Before(before) {
			delete(c.touched[domain], k)
		}
	}
	return nil
}

// Clock: see cutover.TouchControl.
func (c *Control) Clock(context.Context) (time.Time, error) {
	return time.Now(), c.hook.before("clock")
}

var _ cutover.Control = (*Control)(nil)
