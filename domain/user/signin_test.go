package user_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/domain/user"
)

func TestLoginTellsNotWhichPartWasWrong(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		email := b.join(t, user.Buyer).User.Email
		_, unknown := b.Login(t.Context(), newEmail(), password, agent)
		_, wrong := b.Login(t.Context(), email, "wrong horse", agent)
		wantKind(t, "unknown", unknown, fault.Unauthenticated)
		if unknown.Error() != wrong.Error() {
			t.Errorf("unknown: %v; wrong: %v", unknown, wrong)
		}
		s := must[user.Session](t)(b.Login(t.Context(), strings.ToUpper(email), password, agent))
		if s.User.LastLoginAt.IsZero() || b.stored(t, s.User.ID).LoginAttempts != 0 {
			t.Errorf("after signing in: %+v", s.User)
		}
	})
}

func TestFiveFailuresLockForFifteenMinutes(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		email := b.join(t, user.Buyer).User.Email
		for range 5 {
			_, err := b.Login(t.Context(), email, "wrong horse", agent)
			wantKind(t, "a failure", err, fault.Unauthenticated)
		}
		b.clock.pass(5 * time.Minute)
		_, err := b.Login(t.Context(), email, password, agent)
		var f *fault.Error
		if !errors.As(err, &f) || f.Kind != fault.Locked || f.RetryAfter != 10*time.Minute {
			t.Errorf("want locked for ten more minutes, got %v", err)
		}
		b.clock.pass(10 * time.Minute)
		if _, err := b.Login(t.Context(), email, password, agent); err != nil {
			t.Errorf("after the lock: %v", err)
		}
	})
}

func TestSuccessForgetsFailures(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		email := b.join(t, user.Buyer).User.Email
		for range 3 {
			for range 4 {
				_, err := b.Login(t.Context(), email, "wrong horse", agent)
				wantKind(t, "a failure", err, fault.Unauthenticated)
			}
			if _, err := b.Login(t.Context(), email, password, agent); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestGuessesAtOnceLockToo(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		u := b.join(t, user.Buyer).User
		for range 10 {
			together(4, func(int) error { _, err := b.Login(t.Context(), u.Email, "wrong horse", agent); return err })
		}
		_, err := b.Login(t.Context(), u.Email, password, agent)
		wantKind(t, "after forty guesses", err, fault.Locked)
	})
}

func TestSuspendedAndDeletedUsersAreOut(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		s := b.join(t, user.Buyer)
		must[user.User](t)(b.SetStatus(t.Context(), b.admin, s.User.ID, user.Suspended))
		_, err := b.Login(t.Context(), s.User.Email, "wrong horse", agent)
		wantKind(t, "suspended, wrong password", err, fault.Unauthenticated)
		_, err = b.Login(t.Context(), s.User.Email, password, agent)
		wantKind(t, "suspended", err, fault.Forbidden)
		_, err = b.Refresh(t.Context(), s.Tokens.RefreshToken, agent)
		wantKind(t, "suspended, refresh", err, fault.Unauthenticated)
		_, err = b.ChangeProfile(t.Context(), s.User.ID, user.ProfileChange{})
		wantKind(t, "suspended, writing", err, fault.Forbidden)

		must[user.User](t)(b.SetStatus(t.Context(), b.admin, s.User.ID, user.Active))
		s = must[user.Session](t)(b.Login(t.Context(), s.User.Email, password, agent))
		if err := b.DeleteUser(t.Context(), b.admin, s.User.ID); err != nil {
			t.Fatal(err)
		}
		_, err = b.Login(t.Context(), s.User.Email, password, agent)
		wantKind(t, "deleted", err, fault.Unauthenticated)
		_, err = b.Refresh(t.Context(), s.Tokens.RefreshToken, agent)
		wantKind(t, "deleted, refresh", err, fault.Unauthenticated)
	})
}

func TestAccountsWithoutAPasswordSignInByNone(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		u := b.join(t, user.Buyer).User
		for _, hash := range []string{"", "$2b$10$abcdefghijklmnopqrstuv"} {
			b.change(t, u.ID, func(u *user.User) { u.PasswordHash, u.AuthProvider = hash, user.ProviderGoogle })
			for _, guess := range []string{"", password} {
				_, err := b.Login(t.Context(), u.Email, guess, agent)
				wantKind(t, "hash "+hash, err, fault.Unauthenticated)
			}
		}
	})
}

func TestRefreshTokensRotate(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		s := b.join(t, user.Buyer)
		first := s.Tokens.RefreshToken
		b.clock.pass(time.Minute)
		second := must[user.Tokens](t)(b.Refresh(t.Context(), first, agent))
		if p, err := b.Authenticate(t.Context(), second.AccessToken); err != nil || p.UserID != s.User.ID {
			t.Errorf("%+v, %v", p, err)
		}
		b.clock.pass(30 * time.Second)
		again := must[user.Tokens](t)(b.Refresh(t.Context(), first, agent))
		if again.RefreshToken != second.RefreshToken || second.RefreshToken == first {
			t.Error("want the same successor within the grace")
		}
		b.clock.pass(time.Second)
		_, err := b.Refresh(t.Context(), first, agent)
		wantKind(t, "after the grace", err, fault.Unauthenticated)
		_, err = b.Refresh(t.Context(), second.RefreshToken, agent)
		wantKind(t, "the successor, after that", err, fault.Unauthenticated)
	})
}

