package mongodb_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/cutover/mongodb"
	"github.com/amanat-dev/amanat/domain/marketplace"
	"github.com/amanat-dev/amanat/internal/storetest"
)

func adopter(b *bank) cutover.Adopter { return b.Side.(cutover.Adopter) }

func unknown(string, string) (cutover.ID, bool) { return cutover.ID{}, false }

func (b *bank) insertRaw(t *testing.T, collection string, doc bson.D) {
	t.Helper()
	if _, err := b.db.Raw(collection).InsertOne(t.Context(), doc); err != nil {
		t.Fatal(err)
	}
}

func legacyAccount(id any, email string) bson.D {
	return bson.D{{Key: "_id", Value: id}, {Key: "owner", Value: "old"}, {Key: "balance", Value: 7.0},
		{Key: "email", Value: email}, {Key: "shoe", Value: bson.D{{Key: "size", Value: 42}}}, {Key: "__v", Value: 0}}
}

func (b *bank) foreign(t *testing.T) []string {
	t.Helper()
	items, err := b.Foreign(t.Context(), "account", 100)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, i := range items {
		out = append(out, i.RawID)
	}
	return out
}

func TestADocumentIsAdoptedWithAllItHas(t *testing.T) {
	t.Parallel()
	bk, _ := newBank(t)
	bk.guard.Journal = true
	for name, id := range map[string]any{"text": "user-7", "digits": "5f1b2c9a8b7c6d5e4f3a2110", "number": int32(7), "group": bson.D{{Key: "a", Value: int32(1)}}} {
		t.Run(name, func(t *testing.T) {
			bk.insertRaw(t, "accounts", legacyAccount(id, name+"@example.org"))
			legacy := bk.foreign(t)
			if len(legacy) != 1 {
				t.Fatalf("Foreign lists %v, want one", legacy)
			}
			now := cutover.NewID()
			if err := adopter(bk).Adopt(t.Context(), bk.guard, "account", legacy[0], now, unknown); err != nil {
				t.Fatal(err)
			}
			a, err := bk.account(t, now)
			if err != nil || a.Balance != 7 || a.Email != name+"@example.org" || a.Rev != 1 || a.Extra == nil {
				t.Errorf("got %+v, %v", a, err)
			}
			if left := bk.foreign(t); len(left) != 0 {
				t.Errorf("Foreign still lists %v", left)
			}
			wantNotes(t, bk, 1)
			forgetAll(t, bk)
			if err := adopter(bk).Adopt(t.Context(), bk.guard, "account", legacy[0], now, unknown); !fault.Is(err, fault.Conflict) {
				t.Errorf("to adopt it twice gave %v, want a conflict", err)
			}
		})
	}
}

func TestAnAdoptionThatDiesIsCarriedOut(t *testing.T) {
	t.Parallel()
	for n := range 3 {
		t.Run(fmt.Sprintf("before write %d", n), func(t *testing.T) {
			t.Parallel()
			dying, bk := newBank(t)
			bk.insertRaw(t, "accounts", legacyAccount("user-7", "a@example.org"))
			id := cutover.NewID()
			dying.crashAt(n)
			if err := adopter(dying).Adopt(t.Context(), bk.guard, "account", "user-7", id, unknown); !errors.Is(err, errCrash) {
				t.Fatalf("Adopt gave %v, want the crash", err)
			}
			if left := bk.foreign(t); len(left) != 1 || left[0] != "user-7" {
				t.Errorf("Foreign lists %v, want user-7, so that its gap stays", left)
			}
			bk.impatient()
			if err := mongodb.Recover(t.Context(), bk.Side); err != nil {
				t.Fatal(err)
			}
			_, err := bk.account(t, id)
			left := bk.foreign(t)
			if n == 0 && (!fault.Is(err, fault.NotFound) || len(left) != 1) {
				t.Errorf("nothing had begun, and now there is %v, and Foreign lists %v", err, left)
			}
			if n > 0 && (err != nil || len(left) != 0) {
				t.Errorf("the account is there: %v; Foreign lists %v", err, left)
			}
		})
	}
}

