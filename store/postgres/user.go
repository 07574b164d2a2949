package postgres

import (
	"context"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/domain/user"
)

var userTables = register(user.Domain, user.Kinds, append([]Table{
	{Kind: user.KindUser, Name: "users"},
	{Kind: user.KindAddress, Name: "addresses"},
	{Kind: user.KindVerification, Name: "temp_verifications"},
}, eventTables(user.Domain)...))

// Users gives the users' side in PostgreSQL.
func Users(db *DB) cutover.Side[user.Tx] {
	return newSide(db, user.Domain, user.Kinds, userTables, func(tx *Tx) user.Tx {
		return userTx{eventTx{tx, user.Domain}}
	})
}

type userTx struct{ eventTx }

func (t userTx) User(ctx context.Context, id cutover.ID) (user.User, error) {
	return Get[user.User](ctx, t.Tx, user.KindUser, id)
}

func (t userTx) UserByEmail(ctx context.Context, email string) (user.User, error) {
	return SelectOne[user.User](ctx, t.Tx, user.KindUser, "WHERE email = $1", email)
}

func (t userTx) UserByReferralCode(ctx context.Context, code string) (user.User, error) {
	return SelectOne[user.User](ctx, t.Tx, user.KindUser, "WHERE referral_code = $1", code)
}

func (t userTx) Users(ctx context.Context, f user.Filter, after cutover.ID, limit int) ([]user.User, error) {
	var q where
	q.id("id < %s", after)
	q.text("role = %s", string(f.Role))
	q.text("status = %s", string(f.Status))
	q.text("email = %s", f.Email)
	q.newest(limit)
	return Find[user.User](ctx, t.Tx, user.KindUser, q)
}

func (t userTx) EachUser(ctx context.Context, fn func(user.User) error) error {
	return Each(ctx, t.Tx, user.KindUser, fn)
}

func (t userTx) Address(ctx context.Context, id cutover.ID) (user.Address, error) {
	return Get[user.Address](ctx, t.Tx, user.KindAddress, id)
}

func (t userTx) Addresses(ctx context.Context, userID cutover.ID) ([]user.Address, error) {
	return Select[user.Address](ctx, t.Tx, user.KindAddress, "WHERE user_id = $1 ORDER BY id", userID.String())
}

func (t userTx) EachAddress(ctx context.Context, fn func(user.Address) error) error {
	return Each(ctx, t.Tx, user.KindAddress, fn)
}

func (t userTx) VerificationByEmail(ctx context.Context, email string) (user.TempVerification, error) {
	return SelectOne[user.TempVerification](ctx, t.Tx, user.KindVerification, "WHERE email = $1", email)
}
