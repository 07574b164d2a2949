package postgresql_test

import (
	"math/rand/v2"
	"testing"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/internal/storetest"
)

func TestQueriesAreAnsweredAsInMemory(t *testing.T) {
	t.Parallel()
	_, side := specimens(t)
	storetest.Queries(t, rand.Uint64(), side, func(_ *rand.Rand, all []*storetest.Specimen) []*storetest.Specimen {
		items := make([]cutover.Item, len(all))
		for i, s := range all {
			items[i] = itemOf("specimen", s)
		}
		if err := side.Load(t.Context(), "specimen", items); err != nil {
			t.Fatal(err)
		}
		return all
	})
}
