package cutover

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

const (
	activityEvery = 10 * time.Second       // while it stays the same
	activityPause = 500 * time.Millisecond // at least, between two
)

// activityLog shows operators what a worker of a move does, or waits for.
type activityLog struct {
	*base
	role string

	mu    sync.Mutex
	shown string
	at    time.Time
}

func (l *activityLog) set(ctx context.Context, format string, args ...any) {
	doing := fmt.Sprintf(format, args...)
	if !l.due(doing) {
		return
	}
	e := l.engine
	a := Activity{Domain: l.name, Role: l.role, Who: e.opts.Process.ID, Doing: doing}
	if err := e.opts.Control.SetActivities(ctx, []Activity{a}); err != nil && ctx.Err() == nil {
		e.log.Debug("what this process does was not put on record", "domain", l.name, "error", err)
	}
}

// due says whether something is worth showing now, and takes it for shown.
func (l *activityLog) due(doing string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if since := time.Since(l.at); since < activityPause || doing == l.shown && since < activityEvery {
		return false
	}
	l.shown, l.at = doing, time.Now()
	return true
}

// activityBoard is an activityLog for all domains of a process, which costs as
// much as one.
type activityBoard struct {
	engine *Engine
	role   string

	mu      sync.Mutex
	doing   map[string]string // by domain
	changed chan struct{}
}

func newActivityBoard(e *Engine, role string) *activityBoard {
	return &activityBoard{engine: e, role: role, doing: map[string]string{}, changed: make(chan struct{}, 1)}
}

// set has show show what is done for a domain; "" takes it away.
func (b *activityBoard) set(domain, doing string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.doing[domain] == doing:
		return
	case doing == "":
		delete(b.doing, domain)
		return
	}
	b.doing[domain] = doing
	wake(b.changed)
}

// show shows what was set until ctx ends.
func (b *activityBoard) show(ctx context.Context) {
	for ctx.Err() == nil {
		if all := b.all(); len(all) > 0 {
			if err := b.engine.opts.Control.SetActivities(ctx, all); err != nil && ctx.Err() == nil {
				b.engine.log.Debug("what this process does was not put on record", "error", err)
			}
		}
		pause(ctx, activityPause)
		again := time.NewTimer(activityEvery)
		select {
		case <-ctx.Done():
		case <-b.changed:
		case <-again.C:
		}
		again.Stop()
	}
}

func (b *activityBoard) all() (out []Activity) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, domain := range slices.Sorted(maps.Keys(b.doing)) {
		out = append(out, Activity{Domain: domain, Role: b.role, Who: b.engine.opts.Process.ID, Doing: b.doing[domain]})
	}
	return out
}
