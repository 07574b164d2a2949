package storetest

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/cutovertest"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/domain/user"
)

// Users is the contract of the users' side: its records and its queries.
func Users(t *testing.T, open func(*testing.T) cutover.Side) {
	t.Run("Contract", func(t *testing.T) {
		Contract(t, user.Definition, open, userFixes)
	})
	t.Run("Queries", func(t *testing.T) {
		t.Parallel()
		m := members{open(t)}
		for name, test := range map[string]func(*testing.T, members){
			"UsersComeNewestFirstAPageAtATime":   usersByPage,
			"UsersAreFoundByWhatIsUnique":        usersByUnique,
			"AddressesAreUniqueToOneUser":        uniqueEmail,
			"ReferralCodesAreUnique":             uniqueReferral,
			"ManyUsersMayHaveNoAddress":          manyWithoutEmail,
			"OneRegistrationPerAddress":          uniqueVerification,
			"PostalAddressesComeOldestFirst":     addressesInOrder,
			"EveryUserAndAddressIsVisited":       everyUser,
			"ThePrimaryMarkMovesInOneUpdate":     primaryMoves,
			"RefreshTokensKeepTheirOrder":        tokensInOrder,
			"InvariantsEvaluate":                 userInvariants,
			"WhatIsNotThereIsNotFound":           usersNotFound,
			"TwoChangesOfOneUserAtOnceConflict":  staleUser,
			"AllOrNothingOfSeveralRecordsIsKept": userAllOrNothing,
		} {
			t.Run(name, func(t *testing.T) { test(t, m) })
		}
	})
}

var userFixes = cutovertest.Fixes{
	user.KindUser: func(r cutover.Record) {
		u := r.(*user.User)
		u.Role, u.Status, u.AuthProvider = user.Seller, user.Suspended, user.ProviderTelegram
	},
}

// members is a side with what its tests need. They share it, and stay out of
// each other's way by users of their own.
type members struct {
	side cutover.Side
}

func (m members) try(ctx context.Context, records ...cutover.Record) error {
	guard := cutover.Guard{Domain: user.Domain, Epoch: 1, Process: "storetest"}
	return m.side.Update(ctx, guard, func(ctx context.Context, tx cutover.Tx) error {
		for _, r := range records {
			if err := tx.Put(ctx, r); err != nil {
				return err
			}
		}
		return nil
	})
}

func (m members) put(t *testing.T, records ...cutover.Record) {
	t.Helper()
	if err := m.try(t.Context(), records...); err != nil {
		t.Fatal(err)
	}
}

