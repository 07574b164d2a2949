package user

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
)

// ProfileChange is what a user changes about themselves; what is absent stays.
type ProfileChange struct {
	FirstName   *string            `json:"firstName,omitempty" minLength:"1" maxLength:"100"`
	LastName    *string            `json:"lastName,omitempty" minLength:"1" maxLength:"100"`
	Profile     *ProfileFields     `json:"profile,omitempty"`
	Preferences *PreferencesFields `json:"preferences,omitempty"`
}

// ProfileFields are the parts of Profile that a change names.
type ProfileFields struct {
	Phone    *string `json:"phone,omitempty" maxLength:"30"`
	Bio      *string `json:"bio,omitempty" maxLength:"1000"`
	Website  *string `json:"website,omitempty" maxLength:"500"`
	Avatar   *string `json:"avatar,omitempty" maxLength:"500"`
	IsPublic *bool   `json:"isPublic,omitempty"`
}

// PreferencesFields are the parts of Preferences that a change names.
type PreferencesFields struct {
	Language      *string              `json:"language,omitempty" enum:"en,fa,ar"`
	Currency      *string              `json:"currency,omitempty" enum:"USD,EUR,IRR,AED"`
	Notifications *NotificationsFields `json:"notifications,omitempty"`
}

// NotificationsFields are the parts of Notifications that a change names.
type NotificationsFields struct {
	Email *bool `json:"email,omitempty"`
	SMS   *bool `json:"sms,omitempty"`
	Push  *bool `json:"push,omitempty"`
}

// set replaces a value by the one that a change names, if it does.
func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

// apply changes u. Errors: fault.Invalid naming the field.
func (c ProfileChange) apply(u *User) error {
	if c.FirstName != nil {
		name, err := parseName("firstName", *c.FirstName)
		if err != nil {
			return err
		}
		u.FirstName = name
	}
	if c.LastName != nil {
		name, err := parseName("lastName", *c.LastName)
		if err != nil {
			return err
		}
		u.LastName = name
	}
	if c.Profile != nil {
		if err := c.Profile.apply(&u.Profile); err != nil {
			return err
		}
	}
	if c.Preferences != nil {
		return c.Preferences.apply(&u.Preferences)
	}
	return nil
}

func (f ProfileFields) apply(p *Profile) error {
	set(&p.Phone, f.Phone)
	set(&p.Bio, f.Bio)
	set(&p.Website, f.Website)
	set(&p.Avatar, f.Avatar)
	set(&p.IsPublic, f.IsPublic)
	if err := checkText("profile.phone", p.Phone, 30); err != nil {
		return err
	}
	if err := checkText("profile.bio", p.Bio, 1000); err != nil {
		return err
	}
	if err := checkLink("profile.website", p.Website); err != nil {
		return err
	}
	return checkLink("profile.avatar", p.Avatar)
}

func (f PreferencesFields) apply(p *Preferences) error {
	set(&p.Language, f.Language)
	set(&p.Currency, f.Currency)
	if n := f.Notifications; n != nil {
		set(&p.Notifications.Email, n.Email)
		set(&p.Notifications.SMS, n.SMS)
		set(&p.Notifications.Push, n.Push)
	}
	if f.Language != nil && !oneOf(p.Language, "en", "fa", "ar") {
		return fault.Field("preferences.language", "want en, fa or ar")
	}
	if f.Currency != nil && !oneOf(p.Currency, "USD", "EUR", "IRR", "AED") {
		return fault.Field("preferences.currency", "want USD, EUR, IRR or AED")
	}
	return nil
}

func oneOf(s string, allowed ...string) bool {
	for _, a := range allowed {
		if s == a {
			return true
		}
	}
	return false
}

// ChangeProfile changes the user's own account. Errors: fault.Invalid.
func (s *Service) ChangeProfile(ctx context.Context, userID cutover.ID, c ProfileChange) (User, error) {
	return cutover.Update(ctx, s.db, func(ctx context.Context, tx cutover.Tx) (User, error) {
		u, err := activeUser(ctx, tx, userID)
		if err != nil {
			return User{}, err
		}
		if err := c.apply(&u); err != nil {
			return User{}, err
		}
		return put(ctx, tx, &u)
	})
}

