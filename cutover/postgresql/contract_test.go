package postgresql_test

import (
	"testing"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/cutovertest"
	"github.com/amanat-dev/amanat/domain/marketplace"
	"github.com/amanat-dev/amanat/domain/user"
	"github.com/amanat-dev/amanat/internal/storetest"
)

func TestContract(t *testing.T) {
	t.Parallel()
	cutovertest.Contract(t, func(t *testing.T) cutover.Side {
		_, side := specimens(t)
		return side
	})
}

func TestUser(t *testing.T) {
	t.Parallel()
	storetest.Users(t, func(t *testing.T) cutover.Side { return storetest.PostgresSide(t, user.Definition) })
}

func TestMarketplace(t *testing.T) {
	t.Parallel()
	storetest.Marketplace(t, func(t *testing.T) cutover.Side { return storetest.PostgresSide(t, marketplace.Definition) })
}
