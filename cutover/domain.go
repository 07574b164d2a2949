package cutover

import (
	"context"
	"errors"
	"fmt"

	"github.com/amanat-dev/amanat/cutover/fault"
)

// domainCore is what the engine itself works with of a Domain: its parts, each
// with one duty.
type domainCore struct {
	*base
	local    *local
	mirror   *stateMirror
	states   *states
	router   *router
	evidence *evidence
	strays   *strays
	copies   *copies
	shadows  *shadows
	gates    *gates
	bells    *bells
}

// base is what never changes of a domain: what it is, and where it is kept.
type base struct {
	engine     *Engine
	name       string
	kinds      Kinds
	queries    map[string]bool
	source     Store // nil when the deployment has none
	target     Store
	invariants []invariant
	scratch    Scratch // nil: none
	fixed      bool    // a Solo domain: its state never changes
}

// invariant is an Invariant bound to both sides.
type invariant struct {
	name     string
	kind     string
	check    func(ctx context.Context, source bool, r Record) error // nil: none
	eval     func(ctx context.Context, source bool) (string, error) // nil: none
	suspects func(ctx context.Context, source bool) ([]ID, error)   // nil: all are
}

// NewDomain makes a domain known to the engine; call it before Engine.Open. Its
// error names all that cannot be right about the domain: mistakes in the
// program. Then the engine does not know it.
func NewDomain(e *Engine, spec Spec) (*Domain, error) {
	if err := spec.check(e); err != nil {
		return nil, err
	}
	d := &Domain{spec: spec}
	d.core = newCore(e, spec.Name, spec.Kinds, spec.Queries)
	d.core.scratch = spec.Scratch
	if spec.Source != nil {
		d.core.source = spec.Source
	}
	if spec.Target != nil {
		d.core.target = spec.Target
	}
	for _, inv := range spec.Invariants {
		d.core.invariants = append(d.core.invariants, bind(d, inv))
	}
	e.add(d.core)
	return d, nil
}

// Solo makes a domain that lives in one database for good, without an engine
// around it: for tests, and for tools that work on one database. Exactly one
// of spec.Source and spec.Target is set. Errors: as NewDomain.
func Solo(spec Spec) (*Domain, error) {
	if spec.Source != nil && spec.Target != nil {
		return nil, fmt.Errorf("cutover: the domain %q has two databases, and Solo is for one: leave Source or Target out", spec.Name)
	}
	d, err := NewDomain(NewEngine(Options{}), spec)
	if err != nil {
		return nil, err
	}
	d.core.fixed = true
	d.core.local.state = State{Domain: spec.Name, Phase: PhaseTarget, Epoch: 1}
	if spec.Source != nil {
		d.core.local.state.Phase = PhaseSource
	}
	return d, nil
}

func newCore(e *Engine, name string, kinds Kinds, queries []string) *domainCore {
	b := &base{engine: e, name: name, kinds: kinds, queries: map[string]bool{}}
	for _, q := range queries {
		b.queries[q] = true
	}
	c := &domainCore{base: b}
	c.local = newLocal(b)
	c.mirror = &stateMirror{b}
	c.states = &states{b, c.local, c.mirror}
	c.evidence = &evidence{b, c.states}
	c.strays = &strays{b, c.evidence}
	c.copies = &copies{base: b, local: c.local, mirror: c.mirror, evidence: c.evidence, strays: c.strays, wrote: make(chan struct{}, 1)}
	c.shadows = &shadows{base: b, local: c.local, states: c.states, evidence: c.evidence, copies: c.copies}
	c.gates = &gates{b, c.states, c.evidence, c.strays, c.copies}
	c.bells = new(bells)
	c.router = &router{b, c.local, c.mirror, c.copies}
	return c
}

func bind(d *Domain, inv Invariant) invariant {
	out := invariant{name: inv.Name, kind: inv.Kind}
	if inv.Check != nil {
		out.check = func(ctx context.Context, source bool, r Record) error {
			return d.side(source).View(ctx, func(ctx context.Context, tx Tx) error { return inv.Check(ctx, tx, r) })
		}
	}
	if inv.Suspects != nil {
		out.suspects = func(ctx context.Context, source bool) ([]ID, error) {
			return runView(ctx, d.side(source), inv.Suspects)
		}
	}
	if inv.Eval != nil {
		out.eval = func(ctx context.Context, source bool) (string, error) {
			return runView(ctx, d.side(source), inv.Eval)
		}
	}
	return out
}

// stores returns the domain's primary and secondary in state s.
func (c *base) stores(s State) (primary, secondary Store) { return s.route(c.source, c.target) }

// unanswered makes a fault of the bare error with which a question to a database
// ended when its time was up.
func unanswered(err error) error {
	var known *fault.Error
	if errors.Is(err, context.DeadlineExceeded) && !errors.As(err, &known) {
		return fault.Wrap(err, fault.Unavailable, "the database did not answer in time")
	}
	return err
}

// needBoth fails for steps of a move in a deployment of one database.
func (c *base) needBoth() error {
	if c.source == nil || c.target == nil || c.engine.opts.Control == nil {
		return c.refuse(RemedyDatabases, "a move of %s needs both databases", c.name)
	}
	return nil
}
