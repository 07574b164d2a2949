package cutover

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/amanat-dev/amanat/cutover/failpoint"
	"github.com/amanat-dev/amanat/cutover/fault"
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

// Switch makes the target the primary of a domain in phase dual.
func (e *Engine) Switch(ctx context.Context, domain string, o StepOptions) (Report, error) {
	return e.handOver(ctx, domain, "switch", PhaseDual, PhaseMirror, o)
}

// Rollback makes the source the primary again of a domain in phase mirror.
func (e *Engine) Rollback(ctx context.Context, domain string, o StepOptions) (Report, error) {
	return e.handOver(ctx, domain, "rollback", PhaseMirror, PhaseDual, o)
}

// handOver is switch and rollback: seal, drain, flip, open. Before the flip any
// failure unseals and leaves the old primary; after it a re-run, or any
// process that finds the seal without a coordinator, only opens.
func (e *Engine) handOver(ctx context.Context, domain, action string, from, to Phase, o StepOptions) (Report, error) {
	setDefault(&o.Budget, DefaultBudget)
	return e.step(ctx, domain, action, from, to, o, func(ctx context.Context, h *handover) error {
		looking, stop := context.WithTimeout(ctx, gateTime)
		gate, s, err := h.gates.gate(looking, h.state, o.GateOptions)
		stop()
		h.report.Gate, h.state = gate, s
		if err != nil || !o.Execute {
			return err
		}
		if !gate.Passed() {
			return fault.New(fault.Conflict, "the gate holds the %s", action)
		}
		return h.do(ctx)
	})
}

// handover is one step under way.
type handover struct {
	*domainCore
	state  State
	to     Phase
	o      StepOptions
	report *Report
	mark   time.Time
}

// step runs do as the domain's only coordinator, from the recorded phase, and
// stores the report when something was executed.
func (e *Engine) step(ctx context.Context, domain, action string, from, to Phase, o StepOptions, do func(context.Context, *handover) error) (Report, error) {
	c, err := e.core(domain)
	if err != nil {
		return Report{}, err
	}
	if err := c.needBoth(); err != nil {
		return Report{}, err
	}
	report := Report{Domain: domain, Action: action, From: from, To: to, Who: o.Who, Why: o.Why, At: Now()}
	led, err := e.opts.Control.Lead(ctx, coordinatorRole+":"+domain, func(ctx context.Context) error {
		h := &handover{domainCore: c, to: to, o: o, report: &report, mark: time.Now()}
		if h.state, err = c.states.recordedOpen(ctx); err != nil {
			return err
		}
		report.Before = h.state.Epoch
		if h.state.Phase != from {
			return fault.New(fault.Conflict, "%s is in phase %s; %s goes from %s to %s", domain, h.state.Phase, action, from, to)
		}
		return do(ctx, h)
	})
	if err == nil && !led {
		err = fault.New(fault.Conflict, "another step of %s is under way", domain)
	}
	if err != nil {
		report.Problem = err.Error()
	}
	if o.Execute && led {
		if serr := c.evidence.file(context.WithoutCancel(ctx), &report); serr != nil && err == nil {
			err = serr
		}
	}
	return report, err
}

// do seals, drains, flips and opens.
func (h *handover) do(ctx context.Context) error {
	begin := time.Now()
	h.mark = begin
	if err := h.sealAndDrain(ctx); err != nil {
		return h.undo(ctx, err)
	}
	if time.Since(begin) > h.o.Budget {
		return h.undo(ctx, fault.New(fault.Unavailable, "the pause would have been longer than %s", h.o.Budget))
	}
	if err := h.flip(ctx); err != nil {
		return err
	}
	h.report.PauseMS = millis(time.Since(begin))
	return nil
}

func (h *handover) sealAndDrain(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, h.o.Budget)
	defer cancel()
	s, err := h.states.advance(ctx, h.state, h.state.Phase, true, h.change("seal"))
	if err != nil {
		return err
	}
	h.state = s
	h.timed("seal")
	h.pass(failpoint.Sealed)
	if err := h.states.awaitAcks(ctx, s); err != nil {
		return err
	}
	h.timed("acknowledge")
	h.pass(failpoint.SealAcked)
	drained, err := h.copies.drain(ctx, s)
	if err != nil {
		return err
	}
	h.report.Drained = len(drained)
	strays, err := h.strays.strays(ctx, s)
	if err != nil {
		return err
	}
	if len(strays) > 0 {
		return fault.New(fault.Conflict, "%d stray writes, the first is %s", len(strays), strays[0])
	}
	h.timed("drain")
	h.pass(failpoint.Drained)
	return h.compareDrained(ctx)
}

// compareDrained compares what was copied since the rehearsal, by whichever
// copier.
func (h *handover) compareDrained(ctx context.Context) error {
	keys, err := h.gates.touched(ctx)
	if err != nil {
		return err
	}
	differ, err := h.gates.unlike(ctx, keys)
	if err != nil {
		return err
	}
	if len(differ) > 0 {
		return fault.New(fault.Conflict, "%d records differ after the drain, the first is %s", len(differ), differ[0])
	}
	h.report.Matched = len(keys)
	h.timed("compare")
	h.pass(failpoint.Compared)
	return nil
}

