package cutover

import (
	"context"
	"time"

	"github.com/amanat-dev/amanat/cutover/fault"
)

// Resolve returns the ID of the record of a kind that was once known by an
// identity which is no ID; false when none is on record.
type Resolve func(kind, legacy string) (ID, bool)

// Adopter is a Store in which records can have identities that are no IDs, and
// name each other by them. The MongoDB store is one.
type Adopter interface {
	// Adopt returns the record that Foreign lists under legacy the identity id,
	// and resolves what it names. A fault.Conflict says why this record stays as
	// it is.
	Adopt(ctx context.Context, g Guard, kind, legacy string, id ID, resolve Resolve) error
	// Redirect rewrites the records of a kind that cannot be read only because
	// they name others by what resolve knows. Without execute it
	// counts them.
	Redirect(ctx context.Context, g Guard, kind string, resolve Resolve, execute bool) (Redirected, error)
}

// Redirected counts the records of a kind that name others by a legacy identity.
type Redirected struct {
	Records int    `json:"records"`          // rewritten, or to be
	Left    int    `json:"left,omitempty"`   // that stay as they are
	Reason  string `json:"reason,omitempty"` // of one that stays
}

// IdentityMap is a Store that remembers for good which ID stands for which
// legacy identity. The PostgreSQL store is one.
type IdentityMap interface {
	// MapIdentity puts id on record, and returns the one that was there before, if
	// one was.
	MapIdentity(ctx context.Context, kind, legacy string, id ID) (ID, error)
	// Identities returns all that is on record, of every domain.
	Identities(ctx context.Context) ([]Identity, error)
}

// Identity says which ID stands for a legacy identity.
type Identity struct {
	Kind     string `json:"kind"`
	LegacyID string `json:"legacyId"`
	ID       ID     `json:"id"`
}

// Adoption is a legacy record that gets an ID.
type Adoption struct {
	Identity
	New    bool   `json:"new"`              // the ID is a new one, neither spelt by its text nor on record before
	Reason string `json:"reason,omitempty"` // why it stays as it is; "" when it does not
}

// Adopted says what Adopt did, or would do.
type Adopted struct {
	Domain  string     `json:"domain"`
	Records []Adoption `json:"records"`
	// Referrers counts, per kind, the records that name others by a legacy
	// identity which is on record.
	Referrers map[string]Redirected `json:"referrers"`

	copied bool // the domain is in a phase with copies and gaps
}

// Adopt returns every record of a domain whose stored identity is no ID an ID:
// the one that its text spells, else a new one, on record in the target's
// IdentityMap. Records of the domain that name others by such an identity, of
// whichever domain, are rewritten. All of it are writes to the source, which
// has to be the primary; it is done in the coordinator's place, so that no step
// comes between. It can be repeated: what is done stays done. Without execute
// it says what it would do.
func (e *Engine) Adopt(ctx context.Context, domain string, execute bool) (Adopted, error) {
	c, err := e.core(domain)
	if err != nil {
		return Adopted{}, err
	}
	if err := c.needBoth(); err != nil {
		return Adopted{}, err
	}
	if !execute {
		return c.adopt(ctx, false)
	}
	var out Adopted
	err = c.states.inPlace(ctx, "try again", func(ctx context.Context) (err error) {
		out, err = c.adopt(ctx, true)
		return err
	})
	if err == nil && out.copied {
		_, _, err = e.RetryGaps(ctx, domain) // so that no gap tells of an identity that is gone
	}
	return out, err
}

func (c *domainCore) adopt(ctx context.Context, execute bool) (Adopted, error) {
	a := adopting{core: c, execute: execute, known: map[legacyKey]ID{}}
	var can [2]bool
	a.source, can[0] = c.source.(Adopter)
	a.ids, can[1] = c.target.(IdentityMap)
	s, err := c.states.recorded(ctx)
	switch {
	case err != nil:
		return Adopted{}, err
	case !can[0] || !can[1]:
		return Adopted{}, fault.New(fault.Conflict, "every identity in %s is an ID", c.source.Name())
	case s.Sealed || !s.Phase.PrimaryIsSource():
		return Adopted{}, fault.New(fault.Conflict, "%s is in phase %s; only while %s is its primary can its records there be rewritten",
			c.name, s.Phase, c.source.Name())
	}
	a.guard = Guard{Domain: c.name, Epoch: s.Epoch, Journal: true, Process: c.engine.opts.Process.ID}
	out, err := a.run(ctx)
	out.copied = s.Phase.Copies()
	return out, err
}

