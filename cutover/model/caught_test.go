//go:build model

package model

import (
	"testing"
)

// TestMutants plants each mistake and asks that some schedule catches it.
func TestMutants(t *testing.T) {
	for _, m := range mutants {
		t.Run(string(m), func(t *testing.T) {
			t.Parallel()
			all := sweep(t, 1, number(t, "MODEL_MUTANTS", 20_000), m, 3, 1)
			if len(all.Found) == 0 {
				t.Fatalf("not caught in %d schedules", all.Schedules)
			}
			f := all.Found[0]
			t.Logf("caught %d times in %d schedules, first in seed %d: %s", len(all.Found), all.Schedules, f.Seed, f.Problem)
		})
	}
}
