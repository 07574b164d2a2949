package cutover

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

const (
	gaugeEvery  = 250 * time.Millisecond
	gaugeWindow = 120                    // looks, of late, whose median is the usual latency
	gaugeTimes  = 5                      // the usual latency that make a primary count as busy
	gaugeFloor  = 25 * time.Millisecond  // which no latency below it does
	gaugeMost   = 5 * time.Second        // for a look; one that took longer tells no more
	restTimes   = 19                     // a worker rests as many times as long as it has worked, at most:
	restMost    = 2 * time.Second        // a twentieth of its time is its own. Nor for longer than this at a time
	restStep    = 100 * time.Millisecond // between two looks whether it need rest any longer
)

// gauge watches how long a primary takes to answer a small read, so that a
// backfill and the copier give way to members.
type gauge struct {
	store Store
	key   Key // of no record

	mu     sync.Mutex
	asked  time.Time       // when the last look began
	asking bool            // it is not over
	window []time.Duration // what the last looks took, in a ring
	next   int             // the oldest place of a full ring
	recent time.Duration
}

// nobody is an identity that no record has: one of the first second of 1970. It
// is the same each time, so that a run of the model can be repeated.
var nobody = ID{11: 1}

func (c *base) newGauge(s State) *gauge {
	primary, _ := c.stores(s)
	return &gauge{store: primary, key: Key{c.kinds[0].Name, nobody}}
}

// busy says why the primary counts as busy, "" while it does not. limit 0 means
// several times what is usual.
func (g *gauge) busy(ctx context.Context, limit time.Duration) (string, error) {
	if err := g.look(ctx); err != nil {
		return "", err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	takes := g.recent
	if g.asking { // another worker, and has no answer yet
		takes = max(takes, time.Since(g.asked))
	}
	if limit > 0 {
		if takes <= limit {
			return "", nil
		}
		return fmt.Sprintf("%s takes %s, more than the %s allowed", g.store.Name(), spell(takes), spell(limit)), nil
	}
	usual := g.usual()
	if takes <= max(gaugeFloor, gaugeTimes*usual) {
		return "", nil
	}
	return fmt.Sprintf("%s takes %s, %d times the usual", g.store.Name(), spell(takes), takes/max(usual, 1)), nil
}

// look times a read, unless that was done a moment ago or somebody is at it.
func (g *gauge) look(ctx context.Context) error {
	g.mu.Lock()
	if g.asking || time.Since(g.asked) < gaugeEvery {
		g.mu.Unlock()
		return nil
	}
	begin := time.Now()
	g.asking, g.asked = true, begin
	g.mu.Unlock()
	asking, cancel := context.WithTimeout(ctx, gaugeMost)
	defer cancel()
	_, err := g.store.Get(asking, []Key{g.key})
	if asking.Err() != nil && ctx.Err() == nil {
		err = nil // that it does not answer is an answer
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asking = false
	if err == nil {
		g.learn(time.Since(begin))
	}
	return err
}

// learn takes in a measurement.
func (g *gauge) learn(took time.Duration) {
	if len(g.window) == 0 {
		g.recent = took
	}
	g.recent = (3*g.recent + took) / 4
	if len(g.window) < gaugeWindow {
		g.window = append(g.window, took)
		return
	}
	g.window[g.next] = took
	g.next = (g.next + 1) % gaugeWindow
}

// usual is the median of the last looks, of half a minute where one follows the
// other: what the machine does now. Its best moment is not what it does, and one
// that is slow all the time is soon usual.
func (g *gauge) usual() time.Duration {
	if len(g.window) == 0 {
		return 0
	}
	return slices.Sorted(slices.Values(g.window))[(len(g.window)-1)/2]
}

// spell writes a duration as a sentence has it.
func spell(d time.Duration) string {
	if d < 10*time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%d s", int(d.Seconds()))
}

// maxLatency is the limit that an operator has set for the primary; 0: none.
func (s Settings) maxLatency() time.Duration { return time.Duration(s.MaxLatencyMS) * time.Millisecond }

// pace keeps a floor under a worker that gives way to others: whatever these are
// at, a twentieth of the time at least is its own. What it asks about them
// counts as rest, since questions are slow when rests are long.
type pace struct {
	since  time.Time     // what comes after is work
	credit time.Duration // how long it may rest; below zero after a rest that was longer
}

// tire ends a stretch of work, and says whether the worker may rest.
func (p *pace) tire() bool {
	now := time.Now()
	if !p.since.IsZero() {
		p.credit = min(restMost, p.credit+restTimes*now.Sub(p.since))
	}
	p.since = now
	return p.credit > 0
}

// rest ends a stretch of rest, and says whether the worker may rest on.
func (p *pace) rest() bool {
	now := time.Now()
	p.credit -= now.Sub(p.since)
	p.since = now
	return p.credit > 0
}
