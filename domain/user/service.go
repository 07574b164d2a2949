package user

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"log/slog"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/internal/mail"
	"github.com/amanat-dev/amanat/internal/web"
)

// minSecret is how many bytes a server secret needs at least.
const minSecret = 32

// Deps are what the service is made of.
type Deps struct {
	DB         *cutover.Domain
	Mail       mail.Sender
	JWTSecret  []byte // signs access tokens, derives refresh tokens; at least 32 bytes
	CodeSecret []byte // keys the hashes of codes; at least 32 bytes
	Cost       Cost   // zero: DefaultCost
	// Dependents are the other domains, asked before a user is deleted.
	Dependents []Dependents
	Log        *slog.Logger     // nil: slog.Default()
	Now        func() time.Time // nil: cutover.Now
}

// Service is what can be done with users. It is safe for concurrent use.
type Service struct {
	db        *cutover.Domain
	deps      Deps
	log       *slog.Logger
	passwords *passwords
	chainKey  []byte // derives successors of refresh tokens
	verified  verified
}

// New makes the service. Errors: when a secret is too short, or something is
// missing.
func New(deps Deps) (*Service, error) {
	if len(deps.JWTSecret) < minSecret || len(deps.CodeSecret) < minSecret {
		return nil, errors.New("user: JWT_SECRET and CODE_SECRET need at least 32 bytes each")
	}
	if deps.Mail == nil {
		return nil, errors.New("user: no mail sender")
	}
	if deps.Log == nil {
		deps.Log = slog.Default()
	}
	if deps.Now == nil {
		deps.Now = cutover.Now
	}
	p, err := newPasswords(deps.Cost)
	if err != nil {
		return nil, err
	}
	return &Service{db: deps.DB, deps: deps, log: deps.Log, passwords: p, chainKey: derive(deps.JWTSecret, "refresh token chain")}, nil
}

// derive gives a key of its own to each use of a secret.
func derive(secret []byte, use string) []byte {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(use))
	return mac.Sum(nil)
}

// now is the present in the precision that is stored.
func (s *Service) now() time.Time { return s.deps.Now().UTC().Truncate(time.Millisecond) }

// send posts a letter. One that does not go out is logged, and its reader can
// ask for another.
func (s *Service) send(ctx context.Context, m mail.Message) {
	if err := s.deps.Mail.Send(context.WithoutCancel(ctx), m); err != nil {
		s.log.ErrorContext(ctx, "mail not sent", "requestId", web.RequestID(ctx), "subject", m.Subject, "error", err.Error())
	}
}

// found turns a getter's fault.NotFound into false.
func found[T any](v T, err error) (T, bool, error) {
	if fault.Is(err, fault.NotFound) {
		return v, false, nil
	}
	return v, err == nil, err
}

// put writes a record and gives it as it was written: with its ID, revision
// and times.
func put[R any, P interface {
	*R
	cutover.Record
}](ctx context.Context, tx cutover.Tx, r P) (R, error) {
	err := tx.Put(ctx, r)
	return *r, err
}

// User returns an account. Errors: fault.NotFound.
func (s *Service) User(ctx context.Context, id cutover.ID) (User, error) {
	return cutover.View(ctx, s.db, QueryUser, func(ctx context.Context, tx cutover.Tx) (User, error) {
		return cutover.Get[User](ctx, tx, id)
	})
}

// VerifiedWallet returns the wallet to which a user is paid. Errors:
// fault.NotFound when there is no such user; fault.Conflict when they have no
// verified wallet.
func (s *Service) VerifiedWallet(ctx context.Context, userID cutover.ID) (address, chain string, err error) {
	u, err := s.User(ctx, userID)
	if err != nil {
		return "", "", err
	}
	if u.Wallet == nil || u.Wallet.VerifiedAt.IsZero() {
		return "", "", fault.New(fault.Conflict, "this user has no verified wallet")
	}
	return u.Wallet.Address, u.Wallet.Chain, nil
}

// Person is what another domain may know of a user.
type Person struct {
	ID     cutover.ID
	Name   string // DisplayName
	Role   Role
	Avatar string
	Active bool
}

// People returns the users of those ids, deleted ones too. An id that nobody has
// is missing from the result.
func (s *Service) People(ctx context.Context, ids []cutover.ID) (map[cutover.ID]Person, error) {
	return cutover.View(ctx, s.db, QueryPeople, func(ctx context.Context, tx cutover.Tx) (map[cutover.ID]Person, error) {
		people := map[cutover.ID]Person{}
		for _, id := range ids {
			u, ok, err := found(cutover.Get[User](ctx, tx, id))
			if err != nil {
				return nil, err
			}
			if ok {
				people[id] = Person{u.ID, u.DisplayName(), u.Role, u.Profile.Avatar, u.Status == Active}
			}
		}
		return people, nil
	})
}

// Names returns the display names of those users that exist.
func (s *Service) Names(ctx context.Context, ids []cutover.ID) (map[cutover.ID]string, error) {
	people, err := s.People(ctx, ids)
	if err != nil {
		return nil, err
	}
	names := make(map[cutover.ID]string, len(people))
	for id, p := range people {
		names[id] = p.Name
	}
	return names, nil
}

// MissingSellers returns those of ids that are no active seller.
func (s *Service) MissingSellers(ctx context.Context, ids []cutover.ID) (missing []cutover.ID, err error) {
	people, err := s.People(ctx, ids)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		if p := people[id]; !p.Active || p.Role != Seller {
			missing = append(missing, id)
		}
	}
	return missing, nil
}

// Sellers returns what others see of the active sellers, the newest first.
func (s *Service) Sellers(ctx context.Context, after cutover.ID, limit int) ([]PublicProfile, error) {
	f := Filter{Role: Seller, Status: Active}
	return cutover.View(ctx, s.db, QueryList, func(ctx context.Context, tx cutover.Tx) ([]PublicProfile, error) {
		users, err := Users(ctx, tx, f, after, limit)
		profiles := make([]PublicProfile, 0, len(users))
		for i := range users {
			profiles = append(profiles, users[i].public())
		}
		return profiles, err
	})
}
