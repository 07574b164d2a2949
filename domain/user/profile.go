package user

import (
	"context"
	"crypto/rand"
	"strings"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/internal/limit"
	"github.com/amanat-dev/amanat/internal/web"
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
	Bio      *string `json:"bio,omitempty" format:"lines" maxLength:"1000"`
	Website  *string `json:"website,omitempty" format:"link" maxLength:"500"`
	Avatar   *string `json:"avatar,omitempty" format:"link" maxLength:"500"`
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

func setTrimmed(to, from *string) {
	if from != nil {
		*to = strings.TrimSpace(*from)
	}
}

// apply changes u as far as c says.
func (c ProfileChange) apply(u *User) {
	setTrimmed(&u.FirstName, c.FirstName)
	setTrimmed(&u.LastName, c.LastName)
	if c.Profile != nil {
		c.Profile.apply(&u.Profile)
	}
	if c.Preferences != nil {
		c.Preferences.apply(&u.Preferences)
	}
}

func (f ProfileFields) apply(p *Profile) {
	set(&p.Phone, f.Phone)
	set(&p.Bio, f.Bio)
	setTrimmed(&p.Website, f.Website)
	setTrimmed(&p.Avatar, f.Avatar)
	set(&p.IsPublic, f.IsPublic)
}

func (f PreferencesFields) apply(p *Preferences) {
	set(&p.Language, f.Language)
	set(&p.Currency, f.Currency)
	if n := f.Notifications; n != nil {
		set(&p.Notifications.Email, n.Email)
		set(&p.Notifications.SMS, n.SMS)
		set(&p.Notifications.Push, n.Push)
	}
}

// ChangeProfile changes the user's own account. Errors: fault.Invalid.
func (s *Service) ChangeProfile(ctx context.Context, who web.Principal, c ProfileChange) (User, error) {
	if err := limit.Check(c); err != nil {
		return User{}, err
	}
	return cutover.Update(ctx, s.db, func(ctx context.Context, tx cutover.Tx) (User, error) {
		u, err := activeUser(ctx, tx, who.UserID)
		if err != nil {
			return User{}, err
		}
		c.apply(&u)
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

// PublicProfile returns what others see of a user. Errors: fault.NotFound, also
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

// ChallengeWallet returns the text that a wallet must sign to become the user's.
// It replaces the one before. Errors: fault.Invalid.
func (s *Service) ChallengeWallet(ctx context.Context, who web.Principal, claim WalletClaim) (WalletChallenge, error) {
	address, err := claim.address()
	if err != nil {
		return WalletChallenge{}, err
	}
	challenge := newChallenge(address, claim.Chain, rand.Text(), s.now())
	return cutover.Update(ctx, s.db, func(ctx context.Context, tx cutover.Tx) (WalletChallenge, error) {
		u, err := activeUser(ctx, tx, who.UserID)
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
func (s *Service) VerifyWallet(ctx context.Context, who web.Principal, proof WalletProof) (Wallet, error) {
	if err := limit.Check(proof); err != nil {
		return Wallet{}, err
	}
	now := s.now()
	type result struct {
		wallet Wallet
		err    error // to answer with, though the challenge is used up
	}
	r, err := cutover.Update(ctx, s.db, func(ctx context.Context, tx cutover.Tx) (result, error) {
		u, err := activeUser(ctx, tx, who.UserID)
		if err != nil {
			return result{}, err
		}
		c := u.WalletChallenge
		if c == nil || !now.Before(c.ExpiresAt) {
			return result{}, fault.New(fault.Conflict, "there is no open challenge; ask for one")
		}
		u.WalletChallenge = nil
		signer, err := signerOf(c.Message, proof.Signature)
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
