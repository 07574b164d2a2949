package user

import (
	"slices"
	"strings"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/internal/limit"
	"github.com/amanat-dev/amanat/internal/web"
)

// Role is what a user may do.
type Role string

// The roles. A seller may also buy.
const (
	Buyer    Role = web.RoleBuyer
	Seller   Role = web.RoleSeller
	Admin    Role = web.RoleAdmin
	Resolver Role = web.RoleResolver
)

func (r Role) known() bool { return slices.Contains([]Role{Buyer, Seller, Admin, Resolver}, r) }

// Status says whether an account may be used.
type Status string

// The statuses. A deleted account has lost its personal fields for good; its
// record stays, for the ledger and the deals that name it.
const (
	Active    Status = "active"
	Suspended Status = "suspended"
	Deleted   Status = "deleted"
)

// How an account came to be. Only the first is made here so far.
const (
	ProviderEmail    = "email"
	ProviderGoogle   = "google"
	ProviderTelegram = "telegram"
)

// User is an account. What its JSON shows is fit for the user and for
// administrators; others get a PublicProfile.
type User struct {
	cutover.Meta
	Email            string           `json:"email,omitempty" field:"email,null"` // canonical; absent for Telegram-only accounts
	PasswordHash     string           `json:"-" field:"passwordHash"`             // argon2id in PHC notation
	FirstName        string           `json:"firstName"`
	LastName         string           `json:"lastName"`
	Role             Role             `json:"role" field:",default=buyer" enum:"buyer,seller,admin,resolver"`
	Status           Status           `json:"status" field:",default=active" enum:"active,suspended,deleted"`
	IsEmailVerified  bool             `json:"isEmailVerified"`
	AuthProvider     string           `json:"authProvider" field:",default=email"`
	TelegramVerified bool             `json:"telegramVerified"`
	LastLoginAt      time.Time        `json:"lastLoginAt,omitzero"`
	LoginAttempts    int              `json:"-" field:"loginAttempts"` // failures in a row
	LockedUntil      time.Time        `json:"-" field:"lockedUntil"`
	Profile          Profile          `json:"profile"`
	Preferences      Preferences      `json:"preferences"`
	Wallet           *Wallet          `json:"wallet,omitempty"`
	WalletChallenge  *WalletChallenge `json:"-" field:"walletChallenge"`
	ReferralCode     string           `json:"referralCode,omitempty" field:"referralCode,null"`
	ReferredBy       cutover.ID       `json:"referredBy,omitzero" field:",ref=user"`
	Passkeys         []Passkey        `json:"-" field:"passkeys,table=user_passkeys"`
	RefreshTokens    []RefreshToken   `json:"-" field:"refreshTokens,jsonb"`
}

// Profile is what a user tells about themselves.
type Profile struct {
	Phone    string `json:"phone,omitempty"`
	Bio      string `json:"bio,omitempty"`
	Website  string `json:"website,omitempty"`
	Avatar   string `json:"avatar,omitempty"`
	IsPublic bool   `json:"isPublic"`
}

// Preferences are a user's choices.
type Preferences struct {
	Language      string        `json:"language,omitempty"` // en, fa, ar
	Currency      string        `json:"currency,omitempty"` // USD, EUR, IRR, AED
	Notifications Notifications `json:"notifications"`
}

// Notifications says by which ways a user wants to hear.
type Notifications struct {
	Email bool `json:"email"`
	SMS   bool `json:"sms"`
	Push  bool `json:"push"`
}

// Passkey is a WebAuthn credential. Nothing here makes one yet.
type Passkey struct {
	ID         string    `json:"id"`
	PublicKey  []byte    `json:"publicKey"`
	SignCount  int64     `json:"signCount"`
	Transports []string  `json:"transports"`
	DeviceName string    `json:"deviceName"`
	BackedUp   bool      `json:"backedUp"`
	CreatedAt  time.Time `json:"createdAt"`
	LastUsedAt time.Time `json:"lastUsedAt"`
}

// Normalize fills what older documents left to their schema's defaults, and
// brings the address into the form by which it is found.
func (u *User) Normalize() error {
	u.Email = CanonicalEmail(u.Email)
	return nil
}

// newUser makes an active account with the default preferences.
func newUser(email, firstName, lastName string, role Role) *User {
	return &User{
		Email: email, FirstName: firstName, LastName: lastName, Role: role,
		Status: Active, IsEmailVerified: true, AuthProvider: ProviderEmail,
		Preferences:  Preferences{Language: "en", Currency: "USD", Notifications: Notifications{Email: true}},
		ReferralCode: newReferralCode(),
	}
}

// DisplayName is how others see the user.
func (u *User) DisplayName() string {
	if u.Status == Deleted {
		return "Deleted user"
	}
	return strings.TrimSpace(u.FirstName + " " + u.LastName)
}

// erase takes away all that is personal and all ways to sign in. What stays is
// the record's identity, its role, and who referred it.
func (u *User) erase() {
	kept := User{Meta: u.Meta, Role: u.Role, AuthProvider: u.AuthProvider, ReferredBy: u.ReferredBy, LastLoginAt: u.LastLoginAt}
	kept.Extra = nil // unknown fields may be personal
	kept.Status = Deleted
	*u = kept
}

// CanonicalEmail is the form in which addresses are stored and compared.
func CanonicalEmail(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

// EmailKey is what must be unique: two accounts have no address in common,
// however it is written.
func (u *User) EmailKey() string { return CanonicalEmail(u.Email) }

// Recipient is somebody to send a letter to.
type Recipient struct {
	Email string `json:"email" format:"email" maxLength:"254"`
}

// parseEmail returns the canonical address. Errors: fault.Invalid naming
// "email".
func parseEmail(s string) (string, error) {
	canonical := CanonicalEmail(s)
	for _, form := range []string{s, canonical} { // lower case mends what is not UTF-8, and may be longer
		if err := limit.Check(Recipient{form}); err != nil {
			return "", err
		}
	}
	return canonical, nil
}
