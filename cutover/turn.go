package cutover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/cutover/step"
)

const (
	coordinatorRole = "coordinator"
	historyAll      = 10_000
	undoTime        = 10 * time.Second
	stepTime        = 30 * time.Second // for steps that hold nobody up
	madeWithin      = 100              // more changes than others make while one is not answered
	gateTime        = 2 * time.Minute  // for a whole gate, which may have much to compare
)

// StepOptions say who asks for a step, why, and whether to do it.
type StepOptions struct {
	GateOptions
	Execute bool // else: show what would be done
	Who     string
	Why     string
}

// Report is the record of one step.
type Report struct {
	Domain  string       `json:"domain"`
	Action  string       `json:"action"`
	From    Phase        `json:"from"`
	To      Phase        `json:"to"`
	Before  int64        `json:"epochBefore"`
	Epoch   int64        `json:"epoch"` // after the step
	Who     string       `json:"who"`
	Why     string       `json:"why"`
	At      time.Time    `json:"at"`
	Gate    Gate         `json:"gate,omitempty"`
	Done    bool         `json:"done"`
	Problem string       `json:"problem,omitempty"` // why it was not done, or undone
	Steps   []ReportStep `json:"steps,omitempty"`
	Drained int          `json:"drained"`  // records copied while sealed
	Matched int          `json:"compared"` // records compared while sealed
	PauseMS float64      `json:"pauseMs"`  // from the first write held back to the last one let go
	// Verify is the newest one since the move began, with the rows and checksums
	// of both databases; nil when there was none.
	Verify *VerifyEvidence `json:"verify,omitempty"`
}

// VerifyEvidence is what a report keeps of a verify.
type VerifyEvidence struct {
	At         time.Time         `json:"at"`
	Who        string            `json:"who"`
	Epoch      int64             `json:"epoch"`
	OK         bool              `json:"ok"`
	Kinds      []KindResult      `json:"kinds"`
	Invariants []InvariantResult `json:"invariants"`
}

// ReportStep is one timed part of a step.
type ReportStep struct {
	Name string  `json:"name"`
	MS   float64 `json:"ms"`
}

// Switch makes PostgreSQL the primary of a domain in phase dual.
func (e *Engine) Switch(ctx context.Context, domain string, o StepOptions) (Report, error) {
	return e.turn(ctx, domain, "switch", PhaseDual, PhaseMirror, o)
}

// Rollback makes MongoDB the primary again of a domain in phase mirror.
func (e *Engine) Rollback(ctx context.Context, domain string, o StepOptions) (Report, error) {
	return e.turn(ctx, domain, "rollback", PhaseMirror, PhaseDual, o)
}

// turn is switch and rollback: seal, drain, flip, open. Before the flip any
// failure unseals and leaves the old primary; after it a re-run, or any
// process that finds the seal without a coordinator, only opens.
func (e *Engine) turn(ctx context.Context, domain, action string, from, to Phase, o StepOptions) (Report, error) {
	setDefault(&o.Budget, DefaultBudget)
	return e.step(ctx, domain, action, from, to, o, func(ctx context.Context, t *turn) error {
		looking, stop := context.WithTimeout(ctx, gateTime)
		gate, s, err := t.gate(looking, t.state, o.GateOptions)
		stop()
		t.report.Gate, t.state = gate, s
		if err != nil || !o.Execute {
			return err
		}
		if !gate.Passed() {
			return fault.New(fault.Conflict, "the gate holds the %s", action)
		}
		return t.do(ctx)
	})
}

// turn is one step under way.
type turn struct {
	*domainCore
	state  State
	to     Phase
	o      StepOptions
	report *Report
	mark   time.Time
}

// step runs do as the domain's only coordinator, from the recorded phase, and
// stores the report when something was executed.
func (e *Engine) step(ctx context.Context, domain, action string, from, to Phase, o StepOptions, do func(context.Context, *turn) error) (Report, error) {
	c, err := e.core(domain)
	if err != nil {
		return Report{}, err
	}
	if err := c.needBoth(); err != nil {
		return Report{}, err
	}
	report := Report{Domain: domain, Action: action, From: from, To: to, Who: o.Who, Why: o.Why, At: Now()}
	led, err := e.opts.Control.Lead(ctx, coordinatorRole+":"+domain, func(ctx context.Context) error {
		t := &turn{domainCore: c, to: to, o: o, report: &report, mark: time.Now()}
		if t.state, err = c.recordedOpen(ctx); err != nil {
			return err
		}
		report.Before = t.state.Epoch
		if t.state.Phase != from {
			return fault.New(fault.Conflict, "%s is in phase %s; %s goes from %s to %s", domain, t.state.Phase, action, from, to)
		}
		return do(ctx, t)
	})
	if err == nil && !led {
		err = fault.New(fault.Conflict, "another step of %s is under way", domain)
	}
	if err != nil {
		report.Problem = err.Error()
	}
	if o.Execute && led {
		if serr := c.file(context.WithoutCancel(ctx), &report); serr != nil && err == nil {
			err = serr
		}
	}
	return report, err
}

