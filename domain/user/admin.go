package user

import (
	"context"
	"strings"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/internal/limit"
	"github.com/amanat-dev/amanat/internal/web"
)

// Dependency is something of another domain that names a user.
type Dependency struct {
	Name   string `json:"name"` // such as "open purchase requests"
	Count  int64  `json:"count"`
	Blocks bool   `json:"blocks"` // the user cannot be deleted while there are any
}

// Dependents is what another domain tells of its records that name a user.
type Dependents interface {
	Dependencies(ctx context.Context, userID cutover.ID) ([]Dependency, error)
}

// Dependencies is what stands in the way of deleting a user.
type Dependencies struct {
	Items     []Dependency `json:"items"`
	CanDelete bool         `json:"canDelete"`
}

// NewAccount is what an administrator tells of an account to make.
type NewAccount struct {
	Email     string `json:"email" format:"email" maxLength:"254"`
	Password  string `json:"password" minLength:"8" maxLength:"128"`
	FirstName string `json:"firstName" minLength:"1" maxLength:"100"`
	LastName  string `json:"lastName" minLength:"1" maxLength:"100"`
	Role      Role   `json:"role" enum:"buyer,seller,admin,resolver"`
}

// StatusChange is what an administrator makes of an account.
type StatusChange struct {
	Status Status `json:"status" enum:"active,suspended"`
}

// RoleChange says what an account may do from now on.
type RoleChange struct {
	Role Role `json:"role" enum:"buyer,seller,admin,resolver"`
}

// admins are whom administration is for.
var admins = web.Roles(web.RoleAdmin)

// CreateUser makes an account that is verified already. Errors: fault.Invalid;
// fault.Conflict when the address has an account; fault.Forbidden.
func (s *Service) CreateUser(ctx context.Context, who web.Principal, in NewAccount) (User, error) {
	if err := admins.Admit(who); err != nil {
		return User{}, err
	}
	return s.Provision(ctx, in)
}

// Provision is CreateUser without anybody asking: for the first administrator
// and for sample data.
func (s *Service) Provision(ctx context.Context, in NewAccount) (User, error) {
	u, err := in.checked()
	if err != nil {
		return User{}, err
	}
	hash, err := s.passwords.hash(ctx, in.Password)
	if err != nil {
		return User{}, err
	}
	id := cutover.NewID()
	return cutover.Update(ctx, s.db, func(ctx context.Context, tx cutover.Tx) (User, error) {
		_, taken, err := found(UserByEmail(ctx, tx, u.Email))
		if err != nil {
			return User{}, err
		}
		if taken {
			return User{}, fault.New(fault.Conflict, "this address has an account already")
		}
		u := newUser(u.Email, u.FirstName, u.LastName, u.Role)
		u.ID, u.PasswordHash = id, hash
		return put(ctx, tx, u)
	})
}

func (in NewAccount) checked() (NewAccount, error) {
	err := limit.Check(in)
	if err != nil {
		return in, err
	}
	in.FirstName, in.LastName = strings.TrimSpace(in.FirstName), strings.TrimSpace(in.LastName)
	in.Email, err = parseEmail(in.Email)
	return in, err
}

// Users lists accounts, newest first. Errors: fault.Forbidden.
func (s *Service) Users(ctx context.Context, who web.Principal, f Filter, after cutover.ID, limit int) ([]User, error) {
	if err := admins.Admit(who); err != nil {
		return nil, err
	}
	f.Email = CanonicalEmail(f.Email)
	return cutover.View(ctx, s.db, QueryList, func(ctx context.Context, tx cutover.Tx) ([]User, error) {
		return Users(ctx, tx, f, after, limit)
	})
}

// SetStatus suspends an account, which ends its sessions, or lets it be used
// again. Errors: fault.Invalid; fault.NotFound; fault.Forbidden;
// fault.Conflict for a deleted account and for one's own.
func (s *Service) SetStatus(ctx context.Context, who web.Principal, id cutover.ID, in StatusChange) (User, error) {
	if err := limit.Check(in); err != nil {
		return User{}, err
	}
	return s.administer(ctx, who, id, func(u *User) {
		u.Status = in.Status
		if u.Status == Suspended {
			u.RefreshTokens = nil
		}
	})
}