func TestWhatCannotBeAdoptedStays(t *testing.T) {
	t.Parallel()
	bk, other := newBank(t)
	taken := newAccount("x", 1)
	bk.put(t, taken)
	bk.insertRaw(t, "accounts", legacyAccount("user-7", "a@example.org"))
	bk.insertRaw(t, "accounts", bson.D{{Key: "_id", Value: "user-8"}, {Key: "balance", Value: "much"}})

	wantRefused := func(legacy string, id cutover.ID, why string) {
		t.Helper()
		err := adopter(bk).Adopt(t.Context(), bk.guard, "account", legacy, id, unknown)
		if !fault.Is(err, fault.Conflict) {
			t.Errorf("%s: Adopt gave %v, want a conflict", why, err)
		}
		if left := bk.foreign(t); len(left) != 2 {
			t.Errorf("%s: Foreign lists %v, want both", why, left)
		}
	}
	wantRefused("user-7", taken.ID, "the identity is another's")
	wantRefused("user-8", cutover.NewID(), "it cannot be read")
	wantRefused("user-9", cutover.NewID(), "there is none")

	// A program of before changes it in between.
	bk.db.OnStep(func(name string) error {
		if name == "adopt.remove" {
			_, err := other.db.Raw("accounts").UpdateOne(t.Context(), bson.D{{Key: "_id", Value: "user-7"}},
				bson.D{{Key: "$set", Value: bson.D{{Key: "shoe.size", Value: 43}}}})
			return err
		}
		return nil
	})
	wantRefused("user-7", cutover.NewID(), "it has changed")
	bk.db.OnStep(func(string) error { return nil })

	// Somebody takes its unique value in between, and returns it back later.
	rival := newAccount("x", 1)
	rival.Email = "a@example.org"
	bk.db.OnStep(func(name string) error {
		if name == "adopt.insert" {
			return other.tryPut(t.Context(), rival)
		}
		return nil
	})
	id := cutover.NewID()
	wantRefused("user-7", id, "its email is another's")
	bk.db.OnStep(func(string) error { return nil })
	rival.Email = "b@example.org"
	other.put(t, rival)
	if err := adopter(bk).Adopt(t.Context(), bk.guard, "account", "user-7", id, unknown); err != nil {
		t.Fatal(err)
	}
	if a, err := bk.account(t, id); err != nil || a.Email != "a@example.org" {
		t.Errorf("got %+v, %v", a, err)
	}
}

func TestReferencesAreRedirected(t *testing.T) {
	t.Parallel()
	db := storetest.Mongo(t)
	market := storetest.SideOn(t, db, marketplace.Definition)
	buyer := cutover.NewID()
	known := func(kind, legacy string) (cutover.ID, bool) { return buyer, kind == "user" && legacy == "user-7" }
	request := func(buyer string, preferred bson.A) cutover.ID {
		id := cutover.NewID()
		_, err := db.Raw("purchaserequests").InsertOne(t.Context(), bson.D{{Key: "_id", Value: bson.ObjectID(id)},
			{Key: "buyerId", Value: buyer}, {Key: "status", Value: "pending"}, {Key: "preferredSellerIds", Value: preferred},
			{Key: "budget", Value: bson.D{{Key: "min", Value: 0}, {Key: "max", Value: 10.5}}}})
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	other := cutover.NewID()
	request(other.String(), nil)
	named := request("user-7", bson.A{other.String(), "user-7"})
	lost := request("user-8", nil)

	side := market.(cutover.Adopter)
	g := cutover.Guard{Domain: "marketplace", Epoch: 1, Journal: true}
	for _, execute := range []bool{false, true} {
		if n, err := side.Redirect(t.Context(), g, marketplace.KindRequest, known, execute); err != nil || n != (cutover.Redirected{Records: 1}) {
			t.Errorf("Redirect, execute %v, gave %+v, %v; want 1", execute, n, err)
		}
	}
	if n, err := side.Redirect(t.Context(), g, marketplace.KindRequest, known, true); err != nil || n != (cutover.Redirected{}) {
		t.Errorf("Redirect again gave %+v, %v; want none", n, err)
	}
	items, err := market.Get(t.Context(), []cutover.Key{{Kind: marketplace.KindRequest, ID: named}, {Kind: marketplace.KindRequest, ID: lost}})
	if err != nil {
		t.Fatal(err)
	}
	r, ok := items[0].Record.(*marketplace.PurchaseRequest)
	if !ok || r.BuyerID != buyer || !slices.Equal(r.PreferredSellerIDs, []cutover.ID{other, buyer}) || r.Rev != 1 {
		t.Errorf("got %+v, %v", r, items[0].Err)
	}
	if items[1].Err == nil {
		t.Errorf("a reference that nobody knows is read as %+v", items[1])
	}
	notes, err := market.Notes(t.Context(), 10)
	if err != nil || len(notes) != 1 || notes[0].Key.ID != named {
		t.Errorf("the notes are %v, %v; want one of %s", notes, err, named)
	}
}
