package cutover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/amanat-dev/amanat/cutover/fault"
)

// Gate lines, by the names with which they are waived.
const (
	GateProcesses = "processes"
	GateVerify    = "verify"
	GateGaps      = "gaps"
	GateShadow    = "shadow"
	GateWayBack   = "way-back"
	GateRehearsal = "rehearsal"
	GateLastCopy  = "last-copy" // the only line of a finish
)

const (
	maxLag    = time.Second
	shadowMin = 1000
	lostAfter = 30 * time.Second // a process that was lost longer ago does not hold a switch
	askTime   = 3 * time.Second  // for a question that a database answers at once or not at all
)

// GateLine is one condition of a switch, rollback or finish with its evidence.
type GateLine struct {
	Name     string `json:"name"`
	OK       bool   `json:"ok"`
	Evidence string `json:"evidence"`
	Waivable bool   `json:"waivable"`
	Waived   string `json:"waived,omitempty"` // the reason on record
	// Remedies name what would help, the first thing first.
	Remedies []Remedy `json:"remedies,omitempty"`
}

// Passed says that the line does not hold the step.
func (l GateLine) Passed() bool { return l.OK || l.Waived != "" }

// Gate is the list of conditions of one step.
type Gate []GateLine

// Passed says that nothing holds the step.
func (g Gate) Passed() bool {
	for _, l := range g {
		if !l.Passed() {
			return false
		}
	}
	return true
}

// GateOptions are what an operator asks of a gate.
type GateOptions struct {
	Waive      map[string]string // line → reason
	ShadowMin  int64             // shadow reads compared; default 1,000
	ShadowTime time.Duration     // over at least this long; default 0
	Budget     time.Duration     // longest pause; default DefaultBudget
}

// DefaultBudget is how long writes may be held back.
const DefaultBudget = 250 * time.Millisecond

// gates evaluate what has to hold before a step of a domain.
type gates struct {
	*base
	states   *states
	evidence *evidence
	strays   *strays
	copies   *copies
}

// gate evaluates the conditions under which s's domain may change its primary.
func (c *gates) gate(ctx context.Context, s State, o GateOptions) (Gate, State, error) {
	setDefault(&o.ShadowMin, shadowMin)
	setDefault(&o.Budget, DefaultBudget)
	out, err := c.gateLines(ctx, s, o)
	if err != nil {
		return nil, s, err
	}
	if !out.Passed() {
		return append(out, GateLine{Name: GateRehearsal, Evidence: "not rehearsed: the lines above come first"}), s, nil
	}
	l, s, err := c.gateRehearsal(ctx, s, o)
	return append(out, l), s, err
}

// gateLines evaluates all conditions but the rehearsal.
func (c *gates) gateLines(ctx context.Context, s State, o GateOptions) (out Gate, err error) {
	for _, line := range []func(context.Context, State, GateOptions) (GateLine, error){
		c.gateProcesses, c.gateVerify, c.gateGaps, c.gateShadow, c.gateWayBack,
	} {
		l, err := line(ctx, s, o)
		if err != nil {
			return nil, err
		}
		out = append(out, l.waive(o))
	}
	return out, nil
}

// needs adds to the evidence what holds the line, and what would help.
func (l *GateLine) needs(r Remedy, evidence string) {
	l.Evidence += evidence
	l.Remedies = append(l.Remedies, r)
}

// waive puts on the line why it shall not hold the step, where it would.
func (l GateLine) waive(o GateOptions) GateLine {
	if why, asked := o.Waive[l.Name]; asked && l.Waivable && !l.OK {
		l.Waived = why
	}
	return l
}

// Gate returns the conditions of the next switch or rollback of a domain as they
// are now, without the rehearsal, which would take a step; none in a phase
// from which there is neither.
func (e *Engine) Gate(ctx context.Context, domain string, o GateOptions) (Gate, error) {
	c, err := e.core(domain)
	if err != nil {
		return nil, err
	}
	if err := c.needBoth(); err != nil {
		return nil, err
	}
	s, err := c.states.recorded(ctx)
	if err != nil || !s.Phase.Copies() {
		return nil, err
	}
	setDefault(&o.ShadowMin, shadowMin)
	return c.gates.gateLines(ctx, s, o)
}

// lastCopyTime is for the copies that are under way as a finish begins.
const lastCopyTime = 20 * time.Second

