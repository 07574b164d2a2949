// Package storetest shows that each database keeps the domains of this program:
// the contract of cutover/cutovertest over their kinds, and each domain's queries
// (one file per domain). It also hands out databases for tests.
package storetest

import (
	"fmt"
	"slices"
	"testing"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/cutovertest"
	"github.com/amanat-dev/amanat/cutover/fault"
)

// Contract shows that a domain's kinds survive a database, and that its events
// come in order. open gives a side on a database of its own.
func Contract(t *testing.T, d cutover.Definition, open func(*testing.T) cutover.Side, fixes cutovertest.Fixes) {
	cutovertest.Records(t, d, open, fixes)
	t.Run("Events", func(t *testing.T) {
		t.Parallel()
		events(t, d, open(t))
	})
}

func wantConflict(t *testing.T, err error, what string) {
	t.Helper()
	if !fault.Is(err, fault.Conflict) {
		t.Fatalf("%s: %v, want a conflict", what, err)
	}
}

// wantBroken wants a conflict that is met again by whoever runs again.
func wantBroken(t *testing.T, err error, what string) {
	t.Helper()
	if !fault.Is(err, fault.Conflict) || cutover.IsStale(err) {
		t.Fatalf("%s: %v, want that a rule is broken", what, err)
	}
}

// sameTexts compares two lists of text.
func sameTexts(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %s, want %s", what, fmt.Sprint(got), fmt.Sprint(want))
	}
}
