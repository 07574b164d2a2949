package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/amanat-dev/amanat/devstack/history"
)

// contest has clients ready to contend.
func (s *stage) contest(t *testing.T) *history.Contest {
	t.Helper()
	c, err := history.New(t.Context(), history.Options{Servers: s.d.Addresses(), Admin: s.cast.Admin, Clients: 2, Pace: 250 * time.Millisecond, Seed: 7})
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
		if writes := counts["set"] + counts["touch"] + counts["settle"]; writes < 30 {
			t.Errorf("%s: want 30 writes at least, got %v", kind, counts)
		}
	}
	if err := h.Check(filepath.Join(os.TempDir(), fmt.Sprintf("amanat-history-%d", os.Getpid()))); err != nil {
		t.Error(err)
	}
}
