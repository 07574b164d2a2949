package user

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"math/big"
	"time"

	"github.com/amanat-dev/amanat/cutover"
)

// How long and how often codes work, and how often they are sent to one
// address.
const (
	codeLife     = 15 * time.Minute
	codeTries    = 5
	mailInterval = 30 * time.Second
	mailWindow   = 24 * time.Hour
	mailsPerDay  = 10
)

// TempVerification is a registration that waits for its code. There is at most
// one per address, also for an address that has an account already: so both
// are answered in the same way and time.
type TempVerification struct {
	cutover.Meta
	Email        string    `json:"email" field:"email,null"`
	FirstName    string    `json:"firstName"`
	LastName     string    `json:"lastName"`
	Role         Role      `json:"role"`
	ReferralCode string    `json:"referralCode,omitempty"` // the one that was used, not an own one
	CodeHash     string    `json:"-" field:"codeHash"`
	ExpiresAt    time.Time `json:"expiresAt"`
	Attempts     int       `json:"attempts"` // wrong tries of this code
	SentAt       time.Time `json:"sentAt"`
	WindowStart  time.Time `json:"windowStart"` // since when Sends counts
	Sends        int       `json:"sends"`
}

// EmailKey is what must be unique: see User.EmailKey.
func (v *TempVerification) EmailKey() string { return CanonicalEmail(v.Email) }

// maySend bounds the letters to one address, which may not be the sender's.
func (v *TempVerification) maySend(now time.Time) bool {
	if now.Sub(v.SentAt) < mailInterval {
		return false
	}
	return v.Sends < mailsPerDay || now.Sub(v.WindowStart) >= mailWindow
}

// renew replaces the code.
func (v *TempVerification) renew(codeHash string, now time.Time) {
	if now.Sub(v.WindowStart) >= mailWindow {
		v.WindowStart, v.Sends = now, 0
	}
	v.CodeHash, v.ExpiresAt, v.Attempts = codeHash, now.Add(codeLife), 0
	v.SentAt = now
	v.Sends++
}

// usable says that the code may still be tried.
func (v *TempVerification) usable(now time.Time) bool {
	return v.CodeHash != "" && now.Before(v.ExpiresAt) && v.Attempts < codeTries
}

// matches compares in constant time.
func (v *TempVerification) matches(codeHash string) bool {
	return subtle.ConstantTimeCompare([]byte(v.CodeHash), []byte(codeHash)) == 1
}

// newCode makes six digits.
func newCode() string {
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
	if err != nil {
		panic(err) // crypto/rand does not fail
	}
	return fmt.Sprintf("%06d", n)
}

// hashCode keys the hash and binds it to the address: a stolen database tells
// no code, and a code of one address is none of another.
func hashCode(secret []byte, email, code string) string {
	mac := hmac.New(sha256.New, secret)
	fmt.Fprintf(mac, "verify-email\n%s\n%s", email, code)
	return hex.EncodeToString(mac.Sum(nil))
}
