package cutover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/amanat-dev/amanat/cutover/fault"
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
	// Seconds is how long reading and comparing them took, once.
	Seconds float64 `json:"seconds"`
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
	return differences(r.Kinds)
}

func differences(kinds []KindResult) int64 {
	var n int64
	for _, k := range kinds {
		n += k.Differences()
	}
	return n
}

// Verify compares both databases record by record, each in id order and
// independently of what the copier did, and evaluates the invariants on both
// sides. A difference counts when it persists after the notes of its moment
// were worked off. The result is stored, and the newest is part of the gate.
func (e *Engine) Verify(ctx context.Context, domain string, o VerifyOptions) (VerifyResult, error) {
	c, s, err := e.copying(ctx, domain)
	if err != nil {
		return VerifyResult{}, err
	}
	v := &verifier{walker: c.walker(s, c.both(), o.Progress), o: o}
	return v.run(ctx)
}

type verifier struct {
	*walker
	o      VerifyOptions
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
	if err := v.walkAll(ctx, v.o.Repair); err != nil {
		return VerifyResult{}, err
	}
	v.result.Kinds, v.result.Diffs = v.found, v.diffs
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
// it persists.
func (v *verifier) checkEach(ctx context.Context, inv invariant, r *InvariantResult) error {
	for _, source := range []bool{true, false} {
		store := v.target
		if source {
			store = v.source
		}
		err := v.eachSuspect(ctx, inv, source, store, func(item Item) error {
			breach, err := v.breach(ctx, inv, source, store, item)
			if breach != nil {
				r.OK = false
				r.Why = fmt.Sprintf("%s %s: %v", store.Name(), item.Key, breach)
			}
			return err
		})
		if err != nil {
			return v.broken(ctx, r, err)
		}
	}
	return nil
}

// eachSuspect returns the records that an invariant has to look at.
func (v *verifier) eachSuspect(ctx context.Context, inv invariant, source bool, store Store, do func(Item) error) error {
	if inv.suspects == nil {
		return eachRecord(ctx, store, inv.kind, do)
	}
	ids, err := inv.suspects(ctx, source)
	if err != nil {
		return err
	}
	for page := range slices.Chunk(ids, verifyPage) {
		keys := make([]Key, len(page))
		for i, id := range page {
			keys[i] = Key{inv.kind, id}
		}
		items, err := store.Get(ctx, keys)
		if err != nil {
			return err
		}
		for _, item := range items {
			if item.Record == nil {
				continue
			}
			if err := do(item); err != nil {
				return err
			}
		}
	}
	return nil
}

// eachRecord returns all readable records of a kind.
func eachRecord(ctx context.Context, store Store, kind string, do func(Item) error) error {
	records := newCursor(ctx, store, kind)
	defer records.close()
	for {
		item, err := records.peek()
		if err != nil || item == nil {
			return err
		}
		records.skip()
		if item.Record == nil {
			continue
		}
		if err := do(*item); err != nil {
			return err
		}
	}
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
		if err := v.copies.awaitCopied(ctx, v.state); err != nil {
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
			return v.broken(ctx, r, err)
		}
		if err := v.copies.awaitCopied(ctx, v.state); err != nil {
			return err
		}
		second, err := inv.eval(ctx, !primaryIsSource)
		if err != nil {
			return v.broken(ctx, r, err)
		}
		after := before
		if second != before {
			if after, err = inv.eval(ctx, primaryIsSource); err != nil {
				return v.broken(ctx, r, err)
			}
		}
		r.Source, r.Target = after, second
		if !primaryIsSource {
			r.Source, r.Target = second, after
		}
		r.Moving = before != after
		if second == after {
			return nil
		}
	}
	if !r.Moving {
		r.OK, r.Why = false, "the two databases do not agree"
	}
	return nil
}

// broken is for an invariant that cannot be evaluated, such as over records that
// cannot be read: then it does not hold, and the rest of the verify goes on.
func (v *verifier) broken(ctx context.Context, r *InvariantResult, err error) error {
	if fault.Is(err, fault.Unavailable) || ctx.Err() != nil {
		return err
	}
	r.OK, r.Why = false, err.Error()
	return nil
}

// Document types.
const (
	DocVerify = "verify"
	DocDrill  = "drill"
	DocTest   = "self-test"
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