// finishGate asks that the database that is left behind is complete, as far as a
// moment under load can tell. Where it is away for good, an operator waives that.
func (c *gates) finishGate(ctx context.Context, s State, o GateOptions) (Gate, error) {
	l := GateLine{Name: GateLastCopy, Waivable: true}
	open, err := c.engine.opts.Control.CountOpenGaps(ctx, c.name)
	if err != nil {
		return nil, err
	}
	if open > 0 {
		l.needs(RemedyGaps, fmt.Sprintf("%d gaps are open", open))
	} else if err := c.lastCopied(ctx, s, &l); err != nil {
		return nil, err
	}
	return Gate{l.waive(o)}, nil
}

// lastCopied waits a moment until all that is in s's primary is in its
// secondary, and has the line say so, or what is missing.
func (c *gates) lastCopied(ctx context.Context, s State, l *GateLine) error {
	primary, secondary := c.stores(s)
	if err := answers(ctx, secondary); err != nil {
		l.Evidence = fmt.Sprintf("%s does not answer, so what is in the journal was not copied to it", secondary.Name())
		return nil
	}
	copying, cancel := context.WithTimeout(ctx, lastCopyTime)
	defer cancel()
	err := c.copies.awaitCopied(copying, s)
	var refusal *Refusal
	switch {
	case err == nil:
		l.OK, l.Evidence = true, fmt.Sprintf("what was written before this is in %s too", secondary.Name())
		return nil
	case errors.As(err, &refusal):
		l.needs(refusal.Remedy, refusal.Error())
		return nil
	case copying.Err() == nil || ctx.Err() != nil:
		return err
	}
	notes, _, err := primary.Journal(ctx)
	l.Evidence = fmt.Sprintf("%d writes were not copied to %s within %s", notes, secondary.Name(), lastCopyTime)
	return err
}

// answers says whether a database answers within a moment.
func answers(ctx context.Context, s Store) error {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	return unanswered(s.Ping(ctx))
}

func (c *gates) gateProcesses(ctx context.Context, s State, _ GateOptions) (GateLine, error) {
	all, err := c.engine.opts.Control.Processes(ctx)
	if err != nil {
		return GateLine{}, err
	}
	now, err := c.engine.opts.Control.Clock(ctx)
	if err != nil {
		return GateLine{}, err
	}
	var behind, lost []string
	alive := 0
	for _, p := range all {
		switch {
		case p.Alive && p.Acks[c.name] < s.Epoch:
			behind = append(behind, p.ID)
		case p.Alive:
			alive++
		case now.Sub(p.Until) < lostAfter:
			lost = append(lost, p.ID)
		}
	}
	l := GateLine{Name: GateProcesses, OK: len(behind)+len(lost) == 0}
	l.Evidence = fmt.Sprintf("%d on epoch %d", alive, s.Epoch)
	if len(behind) > 0 {
		l.Evidence += "; behind: " + strings.Join(behind, ", ")
	}
	if len(lost) > 0 {
		l.Evidence += "; lost: " + strings.Join(lost, ", ")
	}
	return l, nil
}

func (c *gates) gateVerify(ctx context.Context, s State, _ GateOptions) (GateLine, error) {
	l := GateLine{Name: GateVerify, Waivable: true}
	since, err := c.states.phaseEpoch(ctx)
	if err != nil {
		return l, err
	}
	if s.Phase == PhaseDual {
		todo, err := c.evidence.unfinished(ctx)
		if err != nil {
			return l, err
		}
		if todo {
			l.needs(RemedyBackfill, unfinishedText)
			return l, nil
		}
	}
	docs, err := c.engine.opts.Control.Documents(ctx, c.name, DocVerify, 1)
	if err != nil {
		return l, err
	}
	if len(docs) == 0 || docs[0].Epoch < since {
		l.needs(RemedyVerify, fmt.Sprintf("no verify since phase %s began", s.Phase))
		return l, nil
	}
	var r VerifyResult
	if err := json.Unmarshal(docs[0].Body, &r); err != nil {
		return l, err
	}
	l.OK = r.OK
	l.Evidence = fmt.Sprintf("%d differences in %d records, invariants %s, at %s",
		r.Differences(), r.rows(), holds(invariantsHold(r.Invariants)), docs[0].At.Format(time.DateTime))
	if len(r.Diffs) > 0 {
		l.Remedies = append(l.Remedies, RemedyStrays)
	}
	return l, nil
}

func holds(ok bool) string {
	if ok {
		return "hold"
	}
	return "broken"
}

func (r VerifyResult) rows() int64 {
	var n int64
	for _, k := range r.Kinds {
		n += max(k.Source, k.Target)
	}
	return n
}

