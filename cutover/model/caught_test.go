package model

import (
	"testing"
)

// TestMutants plants each mistake and asks that some schedule catches it.
func TestMutants(t *testing.T) {
	const most = 20_000
	for _, m := range mutants {
		t.Run(string(m), func(t *testing.T) {
			n, caught := 0, 0
			var first outcome
			sweep(t, 1, most, m, func(o outcome) bool {
				n++
				if o.problem != "" {
					caught++
					first = o
				}
				return caught < 3
			})
			if caught == 0 {
				t.Fatalf("not caught in %d schedules", n)
			}
			t.Logf("caught %d times in %d schedules, for one in seed %d: %s", caught, n, first.seed, first.problem)
		})
	}
}