// activeUser is for what a user does themselves: an access token outlives a
// suspension by minutes, and must not write meanwhile.
func activeUser(ctx context.Context, tx cutover.Tx, id cutover.ID) (User, error) {
	u, ok, err := found(cutover.Get[User](ctx, tx, id))
	if err == nil && (!ok || u.Status != Active) {
		return User{}, fault.New(fault.Forbidden, "this account is not active")
	}
	return u, err
}

// PublicProfile is what others see of a user. Of a private profile Bio and
// Website are absent; nobody's phone or address is ever shown.
type PublicProfile struct {
	ID          cutover.ID `json:"id"`
	FirstName   string     `json:"firstName"`
	LastName    string     `json:"lastName"`
	Avatar      string     `json:"avatar,omitempty"`
	Role        Role       `json:"role"`
	IsPublic    bool       `json:"isPublic"`
	Bio         string     `json:"bio,omitempty"`
	Website     string     `json:"website,omitempty"`
	MemberSince time.Time  `json:"memberSince,omitzero"`
}

// PublicProfile gives what others see of a user. Errors: fault.NotFound, also
// for an account that is not active.
func (s *Service) PublicProfile(ctx context.Context, id cutover.ID) (PublicProfile, error) {
	u, err := s.User(ctx, id)
	if err != nil {
		return PublicProfile{}, err
	}
	if u.Status != Active {
		return PublicProfile{}, fault.New(fault.NotFound, "there is no such user")
	}
	return u.public(), nil
}

// public is what others see.
func (u *User) public() PublicProfile {
	p := PublicProfile{ID: u.ID, FirstName: u.FirstName, LastName: u.LastName, Avatar: u.Profile.Avatar, Role: u.Role, IsPublic: u.Profile.IsPublic}
	if p.IsPublic {
		p.Bio, p.Website, p.MemberSince = u.Profile.Bio, u.Profile.Website, u.CreatedAt
	}
	return p
}

// ChallengeWallet gives the text that a wallet must sign to become the user's.
// It replaces the one before. Errors: fault.Invalid.
func (s *Service) ChallengeWallet(ctx context.Context, userID cutover.ID, address, chain string) (WalletChallenge, error) {
	address, err := parseAddress(address)
	if err != nil {
		return WalletChallenge{}, err
	}
	if !chainForm.MatchString(chain) {
		return WalletChallenge{}, fault.Field("chain", "want a chain's name or number")
	}
	challenge := newChallenge(address, chain, rand.Text(), s.now())
	return cutover.Update(ctx, s.db, func(ctx context.Context, tx cutover.Tx) (WalletChallenge, error) {
		u, err := activeUser(ctx, tx, userID)
		if err != nil {
			return WalletChallenge{}, err
		}
		u.WalletChallenge = challenge
		return *challenge, tx.Put(ctx, &u)
	})
}

// VerifyWallet takes the signature of the challenge; right or wrong, the
// challenge is used up. Errors: fault.Conflict when none is open;
// fault.Invalid when another wallet has signed, or none.
func (s *Service) VerifyWallet(ctx context.Context, userID cutover.ID, signature string) (Wallet, error) {
	now := s.now()
	type result struct {
		wallet Wallet
		err    error // to answer with, though the challenge is used up
	}
	r, err := cutover.Update(ctx, s.db, func(ctx context.Context, tx cutover.Tx) (result, error) {
		u, err := activeUser(ctx, tx, userID)
		if err != nil {
			return result{}, err
		}
		c := u.WalletChallenge
		if c == nil || !now.Before(c.ExpiresAt) {
			return result{}, fault.New(fault.Conflict, "there is no open challenge; ask for one")
		}
		u.WalletChallenge = nil
		signer, err := signerOf(c.Message, signature)
		if err == nil && signer != c.Address {
			err = fault.Field("signature", "is not by the wallet that you named")
		}
		if err != nil {
			return result{err: err}, tx.Put(ctx, &u)
		}
		wallet := Wallet{Address: c.Address, Chain: c.Chain, VerifiedAt: now}
		u.Wallet = &wallet
		return result{wallet: wallet}, tx.Put(ctx, &u)
	})
	if err != nil {
		return Wallet{}, err
	}
	return r.wallet, r.err
}
