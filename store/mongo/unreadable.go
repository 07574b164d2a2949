package mongo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// unreadable is a stored document that does not decode.
type unreadable struct {
	key   string
	cause error
}

func (u *unreadable) Error() string { return u.key + ": " + u.cause.Error() }
func (u *unreadable) Unwrap() error { return u.cause }

func unreadableIn(col *collection, doc bson.Raw, cause error) *unreadable {
	return &unreadable{fmt.Sprintf("%s/%s", col.Kind, rawID(doc)), cause}
}

// leftOutMost is of how many records it is remembered that they were left out.
const leftOutMost = 1000

// leftOut is what lists have left out because it was not readable. Each record
// is reported once.
type leftOut struct {
	mu   sync.Mutex
	keys map[string]bool
}

func (l *leftOut) add(ctx context.Context, u *unreadable) {
	l.mu.Lock()
	known := l.keys[u.key] || len(l.keys) == leftOutMost
	if !known {
		l.keys[u.key] = true
	}
	l.mu.Unlock()
	if !known {
		slog.WarnContext(ctx, "a stored record is not readable, and is left out of lists", "record", u.key, "error", u.cause)
	}
}

// Unreadable returns how many records lists have left out since the start,
// because they were not readable, up to 1,000.
func (db *DB) Unreadable() int {
	db.leftOut.mu.Lock()
	defer db.leftOut.mu.Unlock()
	return len(db.leftOut.keys)
}

// mayLeaveOut says that an error is about a record that a list can do without.
func (tx *Tx) mayLeaveOut(ctx context.Context, err error) bool {
	var u *unreadable
	if tx.complete || !errors.As(err, &u) {
		return false
	}
	tx.store.db.leftOut.add(ctx, u)
	return true
}
