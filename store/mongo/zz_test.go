package mongo_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"math/rand/v2"
	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/fault"
	"github.com/amanat-dev/amanat/store/mongo"
)

func TestZZ(t *testing.T) {
	bk, other := newBank(t)
	one, two := newAccount("x", 0), newAccount("x", 0)
	bk.put(t, one, two)
	for name, ids := range map[string][]cutover.ID{"one": {one.ID}, "two": {one.ID, two.ID}} {
		start := time.Now()
		for range 20 { if err := increment(t.Context(), bk, ids); err != nil { t.Fatal(err) } }
		t.Logf("%s: %v each", name, time.Since(start)/20)
	}
	var tries, steps atomic.Int64
	var worst, total atomic.Int64
	for _, b := range []*bank{bk, other} { b.db.OnStep(func(string) error { steps.Add(1); return nil }) }
	start := time.Now()
	var wg sync.WaitGroup
	for w := range 8 {
		mine := []*bank{bk, other}[w%2]
		wg.Go(func() {
			for range 6 {
				for {
					tries.Add(1)
					s := time.Now()
					err := mine.update(t.Context(), func(ctx context.Context, tx *mongo.Tx) error {
						for _, id := range []cutover.ID{one.ID, two.ID} {
							a, err := mongo.Get[account](ctx, tx, "account", id)
							if err != nil { return err }
							a.Balance++
							if err := tx.Put(ctx, &a); err != nil { return err }
						}
						return nil
					})
					d := time.Since(s).Milliseconds()
					total.Add(d)
					if d > worst.Load() { worst.Store(d) }
					if !fault.Is(err, fault.Conflict) { break }
					time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond)
				}
			}
		})
	}
	wg.Wait()
	t.Logf("tries %d steps %d in %v; worst %d ms, mean %d", tries.Load(), steps.Load(), time.Since(start), worst.Load(), total.Load()/tries.Load())
}
