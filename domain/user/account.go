package user

import (
	"net/mail"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
)

// Role is what a user may do.
type Role string

// The roles. A seller may also buy.
const (
	Buyer    Role = "buyer"
	Seller   Role = "seller"
	Admin    Role = "admin"
	Resolver Role = "resolver"
)

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

// parseEmail gives the canonical address. Errors: fault.Invalid naming
// "email".
func parseEmail(s string) (string, error) {
	if err := checkText("email", s, 254); err != nil { // lower case would mend what is no UTF-8
		return "", err
	}
	s = CanonicalEmail(s)
	a, err := mail.ParseAddress(s)
	if err != nil || a.Address != s || len(s) > 254 {
		return "", fault.Field("email", "is no e-mail address")
	}
	return s, nil
}

// parseName trims a name. Errors: fault.Invalid naming the field.
func parseName(field, s string) (string, error) {
	s = strings.TrimSpace(s)
	if s == "" || utf8.RuneCountInString(s) > 100 {
		return "", fault.Field(field, "want 1 to 100 characters")
	}
	return s, checkText(field, s, 100)
}

// checkText refuses long text and control characters.
func checkText(field, s string, limit int) error {
	if utf8.RuneCountInString(s) > limit {
		return fault.Field(field, "want at most %d characters", limit)
	}
	if !utf8.ValidString(s) || strings.ContainsFunc(s, isControl) {
		return fault.Field(field, "has characters that are no text")
	}
	return nil
}

func isControl(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }

// checkLink lets only web addresses through: the text ends up in a link.
func checkLink(field, s string) error {
	if s == "" {
		return nil
	}
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" {
		return fault.Field(field, "want a link that begins with http:// or https://")
	}
	return checkText(field, s, 500)
}

// checkRole refuses a role that is not one of those.
func checkRole(role Role, allowed ...Role) error {
	for _, r := range allowed {
		if role == r {
			return nil
		}
	}
	return fault.Field("role", "want one of %v", allowed)
}
