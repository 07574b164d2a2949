package cutover

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/amanat-dev/amanat/cutover/fault"
)

// Options tune an Engine. The zero value of each field means its default.
type Options struct {
	Control Control      // nil: a deployment on the source database alone
	Logger  *slog.Logger // default: slog.Default()
	Process Process      // ID, Host, PID and Version of this process
	// LeaseTTL is how long this process may acknowledge writes to a source
	// database after it last heard from the control plane. Default 5 s.
	LeaseTTL time.Duration
	// MaxWait bounds how long an Update waits while a switch is under way, and
	// MaxWaiting how many wait. Defaults 10 s and 10,000.
	MaxWait    time.Duration
	MaxWaiting int
	// MaxTime bounds a View or an Update as a whole, so that a database that has
	// fallen silent keeps neither its caller nor a step that waits for its end.
	// Default 15 s.
	MaxTime time.Duration
	// LookEvery is how often the process that leads looks for a write of which no
	// word has come: at one journal in turn, or at one kind's part of a journal that
	// is spread over the records (SpreadJournal). Default 1 s.
	LookEvery time.Duration
	// TombstoneLife is how long the secondary remembers a deleted record, once
	// the backfill is over. A copier that was frozen for longer in the middle of
	// a copy, and then goes on, would bring the record back there; a verify
	// would find it. Default 7 days.
	TombstoneLife time.Duration
	// Random returns a number from 0 to below n. Default: at random. A test that
	// shall run alike each time sets its own.
	Random func(n int64) int64
	// RunTwice runs each Update's closure twice: for tests.
	RunTwice bool
}

// Engine holds the domains of one process and takes part in their moves.
type Engine struct {
	opts    Options
	log     *slog.Logger
	domains map[string]*domainCore
	order   []string

	lease   atomic.Pointer[lease]
	terms   int64         // terms of leases so far, for renew alone
	filling int           // the domain whose turn it is in lookFilled, for the agent alone
	poke    chan struct{} // wakes the agent: something may have changed
	role    atomic.Int32  // see Leads
	running atomic.Bool   // Run was called
	words   *words        // for other processes
	stirred atomic.Bool   // something was written since the agent last looked
	pool    *shadowPool
	stop    context.CancelFunc
	done    sync.WaitGroup
	ops     sync.Map // opKey → *atomic.Int64

	// blind, in tests, has comparisons overlook a pair with these differences.
	blind func(diff func() []FieldDiff) bool
}

// NewEngine makes an engine without domains; add them with NewDomain, then
// call Open.
func NewEngine(o Options) *Engine {
	setDefault(&o.LeaseTTL, 5*time.Second)
	setDefault(&o.MaxWait, 10*time.Second)
	setDefault(&o.MaxWaiting, 10_000)
	setDefault(&o.MaxTime, 15*time.Second)
	setDefault(&o.LookEvery, time.Second)
	setDefault(&o.TombstoneLife, 7*24*time.Hour)
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Random == nil {
		o.Random = rand.Int64N
	}
	return &Engine{
		opts: o, log: o.Logger,
		domains: map[string]*domainCore{},
		poke:    make(chan struct{}, 1),
		words:   newWords(),
		pool:    newShadowPool(),
	}
}

func setDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

func (e *Engine) add(c *domainCore) {
	e.domains[c.name] = c
	e.order = append(e.order, c.name)
}

// Domains returns the names of the domains in the order in which they were
// added.
func (e *Engine) Domains() []string { return e.order }

// State returns a domain's state as this process knows it.
func (e *Engine) State(domain string) State { return e.domains[domain].local.current() }

func (e *Engine) core(domain string) (*domainCore, error) {
	c, ok := e.domains[domain]
	if !ok {
		return nil, fault.New(fault.Invalid, "there is no domain %q; there are %v", domain, e.order)
	}
	return c, nil
}

// Open learns where every domain stands. With a control plane it registers
// the domains that are new to it: in phase source where there is a source
// database, else in phase target. While the control plane is away, a domain whose
// primary is the source can still be opened, from the copy of its state that
// the source keeps. In doubt a domain stays shut, and answers that it is not
// available, until the control plane says where it stands; Open refuses when that
// is true of all, or of one that may never have been registered. A control plane that was found to be
// away for one domain is not waited for again for the next.
func (e *Engine) Open(ctx context.Context) error {
	var away error
	var shut []string
	for _, name := range e.order {
		c := e.domains[name]
		s, err := c.states.firstState(ctx, &away)
		var doubt inDoubt
		if errors.As(err, &doubt) {
			shut = append(shut, name)
			if len(shut) < len(e.order) {
				continue
			}
		}
		if err != nil {
			return fmt.Errorf("domain %s: %w", name, err)
		}
		c.local.setState(s)
	}
	if len(shut) > 0 {
		e.log.Warn("the control plane is away, and without it the primary of these domains is in doubt: they stay shut until it is back", "domains", shut)
	}
	return nil
}

// inDoubt is why a domain cannot be opened without the control plane.
type inDoubt struct{ error }

func (d inDoubt) Unwrap() error { return d.error }

// Kinds returns a domain's kinds, nil for a domain that there is not.
func (e *Engine) Kinds(domain string) Kinds {
	if c := e.domains[domain]; c != nil {
		return c.kinds
	}
	return nil
}

// MirroredState returns the copy of a domain's state that the source keeps; the zero
// State when there is none.
func (e *Engine) MirroredState(ctx context.Context, domain string) (State, error) {
	c, err := e.core(domain)
	if err != nil || !c.mirror.present() {
		return State{}, err
	}
	return c.mirror.read(ctx)
}

// CoordinatorRole and LeaderRole name the roles (see StateControl.Lead) of who
// takes a domain through a step, and of who leads all processes (see Leads).
func CoordinatorRole(domain string) string { return coordinatorRole + ":" + domain }
func LeaderRole() string                   { return leaderRole }

// OpCount says how many operations of a domain ran on a database.
type OpCount struct {
	Domain   string `json:"domain"`
	Database string `json:"database"`
	Op       string `json:"op"` // view, update, shadow, copy
	Count    int64  `json:"count"`
}

type opKey struct{ domain, database, op string }

func (c *base) countOp(source bool, op string) { c.countOps(source, op, 1) }

func (c *base) countOps(source bool, op string, n int64) {
	store := c.target
	if source {
		store = c.source
	}
	key := opKey{c.name, store.Name(), op}
	v, ok := c.engine.ops.Load(key)
	if !ok {
		v, _ = c.engine.ops.LoadOrStore(key, new(atomic.Int64))
	}
	v.(*atomic.Int64).Add(n)
}

// Ops returns the operation counts of this process since it started.
func (e *Engine) Ops() []OpCount {
	var out []OpCount
	for _, name := range e.order {
		for _, op := range []string{"view", "update", "shadow", "copy"} {
			for _, store := range []Store{e.domains[name].source, e.domains[name].target} {
				if store == nil {
					continue
				}
				if v, ok := e.ops.Load(opKey{name, store.Name(), op}); ok {
					out = append(out, OpCount{name, store.Name(), op, v.(*atomic.Int64).Load()})
				}
			}
		}
	}
	return out
}
