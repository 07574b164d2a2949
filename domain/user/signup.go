package user

import (
	"context"
	"fmt"
	"strings"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/internal/limit"
	"github.com/amanat-dev/amanat/internal/mail"
)

// Registration is what somebody tells who wants an account.
type Registration struct {
	Email        string `json:"email" format:"email" maxLength:"254"`
	FirstName    string `json:"firstName" minLength:"1" maxLength:"100"`
	LastName     string `json:"lastName" minLength:"1" maxLength:"100"`
	Role         Role   `json:"role" enum:"buyer,seller"`
	ReferralCode string `json:"referralCode,omitempty" maxLength:"16"`
}

func (r Registration) checked() (Registration, error) {
	err := limit.Check(r)
	if err != nil {
		return r, err
	}
	r.FirstName, r.LastName = strings.TrimSpace(r.FirstName), strings.TrimSpace(r.LastName)
	r.ReferralCode = strings.ToUpper(strings.TrimSpace(r.ReferralCode))
	r.Email, err = parseEmail(r.Email)
	return r, err
}

// EmailProof shows that somebody reads the letters to an address, and chooses
// the account's password.
type EmailProof struct {
	Email    string `json:"email" format:"email" maxLength:"254"`
	Code     string `json:"code" pattern:"^[0-9]{6}$" patternDescription:"six digits"`
	Password string `json:"password" minLength:"8" maxLength:"128" doc:"Becomes the account's password"`
}

// posting says which letter an Update has decided on.
type posting int

const (
	postNothing posting = iota
	postCode
	postKnown // the address has an account already
)

// Register keeps a registration and sends its code. Whether the address has an
// account already, only its reader learns. Errors: fault.Invalid.
func (s *Service) Register(ctx context.Context, in Registration) error {
	in, err := in.checked()
	if err != nil {
		return err
	}
	code, now := newCode(), s.now()
	codeHash := hashCode(s.deps.CodeSecret, in.Email, code)
	what, err := cutover.Update(ctx, s.db, func(ctx context.Context, tx cutover.Tx) (posting, error) {
		if err := checkReferral(ctx, tx, in.ReferralCode); err != nil {
			return postNothing, err
		}
		v, ok, err := found(VerificationByEmail(ctx, tx, in.Email))
		if err != nil || (ok && !v.maySend(now)) {
			return postNothing, err
		}
		v.Email, v.FirstName, v.LastName, v.Role, v.ReferralCode = in.Email, in.FirstName, in.LastName, in.Role, in.ReferralCode
		v.renew(codeHash, now)
		return putVerification(ctx, tx, &v)
	})
	if err != nil {
		return err
	}
	s.post(ctx, what, in.Email, code)
	return nil
}

// checkReferral refuses a code that nobody has.
func checkReferral(ctx context.Context, tx cutover.Tx, code string) error {
	if code == "" {
		return nil
	}
	referrer, ok, err := found(UserByReferralCode(ctx, tx, code))
	if err == nil && (!ok || referrer.Status != Active) {
		return fault.Field("referralCode", "nobody has this code")
	}
	return err
}

func putVerification(ctx context.Context, tx cutover.Tx, v *TempVerification) (posting, error) {
	_, known, err := found(UserByEmail(ctx, tx, v.Email))
	if err != nil {
		return postNothing, err
	}
	what := postCode
	if known {
		what = postKnown
	}
	return what, tx.Put(ctx, v)
}

// Resend sends a new code for a registration; the old one ends. Whether there
// is one, the answer does not tell. Errors: fault.Invalid.
func (s *Service) Resend(ctx context.Context, to Recipient) error {
	email, err := parseEmail(to.Email)
	if err != nil {
		return err
	}
	code, now := newCode(), s.now()
	codeHash := hashCode(s.deps.CodeSecret, email, code)
	what, err := cutover.Update(ctx, s.db, func(ctx context.Context, tx cutover.Tx) (posting, error) {
		v, ok, err := found(VerificationByEmail(ctx, tx, email))
		if err != nil || !ok || !v.maySend(now) {
			return postNothing, err
		}
		v.renew(codeHash, now)
		return putVerification(ctx, tx, &v)
	})
	if err != nil {
		return err
	}
	s.post(ctx, what, email, code)
	return nil
}

