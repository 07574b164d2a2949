package cutover

import (
	"context"
	"fmt"
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
	if err := e.opts.Control.SetActivity(ctx, a); err != nil && ctx.Err() == nil {
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
