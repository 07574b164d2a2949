package user

import (
	"strconv"
	"testing"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/internal/web"
)

func TestVerified_KeepsATokenUntilItEnds(t *testing.T) {
	t.Parallel()
	var v verified
	who, end := web.Principal{UserID: cutover.NewID(), Role: "buyer"}, time.Unix(1_800_000_000, 0)
	v.remember(hashOf("a"), who, end)
	if got, ok := v.find(hashOf("a"), end.Add(-time.Second)); !ok || got != who {
		t.Errorf("before its end: %v, %v", got, ok)
	}
	if _, ok := v.find(hashOf("a"), end); ok {
		t.Error("a token that has ended is found")
	}
	if _, ok := v.find(hashOf("b"), end.Add(-time.Second)); ok {
		t.Error("a token that nobody has verified is found")
	}
}

func TestVerified_HasABound(t *testing.T) {
	t.Parallel()
	var v verified
	for i := range verifiedMost + 1 {
		v.remember(hashOf(strconv.Itoa(i)), web.Principal{}, time.Unix(1, 0))
	}
	if n := len(v.tokens); n != 1 {
		t.Errorf("%d tokens are kept, want those before the last forgotten", n)
	}
}
