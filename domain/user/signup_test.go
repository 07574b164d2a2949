package user_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/domain/user"
)

func TestRegistrationBecomesAnAccount(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		email := newEmail()
		r := registration("  " + strings.ToUpper(email))
		r.Role = user.Seller
		if err := b.Register(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		s := must[user.Session](t)(b.Verify(t.Context(), user.EmailProof{Email: email, Code: b.post.code(t, email), Password: password}, agent))
		u := b.stored(t, s.User.ID)
		if u.Email != email || u.Role != user.Seller || u.Status != user.Active || !u.IsEmailVerified || u.AuthProvider != user.ProviderEmail || len(u.ReferralCode) != 8 {
			t.Errorf("stored: %+v", u)
		}
		if !strings.HasPrefix(u.PasswordHash, "$argon2id$") {
			t.Errorf("password hash: %.20s", u.PasswordHash)
		}
		p, err := b.Authenticate(t.Context(), s.Tokens.AccessToken)
		if err != nil || p.UserID != u.ID || p.Role != "seller" {
			t.Errorf("signed in as %+v, %v", p, err)
		}
		_, err = b.Verify(t.Context(), user.EmailProof{Email: email, Code: b.post.code(t, email), Password: password}, agent)
		wantKind(t, "the code again", err, fault.Invalid)
		if s.User.Rev != u.Rev || !s.User.CreatedAt.Equal(u.CreatedAt) {
			t.Errorf("answered with rev %d, stored %d", s.User.Rev, u.Rev)
		}
	})
}

func TestBadRegistrationsAreRefusedNamingTheField(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		for field, spoil := range map[string]func(*user.Registration){
			"email":        func(r *user.Registration) { r.Email = "ann" },
			"firstName":    func(r *user.Registration) { r.FirstName = " " },
			"lastName":     func(r *user.Registration) { r.LastName = strings.Repeat("x", 101) },
			"role":         func(r *user.Registration) { r.Role = user.Admin },
			"referralCode": func(r *user.Registration) { r.ReferralCode = "NOBODYS1" },
		} {
			r := registration(newEmail())
			spoil(&r)
			err := b.Register(t.Context(), r)
			var f *fault.Error
			if !errors.As(err, &f) || f.Kind != fault.Invalid || f.Fields[field] == "" {
				t.Errorf("%s: want invalid naming it, got %v", field, err)
			}
		}
	})
}

func TestKnownAndUnknownAddressesAreAnsweredAlike(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		known := b.join(t, user.Buyer).User.Email
		b.clock.pass(time.Hour)
		for _, email := range []string{known, newEmail()} {
			if err := b.Register(t.Context(), registration(email)); err != nil {
				t.Errorf("register: %v", err)
			}
			b.clock.pass(time.Minute)
			if err := b.Resend(t.Context(), user.Recipient{Email: email}); err != nil {
				t.Errorf("resend: %v", err)
			}
			_, err := b.Verify(t.Context(), user.EmailProof{Email: email, Code: "000000", Password: password}, agent)
			wantKind(t, "a guessed code", err, fault.Invalid)
		}
		if err := b.Resend(t.Context(), user.Recipient{Email: newEmail()}); err != nil {
			t.Errorf("resend without a registration: %v", err)
		}
		for _, m := range b.post.to(known)[1:] {
			if codeForm.MatchString(m.Text) {
				t.Errorf("a code went to an address that has an account: %s", m.Text)
			}
		}
	})
}

func TestACodeAllowsFiveTries(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		email := newEmail()
		_ = b.Register(t.Context(), registration(email))
		right := b.post.code(t, email)
		wrong := "000000"
		if right == wrong {
			wrong = "000001"
		}
		for range 5 {
			_, err := b.Verify(t.Context(), user.EmailProof{Email: email, Code: wrong, Password: password}, agent)
			wantKind(t, "a wrong code", err, fault.Invalid)
		}
		_, err := b.Verify(t.Context(), user.EmailProof{Email: email, Code: right, Password: password}, agent)
		wantKind(t, "the right code after five wrong ones", err, fault.Invalid)

		b.clock.pass(time.Minute)
		_ = b.Resend(t.Context(), user.Recipient{Email: email})
		if _, err := b.Verify(t.Context(), user.EmailProof{Email: email, Code: b.post.code(t, email), Password: password}, agent); err != nil {
			t.Errorf("a new code: %v", err)
		}
	})
}

