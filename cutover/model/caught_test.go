//go:build !race

package model

import "testing"

// TestMutants plants each mistake and asks that some schedule catches it, which
// does not fail without. The race detector would make it ten times as slow and
// find nothing more.
func TestMutants(t *testing.T) {
	for _, m := range mutants {
		t.Run(string(m.mutant), func(t *testing.T) {
			t.Parallel()
			all := sweep(t, m.of(1), number(t, "MODEL_MUTANTS", 20_000), m.mutant, 1, 1)
			if len(all.Found) == 0 {
				t.Fatalf("not caught in %d schedules", all.Schedules)
			}
			f := all.Found[0]
			t.Logf("caught by schedule %d, seed %d: %s", all.Schedules, f.Seed, f.Problem)
		})
	}
}
