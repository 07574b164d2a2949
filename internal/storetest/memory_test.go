package storetest_test

import (
	"math/rand/v2"
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
	t.Run("specimen", func(t *testing.T) {
		storetest.Contract(t, storetest.SpecimenDomain, storetest.SpecimenKinds, in(storetest.SpecimenDefinition), storetest.SpecimenFixes)
	})
	t.Run("user", func(t *testing.T) { storetest.Users(t, in(user.Definition)) })
	t.Run("marketplace", func(t *testing.T) { storetest.Marketplace(t, in(marketplace.Definition)) })
	t.Run("payment", func(t *testing.T) { storetest.Payment(t, in(payment.Definition)) })
}

// The property of queries holds of memory itself, unless it draws nonsense.
func TestMemory_AnswersAsItself(t *testing.T) {
	t.Parallel()
	side := memdb.New("again", storetest.SpecimenKinds)
	storetest.Queries(t, rand.Uint64(), side, func(_ *rand.Rand, all []*storetest.Specimen) []*storetest.Specimen {
		for _, s := range all {
			side.Seed("specimen", s)
		}
		return all
	})
}
