package user_test

import (
	"strings"
	"testing"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/domain/user"
)

func addressInput() user.AddressInput {
	return user.AddressInput{FullName: "Ann Lee", Street: "12 Garden Street", City: "Tabriz", Country: "Iran"}
}

func primaryInput(primary bool) user.AddressInput {
	in := addressInput()
	in.IsPrimary = &primary
	return in
}

// wantPrimary checks that this address, and no other of the user, is primary.
func (b *bundle) wantPrimary(t *testing.T, userID, id cutover.ID) {
	t.Helper()
	for _, a := range must[[]user.Address](t)(b.Addresses(t.Context(), as(userID))) {
		if a.IsPrimary != (a.ID == id) {
			t.Errorf("address %s: primary %v, want %s to be it", a.ID, a.IsPrimary, id)
		}
	}
}

// wantOnePrimary is wantPrimary when it does not matter which.
func (b *bundle) wantOnePrimary(t *testing.T, userID cutover.ID) {
	t.Helper()
	primaries := 0
	for _, a := range must[[]user.Address](t)(b.Addresses(t.Context(), as(userID))) {
		if a.IsPrimary {
			primaries++
		}
	}
	if primaries != 1 {
		t.Fatalf("want one primary address, got %d", primaries)
	}
}

func TestExactlyOneAddressIsPrimary(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		me := b.join(t, user.Buyer).User.ID
		first := must[user.Address](t)(b.AddAddress(t.Context(), as(me), primaryInput(false)))
		b.wantPrimary(t, me, first.ID)
		second := must[user.Address](t)(b.AddAddress(t.Context(), as(me), addressInput()))
		b.wantPrimary(t, me, first.ID)
		third := must[user.Address](t)(b.AddAddress(t.Context(), as(me), primaryInput(true)))
		b.wantPrimary(t, me, third.ID)
		must[user.Address](t)(b.ChangeAddress(t.Context(), as(me), second.ID, primaryInput(true)))
		b.wantPrimary(t, me, second.ID)
		_, err := b.ChangeAddress(t.Context(), as(me), second.ID, primaryInput(false))
		wantKind(t, "the primary one to be none", err, fault.Invalid)
		if err := b.RemoveAddress(t.Context(), as(me), second.ID); err != nil {
			t.Fatal(err)
		}
		b.wantPrimary(t, me, first.ID)
		if err := b.RemoveAddress(t.Context(), as(me), third.ID); err != nil {
			t.Fatal(err)
		}
		b.wantPrimary(t, me, first.ID)
		if err := b.RemoveAddress(t.Context(), as(me), first.ID); err != nil {
			t.Fatal(err)
		}
		if left := must[[]user.Address](t)(b.Addresses(t.Context(), as(me))); len(left) != 0 {
			t.Errorf("left: %v", left)
		}
	})
}

func TestChangesOfThePrimaryAddressAtOnceLeaveOne(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		me := b.join(t, user.Buyer).User.ID
		var ids []cutover.ID
		for range 4 {
			ids = append(ids, must[user.Address](t)(b.AddAddress(t.Context(), as(me), addressInput())).ID)
		}
		for range 3 {
			for _, err := range together(5, func(i int) error {
				if i == len(ids) {
					_, err := b.AddAddress(t.Context(), as(me), primaryInput(true))
					return err
				}
				_, err := b.ChangeAddress(t.Context(), as(me), ids[i], primaryInput(true))
				return err
			}) {
				if err != nil && !fault.Is(err, fault.Conflict) {
					t.Error(err)
				}
			}
			b.wantOnePrimary(t, me)
		}
	})
}

func TestFirstAddressesAtOnceLeaveOnePrimary(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		me := b.join(t, user.Buyer).User.ID
		for _, err := range together(5, func(int) error { _, err := b.AddAddress(t.Context(), as(me), addressInput()); return err }) {
			if err != nil && !fault.Is(err, fault.Conflict) {
				t.Error(err)
			}
		}
		b.wantOnePrimary(t, me)
	})
}

func TestAddressesAreForTheirOwnerAlone(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		me, other := b.join(t, user.Buyer).User.ID, b.join(t, user.Buyer).User.ID
		mine := must[user.Address](t)(b.AddAddress(t.Context(), as(me), addressInput()))
		_, err := b.Address(t.Context(), as(other), mine.ID)
		wantKind(t, "get", err, fault.NotFound)
		_, err = b.ChangeAddress(t.Context(), as(other), mine.ID, addressInput())
		wantKind(t, "change", err, fault.NotFound)
		wantKind(t, "remove", b.RemoveAddress(t.Context(), as(other), mine.ID), fault.NotFound)
		wantKind(t, "remove nothing", b.RemoveAddress(t.Context(), as(me), cutover.NewID()), fault.NotFound)
		if got := must[user.Address](t)(b.Address(t.Context(), as(me), mine.ID)); got.Street != mine.Street {
			t.Errorf("got %+v", got)
		}
		if list := must[[]user.Address](t)(b.Addresses(t.Context(), as(other))); len(list) != 0 {
			t.Errorf("the other's: %v", list)
		}
	})
}

func TestAddressesAreBounded(t *testing.T) {
	inMemory(t, func(t *testing.T, b *bundle) {
		me := b.join(t, user.Buyer).User.ID
		for _, spoil := range []func(*user.AddressInput){
			func(a *user.AddressInput) { a.FullName = "" },
			func(a *user.AddressInput) { a.Street = strings.Repeat("x", 201) },
			func(a *user.AddressInput) { a.Country = "Ir\x00an" },
		} {
			in := addressInput()
			spoil(&in)
			_, err := b.AddAddress(t.Context(), as(me), in)
			wantKind(t, "spoilt", err, fault.Invalid)
		}
		for range 20 {
			must[user.Address](t)(b.AddAddress(t.Context(), as(me), addressInput()))
		}
		_, err := b.AddAddress(t.Context(), as(me), addressInput())
		wantKind(t, "one more than twenty", err, fault.Conflict)
		_, err = b.AddAddress(t.Context(), as(cutover.NewID()), addressInput())
		wantKind(t, "of nobody", err, fault.Forbidden)
	})
}
