package user

import (
	"time"

	"github.com/amanat-dev/amanat/cutover/fault"
)

// Failures in a row that lock an account, and for how long.
const (
	loginTries = 5
	lockTime   = 15 * time.Minute
)

// locked is a fault.Locked while the account is locked, else nil.
func (u *User) locked(now time.Time) error {
	if !now.Before(u.LockedUntil) {
		return nil
	}
	return &fault.Error{Kind: fault.Locked, Message: "too many failures; try again later", RetryAfter: u.LockedUntil.Sub(now)}
}

func (u *User) loginFailed(now time.Time) {
	u.LoginAttempts++
	if u.LoginAttempts >= loginTries {
		u.LoginAttempts, u.LockedUntil = 0, now.Add(lockTime)
	}
}

func (u *User) loginSucceeded(now time.Time) {
	u.LoginAttempts, u.LockedUntil, u.LastLoginAt = 0, time.Time{}, now
}