// SetRole changes what an account may do; its access tokens say so within
// minutes. Errors: as SetStatus.
func (s *Service) SetRole(ctx context.Context, who web.Principal, id cutover.ID, in RoleChange) (User, error) {
	if err := limit.Check(in); err != nil {
		return User{}, err
	}
	return s.administer(ctx, who, id, func(u *User) { u.Role = in.Role })
}

func (s *Service) administer(ctx context.Context, who web.Principal, id cutover.ID, change func(*User)) (User, error) {
	if err := mayAdminister(who, id); err != nil {
		return User{}, err
	}
	return cutover.Update(ctx, s.db, func(ctx context.Context, tx cutover.Tx) (User, error) {
		u, err := undeletedUser(ctx, tx, id)
		if err != nil {
			return User{}, err
		}
		change(&u)
		return put(ctx, tx, &u)
	})
}

// mayAdminister keeps administrators from locking themselves out.
func mayAdminister(who web.Principal, id cutover.ID) error {
	if err := admins.Admit(who); err != nil {
		return err
	}
	if who.UserID == id {
		return fault.New(fault.Conflict, "this is your own account; let another administrator do it")
	}
	return nil
}

func undeletedUser(ctx context.Context, tx cutover.Tx, id cutover.ID) (User, error) {
	u, err := cutover.Get[User](ctx, tx, id)
	if err == nil && u.Status == Deleted {
		return User{}, fault.New(fault.Conflict, "this account is deleted")
	}
	return u, err
}

// Dependencies asks the other domains what of theirs names a user. Errors:
// fault.NotFound; fault.Forbidden.
func (s *Service) Dependencies(ctx context.Context, who web.Principal, id cutover.ID) (Dependencies, error) {
	if err := admins.Admit(who); err != nil {
		return Dependencies{}, err
	}
	if _, err := s.User(ctx, id); err != nil {
		return Dependencies{}, err
	}
	out := Dependencies{Items: []Dependency{}, CanDelete: true}
	for _, d := range s.deps.Dependents {
		items, err := d.Dependencies(ctx, id)
		if err != nil {
			return Dependencies{}, err
		}
		out.Items = append(out.Items, items...)
	}
	for _, d := range out.Items {
		out.CanDelete = out.CanDelete && (!d.Blocks || d.Count == 0)
	}
	return out, nil
}

// DeleteUser takes away what is personal in an account and all ways to sign
// in; the record stays. Errors: fault.NotFound; fault.Forbidden;
// fault.Conflict for one's own account, for a deleted one, and while a
// dependency stands in the way.
func (s *Service) DeleteUser(ctx context.Context, who web.Principal, id cutover.ID) error {
	if err := mayAdminister(who, id); err != nil {
		return err
	}
	deps, err := s.Dependencies(ctx, who, id)
	if err != nil {
		return err
	}
	if !deps.CanDelete {
		return fault.New(fault.Conflict, "this user has unfinished business; see the dependencies")
	}
	_, err = cutover.Update(ctx, s.db, func(ctx context.Context, tx cutover.Tx) (struct{}, error) {
		u, err := undeletedUser(ctx, tx, id)
		if err != nil {
			return struct{}{}, err
		}
		if err := eraseRelated(ctx, tx, u); err != nil {
			return struct{}{}, err
		}
		u.erase()
		return struct{}{}, tx.Put(ctx, &u)
	})
	return err
}

// eraseRelated removes the records that hold nothing but personal data.
func eraseRelated(ctx context.Context, tx cutover.Tx, u User) error {
	all, err := Addresses(ctx, tx, u.ID)
	if err != nil {
		return err
	}
	for i := range all {
		if err := tx.Delete(ctx, &all[i]); err != nil {
			return err
		}
	}
	if u.Email == "" {
		return nil
	}
	v, ok, err := found(VerificationByEmail(ctx, tx, u.Email))
	if err != nil || !ok {
		return err
	}
	return tx.Delete(ctx, &v)
}
