package user

import (
	"context"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/internal/limit"
	"github.com/amanat-dev/amanat/internal/web"
)

// Session is what somebody gets who signs in.
type Session struct {
	User   User   `json:"user"`
	Tokens Tokens `json:"tokens"`
}

// Tokens are the two tokens of a session. The refresh token works once, and
// gives the next pair.
type Tokens struct {
	AccessToken  string `json:"accessToken"`
	RefreshToken string `json:"refreshToken"`
}

func (s *Service) session(u User, token refresh) (Session, error) {
	access, err := s.accessToken(&u)
	return Session{u, Tokens{access, token.String()}}, err
}

// Credentials are what somebody signs in with.
type Credentials struct {
	Email    string `json:"email" maxLength:"254"`
	Password string `json:"password" maxLength:"128" format:"lines"` // as it was chosen, when rules were others
}

// errBadLogin is the same for an unknown address and a wrong password.
func errBadLogin() error {
	return fault.New(fault.Unauthenticated, "wrong e-mail address or password")
}

// Login signs in. Errors: fault.Unauthenticated alike for an unknown address
// and a wrong password; fault.Locked after too many failures; fault.Forbidden
// for a suspended account, told only to whom knows its password; fault.Invalid.
func (s *Service) Login(ctx context.Context, in Credentials, userAgent string) (Session, error) {
	if err := limit.Check(in); err != nil {
		return Session{}, err
	}
	u, known, err := found(cutover.View(ctx, s.db, QueryByEmail, func(ctx context.Context, tx cutover.Tx) (User, error) {
		return UserByEmail(ctx, tx, CanonicalEmail(in.Email))
	}))
	if err != nil {
		return Session{}, err
	}
	if err := u.locked(s.now()); err != nil {
		return Session{}, err
	}
	ok, err := s.passwords.matches(ctx, in.Password, u.PasswordHash)
	if fault.Is(err, fault.Unavailable) {
		return Session{}, err
	}
	if err != nil {
		// A hash of another kind matches nothing, and is no secret to tell of.
		s.log.ErrorContext(ctx, "password not compared", "requestId", web.RequestID(ctx), "user", u.ID.String(), "error", err.Error())
	}
	if !known || u.PasswordHash == "" {
		return Session{}, errBadLogin()
	}
	return s.settleLogin(ctx, u, ok, userAgent)
}

// settleLogin writes down how a login went. seen is the account whose password
// was compared, outside of the Update because that takes long.
func (s *Service) settleLogin(ctx context.Context, seen User, ok bool, userAgent string) (Session, error) {
	now := s.now()
	token := newRefresh(seen.ID, now)
	type result struct {
		user User
		err  error // to answer with, though what was written stays
	}
	r, err := cutover.Update(ctx, s.db, func(ctx context.Context, tx cutover.Tx) (result, error) {
		u, err := cutover.Get[User](ctx, tx, seen.ID)
		if err != nil {
			return result{}, err
		}
		if err := u.locked(now); err != nil {
			return result{}, err
		}
		if !ok || u.PasswordHash != seen.PasswordHash {
			u.loginFailed(now)
			return result{err: errBadLogin()}, tx.Put(ctx, &u)
		}
		if u.Status != Active {
			return result{}, fault.New(fault.Forbidden, "this account is suspended")
		}
		u.loginSucceeded(now)
		u.beginSession(token, userAgent, now)
		u, err = put(ctx, tx, &u)
		return result{user: u}, err
	})
	if err != nil {
		return Session{}, err
	}
	if r.err != nil {
		return Session{}, r.err
	}
	return s.session(r.user, token)
}

// errBadRefresh is the same whatever is wrong with a refresh token.
func errBadRefresh() error {
	return fault.New(fault.Unauthenticated, "this refresh token works no more; sign in again")
}

// Refresh returns the next pair of tokens. Errors: fault.Unauthenticated.
func (s *Service) Refresh(ctx context.Context, refreshToken, userAgent string) (Tokens, error) {
	used, ok := parseRefresh(refreshToken)
	if !ok {
		return Tokens{}, errBadRefresh()
	}
	next, now := used.successor(s.chainKey), s.now()
	type result struct {
		user User
		what rotation
	}
	r, err := cutover.Update(ctx, s.db, func(ctx context.Context, tx cutover.Tx) (result, error) {
		u, known, err := found(cutover.Get[User](ctx, tx, used.userID))
		if err != nil || !known || u.Status != Active {
			return result{}, err
		}
		what := u.rotate(used, next, userAgent, now)
		if what == rotationDone || what == rotationReused {
			err = tx.Put(ctx, &u)
		}
		return result{u, what}, err
	})
	if err != nil {
		return Tokens{}, err
	}
	if r.what == rotationReused {
		s.log.WarnContext(ctx, "refresh token used twice: its session has ended", "requestId", web.RequestID(ctx), "user", used.userID.String())
	}
	if r.what != rotationDone && r.what != rotationAgain {
		return Tokens{}, errBadRefresh()
	}
	session, err := s.session(r.user, next)
	return session.Tokens, err
}

// Logout ends the session that a refresh token belongs to. A token that works
// no more is no error.
func (s *Service) Logout(ctx context.Context, refreshToken string) error {
	used, ok := parseRefresh(refreshToken)
	if !ok {
		return nil
	}
	_, err := cutover.Update(ctx, s.db, func(ctx context.Context, tx cutover.Tx) (struct{}, error) {
		u, known, err := found(cutover.Get[User](ctx, tx, used.userID))
		if err != nil || !known || u.findToken(used.hash()) < 0 {
			return struct{}{}, err
		}
		u.endFamily(used.family.String())
		return struct{}{}, tx.Put(ctx, &u)
	})
	return err
}
