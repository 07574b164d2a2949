package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/amanat-dev/amanat/internal/devstack/history"
)

// contest has clients ready to contend.
func (s *stage) contest(t *testing.T) *history.Contest {
	t.Helper()
	c, err := history.New(t.Context(), history.Options{Servers: s.d.Addresses(), Admin: s.cast.Admin, Clients: 2, Seed: 7})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// contending runs do while clients contend.
func contending(t *testing.T, c *history.Contest, do func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	clients.Go(func() { c.Run(ctx) })
	defer clients.Wait()
	defer cancel()
	do()
}

// writesJudged are those of each kind that a judgement takes at least.
const writesJudged = 30

func writes(counts map[string]int) int { return counts["set"] + counts["touch"] + counts["settle"] }

// awaitWrites waits until clients have written enough of each kind.
func (s *stage) awaitWrites(t *testing.T, c *history.Contest, kinds ...string) {
	t.Helper()
	for _, kind := range kinds {
		untilFar(t, fmt.Sprintf("%d writes of %s", writesJudged, kind), func() (bool, string) {
			n := writes(c.History().Count(kind))
			return n >= writesJudged, fmt.Sprint(n)
		})
	}
}

// linearizable judges what was recorded, of which there has to be enough. The
// pages that show what cannot be explained outlive the test.
func linearizable(t *testing.T, c *history.Contest, kinds ...string) {
	t.Helper()
	for kind, tally := range c.Tallies() {
		t.Logf("%s: %+v", kind, tally)
		if tally.Wrong > 0 {
			t.Errorf("%s: want no request refused without a cause, got %d: %q", kind, tally.Wrong, tally.Samples)
		}
	}
	h := c.History()
	for _, kind := range kinds {
		counts := h.Count(kind)
		t.Logf("%s: %v", kind, counts)
		if writes(counts) < writesJudged {
			t.Errorf("%s: want %d writes at least, got %v", kind, writesJudged, counts)
		}
	}
	if err := h.Check(filepath.Join(os.TempDir(), fmt.Sprintf("amanat-history-%d", os.Getpid()))); err != nil {
		t.Error(err)
	}
}
