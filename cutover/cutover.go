// Package cutover moves an application from one database to another, live,
// one domain at a time, and back. It knows no business: an application tells
// it its domains, their kinds of records and, for each database, a Side.
//
// An application reads with View and writes with Update, and these route to
// the database that is the domain's primary at that moment. Everything else
// here sees to it that at every instant exactly one database is the primary,
// that every write answered with success is in it, and that the other one
// converges to it or the difference is on record.
package cutover

import (
	"context"
	"errors"
	"fmt"
)

// Definition describes a domain, on whichever databases it is. Stores, checks
// and commands range over a list of these: nothing names a domain a second time.
type Definition struct {
	Name  string // such as "payment"
	Kinds Kinds  // parents first
	// Refers names the kinds of other domains that its records name.
	Refers []string
	// Queries names every View of the domain. The gate asks that shadow reads
	// have seen each.
	Queries []string
	// Invariants must hold on both sides, and agree.
	Invariants []Invariant
}

// Spec is a domain on the databases at hand.
type Spec struct {
	Definition
	// Source is where a move starts (MongoDB), Target where it ends
	// (PostgreSQL). A deployment on one database leaves the other nil.
	Source, Target Side
	// Scratch opens an empty database of the source's sort for a drill. nil:
	// there are no drills.
	Scratch Scratch
}

// Invariant is a statement about a domain that must hold on both sides. It
// states one or both of:
type Invariant struct {
	Name string
	// Check, of each record of Kind, gives an error when the record and what
	// belongs to it do not agree ("escrow is 5, its postings sum to 4"). A
	// breach counts when it persists: records change while they are read.
	Kind  string
	Check func(ctx context.Context, tx Tx, r Record) error
	// Suspects, which may be nil, goes through the domain once and names the
	// records of Kind that seem in breach, so that Check need only look at
	// those. It may name too many, never too few.
	Suspects func(ctx context.Context, tx Tx) ([]ID, error)
	// Eval returns a text about the whole that must be equal on both sides, such
	// as "512 payments: 500 completed, 12 pending".
	Eval func(ctx context.Context, tx Tx) (string, error)
}

// Domain is the handle with which services read and write.
type Domain struct {
	core *domainCore
	spec Spec
}

// Name returns the domain's name.
func (d *Domain) Name() string { return d.spec.Name }

// View runs fn on a reading transaction of the domain's primary and returns its
// result. fn captures no state of its own: it may run again, later, and on
// the other database as a shadow read of this query (a name out of
// Spec.Queries). Errors: what fn returns; fault.Unavailable when the primary
// is away, or has not answered within Options.MaxTime.
func View[R any](ctx context.Context, d *Domain, query string, fn func(context.Context, Tx) (R, error)) (R, error) {
	var none R
	if !d.core.queries[query] {
		return none, fmt.Errorf("cutover: %s has no query %q in its Spec", d.spec.Name, query)
	}
	ctx, cancel := d.core.engine.bound(ctx)
	defer cancel()
	state, term, err := d.core.router.readRoute(ctx)
	if err != nil {
		return none, err
	}
	primary := state.Phase.PrimaryIsSource()
	d.core.countOp(primary, "view")
	r, err := runView(ctx, d.side(primary), fn)
	err = timely(ctx, err)
	if moved := d.core.router.confirmRead(ctx, state, term); moved != nil {
		return none, timely(ctx, moved)
	}
	if d.core.shadows.sampled(state, err) {
		d.core.shadows.shadow(shadowRun{
			query:     query,
			answer:    answerOf(r, err),
			primary:   replay(d.side(primary), fn),
			secondary: replay(d.side(!primary), fn),
		})
	}
	return r, err
}

func runView[R any](ctx context.Context, side Side, fn func(context.Context, Tx) (R, error)) (R, error) {
	var result R
	err := side.View(ctx, func(ctx context.Context, tx Tx) error {
		r, err := fn(ctx, tx)
		result = r
		return err
	})
	return result, err
}

// Update runs fn on a transaction of the domain's primary; what fn puts lands
// together when it returns without error. fn may run again: on a conflict, or
// when the domain has moved meanwhile; so it captures nothing and does
// nothing else that lasts. While a switch is under way Update waits. Errors:
// what fn returns; fault.Conflict when the database's rules refuse what it put,
// or when somebody else was first a few times; fault.Unavailable when
// the primary is away, when the wait was too long (nothing was written), or
// when the outcome is not known (its message says so).
func Update[R any](ctx context.Context, d *Domain, fn func(context.Context, Tx) (R, error)) (R, error) {
	var result R
	var put map[string]bool
	ctx, cancel := d.core.engine.bound(ctx)
	defer cancel()
	err := d.core.router.update(ctx, func(ctx context.Context, source bool, g Guard) error {
		side := d.side(source)
		if d.core.engine.opts.RunTwice {
			rehearse(ctx, side, g, fn)
		}
		return side.Update(ctx, g, func(ctx context.Context, tx Tx) error {
			put = map[string]bool{}
			r, err := fn(ctx, listened{tx, put})
			result = r
			if err != nil && !IsStale(err) && !errors.Is(err, ErrMoved) {
				return refused{err}
			}
			return err
		})
	})
	if mayHaveWritten(err) {
		d.core.ring(put)
	}
	if err != nil {
		var none R
		return none, timely(ctx, err)
	}
	return result, nil
}

// refused marks an error as the closure's own, which a retry would not mend.
type refused struct{ error }

func (r refused) Unwrap() error { return r.error }

var errRehearsal = errors.New("cutover: rehearsal")

// rehearse runs fn in an Update that is thrown away: with Options.RunTwice, a
// test finds the closure that cannot run again.
func rehearse[R any](ctx context.Context, side Side, g Guard, fn func(context.Context, Tx) (R, error)) {
	_ = side.Update(ctx, g, func(ctx context.Context, tx Tx) error {
		_, _ = fn(ctx, tx)
		return errRehearsal
	})
}

func (d *Domain) side(source bool) Side {
	if source {
		return d.spec.Source
	}
	return d.spec.Target
}
