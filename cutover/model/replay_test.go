//go:build !race

package model

import (
	"runtime"
	"strings"
	"testing"
)

// TestReplay: a seed's history comes again, within one thread, as replay and
// the children of sweep have it. Under the race detector the runtime shuffles
// its goroutines on purpose, and nothing comes again.
func TestReplay(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for seed := range uint64(300) {
		if newScheduler(seed).plan.shadow { // its workers are alike
			continue
		}
		comesAgain(t, seed)
	}
}

func comesAgain(t *testing.T, seed uint64) {
	t.Helper()
	first := explore(t, seed, healthy).String()
	var other string
	for range replays {
		if other = explore(t, seed, healthy).String(); other == first {
			return
		}
	}
	t.Errorf("seed %d: its history did not come again in %d tries; %s", seed, replays, parting(first, other))
}

// parting shows where two histories part.
func parting(first, other string) string {
	a, b := strings.Split(first, "\n"), strings.Split(other, "\n")
	i := 0
	for i < min(len(a), len(b))-1 && a[i] == b[i] {
		i++
	}
	around := func(lines []string) string { return strings.Join(lines[max(0, i-4):min(len(lines), i+3)], "\n") }
	return "at line\n" + around(a) + "\nthe last one went on\n" + around(b)
}
