package mongodb

import (
	"context"
	"errors"
	"fmt"

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

// Unreadable returns how many records lists have left out since the start,
// because they were not readable, up to 1,000.
func (db *DB) Unreadable() int { return db.leftOut.Count() }

// mayLeaveOut says that an error is about a record that a list can do without.
func (tx *Tx) mayLeaveOut(ctx context.Context, err error) bool {
	var u *unreadable
	if tx.complete || !errors.As(err, &u) {
		return false
	}
	tx.store.db.leftOut.Add(ctx, u.key, u.cause)
	return true
}
