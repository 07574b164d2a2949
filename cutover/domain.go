package cutover

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/amanat-dev/amanat/cutover/fault"
)

// domainCore is a Domain without its type parameter: what the engine itself
// works with.
type domainCore struct {
	engine     *Engine
	name       string
	kinds      Kinds
	queries    map[string]bool
	source     Store // nil when the deployment has none
	target     Store
	invariants []invariant
	scratch    Scratch // nil: none
	fixed      bool    // a Solo domain: its state never changes

	mu        sync.Mutex
	state     State
	settings  Settings
	changed   chan struct{} // closed and replaced when the state changes
	inflight  map[int64]int // epoch → Updates admitted in it and not yet answered
	waiting   int
	wrote     chan struct{} // wakes the copier
	shadowLog shadowCounts
	begun     struct{ epoch, since int64 } // where the move began of which epoch is, for lookFilled alone
	filled    atomic.Int64                 // the epoch of phase dual in which the backfill was found complete
}

// invariant is an Invariant bound to both sides.
type invariant struct {
	name     string
	kind     string
	check    func(ctx context.Context, source bool, r Record) error // nil: none
	eval     func(ctx context.Context, source bool) (string, error) // nil: none
	suspects func(ctx context.Context, source bool) ([]ID, error)   // nil: all are
}

// NewDomain makes a domain known to the engine; call it before Engine.Open.
func NewDomain(e *Engine, spec Spec) *Domain {
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
	return d
}

// Solo makes a domain that lives in one database for good, without an engine
// around it: for tests, and for tools that work on one database. Exactly one
// of spec.Source and spec.Target is set.
func Solo(spec Spec) *Domain {
	d := NewDomain(NewEngine(Options{}), spec)
	d.core.fixed = true
	d.core.state = State{Domain: spec.Name, Phase: PhasePG, Epoch: 1}
	if spec.Source != nil {
		d.core.state.Phase = PhaseMongo
	}
	return d
}

func newCore(e *Engine, name string, kinds Kinds, queries []string) *domainCore {
	c := &domainCore{
		engine: e, name: name, kinds: kinds,
		queries:  map[string]bool{},
		settings: DefaultSettings,
		changed:  make(chan struct{}),
		inflight: map[int64]int{},
		wrote:    make(chan struct{}, 1),
	}
	for _, q := range queries {
		c.queries[q] = true
	}
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

// stores gives the domain's primary and secondary in state s.
func (c *domainCore) stores(s State) (primary, secondary Store) { return s.route(c.source, c.target) }

// keeper gives the store that keeps a copy of the state, nil when none does.
func (c *domainCore) keeper() StateKeeper {
	k, _ := c.source.(StateKeeper)
	return k
}

// keepTime bounds an exchange with the keeper, which may be silent: it is a
// single read or write of a small document.
const keepTime = 3 * time.Second

// kept reads the source's copy of the state. There must be a keeper.
func (c *domainCore) kept(ctx context.Context) (State, error) {
	ctx, cancel := context.WithTimeout(ctx, keepTime)
	defer cancel()
	s, err := c.keeper().ReadState(ctx)
	return s, unanswered(err)
}

// keep writes the source's copy of the state, if there is a keeper.
func (c *domainCore) keep(ctx context.Context, s State) error {
	k := c.keeper()
	if k == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, keepTime)
	defer cancel()
	return unanswered(k.WriteState(ctx, s))
}

// unanswered makes a fault of the bare error with which a question to a database
// ended when its time was up.
func unanswered(err error) error {
	var known *fault.Error
	if errors.Is(err, context.DeadlineExceeded) && !errors.As(err, &known) {
		return fault.Wrap(err, fault.Unavailable, "the database did not answer in time")
	}
	return err
}

// current gives the state as this process knows it.
func (c *domainCore) current() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

// setState takes over a newer state and wakes whoever waits for one.
func (c *domainCore) setState(s State) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fixed || s.Epoch <= c.state.Epoch {
		return
	}
	c.state = s
	close(c.changed)
	c.changed = make(chan struct{})
}

// changedSince gives a channel that is closed once the state is another than s.
func (c *domainCore) changedSince(s State) <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != s {
		closed := make(chan struct{})
		close(closed)
		return closed
	}
	return c.changed
}

func (c *domainCore) setSettings(s Settings) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settings = s
}

func (c *domainCore) currentSettings() Settings {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.settings
}

// acknowledged gives the epoch on which this process works: the present one
// once no Update of an earlier one is in flight.
func (c *domainCore) acknowledged() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	epoch := c.state.Epoch
	for e := range c.inflight {
		epoch = min(epoch, e)
	}
	return epoch
}

// needBoth fails for steps of a move in a deployment of one database.
func (c *domainCore) needBoth() error {
	if c.source == nil || c.target == nil || c.engine.opts.Control == nil {
		return fault.New(fault.Conflict, "a move of %s needs both databases: set MONGODB_URI and PG_URL", c.name)
	}
	return nil
}
