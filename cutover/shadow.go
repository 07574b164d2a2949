package cutover

import (
	"context"
	"encoding"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/amanat-dev/amanat/cutover/fault"
)

const (
	shadowWorkers = 2
	shadowQueue   = 64
	shadowTries   = 5
	shadowTimeout = 10 * time.Second
)

// shadowRun is one View that also runs on the secondary.
type shadowRun struct {
	state              State // in which it is counted
	query              string
	answer             string // the primary's, as the caller got it
	primary, secondary func(context.Context) string
}

// replay makes a View repeatable: it returns its canonical answer on one side.
func replay[R any](side Side, fn func(context.Context, Tx) (R, error)) func(context.Context) string {
	return func(ctx context.Context) (answer string) {
		// A View that panics ends its request; here it would end the process.
		defer func() {
			if why := recover(); why != nil {
				answer = fmt.Sprint(noAnswer, "panic: ", why)
			}
		}()
		r, err := runView(ctx, side, fn)
		return answerOf(r, err)
	}
}

// answerOf returns a View's answer in canonical form. A fault is an answer too,
// such as "not found"; a database that is away is not.
func answerOf[R any](r R, err error) string {
	if err == nil {
		var b strings.Builder
		canonicalAny(&b, reflect.ValueOf(&r).Elem())
		return b.String()
	}
	switch kind := fault.KindOf(err); kind {
	case fault.Unavailable, fault.Internal:
		return noAnswer + err.Error()
	default:
		return "fault " + string(kind)
	}
}

const noAnswer = "no answer: "

func answered(s string) bool { return !strings.HasPrefix(s, noAnswer) }

// shadows are the Views that run on the secondary too, to compare the answers.
type shadows struct {
	*base
	local    *local
	states   *states
	evidence *evidence
	copies   *copies

	log    shadowCounts
	begun  struct{ epoch, since int64 } // where the move began of which epoch is, for lookFilled alone
	filled atomic.Int64                 // the epoch of phase dual in which the backfill was found complete
}

// sampled says whether this View shall run on the secondary too: not before
// there is something to compare with.
func (c *shadows) sampled(s State, err error) bool {
	if !c.comparable(s) || fault.Is(err, fault.Unavailable) || errors.Is(err, context.Canceled) {
		return false
	}
	return c.engine.opts.Random(100) < int64(c.local.currentSettings().ShadowPercent)
}

// comparable says that the secondary has, but for the journal, all that the
// primary has.
func (c *shadows) comparable(s State) bool {
	return s.Phase == PhaseMirror || s.Phase == PhaseDual && c.filled.Load() == s.Epoch
}

// lookFilled finds out whether the backfill is complete, until it is. It says
// whether it had to ask.
func (c *shadows) lookFilled(ctx context.Context) (asked bool, err error) {
	s := c.local.current()
	if s.Phase != PhaseDual || c.local.currentSettings().ShadowPercent == 0 || c.comparable(s) {
		return false, nil
	}
	if c.begun.epoch != s.Epoch {
		since, err := c.states.startEpoch(ctx)
		if err != nil {
			return true, err
		}
		c.begun.epoch, c.begun.since = s.Epoch, since
	}
	todo, err := c.evidence.unfinishedSince(ctx, c.begun.since)
	if err == nil && !todo {
		c.filled.Store(s.Epoch)
	}
	return true, err
}

// shadow queues a run, or drops it when the pool is busy: members never wait.
func (c *shadows) shadow(run shadowRun) {
	run.state = c.local.current()
	queued := c.engine.pool.offer(func(ctx context.Context) { c.compareShadow(ctx, run) })
	if !queued {
		c.log.add(run, func(n *ShadowCount) { n.Dropped++ })
	}
}

// compareShadow runs the View on the secondary. When the answers differ, it
// runs both again after the notes of that moment are worked off; only what
// differs twice in the same way while the primary's answer stays the same is a
// diff.
func (c *shadows) compareShadow(ctx context.Context, run shadowRun) {
	ctx, cancel := context.WithTimeout(ctx, shadowTimeout)
	defer cancel()
	s := run.state
	c.countOp(!s.Phase.PrimaryIsSource(), "shadow")
	first, second := run.answer, run.secondary(ctx)
	suspect := ""
	for range shadowTries {
		if first == second {
			c.log.add(run, func(n *ShadowCount) { n.Compared++; n.Matched++ })
			return
		}
		if !answered(first) || !answered(second) {
			c.log.add(run, func(n *ShadowCount) { n.Compared++; n.Errors++ })
			return
		}
		// The primary is read before the notes are worked off: what that answer
		// rests on has then been copied.
		before := run.primary(ctx)
		if err := c.copies.awaitCopied(ctx, s); err != nil || c.local.current() != s {
			break
		}
		second = run.secondary(ctx)
		first = run.primary(ctx)
		if before != first || first == second || !answered(first) || !answered(second) {
			continue
		}
		if again := first + "\x00" + second; again != suspect {
			// What came and went between the two readings of the primary looks
			// like a difference once, and not twice.
			suspect = again
			continue
		}
		c.log.diff(run, first, second)
		return
	}
	// The records moved all the time, or the domain itself did: no finding.
	c.log.add(run, func(n *ShadowCount) { n.Dropped++ })
}

// shadowPool runs shadow reads on few workers.
type shadowPool struct{ jobs chan func(context.Context) }

func newShadowPool() *shadowPool {
	return &shadowPool{jobs: make(chan func(context.Context), shadowQueue)}
}

func (p *shadowPool) offer(job func(context.Context)) bool {
	select {
	case p.jobs <- job:
		return true
	default:
		return false
	}
}