// adopting is one Adopt at work.
type adopting struct {
	core    *domainCore
	source  Adopter
	ids     IdentityMap
	guard   Guard
	execute bool
	known   map[legacyKey]ID
}

// legacyKey is what a record was once known by.
type legacyKey struct{ kind, legacy string }

func (a *adopting) run(ctx context.Context) (Adopted, error) {
	out := Adopted{Domain: a.core.name, Referrers: map[string]Redirected{}}
	on, err := a.ids.Identities(ctx)
	if err != nil {
		return out, err
	}
	for _, i := range on {
		a.known[legacyKey{i.Kind, i.LegacyID}] = i.ID
	}
	// The identities of this domain are known before the first reference is
	// looked up; those of others are as far as they have been adopted.
	for _, kind := range a.core.kinds {
		found, err := a.identify(ctx, kind.Name)
		if err != nil {
			return out, err
		}
		out.Records = append(out.Records, found...)
	}
	for _, kind := range a.core.kinds {
		n, err := a.source.Redirect(ctx, a.guard, kind.Name, a.resolve, a.execute)
		if err != nil {
			return out, err
		}
		if n.Records+n.Left > 0 {
			out.Referrers[kind.Name] = n
		}
	}
	for i := range out.Records {
		if err := a.take(ctx, &out.Records[i]); err != nil {
			return out, err
		}
	}
	return out, nil
}

func (a *adopting) resolve(kind, legacy string) (ID, bool) {
	id, ok := a.known[legacyKey{kind, legacy}]
	return id, ok
}

// adoptAtOnce bounds how many records of a kind one Adopt takes on.
const adoptAtOnce = 100_000

// identify says which IDs a kind's legacy records get.
func (a *adopting) identify(ctx context.Context, kind string) ([]Adoption, error) {
	items, err := a.core.source.Foreign(ctx, kind, adoptAtOnce)
	if err != nil {
		return nil, err
	}
	out := make([]Adoption, 0, len(items))
	for _, item := range items {
		r, err := a.identity(ctx, kind, item)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

func (a *adopting) identity(ctx context.Context, kind string, item Item) (Adoption, error) {
	key := legacyKey{kind, item.RawID}
	r := Adoption{Identity: Identity{Kind: kind, LegacyID: item.RawID}}
	var there bool
	if r.ID, there = a.known[key]; !there {
		r.ID, r.New = identityFor(item)
	}
	if !there && a.execute {
		id, err := a.ids.MapIdentity(ctx, kind, item.RawID, r.ID)
		if fault.Is(err, fault.Conflict) {
			r.Reason = "another record has the ID that it spells"
			return r, nil
		}
		if err != nil {
			return r, err
		}
		r.ID = id
	}
	a.known[key] = r.ID
	return r, nil
}

// identityFor returns the ID that a text spells, else a new one, of the time at
// which the record was made if it says so.
func identityFor(item Item) (id ID, isNew bool) {
	if id, err := ParseID(item.RawID); err == nil && !id.IsZero() {
		return id, false
	}
	made := time.Now()
	if item.Record != nil && !item.Record.RecordMeta().CreatedAt.IsZero() {
		made = item.Record.RecordMeta().CreatedAt
	}
	return NewIDAt(made), true
}

func (a *adopting) take(ctx context.Context, r *Adoption) error {
	if !a.execute || r.Reason != "" {
		return nil
	}
	err := a.source.Adopt(ctx, a.guard, r.Kind, r.LegacyID, r.ID, a.resolve)
	if fault.Is(err, fault.Conflict) {
		r.Reason = err.Error()
		return nil
	}
	return err
}
