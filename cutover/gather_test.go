package cutover_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestWritesThatComeTogetherAreCopiedTogether: within the bubble no time passes
// while the writes are made, so that they come at one moment.
func TestWritesThatComeTogetherAreCopiedTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.copyOver(t)
		time.Sleep(time.Second)
		synctest.Wait()
		var copies atomic.Int64
		w.target.Before(func(op string) error {
			if op == "apply" {
				copies.Add(1)
			}
			return nil
		})
		const writes = 10
		for range writes {
			must[account](t)(w.banks[0].open(t.Context(), "sara"))
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if n := w.notes(t); n != 0 {
			t.Errorf("%d notes are left", n)
		}
		if n := copies.Load(); n != 1 {
			t.Errorf("%d writes of one moment were copied in %d rounds, want one", writes, n)
		}
		for _, b := range w.banks {
			if err := b.engine.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
}