// post sends what an Update has decided on, once that has committed.
func (s *Service) post(ctx context.Context, what posting, email, code string) {
	switch what {
	case postCode:
		s.send(ctx, mail.Message{To: email, Subject: "Your Amanat code", Text: fmt.Sprintf(
			"Your code is %s.\n\nIt works for %d minutes. If you did not ask for it, do nothing.\n", code, int(codeLife.Minutes()))})
	case postKnown:
		s.send(ctx, mail.Message{To: email, Subject: "You already have an Amanat account", Text: "Somebody, probably you, wanted to register with this address, " +
			"which has an account already. Sign in with it. If that was not you, do nothing.\n"})
	}
}

// errBadCode is the same for a wrong, an old and an unknown code.
func errBadCode() error { return fault.Field("code", "is wrong or works no more") }

// Verify makes the account of a registration and signs it in. Errors:
// fault.Invalid, also when the code is wrong or works no more.
func (s *Service) Verify(ctx context.Context, in EmailProof, userAgent string) (Session, error) {
	if err := limit.Check(in); err != nil {
		return Session{}, err
	}
	email, err := parseEmail(in.Email)
	if err != nil {
		return Session{}, err
	}
	codeHash := hashCode(s.deps.CodeSecret, email, in.Code)
	if err := s.tryCode(ctx, email, codeHash); err != nil {
		return Session{}, err
	}
	hash, err := s.passwords.hash(ctx, in.Password)
	if err != nil {
		return Session{}, err
	}
	return s.createVerified(ctx, email, codeHash, hash, userAgent)
}

// tryCode counts a wrong try, before anything costly is done.
func (s *Service) tryCode(ctx context.Context, email, codeHash string) error {
	now := s.now()
	right, err := cutover.Update(ctx, s.db, func(ctx context.Context, tx cutover.Tx) (bool, error) {
		v, ok, err := found(VerificationByEmail(ctx, tx, email))
		if err != nil || !ok || !v.usable(now) {
			return false, err
		}
		if v.matches(codeHash) {
			return true, nil
		}
		v.Attempts++
		return false, tx.Put(ctx, &v)
	})
	if err == nil && !right {
		return errBadCode()
	}
	return err
}

// createVerified looks at the code again: it may have been used, or replaced,
// while the password was hashed.
func (s *Service) createVerified(ctx context.Context, email, codeHash, passwordHash, userAgent string) (Session, error) {
	now, id := s.now(), cutover.NewID()
	token := newRefresh(id, now)
	u, err := cutover.Update(ctx, s.db, func(ctx context.Context, tx cutover.Tx) (User, error) {
		v, ok, err := found(VerificationByEmail(ctx, tx, email))
		if err != nil {
			return User{}, err
		}
		_, known, err := found(UserByEmail(ctx, tx, email))
		if err != nil {
			return User{}, err
		}
		if !ok || known || !v.usable(now) || !v.matches(codeHash) {
			return User{}, errBadCode()
		}
		u := newUser(email, v.FirstName, v.LastName, v.Role)
		u.ID, u.PasswordHash = id, passwordHash
		if u.ReferredBy, err = referrerOf(ctx, tx, v.ReferralCode); err != nil {
			return User{}, err
		}
		u.loginSucceeded(now)
		u.beginSession(token, userAgent, now)
		if err := tx.Delete(ctx, &v); err != nil {
			return User{}, err
		}
		return put(ctx, tx, u)
	})
	if err != nil {
		return Session{}, err
	}
	return s.session(u, token)
}

// referrerOf returns zero when the one who referred is gone meanwhile.
func referrerOf(ctx context.Context, tx cutover.Tx, code string) (cutover.ID, error) {
	if code == "" {
		return cutover.ID{}, nil
	}
	u, ok, err := found(UserByReferralCode(ctx, tx, code))
	if err != nil || !ok || u.Status != Active {
		return cutover.ID{}, err
	}
	return u.ID, nil
}
