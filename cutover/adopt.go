package cutover

import (
	"context"
	"time"

	"github.com/amanat-dev/amanat/fault"
)

// Resolve gives the ID of the record that was once known by an identity which
// is no ID; false when there is none, or more than one.
type Resolve func(legacy string) (ID, bool)

// Adopter is a Store in which records can have identities that are no IDs, and
// name each other by them. The MongoDB store is one.
type Adopter interface {
	// Adopt gives the record that Foreign lists under legacy the identity id,
	// and resolves what it names. A fault.Conflict says why this record stays as
	// it is.
	Adopt(ctx context.Context, g Guard, kind, legacy string, id ID, resolve Resolve) error
	// Redirect rewrites the records of a kind that cannot be read only because
	// they name others by what resolve knows, and gives their number. Without
	// execute it counts them.
	Redirect(ctx context.Context, g Guard, kind string, resolve Resolve, execute bool) (int, error)
}

// IdentityMap is a Store that remembers for good which ID stands for which
// legacy identity. The PostgreSQL store is one.
type IdentityMap interface {
	// MapIdentity puts id on record, and gives the one that was there before, if
	// one was.
	MapIdentity(ctx context.Context, kind, legacy string, id ID) (ID, error)
	// Identities gives all that is on record, of every domain.
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
	// identity, and were rewritten.
	Referrers map[string]int `json:"referrers"`

	copied bool // the domain is in a phase with copies and gaps
}

// Adopt gives every record of a domain whose stored identity is no ID an ID:
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
	led, err := e.opts.Control.Lead(ctx, CoordinatorRole(domain), func(ctx context.Context) error {
		out, err = c.adopt(ctx, true)
		return err
	})
	if err == nil && !led {
		err = fault.New(fault.Conflict, "a step of %s is under way; try again when it is over", domain)
	}
	if err == nil && out.copied {
		_, _, err = e.RetryGaps(ctx, domain) // so that no gap tells of an identity that is gone
	}
	return out, err
}

func (c *domainCore) adopt(ctx context.Context, execute bool) (Adopted, error) {
	a := adopting{core: c, execute: execute, known: map[string][]ID{}}
	var can [2]bool
	a.source, can[0] = c.source.(Adopter)
	a.ids, can[1] = c.target.(IdentityMap)
	s, err := c.recorded(ctx)
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
	known   map[string][]ID // by legacy identity
}

func (a *adopting) run(ctx context.Context) (Adopted, error) {
	out := Adopted{Domain: a.core.name, Referrers: map[string]int{}}
	on, err := a.ids.Identities(ctx)
	if err != nil {
		return out, err
	}
	recorded := map[Identity]ID{}
	for _, i := range on {
		a.learn(i)
		recorded[Identity{Kind: i.Kind, LegacyID: i.LegacyID}] = i.ID
	}
	// Every identity is known before the first reference is looked up.
	for _, kind := range a.core.kinds {
		found, err := a.identify(ctx, kind.Name, recorded)
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
		if n > 0 {
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

func (a *adopting) learn(i Identity) {
	for _, id := range a.known[i.LegacyID] {
		if id == i.ID {
			return
		}
	}
	a.known[i.LegacyID] = append(a.known[i.LegacyID], i.ID)
}

// resolve knows no kinds, since a reference does not say which it means: one
// that could mean two records is left as it is.
func (a *adopting) resolve(legacy string) (ID, bool) {
	ids := a.known[legacy]
	if len(ids) != 1 {
		return ID{}, false
	}
	return ids[0], true
}

// adoptAtOnce bounds how many records of a kind one Adopt takes on.
const adoptAtOnce = 100_000

// identify says which IDs a kind's legacy records get.
func (a *adopting) identify(ctx context.Context, kind string, recorded map[Identity]ID) ([]Adoption, error) {
	items, err := a.core.source.Foreign(ctx, kind, adoptAtOnce)
	if err != nil {
		return nil, err
	}
	out := make([]Adoption, 0, len(items))
	for _, item := range items {
		i := Identity{Kind: kind, LegacyID: item.RawID}
		id, there := recorded[i]
		isNew := false
		if !there {
			id, isNew = identityFor(item)
		}
		if !there && a.execute {
			if id, err = a.ids.MapIdentity(ctx, kind, item.RawID, id); err != nil {
				return nil, err
			}
		}
		i.ID = id
		a.learn(i)
		out = append(out, Adoption{Identity: i, New: isNew})
	}
	return out, nil
}

// identityFor gives the ID that a text spells, else a new one, of the time at
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
	if !a.execute {
		return nil
	}
	err := a.source.Adopt(ctx, a.guard, r.Kind, r.LegacyID, r.ID, a.resolve)
	if fault.Is(err, fault.Conflict) {
		r.Reason = err.Error()
		return nil
	}
	return err
}
