package cutover

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	gaugeEvery = 250 * time.Millisecond
	gaugeTimes = 5                     // the usual latency that make a primary count as busy
	gaugeFloor = 25 * time.Millisecond // which no latency below it does
)

// gauge watches how long a primary takes to answer a small read, so that a
// backfill and the copier give way to members.
type gauge struct {
	store Store
	key   Key // of no record

	mu            sync.Mutex
	looked        time.Time
	usual, recent time.Duration
}

// nobody is an identity that no record has: one of the first second of 1970. It
// is the same each time, so that a run of the model can be repeated.
var nobody = ID{11: 1}

func (c *domainCore) newGauge(s State) *gauge {
	primary, _ := c.stores(s)
	return &gauge{store: primary, key: Key{c.kinds[0].Name, nobody}}
}

// busy says why the primary counts as busy, "" while it does not. limit 0 means
// several times what is usual.
func (g *gauge) busy(ctx context.Context, limit time.Duration) (string, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if time.Since(g.looked) >= gaugeEvery {
		begin := time.Now()
		if _, err := g.store.Get(ctx, []Key{g.key}); err != nil {
			return "", err
		}
		g.looked = time.Now()
		g.learn(g.looked.Sub(begin))
	}
	if limit == 0 {
		limit = max(gaugeFloor, gaugeTimes*g.usual)
	}
	if g.recent <= limit {
		return "", nil
	}
	return fmt.Sprintf("%s takes %s to answer, more than %s", g.store.Name(), ms(g.recent), ms(limit)), nil
}

// learn takes in a measurement. What is usual is the least of late: it follows
// down at once, and up by a hundredth at a time.
func (g *gauge) learn(took time.Duration) {
	if g.usual == 0 {
		g.usual, g.recent = took, took
		return
	}
	g.usual = min(took, g.usual+g.usual/100)
	g.recent = (3*g.recent + took) / 4
}

// maxLatency is the limit that an operator has set for the primary; 0: none.
func (s Settings) maxLatency() time.Duration { return time.Duration(s.MaxLatencyMS) * time.Millisecond }

const (
	tellEvery = 10 * time.Second       // when nothing has changed
	tellPause = 500 * time.Millisecond // at least, between two
)

// teller tells operators what a worker of a move does, or what it waits for.
type teller struct {
	core *domainCore
	role string

	mu   sync.Mutex
	said string
	at   time.Time
}

func (t *teller) tell(ctx context.Context, format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	doing := fmt.Sprintf(format, args...)
	if since := time.Since(t.at); since < tellPause || doing == t.said && since < tellEvery {
		return
	}
	t.said, t.at = doing, time.Now()
	e := t.core.engine
	a := Activity{Domain: t.core.name, Role: t.role, Who: e.opts.Process.ID, Doing: doing}
	if err := e.opts.Control.Tell(ctx, a); err != nil && ctx.Err() == nil {
		e.log.Debug("what this process does could not be told", "domain", t.core.name, "error", err)
	}
}
