package model

import (
	"fmt"
	"strings"
	"testing"
)

// TestReplay: a seed gives the same history each time.
func TestReplay(t *testing.T) {
	differ := 0
	const n = 300
	for seed := range uint64(n) {
		if newScheduler(seed).plan.shadow { // its workers are alike
			continue
		}
		a, b := strings.Split(explore(t, seed, healthy).String(), "\n"), strings.Split(explore(t, seed, healthy).String(), "\n")
		for i := range a {
			if i >= len(b) || a[i] != b[i] {
				differ++
				if differ < 4 {
					t.Logf("seed %d, line %d:\n%s\n%s", seed, i, strings.Join(a[max(0, i-4):min(len(a), i+3)], "\n"), strings.Join(b[max(0, i-4):min(i+3, len(b))], "\n"))
				}
				break
			}
		}
	}
	if differ > 0 {
		t.Error(fmt.Sprint(differ, " of ", n, " seeds gave another history the second time"))
	}
}
