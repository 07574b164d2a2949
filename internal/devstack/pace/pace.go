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

// Options bound what is sent.
type Options struct {
	Ceiling float64 // requests per second at most
	Load    float64 // requests under way on average
	Abreast int     // requests under way at any moment at most
}

// Pace spaces requests out so that, on average, so many are under way. By
// Little's law that is their rate times the time that one takes; so the rate
// falls as answers take longer, and servers are never sent more than they have
// answered. Make it with New.
type Pace struct {
	o     Options
	slots chan struct{} // one for each request under way
	turn  chan struct{} // who holds it waits for the moment of the next request

	mu   sync.Mutex
	took time.Duration // by a request, on average of late; 0 before the first answer
	last time.Time     // when a request was sent
}

// New returns a pace at which nothing was sent yet.
func New(o Options) *Pace {
	return &Pace{o: o, slots: make(chan struct{}, o.Abreast), turn: make(chan struct{}, 1)}
}

// Begin waits until the next request may be sent. Who has sent it calls end when
// the answer is there, or will not come.
func (p *Pace) Begin(ctx context.Context) (end func(), err error) {
	if err := take(ctx, p.slots); err != nil {
		return nil, err
	}
	if err := p.await(ctx); err != nil {
		<-p.slots
		return nil, err
	}
	began := time.Now()
	return func() {
		p.learn(time.Since(began))
		<-p.slots
	}, nil
}

// await waits for the moment of the next request.
func (p *Pace) await(ctx context.Context) error {
	if err := take(ctx, p.turn); err != nil {
		return err
	}
	defer func() { <-p.turn }()
	select {
	case <-ctx.Done():
	case <-time.After(p.wait()):
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = time.Now()
	return nil
}

// take takes a place in a channel.
func take(ctx context.Context, places chan<- struct{}) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case places <- struct{}{}:
		return nil
	}
}

// learn takes in how long a request took. More than what leads to the floor
// counts as that, so that one answer that hung does not slow down the next ones
// for long.
func (p *Pace) learn(took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	took = min(took, time.Duration(p.o.Load/floor*float64(time.Second)))
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
	slowest := min(floor, p.o.Ceiling)
	if p.took == 0 {
		return slowest
	}
	return max(slowest, min(p.o.Ceiling, p.o.Load/p.took.Seconds()))
}

func (p *Pace) wait() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Until(p.last.Add(time.Duration(float64(time.Second) / p.rate())))
}