func (c *gates) gateGaps(ctx context.Context, s State, _ GateOptions) (GateLine, error) {
	l := GateLine{Name: GateGaps}
	open, err := c.engine.opts.Control.CountOpenGaps(ctx, c.name)
	if err != nil {
		return l, err
	}
	asking, stop := context.WithTimeout(ctx, askTime)
	defer stop()
	primary, secondary := c.stores(s)
	lag, err := c.copies.lag(asking, s)
	if err != nil {
		err = l.unanswered(primary, err)
		return l, err
	}
	strays, err := c.strays.strays(asking, s)
	if err != nil {
		err = l.unanswered(secondary, err)
		return l, err
	}
	settings, err := c.engine.opts.Control.Settings(ctx, c.name)
	if err != nil {
		return l, err
	}
	l.OK = open == 0 && lag < maxLag && len(strays) == 0 && !settings.CopyPaused
	l.Evidence = fmt.Sprintf("%d open gaps, copy lag %s", open, lag.Round(time.Millisecond))
	if open > 0 {
		l.Remedies = append(l.Remedies, RemedyGaps)
	}
	if settings.CopyPaused {
		l.needs(RemedyResume, "; the copier is paused")
	}
	if len(strays) > 0 {
		l.needs(RemedyStrays, fmt.Sprintf("; %d stray writes, the first is %s", len(strays), strays[0]))
	}
	return l, nil
}

// unanswered has the line say that a database does not answer, if that is what
// err says; other errors pass.
func (l *GateLine) unanswered(s Store, err error) error {
	if !fault.Is(unanswered(err), fault.Unavailable) {
		return err
	}
	l.Evidence = s.Name() + " does not answer"
	return nil
}

func (c *gates) gateShadow(ctx context.Context, s State, o GateOptions) (GateLine, error) {
	l := GateLine{Name: GateShadow, Waivable: true}
	since, err := c.states.phaseEpoch(ctx)
	if err != nil {
		return l, err
	}
	counts, err := c.engine.opts.Control.Shadow(ctx, c.name, since)
	if err != nil {
		return l, err
	}
	total, seen := sumShadow(counts)
	var unseen []string
	for q := range c.queries {
		if !seen[q] {
			unseen = append(unseen, q)
		}
	}
	sort.Strings(unseen)
	span := total.Last.Sub(total.First)
	l.OK = total.Matched >= o.ShadowMin && span >= o.ShadowTime && total.Diffs == 0 && len(unseen) == 0
	l.Evidence = shadowEvidence(total, o, span, unseen)
	return l, nil
}

func sumShadow(counts []ShadowCount) (ShadowCount, map[string]bool) {
	var total ShadowCount
	seen := map[string]bool{}
	for _, n := range counts {
		total.Compared += n.Compared
		total.Matched += n.Matched
		total.Diffs += n.Diffs
		total.Errors += n.Errors
		total.Dropped += n.Dropped
		if total.First.IsZero() || n.First.Before(total.First) {
			total.First = n.First
		}
		if n.Last.After(total.Last) {
			total.Last = n.Last
		}
		seen[n.Query] = n.Matched > 0
	}
	return total, seen
}

// shadowEvidence adds what zero diffs in n comparisons mean: at 95 % the true
// rate is at most 3/n (the rule of three).
func shadowEvidence(t ShadowCount, o GateOptions, span time.Duration, unseen []string) string {
	text := fmt.Sprintf("%d matched of %d asked, %d diffs, %d errors, over %s", t.Matched, o.ShadowMin, t.Diffs, t.Errors, span.Round(time.Second))
	if t.Diffs == 0 && t.Matched > 0 {
		text += fmt.Sprintf(" (at most %.2g %% differ, at 95 %%)", 300/float64(t.Matched))
	}
	if len(unseen) > 0 {
		text += "; not seen: " + strings.Join(unseen, ", ")
	}
	return text
}

// gateWayBack asks that the opposite step is known to work: by the newest drill
// of this phase, or else by an earlier rollback.
func (c *gates) gateWayBack(ctx context.Context, s State, _ GateOptions) (GateLine, error) {
	l := GateLine{Name: GateWayBack, Waivable: true}
	if s.Phase == PhaseMirror {
		l.OK, l.Evidence = true, "the switch itself was the way that a rollback would be undone by"
		return l, nil
	}
	drill, err := c.evidence.lastDrill(ctx)
	if err != nil {
		return l, err
	}
	if drill != nil {
		l.OK = drill.OK
		l.Evidence = fmt.Sprintf("drill: %d of %d records copied back differ, at %s", drill.Differences(), drill.Copied, drill.Started.Format(time.DateTime))
		return l, nil
	}
	began, err := c.engine.opts.Control.Began(ctx, c.name)
	if err != nil {
		return l, err
	}
	if at := began.RolledBackAt; !at.IsZero() {
		l.OK, l.Evidence = true, "rolled back at "+at.Format(time.DateTime)
		return l, nil
	}
	l.needs(RemedyDrill, "neither a drill nor a rollback has been done yet")
	return l, nil
}

