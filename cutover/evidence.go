package cutover

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
)

// evidence is what the control plane has on record about a domain's move: how
// far the backfill is, gaps, the newest verify and drill, reports.
type evidence struct {
	*base
	states *states
}

// file puts a report on record, with the newest verify. Nobody is held up any
// more.
func (c *evidence) file(ctx context.Context, r *Report) error {
	verify, err := c.lastVerify(ctx)
	r.Verify = verify
	return errors.Join(err, c.engine.save(ctx, r.Domain, DocReport, r.Epoch, r.Who, r.Done, r))
}

func (c *evidence) newestVerify(ctx context.Context) (*VerifyResult, error) {
	docs, err := c.engine.opts.Control.Documents(ctx, c.name, DocVerify, 1)
	if err != nil || len(docs) == 0 {
		return nil, err
	}
	r := new(VerifyResult)
	return r, json.Unmarshal(docs[0].Body, r)
}

// lastVerify returns the newest verify since the move began; nil when there is
// none.
func (c *evidence) lastVerify(ctx context.Context) (*VerifyEvidence, error) {
	since, err := c.states.startEpoch(ctx)
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

// verifyOfPhase returns the newest verify if it is of the present phase.
func (c *evidence) verifyOfPhase(ctx context.Context) (*VerifyResult, error) {
	since, err := c.states.phaseEpoch(ctx)
	if err != nil {
		return nil, err
	}
	verify, err := c.newestVerify(ctx)
	if err != nil || verify == nil || verify.Epoch < since {
		return nil, err
	}
	return verify, nil
}

// lastDrill returns the newest drill of the present phase; nil when there is
// none.
func (c *evidence) lastDrill(ctx context.Context) (*DrillResult, error) {
	since, err := c.states.phaseEpoch(ctx)
	if err != nil {
		return nil, err
	}
	docs, err := c.engine.opts.Control.Documents(ctx, c.name, DocDrill, 1)
	if err != nil || len(docs) == 0 || docs[0].Epoch < since {
		return nil, err
	}
	var r DrillResult
	return &r, json.Unmarshal(docs[0].Body, &r)
}

func (c *evidence) backfillProgress(ctx context.Context) ([]KindProgress, error) {
	since, err := c.states.startEpoch(ctx)
	if err != nil || since == 0 {
		return nil, err
	}
	return c.engine.opts.Control.Progress(ctx, c.name, since)
}

const unfinishedText = "the backfill is not complete"

// unfinished says whether something of the backfill is still to be done.
func (c *evidence) unfinished(ctx context.Context) (bool, error) {
	since, err := c.states.startEpoch(ctx)
	if err != nil {
		return false, err
	}
	return c.unfinishedSince(ctx, since)
}

// unfinishedSince is unfinished for the move that began in an epoch.
func (c *evidence) unfinishedSince(ctx context.Context, since int64) (bool, error) {
	progress, err := c.engine.opts.Control.Progress(ctx, c.name, since)
	if err != nil || len(progress) < len(c.kinds) {
		return true, err
	}
	return slices.ContainsFunc(progress, func(p KindProgress) bool { return p.Done < p.Chunks }), nil
}

// gapsOf returns the unresolved gaps of records, waived or not, by key.
func (c *evidence) gapsOf(ctx context.Context, keys []Key) (map[string]Gap, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	gaps, err := c.engine.opts.Control.GapsOf(ctx, c.name, keys)
	out := map[string]Gap{}
	for _, g := range gaps {
		out[g.Kind+"/"+g.ID] = g
	}
	return out, err
}

// unwaived leaves out the keys of records with a waived gap.
func (c *evidence) unwaived(ctx context.Context, keys []Key) ([]Key, error) {
	gaps, err := c.gapsOf(ctx, keys)
	var out []Key
	for _, k := range keys {
		if gaps[k.String()].WaivedBy == "" {
			out = append(out, k)
		}
	}
	return out, err
}
