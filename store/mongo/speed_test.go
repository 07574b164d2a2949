package mongo_test

import (
	"testing"
	"time"
	"github.com/amanat-dev/amanat/cutover"
)

func TestSpeed(t *testing.T) {
	bk, _ := newBank(t)
	one, two := newAccount("x", 0), newAccount("x", 0)
	bk.put(t, one, two)
	for name, ids := range map[string][]cutover.ID{"one": {one.ID}, "two": {one.ID, two.ID}} {
		start := time.Now()
		for range 50 {
			if err := increment(t.Context(), bk, ids); err != nil { t.Fatal(err) }
		}
		t.Logf("%s: %v each", name, time.Since(start)/50)
	}
	start := time.Now()
	for range 50 { bk.owned(t, "x", 0) }
	t.Logf("find+count: %v each", time.Since(start)/50)
}