func (m members) view(t *testing.T, fn func(context.Context, cutover.Tx) error) {
	t.Helper()
	if err := m.side.View(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

// someone makes a user with nothing that must be unique.
func someone(role user.Role) *user.User {
	return &user.User{Meta: cutover.Meta{ID: cutover.NewID()}, FirstName: "Ann", Role: role, Status: user.Active, AuthProvider: user.ProviderEmail}
}

func emailOf(id cutover.ID) string { return id.String() + "@example.org" }

func usersByPage(t *testing.T, m members) {
	var want []string
	for range 7 {
		u := someone(user.Resolver)
		u.Status = user.Suspended
		m.put(t, u)
		want = append(want, u.ID.String())
	}
	m.put(t, someone(user.Resolver), someone(user.Buyer))
	slices.Reverse(want)
	var got []string
	m.view(t, func(ctx context.Context, tx cutover.Tx) error {
		got = nil
		for after := (cutover.ID{}); ; {
			page, err := user.Users(ctx, tx, user.Filter{Role: user.Resolver, Status: user.Suspended}, after, 3)
			if err != nil || len(page) == 0 {
				return err
			}
			if len(page) > 3 {
				return fmt.Errorf("a page of %d, want at most 3", len(page))
			}
			for _, u := range page {
				got, after = append(got, u.ID.String()), u.ID
			}
		}
	})
	sameTexts(t, "suspended resolvers", got, want)
}

func usersByUnique(t *testing.T, m members) {
	u := someone(user.Buyer)
	u.Email, u.ReferralCode = emailOf(u.ID), "R"+u.ID.String()
	m.put(t, u)
	m.view(t, func(ctx context.Context, tx cutover.Tx) error {
		byEmail, err := user.UserByEmail(ctx, tx, u.Email)
		if err != nil || byEmail.ID != u.ID {
			t.Errorf("by address: %v, %v", byEmail.ID, err)
		}
		byCode, err := user.UserByReferralCode(ctx, tx, u.ReferralCode)
		if err != nil || byCode.ID != u.ID {
			t.Errorf("by referral code: %v, %v", byCode.ID, err)
		}
		list, err := user.Users(ctx, tx, user.Filter{Email: u.Email}, cutover.ID{}, 10)
		if err != nil || len(list) != 1 || list[0].ID != u.ID {
			t.Errorf("in the list: %d, %v", len(list), err)
		}
		return nil
	})
}

func uniqueEmail(t *testing.T, m members) {
	a, b := someone(user.Buyer), someone(user.Buyer)
	a.Email = emailOf(a.ID)
	b.Email = a.Email
	m.put(t, a)
	wantBroken(t, m.try(t.Context(), b), "a second user of the address")
	a.Email = ""
	m.put(t, a)
	b.Rev = 0
	m.put(t, b)
}

func uniqueReferral(t *testing.T, m members) {
	a, b := someone(user.Buyer), someone(user.Buyer)
	a.ReferralCode = a.ID.String()
	b.ReferralCode = a.ReferralCode
	m.put(t, a)
	wantBroken(t, m.try(t.Context(), b), "a second user of the referral code")
}

func manyWithoutEmail(t *testing.T, m members) {
	m.put(t, someone(user.Buyer), someone(user.Buyer))
	m.put(t, someone(user.Buyer))
}

func uniqueVerification(t *testing.T, m members) {
	email := emailOf(cutover.NewID())
	first := &user.TempVerification{Email: email, FirstName: "Ann"}
	m.put(t, first)
	wantBroken(t, m.try(t.Context(), &user.TempVerification{Email: email}), "a second registration of the address")
	m.view(t, func(ctx context.Context, tx cutover.Tx) error {
		v, err := user.VerificationByEmail(ctx, tx, email)
		if err != nil || v.ID != first.ID {
			t.Errorf("by address: %v, %v", v.ID, err)
		}
		return nil
	})
}

func addressesInOrder(t *testing.T, m members) {
	u, other := someone(user.Buyer), someone(user.Buyer)
	m.put(t, u, other)
	var want []string
	for range 3 {
		a := &user.Address{Meta: cutover.Meta{ID: cutover.NewID()}, UserID: u.ID}
		m.put(t, a, &user.Address{UserID: other.ID})
		want = append(want, a.ID.String())
	}
	sameTexts(t, "addresses", addressIDs(t, m, u.ID), want)
}

func addressIDs(t *testing.T, m members, userID cutover.ID) []string {
	t.Helper()
	var got []string
	m.view(t, func(ctx context.Context, tx cutover.Tx) error {
		all, err := user.Addresses(ctx, tx, userID)
		got = nil
		for _, a := range all {
			got = append(got, a.ID.String())
		}
		return err
	})
	return got
}

func everyUser(t *testing.T, m members) {
	u := someone(user.Buyer)
	a := &user.Address{Meta: cutover.Meta{ID: cutover.NewID()}, UserID: u.ID}
	m.put(t, u)
	m.put(t, a)
	m.view(t, func(ctx context.Context, tx cutover.Tx) error {
		var users, addresses []string
		err := cutover.Each(ctx, tx, func(u user.User) error { users = append(users, u.ID.String()); return nil })
		if err != nil {
			return err
		}
		if !slices.IsSorted(users) || !slices.Contains(users, u.ID.String()) {
			t.Errorf("users not in order, or one left out, of %d", len(users))
		}
		err = cutover.Each(ctx, tx, func(a user.Address) error { addresses = append(addresses, a.ID.String()); return nil })
		if !slices.IsSorted(addresses) || !slices.Contains(addresses, a.ID.String()) {
			t.Errorf("addresses not in order, or one left out, of %d", len(addresses))
		}
		return err
	})
}

func primaryMoves(t *testing.T, m members) {
	u := someone(user.Buyer)
	m.put(t, u)
	old := &user.Address{Meta: cutover.Meta{ID: cutover.NewID()}, UserID: u.ID, IsPrimary: true}
	next := &user.Address{Meta: cutover.Meta{ID: cutover.NewID()}, UserID: u.ID}
	m.put(t, old, next)
	for range 2 { // from the older to the newer one, and back
		old.IsPrimary, next.IsPrimary = false, true
		m.put(t, u, old, next)
		old, next = next, old
	}
	m.view(t, func(ctx context.Context, tx cutover.Tx) error {
		a, err := cutover.Get[user.Address](ctx, tx, old.ID)
		if err == nil && !a.IsPrimary {
			t.Error("the mark did not come back")
		}
		return err
	})
}

func tokensInOrder(t *testing.T, m members) {
	u := someone(user.Buyer)
	var want []string
	for i := range 12 {
		hash := fmt.Sprintf("%02d", (i*7)%12)
		u.RefreshTokens = append(u.RefreshTokens, user.RefreshToken{Hash: hash, FamilyID: "f", IssuedAt: cutover.Now()})
		want = append(want, hash)
	}
	m.put(t, u)
	u.RefreshTokens = slices.Delete(u.RefreshTokens, 3, 6)
	want = slices.Delete(want, 3, 6)
	m.put(t, u)
	var got []string
	m.view(t, func(ctx context.Context, tx cutover.Tx) error {
		back, err := cutover.Get[user.User](ctx, tx, u.ID)
		got = nil
		for _, token := range back.RefreshTokens {
			got = append(got, token.Hash)
		}
		return err
	})
	sameTexts(t, "refresh tokens", got, want)
}

func userInvariants(t *testing.T, m members) {
	m.put(t, someone(user.Buyer))
	m.view(t, func(ctx context.Context, tx cutover.Tx) error {
		for _, inv := range user.Invariants {
			if text, err := inv.Eval(ctx, tx); err != nil || text == "" {
				t.Errorf("%s: %q, %v", inv.Name, text, err)
			}
		}
		return nil
	})
}

func usersNotFound(t *testing.T, m members) {
	m.view(t, func(ctx context.Context, tx cutover.Tx) error {
		_, byID := cutover.Get[user.User](ctx, tx, cutover.NewID())
		_, byEmail := user.UserByEmail(ctx, tx, "nobody@example.org")
		_, byCode := user.UserByReferralCode(ctx, tx, "NOBODY")
		_, address := cutover.Get[user.Address](ctx, tx, cutover.NewID())
		_, verification := user.VerificationByEmail(ctx, tx, "nobody@example.org")
		for i, err := range []error{byID, byEmail, byCode, address, verification} {
			if !fault.Is(err, fault.NotFound) {
				t.Errorf("%d: %v, want not_found", i, err)
			}
		}
		return nil
	})
}

func staleUser(t *testing.T, m members) {
	u := someone(user.Buyer)
	m.put(t, u)
	stale := *u
	u.FirstName = "Bea"
	m.put(t, u)
	wantConflict(t, m.try(t.Context(), &stale), "a change of what was read before")
}

func userAllOrNothing(t *testing.T, m members) {
	u := someone(user.Buyer)
	m.put(t, u)
	stale := *u
	m.put(t, u)
	a := &user.Address{Meta: cutover.Meta{ID: cutover.NewID()}, UserID: u.ID, IsPrimary: true}
	wantConflict(t, m.try(t.Context(), a, &stale), "an address with a guard that was written meanwhile")
	if got := addressIDs(t, m, u.ID); len(got) != 0 {
		t.Errorf("the address is there: %v", got)
	}
}