// file puts a report on record, with the newest verify. Nobody is held up any
// more.
func (c *domainCore) file(ctx context.Context, r *Report) error {
	verify, err := c.lastVerify(ctx)
	r.Verify = verify
	return errors.Join(err, c.engine.save(ctx, r.Domain, DocReport, r.Epoch, r.Who, r.Done, r))
}

// lastVerify gives the newest verify since the move began; nil when there is
// none.
func (c *domainCore) lastVerify(ctx context.Context) (*VerifyEvidence, error) {
	since, err := c.startEpoch(ctx)
	if err != nil {
		return nil, err
	}
	docs, err := c.engine.opts.Control.Documents(ctx, c.name, DocVerify, 1)
	if err != nil || len(docs) == 0 || docs[0].Epoch < since {
		return nil, err
	}
	var r VerifyResult
	if err := json.Unmarshal(docs[0].Body, &r); err != nil {
		return nil, err
	}
	return &VerifyEvidence{At: docs[0].At, Who: r.Who, Epoch: r.Epoch, OK: r.OK, Kinds: r.Kinds, Invariants: r.Invariants}, nil
}

// do seals, drains, flips and opens.
func (t *turn) do(ctx context.Context) error {
	begin := time.Now()
	t.mark = begin
	if err := t.sealAndDrain(ctx); err != nil {
		return t.undo(ctx, err)
	}
	if time.Since(begin) > t.o.Budget {
		return t.undo(ctx, fault.New(fault.Unavailable, "the pause would have been longer than %s", t.o.Budget))
	}
	if err := t.flip(ctx); err != nil {
		return err
	}
	t.report.PauseMS = millis(time.Since(begin))
	return nil
}

func (t *turn) sealAndDrain(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, t.o.Budget)
	defer cancel()
	s, err := t.advance(ctx, t.state, t.state.Phase, true, t.change("seal"))
	if err != nil {
		return err
	}
	t.state = s
	t.timed("seal")
	t.pass(step.Sealed)
	if err := t.awaitAcks(ctx, s); err != nil {
		return err
	}
	t.timed("acknowledge")
	t.pass(step.SealAcked)
	drained, err := t.drain(ctx, s)
	if err != nil {
		return err
	}
	t.report.Drained = len(drained)
	strays, err := t.strays(ctx, s)
	if err != nil {
		return err
	}
	if len(strays) > 0 {
		return fault.New(fault.Conflict, "%d stray writes, the first is %s", len(strays), strays[0])
	}
	t.timed("drain")
	t.pass(step.Drained)
	return t.compareDrained(ctx)
}

// compareDrained compares what was copied since the rehearsal, by whichever
// copier.
func (t *turn) compareDrained(ctx context.Context) error {
	keys, err := t.touched(ctx)
	if err != nil {
		return err
	}
	differ, err := t.unlike(ctx, keys)
	if err != nil {
		return err
	}
	if len(differ) > 0 {
		return fault.New(fault.Conflict, "%d records differ after the drain, the first is %s", len(differ), differ[0])
	}
	t.report.Matched = len(keys)
	t.timed("compare")
	t.pass(step.Compared)
	return nil
}

// flip is the point of no return, one committed row; then every process has to
// know the new primary before the first write is let in, so that no read of
// the old one can come after a write to the new one.
func (t *turn) flip(ctx context.Context) error {
	// Bounded, since writes wait: whether a row that was given up on is there
	// after all, undo finds out.
	flipping, stop := context.WithTimeout(ctx, t.o.Budget)
	s, err := t.advanceControl(flipping, t.state, t.to, true, t.change(t.report.Action))
	stop()
	if err != nil {
		return t.undo(ctx, err)
	}
	// From here on a cancelled command must not stop half-way.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stepTime)
	defer cancel()
	t.state, t.report.Done, t.report.Epoch = s, true, s.Epoch
	t.timed("flip")
	t.pass(step.Flipped)
	t.keepState(ctx, s)
	t.pass(step.FlipKept)
	if err := t.awaitAcks(ctx, s); err != nil {
		return stillSealed(err)
	}
	t.timed("acknowledge")
	t.pass(step.FlipAcked)
	s, err = t.advance(ctx, s, t.to, false, t.change("open"))
	if err != nil {
		return stillSealed(err)
	}
	t.state = s
	t.report.Epoch = s.Epoch
	t.timed("open")
	t.pass(step.Opened)
	if err := t.awaitAcks(ctx, s); err != nil {
		return err
	}
	t.pass(step.OpenedAcked)
	return nil
}

