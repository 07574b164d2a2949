package mongodb_test

import (
	"testing"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/cutovertest"
	"github.com/amanat-dev/amanat/domain/marketplace"
	"github.com/amanat-dev/amanat/domain/user"
	"github.com/amanat-dev/amanat/internal/storetest"
)

// The rest of cutovertest.Contract, its property of queries, is in
// TestQueriesAreAnsweredAsInMemory: over documents in each form that there may be.
func TestContract(t *testing.T) {
	t.Parallel()
	cutovertest.Records(t, cutovertest.Definition, func(t *testing.T) cutover.Side {
		return storetest.MongoSide(t, cutovertest.Definition)
	}, cutovertest.Fit)
}

func TestUser(t *testing.T) {
	t.Parallel()
	storetest.Users(t, func(t *testing.T) cutover.Side { return storetest.MongoSide(t, user.Definition) })
}

func TestMarketplace(t *testing.T) {
	t.Parallel()
	storetest.Marketplace(t, func(t *testing.T) cutover.Side { return storetest.MongoSide(t, marketplace.Definition) })
}