func TestACodeEndsAfterFifteenMinutesAndByANewOne(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		email := newEmail()
		_ = b.Register(t.Context(), registration(email))
		first := b.post.code(t, email)
		b.clock.pass(15 * time.Minute)
		_, err := b.Verify(t.Context(), user.EmailProof{Email: email, Code: first, Password: password}, agent)
		wantKind(t, "an old code", err, fault.Invalid)

		_ = b.Resend(t.Context(), user.Recipient{Email: email})
		second := b.post.code(t, email)
		if second != first {
			_, err = b.Verify(t.Context(), user.EmailProof{Email: email, Code: first, Password: password}, agent)
			wantKind(t, "a replaced code", err, fault.Invalid)
		}
		if _, err := b.Verify(t.Context(), user.EmailProof{Email: email, Code: second, Password: password}, agent); err != nil {
			t.Error(err)
		}
	})
}

func TestLettersAreBoundedSilently(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		email := newEmail()
		for range 3 {
			if err := b.Register(t.Context(), registration(email)); err != nil {
				t.Error(err)
			}
			if err := b.Resend(t.Context(), user.Recipient{Email: email}); err != nil {
				t.Error(err)
			}
		}
		if n := len(b.post.to(email)); n != 1 {
			t.Errorf("want one letter, got %d", n)
		}
		b.clock.pass(30 * time.Second)
		_ = b.Resend(t.Context(), user.Recipient{Email: email})
		if n := len(b.post.to(email)); n != 2 {
			t.Errorf("want a second letter after half a minute, got %d", n)
		}
	})
}

func TestAFailedLetterDoesNotFailTheRegistration(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		email := newEmail()
		b.post.broken = errors.New("no mail server")
		if err := b.Register(t.Context(), registration(email)); err != nil {
			t.Fatal(err)
		}
		b.post.broken = nil
		b.clock.pass(time.Minute)
		_ = b.Resend(t.Context(), user.Recipient{Email: email})
		if _, err := b.Verify(t.Context(), user.EmailProof{Email: email, Code: b.post.code(t, email), Password: password}, agent); err != nil {
			t.Error(err)
		}
	})
}

func TestReferralsAreKept(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		referrer := b.join(t, user.Buyer).User
		email := newEmail()
		r := registration(email)
		r.ReferralCode = " " + strings.ToLower(referrer.ReferralCode)
		if err := b.Register(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		s := must[user.Session](t)(b.Verify(t.Context(), user.EmailProof{Email: email, Code: b.post.code(t, email), Password: password}, agent))
		if got := b.stored(t, s.User.ID).ReferredBy; got != referrer.ID {
			t.Errorf("want %s, got %s", referrer.ID, got)
		}
	})
}

func TestOneOfManyVerificationsAtOnceMakesTheAccount(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		email := newEmail()
		_ = b.Register(t.Context(), registration(email))
		code := b.post.code(t, email)
		made := 0
		for _, err := range together(6, func(int) error {
			_, err := b.Verify(context.WithoutCancel(t.Context()), user.EmailProof{Email: email, Code: code, Password: password}, agent)
			return err
		}) {
			switch fault.KindOf(err) {
			case "":
				made++
			case fault.Invalid, fault.Conflict:
			default:
				t.Error(err)
			}
		}
		if made != 1 {
			t.Errorf("want one account, got %d", made)
		}
		list := must[[]user.User](t)(b.Users(t.Context(), b.admin, user.Filter{Email: email}, cutover.ID{}, 10))
		if len(list) != 1 {
			t.Errorf("want one account stored, got %d", len(list))
		}
	})
}

func TestRegistrationsAtOnceLeaveOne(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		email := newEmail()
		for _, err := range together(6, func(int) error { return b.Register(t.Context(), registration(email)) }) {
			if err != nil && !fault.Is(err, fault.Conflict) {
				t.Error(err)
			}
		}
		if n := len(b.post.to(email)); n != 1 {
			t.Errorf("want one letter, got %d", n)
		}
	})
}

func TestShortSecretsAreRefused(t *testing.T) {
	t.Parallel()
	if _, err := user.New(user.Deps{Mail: &postman{}, JWTSecret: []byte("short"), CodeSecret: make([]byte, 32)}); err == nil {
		t.Error("want an error")
	}
}
