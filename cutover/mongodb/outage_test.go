package mongodb_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/cutover/mongodb"
	"github.com/amanat-dev/amanat/internal/devstack"
)

// The server is killed under four writers: whatever was acknowledged is there
// when it is back, what was not may be, and nothing is half there.
func TestAnOutageLosesNothingAcknowledged(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a server of its own")
	}
	t.Parallel()
	server, err := devstack.StartMongo(t.Context(), devstack.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Stop() })
	bk := openBankAt(t, server.URI(), "bank")
	bk.db.SetPatience(500*time.Millisecond, time.Second)
	if err := bk.db.EnsureIndexes(t.Context()); err != nil {
		t.Fatal(err)
	}
	one, two := newAccount("x", 0), newAccount("x", 0)
	bk.put(t, one, two)

	var good, open atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				op, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				switch err := increment(op, bk, []cutover.ID{one.ID, two.ID}); {
				case err == nil:
					good.Add(1)
				case fault.Is(err, fault.Unavailable):
					open.Add(1)
					time.Sleep(20 * time.Millisecond)
				default:
					t.Errorf("an Update during the outage gave %v, want unavailable", err)
				}
				cancel()
			}
		})
	}
	waitUntil(t, func() bool { return good.Load() >= 10 })
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, func() bool { return open.Load() >= 4 })
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := good.Load()
	waitUntil(t, func() bool { return good.Load() >= before+5 })
	stop()
	wg.Wait()

	bk.impatient()
	if err := mongodb.Recover(t.Context(), bk.Side); err != nil {
		t.Fatal(err)
	}
	bk.wantClean(t)
	a, errA := bk.account(t, one.ID)
	b, errB := bk.account(t, two.ID)
	if err := errors.Join(errA, errB); err != nil {
		t.Fatal(err)
	}
	if a.Balance != b.Balance || a.Balance < good.Load() || a.Balance > good.Load()+open.Load() {
		t.Errorf("balances are %d and %d after %d Updates and %d of unknown outcome", a.Balance, b.Balance, good.Load(), open.Load())
	}
}

func waitUntil(t *testing.T, done func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it did not come about within a minute")
		}
	}
}
