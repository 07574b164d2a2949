package cutover

import (
	"context"
	"log/slog"
	"sync"
)

// leftOutMost is of how many records it is remembered that they were left out.
const leftOutMost = 1000

// LeftOut is what lists of a database have left out because it was not
// readable. Each record is reported once. The zero value is ready.
type LeftOut struct {
	mu   sync.Mutex
	keys map[string]bool
}

// Add counts a record, such as "payment/6b0a…".
func (l *LeftOut) Add(ctx context.Context, record string, cause error) {
	l.mu.Lock()
	known := l.keys[record] || len(l.keys) == leftOutMost
	if !known {
		if l.keys == nil {
			l.keys = map[string]bool{}
		}
		l.keys[record] = true
	}
	l.mu.Unlock()
	if !known {
		slog.WarnContext(ctx, "a stored record is not readable, and is left out of lists", "record", record, "error", cause)
	}
}

// Count says how many records there are, up to 1,000.
func (l *LeftOut) Count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.keys)
}