func (p *shadowPool) run(ctx context.Context) {
	var workers sync.WaitGroup
	for range shadowWorkers {
		workers.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case job := <-p.jobs:
					job(ctx)
				}
			}
		})
	}
	workers.Wait()
}

// shadowCounts gathers a domain's counts until they are flushed.
type shadowCounts struct {
	mu     sync.Mutex
	epochs map[int64]*epochCounts
}

// epochCounts are those of Views that were run in one epoch.
type epochCounts struct {
	counts  map[string]*ShadowCount // by query
	samples []ShadowSample
}

const samplesHeld = 20 // of an epoch, until they are flushed

func (l *shadowCounts) add(run shadowRun, change func(*ShadowCount)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.epoch(run.state.Epoch).add(run.query, change)
}

// epoch returns an epoch's counts. l.mu is held.
func (l *shadowCounts) epoch(n int64) *epochCounts {
	if l.epochs == nil {
		l.epochs = map[int64]*epochCounts{}
	}
	if l.epochs[n] == nil {
		l.epochs[n] = &epochCounts{counts: map[string]*ShadowCount{}}
	}
	return l.epochs[n]
}

func (e *epochCounts) add(query string, change func(*ShadowCount)) {
	n, ok := e.counts[query]
	if !ok {
		n = &ShadowCount{Query: query, First: Now()}
		e.counts[query] = n
	}
	n.Last = Now()
	change(n)
}

func (l *shadowCounts) diff(run shadowRun, primary, secondary string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.epoch(run.state.Epoch)
	e.add(run.query, func(n *ShadowCount) { n.Compared++; n.Diffs++ })
	if len(e.samples) < samplesHeld {
		e.samples = append(e.samples, ShadowSample{run.query, Now(), clip(primary), clip(secondary)})
	}
}

// take returns what was counted and begins anew.
func (l *shadowCounts) take() map[int64]*epochCounts {
	l.mu.Lock()
	defer l.mu.Unlock()
	taken := l.epochs
	l.epochs = nil
	return taken
}

// sorted returns the counts by query.
func (e *epochCounts) sorted() []ShadowCount {
	var counts []ShadowCount
	for _, query := range slices.Sorted(maps.Keys(e.counts)) {
		counts = append(counts, *e.counts[query])
	}
	return counts
}

func clip(s string) string {
	if len(s) > 4000 {
		return s[:4000] + "…"
	}
	return s
}

// flushShadows hands the counts to the control plane every second.
func (e *Engine) flushShadows(ctx context.Context) {
	for ctx.Err() == nil {
		pause(ctx, time.Second)
		for _, name := range e.order {
			for epoch, n := range e.domains[name].shadows.log.take() {
				if err := e.opts.Control.AddShadow(ctx, name, epoch, n.sorted(), n.samples); err != nil && ctx.Err() == nil {
					e.log.Warn("shadow counts were lost", "domain", name, "error", err)
				}
			}
		}
	}
}

// canonicalAny writes any Go value so that equal answers have equal texts:
// times in milliseconds, nil and empty lists alike, no secrets.
func canonicalAny(b *strings.Builder, v reflect.Value) {
	if v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		if v.IsNil() {
			b.WriteString("nil")
			return
		}
		canonicalAny(b, v.Elem())
		return
	}
	if v.CanInterface() {
		switch x := v.Interface().(type) {
		case time.Time:
			b.WriteString(x.UTC().Format("2006-01-02T15:04:05.000Z"))
			return
		case Extra:
			b.Write(x)
			return
		case encoding.TextMarshaler:
			text, err := x.MarshalText()
			fmt.Fprintf(b, "%s%s", text, errText(err))
			return
		}
	}
	switch v.Kind() {
	case reflect.Struct:
		canonicalStruct(b, v)
	case reflect.Slice, reflect.Array:
		canonicalList(b, v)
	case reflect.Map:
		canonicalMap(b, v)
	case reflect.String:
		fmt.Fprintf(b, "%q", v.String())
	default:
		fmt.Fprintf(b, "%v", v)
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return "(" + err.Error() + ")"
}

func canonicalStruct(b *strings.Builder, v reflect.Value) {
	b.WriteString("{")
	t := v.Type()
	for i := range t.NumField() {
		if !t.Field(i).IsExported() {
			continue
		}
		fv := v.Field(i)
		if isNothing(fv) {
			continue
		}
		fmt.Fprintf(b, "%s:", t.Field(i).Name)
		if t.Field(i).Tag.Get("json") == "-" && t.Field(i).Type != reflect.TypeFor[Extra]() {
			var secret strings.Builder
			canonicalAny(&secret, fv)
			fmt.Fprintf(b, "(secret %.8s) ", digest(secret.String()))
			continue
		}
		canonicalAny(b, fv)
		b.WriteString(" ")
	}
	b.WriteString("}")
}

// isNothing: see package shape, "nothing is nothing".
func isNothing(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Slice, reflect.Map, reflect.String:
		return v.Len() == 0
	case reflect.Pointer:
		return v.IsNil()
	}
	return false
}

func canonicalList(b *strings.Builder, v reflect.Value) {
	b.WriteString("[")
	for i := range v.Len() {
		canonicalAny(b, v.Index(i))
		b.WriteString(" ")
	}
	b.WriteString("]")
}

func canonicalMap(b *strings.Builder, v reflect.Value) {
	lines := make([]string, 0, v.Len())
	for _, k := range v.MapKeys() {
		var line strings.Builder
		canonicalAny(&line, k)
		line.WriteString(":")
		canonicalAny(&line, v.MapIndex(k))
		lines = append(lines, line.String())
	}
	sort.Strings(lines)
	fmt.Fprintf(b, "map%q", lines)
}
