package mongodb_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/cutover/mongodb"
	"github.com/amanat-dev/amanat/domain/payment"
	"github.com/amanat-dev/amanat/domain/user"
	"github.com/amanat-dev/amanat/internal/storetest"
)

func TestUniqueRulesRefuseWhatMemoryRefuses(t *testing.T) {
	t.Parallel()
	storetest.Unique(t, rand.Uint64(), storetest.MongoSide)
}

// legacyAddress puts a destination there as the older application did.
func legacyAddress(t *testing.T, db *mongodb.DB, address string) bson.ObjectID {
	t.Helper()
	id := bson.NewObjectID()
	_, err := db.Raw("deriveddestinations").InsertOne(t.Context(), bson.D{{Key: "_id", Value: id}, {Key: "address", Value: address}, {Key: "status", Value: "active"}})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func give(t *testing.T, side cutover.Side, address string) error {
	t.Helper()
	return side.Update(t.Context(), cutover.Guard{}, func(ctx context.Context, tx cutover.Tx) error {
		return tx.Put(ctx, &payment.Destination{Address: address, Status: payment.DestinationActive})
	})
}

func TestAnAddressOfALegacyDocumentIsNotGivenOutAgain(t *testing.T) {
	t.Parallel()
	db := storetest.Mongo(t)
	legacyAddress(t, db, "0xabcdef")
	side := storetest.SideOn(t, db, payment.Definition)
	if err := give(t, side, "0xAbCdEf"); !fault.Is(err, fault.Conflict) {
		t.Errorf("got %v, want a conflict: a lower-case legacy address is the same", err)
	}
	if err := give(t, side, "0xabcde0"); err != nil {
		t.Error(err)
	}
}

func TestFillKeys_NamesDocumentsThatBreakARuleAndComesBackToIt(t *testing.T) {
	t.Parallel()
	db := storetest.Mongo(t)
	side := db.Side(payment.Definition)
	one, two := legacyAddress(t, db, "0xAB"), legacyAddress(t, db, "0xab")
	err := db.EnsureIndexes(t.Context())
	if err == nil || !strings.Contains(err.Error(), one.Hex()) || !strings.Contains(err.Error(), two.Hex()) {
		t.Errorf("got %v, want an error that names %s and %s", err, one.Hex(), two.Hex())
	}
	if _, err := db.Raw("deriveddestinations").DeleteOne(t.Context(), bson.D{{Key: "_id", Value: one}}); err != nil {
		t.Fatal(err)
	}
	if err := db.EnsureIndexes(t.Context()); err != nil {
		t.Error(err)
	}
	if err := give(t, side, "0xAB"); !fault.Is(err, fault.Conflict) {
		t.Errorf("got %v, want a conflict", err)
	}
}

func TestFillKeys_GoesThroughACollectionOnce(t *testing.T) {
	t.Parallel()
	db := storetest.Mongo(t)
	side := storetest.SideOn(t, db, payment.Definition)
	legacyAddress(t, db, "0xab")
	if n, err := db.FillKeys(t.Context(), false); err != nil || n != 0 {
		t.Errorf("FillKeys changed %d, %v; want it to rest on the record of the first time", n, err)
	}
	if n, err := db.FillKeys(t.Context(), true); err != nil || n != 1 {
		t.Errorf("FillKeys of all changed %d, %v; want 1", n, err)
	}
	if err := give(t, side, "0xAB"); !fault.Is(err, fault.Conflict) {
		t.Errorf("got %v, want a conflict", err)
	}
}

func TestScanSaysWhichStoredKeysAreNotWhatTheRecordDerives(t *testing.T) {
	t.Parallel()
	db := storetest.Mongo(t)
	side := storetest.SideOn(t, db, user.Definition)
	var ids []cutover.ID
	for n := range 2 {
		u := &user.User{Meta: cutover.Meta{ID: cutover.NewID()}, Email: fmt.Sprint(n, "@x"), Role: user.Buyer, Status: user.Active, AuthProvider: user.ProviderEmail}
		err := side.Update(t.Context(), cutover.Guard{}, func(ctx context.Context, tx cutover.Tx) error { return tx.Put(ctx, u) })
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, u.ID)
	}
	// A rule that is no more has left its key.
	_, err := db.Raw("users").UpdateOne(t.Context(), bson.D{{Key: "_id", Value: bson.ObjectID(ids[1])}},
		bson.D{{Key: "$set", Value: bson.D{{Key: "_uEmail", Value: "other"}, {Key: "_uOld", Value: "left"}}}})
	if err != nil {
		t.Fatal(err)
	}
	items, err := side.Scan(t.Context(), user.KindUser, cutover.ID{}, cutover.ID{}, 10)
	if err != nil || len(items) != 2 {
		t.Fatalf("%d items, %v", len(items), err)
	}
	if len(items[0].Stale) > 0 || !slices.Equal(items[1].Stale, []string{"Email"}) {
		t.Errorf("got %v and %v, want none and Email", items[0].Stale, items[1].Stale)
	}
	if extra := items[1].Record.RecordMeta().Extra; extra != nil {
		t.Errorf("a key became a field: %s", extra)
	}
}
