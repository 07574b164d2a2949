package user

import (
	"context"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/internal/limit"
	"github.com/amanat-dev/amanat/internal/web"
)

// Addresses returns a user's addresses, oldest first.
func (s *Service) Addresses(ctx context.Context, who web.Principal) ([]Address, error) {
	return cutover.View(ctx, s.db, QueryAddresses, func(ctx context.Context, tx cutover.Tx) ([]Address, error) {
		return Addresses(ctx, tx, who.UserID)
	})
}

// Address returns one of the user's addresses. Errors: fault.NotFound, also for
// somebody else's.
func (s *Service) Address(ctx context.Context, who web.Principal, id cutover.ID) (Address, error) {
	return cutover.View(ctx, s.db, QueryAddress, func(ctx context.Context, tx cutover.Tx) (Address, error) {
		return ownAddress(ctx, tx, who.UserID, id)
	})
}

func ownAddress(ctx context.Context, tx cutover.Tx, userID, id cutover.ID) (Address, error) {
	a, err := cutover.Get[Address](ctx, tx, id)
	if err != nil {
		return Address{}, err
	}
	if a.UserID != userID {
		return Address{}, fault.New(fault.NotFound, "there is no such address")
	}
	return a, nil
}

// AddAddress adds an address; the first one is primary. Errors: fault.Invalid;
// fault.Conflict when there are too many.
func (s *Service) AddAddress(ctx context.Context, who web.Principal, in AddressInput) (Address, error) {
	if err := limit.Check(in); err != nil {
		return Address{}, err
	}
	return cutover.Update(ctx, s.db, func(ctx context.Context, tx cutover.Tx) (Address, error) {
		all, err := guardPrimary(ctx, tx, who.UserID)
		if err != nil {
			return Address{}, err
		}
		if len(all) >= maxAddresses {
			return Address{}, fault.New(fault.Conflict, "you have %d addresses already; remove one first", len(all))
		}
		a := Address{UserID: who.UserID, IsPrimary: len(all) == 0 || in.wantsPrimary()}
		a.fill(in)
		if err := demote(ctx, tx, all, a); err != nil {
			return Address{}, err
		}
		return put(ctx, tx, &a)
	})
}

// ChangeAddress replaces what an address says. isPrimary true makes it the
// primary one; false is refused for the one that is: choose another instead.
// Errors: fault.Invalid; fault.NotFound.
func (s *Service) ChangeAddress(ctx context.Context, who web.Principal, id cutover.ID, in AddressInput) (Address, error) {
	if err := limit.Check(in); err != nil {
		return Address{}, err
	}
	return cutover.Update(ctx, s.db, func(ctx context.Context, tx cutover.Tx) (Address, error) {
		a, err := ownAddress(ctx, tx, who.UserID, id)
		if err != nil {
			return Address{}, err
		}
		if in.IsPrimary != nil && !*in.IsPrimary && a.IsPrimary {
			return Address{}, fault.Field("isPrimary", "make another address the primary one instead")
		}
		all, err := guardPrimary(ctx, tx, who.UserID)
		if err != nil {
			return Address{}, err
		}
		a.fill(in)
		a.IsPrimary = a.IsPrimary || in.wantsPrimary()
		if err := demote(ctx, tx, all, a); err != nil {
			return Address{}, err
		}
		return put(ctx, tx, &a)
	})
}

// RemoveAddress removes an address; when it was the primary one, the oldest
// that is left becomes it. Errors: fault.NotFound.
func (s *Service) RemoveAddress(ctx context.Context, who web.Principal, id cutover.ID) error {
	_, err := cutover.Update(ctx, s.db, func(ctx context.Context, tx cutover.Tx) (struct{}, error) {
		a, err := ownAddress(ctx, tx, who.UserID, id)
		if err != nil {
			return struct{}{}, err
		}
		all, err := guardPrimary(ctx, tx, who.UserID)
		if err != nil {
			return struct{}{}, err
		}
		if err := tx.Delete(ctx, &a); err != nil || !a.IsPrimary {
			return struct{}{}, err
		}
		return struct{}{}, promoteOldest(ctx, tx, all, a)
	})
	return err
}

// guardPrimary returns the user's addresses and writes the user's record: the
// number of primary addresses depends on all of them together, so two changes
// at once must conflict even when they touch different ones.
func guardPrimary(ctx context.Context, tx cutover.Tx, userID cutover.ID) ([]Address, error) {
	u, err := activeUser(ctx, tx, userID)
	if err != nil {
		return nil, err
	}
	if err := tx.Put(ctx, &u); err != nil {
		return nil, err
	}
	return Addresses(ctx, tx, userID)
}

// demote takes the mark from all others when a is primary.
func demote(ctx context.Context, tx cutover.Tx, all []Address, a Address) error {
	for _, other := range all {
		if !a.IsPrimary || !other.IsPrimary || other.ID == a.ID {
			continue
		}
		other.IsPrimary = false
		if err := tx.Put(ctx, &other); err != nil {
			return err
		}
	}
	return nil
}

func promoteOldest(ctx context.Context, tx cutover.Tx, all []Address, removed Address) error {
	for _, other := range all {
		if other.ID == removed.ID {
			continue
		}
		other.IsPrimary = true
		return tx.Put(ctx, &other)
	}
	return nil
}