// stillSealed tells of what went wrong after the flip: there is no way but
// forward, and any running process will go it.
func stillSealed(err error) error {
	return fmt.Errorf("the domain has moved, but is not open yet; any running process will open it: %w", err)
}

// undo opens the old primary again and passes the reason on. When the flip's
// own outcome is unknown, the recorded phase decides.
func (t *turn) undo(ctx context.Context, why error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
	defer cancel()
	s, err := t.unsealOwn(ctx, why)
	t.timed("unseal")
	t.report.Epoch = s.Epoch
	if err != nil {
		return fmt.Errorf("%w; and the seal could not be opened (any running process will): %w", why, err)
	}
	if s.Phase == t.to {
		t.report.Done = true // the flip had been committed after all
		return nil
	}
	return fault.Wrap(why, fault.Conflict, "undone, %s goes on in phase %s", t.name, s.Phase)
}

// unsealOwn opens the domain unless somebody has, and gives its state. It looks
// again when that has changed meanwhile: a flip may arrive late.
func (t *turn) unsealOwn(ctx context.Context, why error) (State, error) {
	for {
		s, err := t.recorded(ctx)
		if err != nil || !t.ours(s, why) {
			return s, err
		}
		s, err = t.unseal(ctx, s, t.change("unseal"))
		if !fault.Is(err, fault.Conflict) {
			return s, err
		}
	}
}

// ours says that a seal is this turn's: the one that it has made, or the next,
// of which it had no answer. After it was refused one, the next is somebody
// else's, who leads the domain now; so is every later one.
func (t *turn) ours(s State, why error) bool {
	return s.Sealed && (s.Epoch == t.state.Epoch || s.Epoch == t.state.Epoch+1 && !fault.Is(why, fault.Conflict))
}

func (t *turn) change(action string) Change {
	return Change{Who: t.o.Who, Action: action, Why: t.o.Why}
}

// pass passes a named step.
func (t *turn) pass(name string) { step.At(step.Turn(t.report.Action, name)) }

func (t *turn) timed(name string) {
	now := time.Now()
	t.report.Steps = append(t.report.Steps, ReportStep{name, millis(now.Sub(t.mark))})
	t.mark = now
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// Start begins to copy a domain's writes to PostgreSQL: mongo → dual.
func (e *Engine) Start(ctx context.Context, domain string, o StepOptions) (Report, error) {
	return e.simple(ctx, domain, "start", PhaseMongo, PhaseDual, o)
}

// Abandon gives up a move that has not been switched: dual → mongo. What was
// copied stays in PostgreSQL.
func (e *Engine) Abandon(ctx context.Context, domain string, o StepOptions) (Report, error) {
	return e.simple(ctx, domain, "abandon", PhaseDual, PhaseMongo, o)
}

// Finish ends a move: mirror → pg. It is the only step without a way back; it
// deletes nothing. Its gate asks for the last copy.
func (e *Engine) Finish(ctx context.Context, domain string, o StepOptions) (Report, error) {
	return e.step(ctx, domain, "finish", PhaseMirror, PhasePG, o, func(ctx context.Context, t *turn) error {
		gate, err := t.finishGate(ctx, t.state, o.GateOptions)
		t.report.Gate = gate
		if err != nil || !o.Execute {
			return err
		}
		if !gate.Passed() {
			return fault.New(fault.Conflict, "the gate holds the finish")
		}
		return t.record(ctx)
	})
}

// simple is a step that keeps the primary, and has no gate.
func (e *Engine) simple(ctx context.Context, domain, action string, from, to Phase, o StepOptions) (Report, error) {
	return e.step(ctx, domain, action, from, to, o, func(ctx context.Context, t *turn) error {
		if !o.Execute {
			return nil
		}
		return t.record(ctx)
	})
}

// record records the step's phase, with the primary as it is, and waits until
// every process knows.
func (t *turn) record(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stepTime)
	defer cancel()
	s, err := t.advance(ctx, t.state, t.to, false, t.change(t.report.Action))
	t.report.Epoch, t.report.Done = s.Epoch, s.Phase == t.to
	if err != nil {
		return err
	}
	t.pass(step.Recorded)
	if err := t.awaitAcks(ctx, s); err != nil {
		return err
	}
	t.pass(step.Acked)
	return nil
}

// advance records a new state in the control plane, then in the source's copy.
func (c *domainCore) advance(ctx context.Context, from State, phase Phase, sealed bool, why Change) (State, error) {
	to, err := c.advanceControl(ctx, from, phase, sealed, why)
	if err != nil {
		return to, err
	}
	step.At(step.StateRecorded)
	if err := c.keep(ctx, to); err != nil && (to.Phase.PrimaryIsSource() || !fault.Is(err, fault.Unavailable)) {
		return to, err
	}
	return to, nil
}

