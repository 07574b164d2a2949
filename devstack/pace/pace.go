// Package pace has those who send requests follow what the servers serve: on a
// machine that is slow, or does other things, they send fewer.
package pace

import (
	"context"
	"sync"
	"time"
)

const (
	// floor is the requests per second that are sent however long answers take.
	floor = 2
	// memory is how many answers the mean that counts is made of, about.
	memory = 16
)

// Pace spaces requests out so that, on average, so many are under way. By
// Little's law that is their rate times the time that one takes; so the rate
// falls as answers take longer, and servers are never sent more than they have
// answered. Make it with New.
type Pace struct {
	ceiling, load float64

	turn chan struct{} // who holds it waits for the moment of the next request

	mu   sync.Mutex
	took time.Duration // by a request, on average of late; 0 before the first answer
	last time.Time     // when a request was sent
}

// New returns a pace of so many requests under way on average, and of ceiling
// requests per second at most.
func New(ceiling, load float64) *Pace {
	return &Pace{ceiling: ceiling, load: load, turn: make(chan struct{}, 1)}
}

// Await waits until the next request may be sent. Who has sent it calls
// Answered.
func (p *Pace) Await(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case p.turn <- struct{}{}:
	}
	defer func() { <-p.turn }()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(p.wait()):
	}
	if ctx.Err() != nil { // both at once
		return ctx.Err()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = time.Now()
	return nil
}

// Answered takes in how long a request took. More than what leads to the floor
// counts as that, so that one answer that hung does not slow down the next ones
// for long.
func (p *Pace) Answered(took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	took = min(took, time.Duration(p.load/floor*float64(time.Second)))
	if p.took == 0 {
		p.took = took
		return
	}
	p.took += (took - p.took) / memory
}

// Rate says how many requests per second may be sent at present.
func (p *Pace) Rate() float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rate()
}

func (p *Pace) rate() float64 {
	slowest := min(floor, p.ceiling)
	if p.took == 0 {
		return slowest
	}
	return max(slowest, min(p.ceiling, p.load/p.took.Seconds()))
}

func (p *Pace) wait() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Until(p.last.Add(time.Duration(float64(time.Second) / p.rate())))
}
