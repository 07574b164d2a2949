package mongo_test

import (
	"testing"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/domain/marketplace"
	"github.com/amanat-dev/amanat/domain/user"
	"github.com/amanat-dev/amanat/store/mongo"
	"github.com/amanat-dev/amanat/store/storetest"
)

func TestSpecimen(t *testing.T) {
	t.Parallel()
	storetest.Contract(t, storetest.SpecimenDomain, storetest.SpecimenKinds, func(t *testing.T) cutover.Side {
		db := storetest.Mongo(t)
		return indexed(t, db, mongo.Specimens(db, storetest.SpecimenKinds))
	}, storetest.SpecimenFixes)
}

func TestUser(t *testing.T) {
	t.Parallel()
	storetest.Users(t, func(t *testing.T) cutover.Side {
		db := storetest.Mongo(t)
		return indexed(t, db, mongo.Users(db))
	})
}

func TestMarketplace(t *testing.T) {
	t.Parallel()
	storetest.Marketplace(t, func(t *testing.T) cutover.Side {
		db := storetest.Mongo(t)
		return indexed(t, db, mongo.Marketplace(db))
	})
}

// indexed makes the indexes that hold a side's unique rules.
func indexed[T any](t *testing.T, db *mongo.DB, side cutover.Side) cutover.Side {
	t.Helper()
	if err := db.EnsureIndexes(t.Context()); err != nil {
		t.Fatal(err)
	}
	return side
}