func (c *domainCore) advanceControl(ctx context.Context, from State, phase Phase, sealed bool, why Change) (State, error) {
	to := State{Domain: c.name, Phase: phase, Epoch: from.Epoch + 1, Sealed: sealed}
	why.Detail = json.RawMessage(strconv.Quote(NewID().String())) // no two changes are alike
	err := c.engine.opts.Control.Advance(ctx, from, to, why)
	if fault.Is(err, fault.Unavailable) && c.made(ctx, to, why) {
		err = nil
	}
	if err != nil {
		return from, err
	}
	return to, nil
}

// made finds out whether a change was made whose answer got lost, by asking
// until the control plane answers. Nobody but its maker can tell by the state
// alone: another may have made one like it.
func (c *domainCore) made(ctx context.Context, to State, why Change) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
	defer cancel()
	for ctx.Err() == nil {
		history, err := c.engine.opts.Control.History(ctx, c.name, madeWithin)
		if err == nil {
			return slices.ContainsFunc(history, func(h HistoryLine) bool {
				return h.To == to && string(h.Detail) == string(why.Detail)
			})
		}
		pause(ctx, 100*time.Millisecond)
	}
	return false
}

// keepState writes the source's copy of the state after the flip, where an
// error can only be told: the copy still says sealed, which is safe, and the
// copier's leader brings it up to date later.
func (c *domainCore) keepState(ctx context.Context, s State) {
	if err := c.keep(ctx, s); err != nil {
		c.engine.log.Warn("the source's copy of the state was not written", "domain", c.name, "error", err)
	}
}

// recorded gives the state in the control plane.
func (c *domainCore) recorded(ctx context.Context) (State, error) {
	states, err := c.engine.opts.Control.States(ctx)
	if err != nil {
		return State{}, err
	}
	s, ok := states[c.name]
	if !ok {
		return State{}, fault.New(fault.Conflict, "no process has served %s yet: start one with amanat serve", c.name)
	}
	return s, nil
}

// recordedOpen is recorded for a coordinator, which leads the domain: a seal
// that it finds was left by one that died, and is opened first.
func (c *domainCore) recordedOpen(ctx context.Context) (State, error) {
	s, err := c.recorded(ctx)
	if err != nil || !s.Sealed {
		return s, err
	}
	return c.unseal(ctx, s, Change{Who: c.engine.opts.Process.ID, Action: "unseal", Why: "the coordinator was gone"})
}

// unseal opens what a coordinator left sealed. If that was after its flip, every
// process has to know the new primary first, as in flip.
func (c *domainCore) unseal(ctx context.Context, s State, why Change) (State, error) {
	flipped, err := c.phaseEpoch(ctx)
	if err != nil {
		return s, err
	}
	if flipped == s.Epoch {
		if err := c.awaitAcks(ctx, s); err != nil {
			return s, err
		}
	}
	return c.advance(ctx, s, s.Phase, false, why)
}

// awaitAcks waits until every process works on s's epoch, or its lease has
// run out.
func (c *domainCore) awaitAcks(ctx context.Context, s State) error {
	for wait := time.Millisecond; ; wait = min(2*wait, 20*time.Millisecond) {
		all, err := c.engine.opts.Control.Processes(ctx)
		if err != nil {
			return err
		}
		missing := ""
		for _, p := range all {
			if p.Alive && p.Acks[c.name] < s.Epoch {
				missing = p.ID
			}
		}
		if missing == "" {
			return nil
		}
		pause(ctx, wait)
		if ctx.Err() != nil {
			return fault.Wrap(ctx.Err(), fault.Unavailable, "process %s did not acknowledge in time", missing)
		}
	}
}

// startEpoch gives the epoch in which the present move began.
func (c *domainCore) startEpoch(ctx context.Context) (int64, error) {
	return c.epochOf(ctx, func(h HistoryLine) bool { return h.From.Phase == PhaseMongo && h.To.Phase == PhaseDual })
}

// phaseEpoch gives the epoch in which the present phase began.
func (c *domainCore) phaseEpoch(ctx context.Context) (int64, error) {
	return c.epochOf(ctx, func(h HistoryLine) bool { return h.From.Phase != h.To.Phase })
}

func (c *domainCore) epochOf(ctx context.Context, is func(HistoryLine) bool) (int64, error) {
	history, err := c.engine.opts.Control.History(ctx, c.name, historyAll)
	for _, h := range history {
		if is(h) {
			return h.To.Epoch, err
		}
	}
	return 0, err
}

// Reports gives the reports of a domain's steps, the newest first.
func (e *Engine) Reports(ctx context.Context, domain string, limit int) ([]Report, error) {
	docs, err := e.opts.Control.Documents(ctx, domain, DocReport, limit)
	if err != nil {
		return nil, err
	}
	out := make([]Report, len(docs))
	for i, d := range docs {
		if err := json.Unmarshal(d.Body, &out[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}