func TestTabsThatRefreshAtOnceGetTheSameToken(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		first := b.join(t, user.Buyer).Tokens.RefreshToken
		got := make([]string, 4)
		for _, err := range together(len(got), func(i int) error {
			tokens, err := b.Refresh(t.Context(), first, agent)
			got[i] = tokens.RefreshToken
			return err
		}) {
			if err != nil {
				t.Error(err)
			}
		}
		for _, token := range got {
			if token != got[0] || token == "" {
				t.Errorf("want one successor, got %v", got)
			}
		}
	})
}

func TestLogoutEndsTheSessionAndNoOther(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		s := b.join(t, user.Buyer)
		other := must[user.Session](t)(b.Login(t.Context(), s.User.Email, password, agent))
		next := must[user.Tokens](t)(b.Refresh(t.Context(), s.Tokens.RefreshToken, agent))
		if err := b.Logout(t.Context(), next.RefreshToken); err != nil {
			t.Fatal(err)
		}
		_, err := b.Refresh(t.Context(), next.RefreshToken, agent)
		wantKind(t, "after logout", err, fault.Unauthenticated)
		if _, err := b.Refresh(t.Context(), other.Tokens.RefreshToken, agent); err != nil {
			t.Errorf("the other session: %v", err)
		}
		for _, token := range []string{next.RefreshToken, "", "nonsense", cutover.NewID().String() + "." + cutover.NewID().String() + "." + strings.Repeat("A", 43)} {
			if err := b.Logout(t.Context(), token); err != nil {
				t.Errorf("%q: %v", token, err)
			}
		}
	})
}

func TestOnlyHashesOfRefreshTokensAreStored(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		s := b.join(t, user.Buyer)
		for _, f := range cutover.Canonical(new(b.stored(t, s.User.ID))) {
			secret := s.Tokens.RefreshToken[strings.LastIndex(s.Tokens.RefreshToken, ".")+1:]
			if strings.Contains(f.Value, secret) || strings.Contains(f.Value, password) {
				t.Errorf("%s holds a secret", f.Path)
			}
		}
	})
}

func TestAccessTokensOfOthersAndOldOnesAreRefused(t *testing.T) {
	t.Parallel()
	b := newBundle(t, sharedSpecs(t)["postgres"])
	s := b.join(t, user.Buyer)
	claims := jwt.MapClaims{"sub": s.User.ID.String(), "role": "admin", "exp": b.clock.time().Add(time.Hour).Unix()}
	sign := func(method jwt.SigningMethod, key any, c jwt.MapClaims) string {
		return must[string](t)(jwt.NewWithClaims(method, c).SignedString(key))
	}
	own := []byte(strings.Repeat("j", 32))
	without := func(name string) jwt.MapClaims {
		c := jwt.MapClaims{}
		for k, v := range claims {
			if k != name {
				c[k] = v
			}
		}
		return c
	}
	for name, token := range map[string]string{
		"empty":         "",
		"other key":     sign(jwt.SigningMethodHS256, []byte(strings.Repeat("x", 32)), claims),
		"other method":  sign(jwt.SigningMethodHS512, own, claims),
		"none":          sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, claims),
		"without end":   sign(jwt.SigningMethodHS256, own, without("exp")),
		"without user":  sign(jwt.SigningMethodHS256, own, without("sub")),
		"without role":  sign(jwt.SigningMethodHS256, own, without("role")),
		"refresh token": s.Tokens.RefreshToken,
	} {
		_, err := b.Authenticate(t.Context(), token)
		wantKind(t, name, err, fault.Unauthenticated)
	}
	if _, err := b.Authenticate(t.Context(), sign(jwt.SigningMethodHS256, own, claims)); err != nil {
		t.Errorf("our own: %v", err)
	}
	for range 2 { // the second time it is remembered
		if p, err := b.Authenticate(t.Context(), s.Tokens.AccessToken); err != nil || p.UserID != s.User.ID || p.Role != string(user.Buyer) {
			t.Errorf("a new one: %v, %v", p, err)
		}
	}
	forged := s.Tokens.AccessToken[:len(s.Tokens.AccessToken)-4] + "AAAA"
	_, err := b.Authenticate(t.Context(), forged)
	wantKind(t, "with another signature", err, fault.Unauthenticated)
	b.clock.pass(15*time.Minute + 6*time.Second)
	for range 2 {
		_, err := b.Authenticate(t.Context(), s.Tokens.AccessToken)
		wantKind(t, "after fifteen minutes", err, fault.Unauthenticated)
	}
}
