package cutover

import (
	"context"
	"sync"
	"time"
)

// local is what this process knows of a domain, and what it has let in: each
// Update is admitted in a state, and is in flight until it is answered.
type local struct {
	*base

	mu       sync.Mutex
	state    State
	settings Settings
	changed  chan struct{} // closed and replaced when the state changes
	inflight map[int64]int // epoch → Updates admitted in it and not yet answered
	waiting  int           // Updates that wait while the domain is sealed
}

func newLocal(b *base) *local {
	return &local{base: b, settings: DefaultSettings, changed: make(chan struct{}), inflight: map[int64]int{}}
}

// current returns the state as this process knows it.
func (c *local) current() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

// setState takes over a newer state and wakes whoever waits for one.
func (c *local) setState(s State) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fixed || s.Epoch <= c.state.Epoch {
		return
	}
	c.state = s
	close(c.changed)
	c.changed = make(chan struct{})
}

// changedSince returns a channel that is closed once the state is another than s.
func (c *local) changedSince(s State) <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != s {
		closed := make(chan struct{})
		close(closed)
		return closed
	}
	return c.changed
}

// setSettings says whether they are others than before.
func (c *local) setSettings(s Settings) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	changed := c.settings != s
	c.settings = s
	return changed
}

func (c *local) currentSettings() Settings {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.settings
}

// acknowledged returns the epoch on which this process works: the present one
// once no Update of an earlier one is in flight.
func (c *local) acknowledged() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	epoch := c.state.Epoch
	for e := range c.inflight {
		epoch = min(epoch, e)
	}
	return epoch
}

// admit lets an Update in, or has it wait while the domain is sealed. It gives
// the state, and the lease's term from before that was looked at.
func (c *local) admit(ctx context.Context, deadline time.Time) (State, int64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	term := c.engine.leaseTerm()
	if c.state.Epoch == 0 {
		return State{}, 0, errShut()
	}
	for c.state.Sealed {
		if c.elsewhere(c.state) {
			return State{}, 0, errElsewhere(c.name)
		}
		if c.waiting >= c.engine.opts.MaxWaiting {
			return State{}, 0, errBusy("too many writes are waiting; nothing was written")
		}
		if err := c.wait(ctx, deadline); err != nil {
			return State{}, 0, err
		}
		term = c.engine.leaseTerm()
	}
	c.inflight[c.state.Epoch]++
	return c.state, term, nil
}

// wait blocks, with c.mu given up meanwhile, until the state changes.
func (c *local) wait(ctx context.Context, deadline time.Time) error {
	changed := c.changed
	c.waiting++
	c.mu.Unlock()
	err := awaitChange(ctx, changed, deadline)
	c.mu.Lock()
	c.waiting--
	return err
}

func (c *local) release(epoch int64) {
	c.mu.Lock()
	c.inflight[epoch]--
	idle := c.inflight[epoch] == 0
	if idle {
		delete(c.inflight, epoch)
	}
	behind := idle && epoch < c.state.Epoch
	c.mu.Unlock()
	if behind {
		c.engine.wakeAgent() // somebody may wait for this acknowledgement
	}
}

// awaitNewer waits until this process knows a state later than epoch.
func (c *local) awaitNewer(ctx context.Context, epoch int64, deadline time.Time) error {
	c.engine.wakeAgent()
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.state.Epoch <= epoch {
		if err := c.wait(ctx, deadline); err != nil {
			return err
		}
	}
	return nil
}
