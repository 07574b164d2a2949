package user

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/internal/limit"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestEmailAddressesAreCanonical(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		" Ann@Example.ORG ": "ann@example.org", "a+b@x.io": "a+b@x.io",
		"": "", "ann": "", "Ann <ann@example.org>": "", "a@b, c@d": "", "a@b\r\nBcc: c@d": "",
		strings.Repeat("a", 250) + "@example.org": "",
	} {
		got, err := parseEmail(in)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: want %q, got %q, %v", in, want, got, err)
		}
	}
}

func TestLinksAreWebAddresses(t *testing.T) {
	t.Parallel()
	for link, ok := range map[string]bool{
		"": true, "https://example.org/a?b=c": true, "http://x.io": true,
		"javascript:alert(1)": false, "ftp://x.io": false, "//x.io": false, "https://": false, "x.io": false,
	} {
		if err := limit.Check(ProfileFields{Website: &link}); (err == nil) != ok {
			t.Errorf("%q: %v", link, err)
		}
	}
}

// parseName returns a name as a registration keeps it.
func parseName(s string) (string, error) {
	r, err := Registration{Email: "a@b.c", FirstName: s, LastName: "Lee", Role: Buyer}.checked()
	return r.FirstName, err
}

func TestNamesAndTextAreBounded(t *testing.T) {
	t.Parallel()
	for name, ok := range map[string]bool{
		"Ann": true, strings.Repeat("é", 100): true,
		"": false, "  ": false, strings.Repeat("é", 101): false, "An\x00n": false, "An\xffn": false,
	} {
		if _, err := parseName(name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestPasswordLengthCountsCharacters(t *testing.T) {
	t.Parallel()
	for password, ok := range map[string]bool{
		"1234567": false, "12345678": true, strings.Repeat("é", 8): true, strings.Repeat("é", 128): true, strings.Repeat("a", 129): false,
	} {
		if err := limit.Check(EmailProof{Email: "a@b.c", Code: "123456", Password: password}); (err == nil) != ok {
			t.Errorf("%d bytes: %v", len(password), err)
		}
	}
}

// The vectors of EIP-55.
func TestAddressesHaveTheirChecksum(t *testing.T) {
	t.Parallel()
	for _, want := range []string{
		"0x52908400098527886E0F7030069857D2E4169EE7", "0xde709f2102306220921060314715629080e2fb77",
		"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
	} {
		for _, in := range []string{want, strings.ToLower(want), "0x" + strings.ToUpper(want[2:])} {
			if got, err := (WalletClaim{in, "bsc"}).address(); err != nil || got != want {
				t.Errorf("%s: want %s, got %s, %v", in, want, got, err)
			}
		}
	}
	for _, in := range []string{"", "0x", "0x5aaeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAe", "5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed12"} {
		if _, err := (WalletClaim{in, "bsc"}).address(); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: want invalid, got %v", in, err)
		}
	}
}

// A signature that another implementation made: web3.js, in its documentation
// of eth.accounts.sign.
func TestSignerIsRecovered(t *testing.T) {
	t.Parallel()
	const (
		address = "0x2c7536E3605D9C16a7a3D7b1898e529396a65c23"
		rs      = "b91467e570a6466aa9e9876cbcd013baba02900b8979d43fe208a4a4f339f5fd6007e74cd82e037b800186422fc2da167c747ef045e5d18a5f5d4300f8e1a029"
	)
	for _, sig := range []string{"0x" + rs + "1c", rs + "01"} {
		if got, err := signerOf("Some data", sig); err != nil || got != address {
			t.Errorf("want %s, got %s, %v", address, got, err)
		}
	}
	if got, err := signerOf("Other data", "0x"+rs+"1c"); err == nil && got == address {
		t.Error("the signature of another text was taken")
	}
	for _, sig := range []string{"", "0x", "0x" + rs, "0x" + rs + "1d", "0x" + rs + "ff", "zz", "0x" + strings.Repeat("00", 65), "0x" + strings.Repeat("ff", 64) + "1b"} {
		if _, err := signerOf("Some data", sig); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: want invalid, got %v", sig, err)
		}
	}
}

func TestReferralCodesAreUnambiguous(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 1000 {
		code := newReferralCode()
		if len(code) != 8 || strings.ContainsAny(code, "IO01") || seen[code] {
			t.Fatalf("code %q", code)
		}
		seen[code] = true
	}
}

func TestCodesAreSixDigitsAndBoundToTheirAddress(t *testing.T) {
	t.Parallel()
	code := newCode()
	if len(code) != 6 || strings.Trim(code, "0123456789") != "" {
		t.Fatalf("code %q", code)
	}
	h := hashCode([]byte("secret"), "a@b.c", code)
	if h == hashCode([]byte("secret"), "b@b.c", code) || h == hashCode([]byte("other"), "a@b.c", code) || strings.Contains(h, code) {
		t.Error("the hash does not depend on address and secret")
	}
}

func TestLettersToOneAddressAreBounded(t *testing.T) {
	t.Parallel()
	var v TempVerification
	sent, now := 0, noon
	for range 24 * 60 * 2 { // every thirty seconds for a day
		if v.maySend(now) {
			v.renew("hash", now)
			sent++
		}
		if v.maySend(now.Add(mailInterval - time.Millisecond)) {
			t.Fatal("two letters within the interval")
		}
		now = now.Add(mailInterval)
	}
	if sent != mailsPerDay {
		t.Errorf("want %d letters in a day, got %d", mailsPerDay, sent)
	}
	if !v.maySend(noon.Add(mailWindow)) {
		t.Error("want another letter a day later")
	}
}

// holder is a user with one session, and its first token.
func holder() (*User, refresh) {
	u := &User{Meta: cutover.Meta{ID: cutover.NewID()}}
	token := newRefresh(u.ID, noon)
	u.beginSession(token, "browser", noon)
	return u, token
}

func (r refresh) next() refresh { return r.successor([]byte("key")) }

func TestRefreshTokensReadBack(t *testing.T) {
	t.Parallel()
	token := newRefresh(cutover.NewID(), noon)
	for _, r := range []refresh{token, token.next()} {
		if got, ok := parseRefresh(r.String()); !ok || got != r {
			t.Errorf("want %v, got %v, %v", r, got, ok)
		}
	}
	for _, s := range []string{"", "a.b.c", token.String() + "x", token.String() + ".x", strings.Repeat(".", 100)} {
		if _, ok := parseRefresh(s); ok {
			t.Errorf("%q was taken for a token", s)
		}
	}
}

func TestATokenIsRotatedOnce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		after time.Duration
		want  rotation
		left  bool
	}{
		"at once":           {0, rotationAgain, true},
		"within the grace":  {refreshGrace, rotationAgain, true},
		"after the grace":   {refreshGrace + time.Millisecond, rotationReused, false},
		"after a long time": {time.Hour, rotationReused, false},
	} {
		u, first := holder()
		if got := u.rotate(first, first.next(), "", noon.Add(time.Minute)); got != rotationDone {
			t.Fatalf("%s: first use: %v", name, got)
		}
		if got := u.rotate(first, first.next(), "", noon.Add(time.Minute+c.after)); got != c.want || u.hasFamily(first.family) != c.left {
			t.Errorf("%s: want %v, got %v; session left: %v", name, c.want, got, u.hasFamily(first.family))
		}
	}
}

