package mongosim

import (
	"go.mongodb.org/mongo-driver/v2/bson"
)

// stream is a change stream.
type stream struct{}

func (s *stream) token(body bson.D) bson.D { return body }

func (o *operation) watch(bson.RawValue, []bson.Raw, *int64) (bson.D, error) {
	return nil, refuse(codeNotImplemented, "mongosim: $changeStream is not implemented")
}

func (o *operation) fillWaiting(c *cursor, st *state, limit int64) (bson.A, bool, error) {
	return o.fill(c, st, limit)
}