// gateRehearsal goes through the last steps without sealing: a new epoch is
// recorded and acknowledged by every process, the journal is drained, and the
// records touched since the last verify are compared.
func (c *gates) gateRehearsal(ctx context.Context, s State, o GateOptions) (GateLine, State, error) {
	l := GateLine{Name: GateRehearsal}
	differ, _, err := c.compareTouched(ctx, s)
	if err != nil || len(differ) > 0 {
		l.Evidence = fmt.Sprintf("touched since the last verify and not alike: %v", differ)
		return l, s, err
	}
	begin := time.Now()
	s, err = c.states.advance(ctx, s, s.Phase, false, Change{Who: c.engine.opts.Process.ID, Action: "rehearse", Why: "to time the steps of a " + handoverName(s.Phase)})
	if err != nil {
		return l, s, err
	}
	if err := c.states.awaitAcks(ctx, s); err != nil {
		return l, s, err
	}
	acked := time.Since(begin)
	if err := c.copies.awaitCopied(ctx, s); err != nil {
		return l, s, err
	}
	drained := time.Since(begin) - acked
	differ, compared, err := c.compareTouched(ctx, s)
	if err != nil || len(differ) > 0 {
		l.Evidence = fmt.Sprintf("touched since the last verify and not alike: %v", differ)
		return l, s, err
	}
	// A handover records three epochs: of the seal, the flip and the opening.
	expect := 3*acked + drained + compared
	l.OK = expect <= o.Budget
	l.Evidence = fmt.Sprintf("pause of about %s (acknowledge 3 × %s, drain %s, compare %s), budget %s",
		ms(expect), ms(acked), ms(drained), ms(compared), o.Budget)
	return l, s, nil
}

func ms(d time.Duration) time.Duration { return d.Round(time.Millisecond) }

func handoverName(p Phase) string {
	if p == PhaseDual {
		return "switch"
	}
	return "rollback"
}

// compareTouched compares what was copied since the last verify, gives the
// keys that persistently differ, and forgets the others. took is the time of
// the look at them all: a handover, while nothing is written, takes no other.
//
// A record that is written all the time is alike for a moment at most, and
// passes when its copies follow: the handover compares it once more when it stands
// still. So do those that are touched meanwhile.
func (c *gates) compareTouched(ctx context.Context, s State) (left []Key, took time.Duration, err error) {
	control := c.engine.opts.Control
	begin := time.Now()
	at, err := control.Clock(ctx)
	if err != nil {
		return nil, 0, err
	}
	if left, err = c.touched(ctx); err != nil || len(left) == 0 {
		return nil, time.Since(begin), err
	}
	seen := map[Key]int64{}
	for round := 0; ; round++ {
		pairs, err := c.differing(ctx, left)
		if err != nil {
			return nil, 0, err
		}
		left, seen = s.astray(pairs, seen)
		if left, err = c.evidence.unwaived(ctx, left); err != nil {
			return nil, 0, err
		}
		if round == 0 {
			took = time.Since(begin)
		}
		if len(left) == 0 {
			return nil, took, control.Untouch(ctx, c.name, at)
		}
		if round == verifyRounds {
			return left, took, nil
		}
		if err := c.copies.awaitCopied(ctx, s); err != nil {
			return nil, 0, err
		}
	}
}

// touched returns all keys that were copied since the last verify.
func (c *gates) touched(ctx context.Context) ([]Key, error) {
	keys, err := c.engine.opts.Control.Touched(ctx, c.name, maxSuspects)
	if err == nil && len(keys) == maxSuspects {
		return nil, c.refuse(RemedyVerify, "more than %d records were written since the last verify", maxSuspects)
	}
	return keys, err
}

// unlike returns those of the keys whose records are not alike on both sides, and
// whose difference nobody has waived.
func (c *gates) unlike(ctx context.Context, keys []Key) ([]Key, error) {
	pairs, err := c.differing(ctx, keys)
	if err != nil {
		return nil, err
	}
	out := make([]Key, len(pairs))
	for i, p := range pairs {
		out[i] = p.key
	}
	return c.evidence.unwaived(ctx, out)
}

// differing returns the pairs of those keys whose records are not alike.
func (c *gates) differing(ctx context.Context, keys []Key) ([]pair, error) {
	pairs, err := c.both().fetch(ctx, keys)
	return slices.DeleteFunc(pairs, pair.same), err
}
