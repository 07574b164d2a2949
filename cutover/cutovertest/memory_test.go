package cutovertest_test

import (
	"testing"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/cutovertest"
	"github.com/amanat-dev/amanat/cutover/memdb"
)

// Memory is a third store: it passes what the databases must pass.
func TestMemory(t *testing.T) {
	t.Parallel()
	cutovertest.Contract(t, func(*testing.T) cutover.Side { return memdb.New("memory", cutovertest.Definition.Kinds) })
}
