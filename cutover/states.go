package cutover

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"github.com/amanat-dev/amanat/cutover/failpoint"
	"github.com/amanat-dev/amanat/cutover/fault"
)

// states are a domain's states as the control plane has them, and the ways from
// one to the next, with the mirror kept along.
type states struct {
	*base
	local  *local
	mirror *stateMirror
}

// recorded returns the state in the control plane.
func (c *states) recorded(ctx context.Context) (State, error) {
	states, err := c.engine.opts.Control.States(ctx)
	if err != nil {
		return State{}, err
	}
	s, ok := states[c.name]
	if !ok {
		return State{}, c.refuse(RemedyServe, "no process has served %s yet", c.name)
	}
	return s, nil
}

// recordedOpen is recorded for a coordinator, which leads the domain: a seal
// that it finds was left by one that died, and is opened first.
func (c *states) recordedOpen(ctx context.Context) (State, error) {
	s, err := c.recorded(ctx)
	if err != nil || !s.Sealed {
		return s, err
	}
	return c.unseal(ctx, s, Change{Who: c.engine.opts.Process.ID, Action: "unseal", Why: "the coordinator was gone"})
}

// advance records a new state in the control plane, then in the source's copy.
func (c *states) advance(ctx context.Context, from State, phase Phase, sealed bool, why Change) (State, error) {
	to, err := c.advanceControl(ctx, from, phase, sealed, why)
	if err != nil {
		return to, err
	}
	failpoint.At(failpoint.StateRecorded)
	if err := c.mirror.write(ctx, to); err != nil && (to.Phase.PrimaryIsSource() || !fault.Is(err, fault.Unavailable)) {
		return to, err
	}
	return to, nil
}

func (c *states) advanceControl(ctx context.Context, from State, phase Phase, sealed bool, why Change) (State, error) {
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
func (c *states) made(ctx context.Context, to State, why Change) bool {
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

// mirrorState writes the source's copy of the state after the flip, where an
// error can only be told: the copy still says sealed, which is safe, and the
// copier's leader brings it up to date later.
func (c *states) mirrorState(ctx context.Context, s State) {
	if err := c.mirror.write(ctx, s); err != nil {
		c.engine.log.Warn("the source's copy of the state was not written", "domain", c.name, "error", err)
	}
}

// unseal opens what a coordinator left sealed. If that was after its flip, every
// process has to know the new primary first, as in flip.
func (c *states) unseal(ctx context.Context, s State, why Change) (State, error) {
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
func (c *states) awaitAcks(ctx context.Context, s State) error {
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

// inPlace has do done in the coordinator's place, so that no step of the domain
// comes between. Errors: fault.Conflict, which says to do what again, while a
// step is under way.
func (c *states) inPlace(ctx context.Context, what string, do func(context.Context) error) error {
	led, err := c.engine.opts.Control.Lead(ctx, CoordinatorRole(c.name), do)
	if err == nil && !led {
		err = fault.New(fault.Conflict, "a step of %s is under way; %s when it is over", c.name, what)
	}
	return err
}

// startEpoch returns the epoch in which the present move began.
func (c *states) startEpoch(ctx context.Context) (int64, error) {
	began, err := c.engine.opts.Control.Began(ctx, c.name)
	return began.Move, err
}

// phaseEpoch returns the epoch in which the present phase began.
func (c *states) phaseEpoch(ctx context.Context) (int64, error) {
	began, err := c.engine.opts.Control.Began(ctx, c.name)
	return began.Phase, err
}

// mendSeals opens a domain whose coordinator died while it was sealed: before
// the flip the old primary goes on, after it the new one; the recorded phase
// says which.
func (c *states) mendSeals(ctx context.Context) {
	for ctx.Err() == nil {
		pause(ctx, time.Second)
		sealed := c.local.current()
		if !sealed.Sealed {
			continue
		}
		_, err := c.engine.opts.Control.Lead(ctx, coordinatorRole+":"+c.name, func(ctx context.Context) error {
			return c.openAbandoned(ctx, sealed)
		})
		if err != nil && ctx.Err() == nil {
			c.engine.log.Warn("a seal without a coordinator could not be opened", "domain", c.name, "error", err)
		}
	}
}

func (c *states) openAbandoned(ctx context.Context, seen State) error {
	states, err := c.engine.opts.Control.States(ctx)
	if err != nil {
		return err
	}
	now := states[c.name]
	if !now.Sealed || now.Epoch != seen.Epoch {
		return nil
	}
	c.engine.log.Warn("opening a domain that its coordinator left sealed", "domain", c.name, "phase", string(now.Phase))
	_, err = c.unseal(ctx, now, Change{
		Who: c.engine.opts.Process.ID, Action: "unseal", Why: "the coordinator was gone",
	})
	return err
}

// firstState returns the state to begin with. away is why the control plane was
// not reached, nil while it was.
func (c *states) firstState(ctx context.Context, away *error) (State, error) {
	control := c.engine.opts.Control
	if control == nil {
		return c.stateWithoutControl(ctx)
	}
	if *away != nil {
		return c.stateFromMirror(ctx, *away)
	}
	first := PhaseSource
	if c.source == nil {
		first = PhaseTarget
	}
	s, err := control.Register(ctx, c.name, first)
	if fault.Is(err, fault.Unavailable) {
		*away = err
		return c.stateFromMirror(ctx, err)
	}
	if err != nil {
		return State{}, err
	}
	if !s.Phase.PrimaryIsSource() {
		return s, nil // nothing of it depends on the source: the copier's leader sees to its copy of the state
	}
	err = c.mirror.reconcile(ctx, s)
	if fault.Is(err, fault.Unavailable) {
		// The control plane has said where the domain stands. Its requests get
		// their 503 until the source is back; other domains are served meanwhile.
		c.engine.log.Warn("the domain's primary does not answer", "domain", c.name, "error", err)
		return s, nil
	}
	return s, err
}

// stateWithoutControl is for a deployment that has no target database.
func (c *states) stateWithoutControl(ctx context.Context) (State, error) {
	s := State{Domain: c.name, Phase: PhaseSource, Epoch: 1}
	if !c.mirror.present() {
		return s, nil
	}
	kept, err := c.mirror.read(ctx)
	if err != nil {
		return State{}, err
	}
	if kept.Epoch > 0 && kept.Phase != PhaseSource {
		return State{}, c.refuse(RemedyDatabases, "%s is in phase %s, which needs both databases", c.name, kept.Phase)
	}
	s.Epoch = max(s.Epoch, kept.Epoch)
	return s, nil
}

func (c *states) stateFromMirror(ctx context.Context, away error) (State, error) {
	if !c.mirror.present() {
		return State{}, away
	}
	s, err := c.mirror.read(ctx)
	if err != nil {
		return State{}, err
	}
	doubt := fault.Wrap(away, fault.Unavailable, "the control plane is away, and without it the primary of %s is in doubt", c.name)
	switch {
	case s.Epoch == 0:
		return State{}, doubt
	case s.Sealed || !s.Phase.PrimaryIsSource():
		return State{}, inDoubt{doubt}
	}
	return s, nil
}
