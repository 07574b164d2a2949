// Package user is who takes part: accounts, how they are verified and sign in,
// their addresses and wallets, and what administrators do with them.
//
// Not here yet: passkeys (their list is part of the record and of the child
// table user_passkeys), password reset, sign-in by Google and Telegram
// (accounts that have them are read and kept).
package user

import (
	"reflect"

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

// Definition is this domain.
var Definition = cutover.Definition{Name: Domain, Kinds: Kinds, Queries: Queries, Invariants: Invariants}
