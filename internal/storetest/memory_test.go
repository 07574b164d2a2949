package storetest_test

import (
	"testing"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/memdb"
	"github.com/amanat-dev/amanat/domain/marketplace"
	"github.com/amanat-dev/amanat/domain/payment"
	"github.com/amanat-dev/amanat/domain/user"
	"github.com/amanat-dev/amanat/internal/storetest"
)

func in(d cutover.Definition) func(*testing.T) cutover.Side {
	return func(*testing.T) cutover.Side { return memdb.New("memory", d.Kinds) }
}

// Memory is a third store: it passes what the databases must pass.
func TestMemory(t *testing.T) {
	t.Parallel()
	t.Run("user", func(t *testing.T) { storetest.Users(t, in(user.Definition)) })
	t.Run("marketplace", func(t *testing.T) { storetest.Marketplace(t, in(marketplace.Definition)) })
	t.Run("payment", func(t *testing.T) { storetest.Payment(t, in(payment.Definition)) })
}
