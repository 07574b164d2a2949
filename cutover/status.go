package cutover

import (
	"context"
	"time"
)

// Status is what an operator wants to know of a domain.
type Status struct {
	Domain    string         `json:"domain"`
	Phase     Phase          `json:"phase"`
	Epoch     int64          `json:"epoch"`
	Sealed    bool           `json:"sealed"`
	Since     time.Time      `json:"since,omitzero"` // of the phase
	Notes     int64          `json:"notes"`          // in the primary's journal
	LagMS     float64        `json:"lagMs"`
	OpenGaps  int64          `json:"openGaps"`
	Strays    int            `json:"strays"` // writes in the secondary by a process that had not heard of a step
	Backfill  []KindProgress `json:"backfill,omitempty"`
	Verify    *VerifyResult  `json:"verify,omitempty"` // the newest
	Shadow    []ShadowCount  `json:"shadow,omitempty"` // since the phase began
	Settings  Settings       `json:"settings"`
	Working   []Activity     `json:"working,omitempty"` // what copier and backfill do, or wait for
	Processes []Process      `json:"processes"`
	// Gate has what the next switch or rollback waits for; filled by whoever
	// asks for it, with Engine.Gate.
	Gate    Gate   `json:"gate,omitempty"`
	Problem string `json:"problem,omitempty"` // what could not be read
}

// Status gathers what is known of a domain. A database that is away is told
// in Problem.
func (e *Engine) Status(ctx context.Context, domain string) (Status, error) {
	c, err := e.core(domain)
	if err != nil {
		return Status{}, err
	}
	if e.opts.Control == nil {
		s := c.local.current()
		return Status{Domain: domain, Phase: s.Phase, Epoch: s.Epoch, Problem: "this process was given no control plane"}, nil
	}
	state, err := c.states.recorded(ctx)
	if err != nil {
		return Status{}, err
	}
	out := Status{Domain: domain, Phase: state.Phase, Epoch: state.Epoch, Sealed: state.Sealed}
	return out, c.fill(ctx, state, &out)
}

func (c *domainCore) fill(ctx context.Context, state State, out *Status) error {
	control := c.engine.opts.Control
	since, err := c.states.phaseEpoch(ctx)
	if err != nil {
		return err
	}
	for _, read := range []func() error{
		func() (err error) { out.Since, err = c.states.phaseBegan(ctx, since); return },
		func() (err error) { out.OpenGaps, err = control.CountOpenGaps(ctx, c.name); return },
		func() (err error) { out.Settings, err = control.Settings(ctx, c.name); return },
		func() (err error) { out.Working, err = control.Activities(ctx, c.name); return },
		func() (err error) { out.Processes, err = control.Processes(ctx); return },
		func() (err error) { out.Shadow, err = control.Shadow(ctx, c.name, since); return },
		func() (err error) { out.Backfill, err = c.evidence.backfillProgress(ctx); return },
		func() (err error) { out.Verify, err = c.evidence.newestVerify(ctx); return },
	} {
		if err := read(); err != nil {
			return err
		}
	}
	c.fillJournal(ctx, state, out)
	return nil
}

// fillJournal asks the primary, whose absence is told and no error.
func (c *domainCore) fillJournal(ctx context.Context, state State, out *Status) {
	if !state.Phase.Copies() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	primary, _ := c.stores(state)
	count, _, err := primary.Journal(ctx)
	if err != nil {
		out.Problem = primary.Name() + " does not answer"
		return
	}
	lag, err := c.copies.lag(ctx, state)
	if err != nil {
		out.Problem = "the journal was not read: " + err.Error()
	}
	out.Notes, out.LagMS = count, millis(lag)
	strays, err := c.strays.strays(ctx, state)
	if err != nil {
		out.Problem = "stray writes were not looked for: " + err.Error()
	}
	out.Strays = len(strays)
}

// RetryGaps copies the records of a domain's open gaps again, now, and gives
// how many arrived and how many are still gaps.
func (e *Engine) RetryGaps(ctx context.Context, domain string) (in, left int, err error) {
	c, err := e.core(domain)
	if err != nil {
		return 0, 0, err
	}
	if err := c.needBoth(); err != nil {
		return 0, 0, err
	}
	s, err := c.states.recorded(ctx)
	if err != nil {
		return 0, 0, err
	}
	gaps, err := e.opts.Control.Gaps(ctx, domain, true, 100_000)
	if err != nil {
		return 0, 0, err
	}
	keys, lost := gapKeys(gaps)
	primary, secondary := c.stores(s)
	items, err := primary.Get(ctx, keys)
	if err != nil {
		return 0, 0, err
	}
	failed, err := c.copies.bring(ctx, primary, secondary, items)
	if err != nil {
		return 0, 0, err
	}
	var arrived []Key
	var again []Gap
	for _, k := range keys {
		if why := failed[k]; why != nil {
			again = append(again, c.gap(k.Kind, k.ID.String(), why))
			continue
		}
		arrived = append(arrived, k)
	}
	still, err := c.copies.retryForeign(ctx, lost)
	if err != nil {
		return 0, 0, err
	}
	if err := e.opts.Control.RecordGaps(ctx, again); err != nil {
		return 0, 0, err
	}
	return len(arrived) + len(lost) - still, len(again) + still, e.opts.Control.ResolveGaps(ctx, domain, arrived)
}

// gapKeys splits gaps into records with an ID and legacy ones without.
func gapKeys(gaps []Gap) (keys []Key, foreign []Gap) {
	for _, g := range gaps {
		id, err := ParseID(g.ID)
		if err != nil {
			foreign = append(foreign, g)
			continue
		}
		keys = append(keys, Key{g.Kind, id})
	}
	return keys, foreign
}

// retryForeign closes the gaps of legacy records that are gone, because their
// documents were given an ObjectID, and says how many are still there.
func (c *copies) retryForeign(ctx context.Context, gaps []Gap) (int, error) {
	still := 0
	there := map[string]bool{}
	asked := map[string]bool{}
	for _, g := range gaps {
		if !asked[g.Kind] {
			asked[g.Kind] = true
			items, err := c.source.Foreign(ctx, g.Kind, 100_000)
			if err != nil {
				return 0, err
			}
			for _, i := range items {
				there[g.Kind+"/"+i.RawID] = true
			}
		}
		if there[g.Kind+"/"+g.ID] {
			still++
			continue
		}
		if err := c.engine.opts.Control.ResolveForeignGap(ctx, c.name, g.Kind, g.ID); err != nil {
			return 0, err
		}
	}
	return still, nil
}

// Gaps lists gaps; see GapControl.
func (e *Engine) Gaps(ctx context.Context, domain string, openOnly bool, limit int) ([]Gap, error) {
	return e.opts.Control.Gaps(ctx, domain, openOnly, limit)
}
