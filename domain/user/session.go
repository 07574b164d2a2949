package user

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/amanat-dev/amanat/cutover"
)

// How long sessions last.
const (
	accessLife   = 15 * time.Minute
	refreshIdle  = 30 * 24 * time.Hour
	refreshMax   = 90 * 24 * time.Hour
	refreshGrace = 30 * time.Second // two tabs may refresh with the same token
	maxFamilies  = 20               // sessions at once; the oldest ends
)

// RefreshToken is the stored side of a refresh token: its hash alone. All
// tokens that came out of one sign-in are a family, whose ID also tells when
// that was.
type RefreshToken struct {
	Hash      string    `json:"hash"` // SHA-256 in hex
	FamilyID  string    `json:"familyId"`
	IssuedAt  time.Time `json:"issuedAt"`
	RotatedAt time.Time `json:"rotatedAt"` // when its successor was given
	ExpiresAt time.Time `json:"expiresAt"`
	UserAgent string    `json:"userAgent"`
}

// refresh is a refresh token as the user holds it: "user.family.secret". It
// names its user because a lookup by hash would search every user's list.
type refresh struct {
	userID cutover.ID
	family cutover.ID
	secret string
}

func newRefresh(userID cutover.ID, now time.Time) refresh {
	b := make([]byte, 32)
	rand.Read(b) // never fails: crypto/rand ends the process instead
	return refresh{userID, cutover.NewIDAt(now), base64.RawURLEncoding.EncodeToString(b)}
}

// parseRefresh says false to what cannot be a token of ours.
func parseRefresh(s string) (refresh, bool) {
	parts := strings.Split(s, ".")
	if len(parts) != 3 || len(parts[2]) != base64.RawURLEncoding.EncodedLen(32) {
		return refresh{}, false
	}
	userID, err1 := cutover.ParseID(parts[0])
	family, err2 := cutover.ParseID(parts[1])
	return refresh{userID, family, parts[2]}, err1 == nil && err2 == nil
}

func (r refresh) String() string {
	return r.userID.String() + "." + r.family.String() + "." + r.secret
}

func (r refresh) hash() string {
	sum := sha256.Sum256([]byte(r.String()))
	return hex.EncodeToString(sum[:])
}

// successor derives the next token. Since it follows from the token and a key
// of the server, it can be given twice without being stored.
func (r refresh) successor(key []byte) refresh {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(r.String()))
	return refresh{r.userID, r.family, base64.RawURLEncoding.EncodeToString(mac.Sum(nil))}
}

func (r refresh) stored(userAgent string, now time.Time) RefreshToken {
	return RefreshToken{
		Hash: r.hash(), FamilyID: r.family.String(), IssuedAt: now,
		ExpiresAt: earlier(now.Add(refreshIdle), r.family.Time().Add(refreshMax)), UserAgent: userAgent,
	}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// beginSession adds a family, and ends the oldest ones beyond maxFamilies.
func (u *User) beginSession(r refresh, userAgent string, now time.Time) {
	u.pruneTokens(now)
	u.RefreshTokens = append(u.RefreshTokens, r.stored(userAgent, now))
	var families []string
	for _, t := range u.RefreshTokens {
		if !slices.Contains(families, t.FamilyID) {
			families = append(families, t.FamilyID)
		}
	}
	for _, old := range families[:max(0, len(families)-maxFamilies)] {
		u.endFamily(old)
	}
}

// rotation is what became of a refresh token that was used.
type rotation int

const (
	rotationRefused rotation = iota // not a token of this user, or expired
	rotationDone                    // its successor is now stored
	rotationAgain                   // the successor had been given moments ago
	rotationReused                  // used again too late: its family has ended
)

// rotate uses a token. A token that is gone though its family lives was
// rotated longer ago than the grace, so somebody else has it.
func (u *User) rotate(used, next refresh, userAgent string, now time.Time) rotation {
	i := u.findToken(used.hash())
	switch {
	case i < 0 && !u.hasFamily(used.family):
		return rotationRefused
	case i < 0:
		u.endFamily(used.family.String())
		return rotationReused
	case !now.Before(u.RefreshTokens[i].ExpiresAt):
		return rotationRefused
	case u.RefreshTokens[i].RotatedAt.IsZero():
		u.RefreshTokens[i].RotatedAt = now
		u.RefreshTokens = append(u.RefreshTokens, next.stored(userAgent, now))
		u.pruneTokens(now)
		return rotationDone
	case now.Sub(u.RefreshTokens[i].RotatedAt) <= refreshGrace:
		return rotationAgain
	}
	u.endFamily(used.family.String())
	return rotationReused
}

func (u *User) findToken(hash string) int {
	return slices.IndexFunc(u.RefreshTokens, func(t RefreshToken) bool {
		return subtle.ConstantTimeCompare([]byte(t.Hash), []byte(hash)) == 1
	})
}

func (u *User) hasFamily(id cutover.ID) bool {
	return slices.ContainsFunc(u.RefreshTokens, func(t RefreshToken) bool { return t.FamilyID == id.String() })
}

func (u *User) endFamily(id string) {
	u.RefreshTokens = slices.DeleteFunc(u.RefreshTokens, func(t RefreshToken) bool { return t.FamilyID == id })
}

// pruneTokens drops what can do nothing any more: expired tokens, and rotated
// ones past the grace, whose use rotate recognises by their family.
func (u *User) pruneTokens(now time.Time) {
	u.RefreshTokens = slices.DeleteFunc(u.RefreshTokens, func(t RefreshToken) bool {
		return !now.Before(t.ExpiresAt) || (!t.RotatedAt.IsZero() && now.Sub(t.RotatedAt) > refreshGrace)
	})
}
