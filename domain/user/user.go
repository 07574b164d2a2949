// Package user is who takes part: accounts, how they are verified and sign in,
// their addresses and wallets, and what administrators do with them.
//
// Not here yet: passkeys (their list is part of the record and of the child
// table user_passkeys), password reset, sign-in by Google and Telegram
// (accounts that have them are read and kept).
package user

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/query"
	"github.com/amanat-dev/amanat/internal/event"
)

// Domain is this domain's name.
const Domain = "user"

// Names of the kinds.
const (
	KindUser         = "user"
	KindAddress      = "address"
	KindVerification = "temp_verification"
)

// Kinds are the records of this domain.
var Kinds = append(cutover.Kinds{
	{
		Name: KindUser, Type: reflect.TypeFor[User](), Table: "users", Collection: "users",
		Unique:  []cutover.Unique{cutover.UniqueKey("Email", (*User).EmailKey), {Fields: query.Index{"referralCode"}}},
		Indexes: []query.Index{{"email"}, {"role"}, {"status"}},
	},
	{
		Name: KindAddress, Type: reflect.TypeFor[Address](), Table: "addresses", Collection: "addresses",
		Indexes: []query.Index{{"userId"}},
	},
	{
		Name: KindVerification, Type: reflect.TypeFor[TempVerification](), Table: "temp_verifications", Collection: "tempverifications",
		Unique:  []cutover.Unique{cutover.UniqueKey("Email", (*TempVerification).EmailKey)},
		Indexes: []query.Index{{"email"}},
	},
}, event.Kinds(Domain)...)

// Names of the Views.
const (
	QueryUser      = "user.get"
	QueryByEmail   = "user.by_email"
	QueryList      = "user.list"
	QueryPeople    = "user.people"
	QueryAddresses = "address.list"
	QueryAddress   = "address.get"
)

// Queries names every View of this domain.
var Queries = []string{QueryUser, QueryByEmail, QueryList, QueryPeople, QueryAddresses, QueryAddress}

// Invariants must hold on both databases, and agree.
var Invariants = []cutover.Invariant{
	{Name: "users per role and status", Eval: countUsers},
	{Name: "one primary address per user", Eval: countPrimaries},
}

func countUsers(ctx context.Context, tx cutover.Tx) (string, error) {
	perRole, perStatus, total := map[Role]int{}, map[Status]int{}, 0
	err := cutover.Each(ctx, tx, func(u User) error {
		perRole[u.Role]++
		perStatus[u.Status]++
		total++
		return nil
	})
	return fmt.Sprintf("%d users%s%s", total, countsText(perRole), countsText(perStatus)), err
}

// countsText gives ", 1 buyer, 2 seller" in the order of the names.
func countsText[K ~string](counts map[K]int) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(&b, ", %d %s", counts[name], name)
	}
	return b.String()
}

// countPrimaries reports users without or with several primary addresses, as
// legacy data may have them, and does not fail over them: what matters is that
// both databases agree. Addresses come in ID order, so it counts per user in
// memory: a few bytes for each user who has one.
func countPrimaries(ctx context.Context, tx cutover.Tx) (string, error) {
	primaries, total := map[cutover.ID]int{}, 0
	err := cutover.Each(ctx, tx, func(a Address) error {
		total++
		if a.IsPrimary {
			primaries[a.UserID]++
		} else {
			primaries[a.UserID] += 0
		}
		return nil
	})
	odd := 0
	for _, n := range primaries {
		if n != 1 {
			odd++
		}
	}
	return fmt.Sprintf("%d addresses of %d users, %d without exactly one primary", total, len(primaries), odd), err
}

// Definition is this domain.
var Definition = cutover.Definition{Name: Domain, Kinds: Kinds, Queries: Queries, Invariants: Invariants}