// flip is the point of no return, one committed row; then every process has to
// know the new primary before the first write is let in, so that no read of
// the old one can come after a write to the new one.
func (h *handover) flip(ctx context.Context) error {
	// Bounded, since writes wait: whether a row that was given up on is there
	// after all, undo finds out.
	flipping, stop := context.WithTimeout(ctx, h.o.Budget)
	s, err := h.states.advanceControl(flipping, h.state, h.to, true, h.change(h.report.Action))
	stop()
	if err != nil {
		return h.undo(ctx, err)
	}
	// From here on a cancelled command must not stop half-way.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stepTime)
	defer cancel()
	h.state, h.report.Done, h.report.Epoch = s, true, s.Epoch
	h.timed("flip")
	h.pass(failpoint.Flipped)
	h.states.mirrorState(ctx, s)
	h.pass(failpoint.FlipKept)
	if err := h.states.awaitAcks(ctx, s); err != nil {
		return stillSealed(err)
	}
	h.timed("acknowledge")
	h.pass(failpoint.FlipAcked)
	s, err = h.states.advance(ctx, s, h.to, false, h.change("open"))
	if err != nil {
		return stillSealed(err)
	}
	h.state = s
	h.report.Epoch = s.Epoch
	h.timed("open")
	h.pass(failpoint.Opened)
	if err := h.states.awaitAcks(ctx, s); err != nil {
		return err
	}
	h.pass(failpoint.OpenedAcked)
	return nil
}

// stillSealed tells of what went wrong after the flip: there is no way but
// forward, and any running process will go it.
func stillSealed(err error) error {
	return fmt.Errorf("the domain has moved, but is not open yet; any running process will open it: %w", err)
}

// undo opens the old primary again and passes the reason on. When the flip's
// own outcome is unknown, the recorded phase decides.
func (h *handover) undo(ctx context.Context, why error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
	defer cancel()
	s, err := h.unsealOwn(ctx, why)
	h.timed("unseal")
	h.report.Epoch = s.Epoch
	if err != nil {
		return fmt.Errorf("%w; and the seal could not be opened (any running process will): %w", why, err)
	}
	if s.Phase == h.to {
		h.report.Done = true // the flip had been committed after all
		return nil
	}
	return fault.Wrap(why, fault.Conflict, "undone, %s goes on in phase %s", h.name, s.Phase)
}

// unsealOwn opens the domain unless somebody has, and returns its state. It looks
// again when that has changed meanwhile: a flip may arrive late.
func (h *handover) unsealOwn(ctx context.Context, why error) (State, error) {
	for {
		s, err := h.states.recorded(ctx)
		if err != nil || !h.ours(s, why) {
			return s, err
		}
		s, err = h.states.unseal(ctx, s, h.change("unseal"))
		if !fault.Is(err, fault.Conflict) {
			return s, err
		}
	}
}

// ours says that a seal is this one's: the one that it has made, or the next,
// of which it had no answer. After it was refused one, the next is somebody
// else's, who leads the domain now; so is every later one.
func (h *handover) ours(s State, why error) bool {
	return s.Sealed && (s.Epoch == h.state.Epoch || s.Epoch == h.state.Epoch+1 && !fault.Is(why, fault.Conflict))
}

func (h *handover) change(action string) Change {
	return Change{Who: h.o.Who, Action: action, Why: h.o.Why}
}

// pass passes a named step.
func (h *handover) pass(name string) { failpoint.At(failpoint.Of(h.report.Action, name)) }

func (h *handover) timed(name string) {
	now := time.Now()
	h.report.Steps = append(h.report.Steps, ReportStep{name, millis(now.Sub(h.mark))})
	h.mark = now
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// Start begins to copy a domain's writes to the target: source → dual.
func (e *Engine) Start(ctx context.Context, domain string, o StepOptions) (Report, error) {
	return e.simple(ctx, domain, "start", PhaseSource, PhaseDual, o)
}

// Abandon gives up a move that has not been switched: dual → source. What was
// copied stays in the target.
func (e *Engine) Abandon(ctx context.Context, domain string, o StepOptions) (Report, error) {
	return e.simple(ctx, domain, "abandon", PhaseDual, PhaseSource, o)
}

// Finish ends a move: mirror → target. It is the only step without a way back; it
// deletes nothing. Its gate asks for the last copy.
func (e *Engine) Finish(ctx context.Context, domain string, o StepOptions) (Report, error) {
	return e.step(ctx, domain, "finish", PhaseMirror, PhaseTarget, o, func(ctx context.Context, h *handover) error {
		gate, err := h.gates.finishGate(ctx, h.state, o.GateOptions)
		h.report.Gate = gate
		if err != nil || !o.Execute {
			return err
		}
		if !gate.Passed() {
			return fault.New(fault.Conflict, "the gate holds the finish")
		}
		return h.record(ctx)
	})
}

// simple is a step that keeps the primary, and has no gate.
func (e *Engine) simple(ctx context.Context, domain, action string, from, to Phase, o StepOptions) (Report, error) {
	return e.step(ctx, domain, action, from, to, o, func(ctx context.Context, h *handover) error {
		if !o.Execute {
			return nil
		}
		return h.record(ctx)
	})
}

// record records the step's phase, with the primary as it is, and waits until
// every process knows.
func (h *handover) record(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stepTime)
	defer cancel()
	s, err := h.states.advance(ctx, h.state, h.to, false, h.change(h.report.Action))
	h.report.Epoch, h.report.Done = s.Epoch, s.Phase == h.to
	if err != nil {
		return err
	}
	h.pass(failpoint.Recorded)
	if err := h.states.awaitAcks(ctx, s); err != nil {
		return err
	}
	h.pass(failpoint.Acked)
	return nil
}

// Reports returns the reports of a domain's steps, the newest first.
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
