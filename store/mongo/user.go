package mongo

import (
	"context"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/domain/user"
)

// Users gives the users' side in MongoDB.
func Users(db *DB) cutover.Side[user.Tx] {
	return newSide(db, user.Domain, user.Kinds, userCollections(), func(tx *Tx) user.Tx {
		return userTx{eventTx{tx, user.Domain}}
	})
}

func userCollections() []Collection {
	own := []Collection{
		{Kind: user.KindUser, Name: "users", Indexes: []Index{
			{Fields: []string{"email"}, Unique: true},
			{Fields: []string{"referralCode"}, Unique: true},
			{Fields: []string{"role"}},
			{Fields: []string{"status"}},
		}},
		{Kind: user.KindAddress, Name: "addresses", Indexes: []Index{{Fields: []string{"userId"}}}},
		{Kind: user.KindVerification, Name: "tempverifications", Indexes: []Index{{Fields: []string{"email"}, Unique: true}}},
	}
	return append(own, eventCollections(user.Domain)...)
}

type userTx struct{ eventTx }

func (t userTx) User(ctx context.Context, id cutover.ID) (user.User, error) {
	return Get[user.User](ctx, t.Tx, user.KindUser, id)
}

func (t userTx) UserByEmail(ctx context.Context, email string) (user.User, error) {
	return FindOne[user.User](ctx, t.Tx, user.KindUser, bson.D{{Key: "email", Value: email}})
}

func (t userTx) UserByReferralCode(ctx context.Context, code string) (user.User, error) {
	return FindOne[user.User](ctx, t.Tx, user.KindUser, bson.D{{Key: "referralCode", Value: code}})
}

// Users asks once for each way in which a document may say what f asks for.
func (t userTx) Users(ctx context.Context, f user.Filter, after cutover.ID, limit int) ([]user.User, error) {
	filters := []bson.D{nil}
	if f.Email != "" {
		filters = []bson.D{{{Key: "email", Value: f.Email}}}
	}
	filters = orAbsent(filters, "role", string(f.Role), string(user.Buyer))
	filters = orAbsent(filters, "status", string(f.Status), string(user.Active))
	for i := range filters {
		filters[i] = append(filters[i], pageBelow(after)...)
	}
	found, err := unionOf[user.User](ctx, t.Tx, user.KindUser, filters, newestFirst, limit)
	return newest(found, limit), err
}

// orAbsent narrows filters to a value of a field. A legacy document without
// the field counts as having the default (see user.User.Normalize).
func orAbsent(filters []bson.D, field, value, byDefault string) []bson.D {
	if value == "" {
		return filters
	}
	var out []bson.D
	for _, f := range filters {
		out = append(out, append(slices.Clone(f), bson.E{Key: field, Value: value}))
		if value == byDefault {
			out = append(out, append(slices.Clone(f), bson.E{Key: field, Value: nil}))
		}
	}
	return out
}

func (t userTx) EachUser(ctx context.Context, fn func(user.User) error) error {
	return Each(ctx, t.Tx, user.KindUser, fn)
}

func (t userTx) Address(ctx context.Context, id cutover.ID) (user.Address, error) {
	return Get[user.Address](ctx, t.Tx, user.KindAddress, id)
}

// Addresses asks twice, since a legacy document may name its user in hex.
func (t userTx) Addresses(ctx context.Context, userID cutover.ID) ([]user.Address, error) {
	filters := references("userId", userID, nil)
	found, err := unionOf[user.Address](ctx, t.Tx, user.KindAddress, filters, bson.D{{Key: "_id", Value: 1}}, 0)
	slices.SortFunc(found, func(a, b user.Address) int { return slices.Compare(a.ID[:], b.ID[:]) })
	return found, err
}

func (t userTx) EachAddress(ctx context.Context, fn func(user.Address) error) error {
	return Each(ctx, t.Tx, user.KindAddress, fn)
}

func (t userTx) VerificationByEmail(ctx context.Context, email string) (user.TempVerification, error) {
	return FindOne[user.TempVerification](ctx, t.Tx, user.KindVerification, bson.D{{Key: "email", Value: email}})
}