func TestAnOldTokenEndsItsFamilyHoweverManyCameAfterIt(t *testing.T) {
	t.Parallel()
	u, first := holder()
	token, now := first, noon
	for range 50 {
		now = now.Add(accessLife)
		if got := u.rotate(token, token.next(), "", now); got != rotationDone {
			t.Fatal(got)
		}
		token = token.next()
	}
	if len(u.RefreshTokens) > 2 {
		t.Errorf("want at most two stored tokens, got %d", len(u.RefreshTokens))
	}
	if got := u.rotate(first, first.next(), "", now); got != rotationReused || len(u.RefreshTokens) != 0 {
		t.Errorf("the first token: %v, %d left", got, len(u.RefreshTokens))
	}
	if got := u.rotate(token, token.next(), "", now); got != rotationRefused {
		t.Errorf("the newest token of the ended family: %v", got)
	}
}

func TestAMadeUpTokenOfAnUnknownFamilyEndsNothing(t *testing.T) {
	t.Parallel()
	u, _ := holder()
	stranger := newRefresh(u.ID, noon)
	if got := u.rotate(stranger, stranger.next(), "", noon); got != rotationRefused || len(u.RefreshTokens) != 1 {
		t.Errorf("%v, %d left", got, len(u.RefreshTokens))
	}
}

func TestSessionsEndWhenIdleAndInAnyCase(t *testing.T) {
	t.Parallel()
	u, first := holder()
	if got := u.rotate(first, first.next(), "", noon.Add(refreshIdle)); got != rotationRefused {
		t.Errorf("after idling: %v", got)
	}
	u, token := holder()
	now := noon
	for u.rotate(token, token.next(), "", now) == rotationDone {
		token, now = token.next(), now.Add(24*time.Hour)
	}
	if days := now.Sub(noon) / (24 * time.Hour); days != 90 {
		t.Errorf("want a busy session to end after 90 days, got %d", days)
	}
}

func TestTheOldestOfTooManySessionsEnds(t *testing.T) {
	t.Parallel()
	u, first := holder()
	var last refresh
	for i := range maxFamilies {
		last = newRefresh(u.ID, noon.Add(time.Duration(i)*time.Second))
		u.beginSession(last, "", noon.Add(time.Duration(i)*time.Second))
	}
	if len(u.RefreshTokens) != maxFamilies || u.hasFamily(first.family) || !u.hasFamily(last.family) {
		t.Errorf("%d sessions; first there: %v", len(u.RefreshTokens), u.hasFamily(first.family))
	}
}

func TestErasingLeavesNothingPersonal(t *testing.T) {
	t.Parallel()
	u := newUser("ann@example.org", "Ann", "Lee", Seller)
	u.ID, u.Rev = cutover.NewID(), 7
	u.PasswordHash, u.Profile.Phone, u.Extra = "hash", "123", cutover.Extra(`{"nick":"ann"}`)
	u.Wallet, u.WalletChallenge = &Wallet{Address: "0x1"}, &WalletChallenge{Message: "m"}
	u.Passkeys, u.RefreshTokens = []Passkey{{ID: "k"}}, []RefreshToken{{Hash: "h"}}
	id := u.ID
	u.erase()
	var left []string
	for _, f := range cutover.Canonical(u) {
		left = append(left, f.Path)
	}
	want := []string{"_id", "authProvider", "isEmailVerified", "loginAttempts", "rev", "role", "status", "telegramVerified"}
	if slices.Sort(left); !slices.Equal(left, want) || u.ID != id || u.Rev != 7 || u.Status != Deleted {
		t.Errorf("left: %v", left)
	}
}
