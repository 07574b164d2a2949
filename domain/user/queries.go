package user

import (
	"context"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/query"
)

// Filter narrows a list of users; empty fields do not.
type Filter struct {
	Role   Role
	Status Status
	Email  string // exactly
}

// Users returns those that f leaves, the newest first, after the given one, at
// most limit.
func Users(ctx context.Context, tx cutover.Tx, f Filter, after cutover.ID, limit int) ([]User, error) {
	q := query.All()
	if f.Role != "" {
		q = q.And(query.Eq("role", f.Role))
	}
	if f.Status != "" {
		q = q.And(query.Eq("status", f.Status))
	}
	if f.Email != "" {
		q = q.And(query.Eq("email", f.Email))
	}
	return cutover.Find[User](ctx, tx, q.Page(after, limit))
}

// UserByEmail wants the address as CanonicalEmail returns it. Errors:
// fault.NotFound.
func UserByEmail(ctx context.Context, tx cutover.Tx, email string) (User, error) {
	return cutover.First[User](ctx, tx, query.Eq("email", email))
}

// UserByReferralCode finds whose code it is. Errors: fault.NotFound.
func UserByReferralCode(ctx context.Context, tx cutover.Tx, code string) (User, error) {
	return cutover.First[User](ctx, tx, query.Eq("referralCode", code))
}

// Addresses returns a user's addresses, the oldest first.
func Addresses(ctx context.Context, tx cutover.Tx, userID cutover.ID) ([]Address, error) {
	return cutover.Find[Address](ctx, tx, query.Eq("userId", userID))
}

// VerificationByEmail finds a pending sign-up. Errors: fault.NotFound.
func VerificationByEmail(ctx context.Context, tx cutover.Tx, email string) (TempVerification, error) {
	return cutover.First[TempVerification](ctx, tx, query.Eq("email", email))
}
