package memdb

import (
	"context"
	"sync"

	"github.com/amanat-dev/amanat/cutover/fault"
)

// fence is a shared and exclusive lock, as an advisory lock of PostgreSQL is:
// whoever waits to have it alone keeps newcomers waiting, and a wait ends with
// its context.
type fence struct {
	mu      sync.Mutex
	sharing int
	alone   bool // somebody has it, or waits to have it, alone
	changed chan struct{}
}

func newFence() *fence { return &fence{changed: make(chan struct{})} }

// until waits until ready, called with f.mu held, is true, and then calls then.
func (f *fence) until(ctx context.Context, ready func() bool, then func()) error {
	for {
		f.mu.Lock()
		if ready() {
			then()
			f.mu.Unlock()
			return nil
		}
		changed := f.changed
		f.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return fault.Wrap(ctx.Err(), fault.Unavailable, "the wait for the fence ended")
		}
	}
}

// change changes the fence and wakes whoever waits.
func (f *fence) change(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *fence) share(ctx context.Context) error {
	return f.until(ctx, func() bool { return !f.alone }, func() { f.sharing++ })
}

func (f *fence) unshare() { f.change(func() { f.sharing-- }) }

func (f *fence) exclude(ctx context.Context) error {
	if err := f.until(ctx, func() bool { return !f.alone }, func() { f.alone = true }); err != nil {
		return err
	}
	err := f.until(ctx, func() bool { return f.sharing == 0 }, func() {})
	if err != nil {
		f.admit()
	}
	return err
}

func (f *fence) admit() { f.change(func() { f.alone = false }) }
