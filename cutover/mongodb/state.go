package mongodb

import (
	"context"
	"errors"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/amanat-dev/amanat/cutover"
)

// stateDoc is a domain's state as MongoDB keeps it.
type stateDoc struct {
	Domain string        `bson:"_id"`
	Phase  cutover.Phase `bson:"phase"`
	Epoch  int64         `bson:"epoch"`
	Sealed bool          `bson:"sealed"`
}

// ReadState gives the second copy of the domain's state, see
// cutover.StateKeeper.
func (s *store) ReadState(ctx context.Context) (cutover.State, error) {
	var d stateDoc
	err := s.db.state.FindOne(ctx, bson.D{{Key: fieldID, Value: s.domain}}).Decode(&d)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return cutover.State{}, nil
	}
	if err != nil {
		return cutover.State{}, translate(err, reading)
	}
	return cutover.State(d), nil
}

// WriteState writes st unless a state of a later epoch is there.
func (s *store) WriteState(ctx context.Context, st cutover.State) error {
	st.Domain = s.domain
	for {
		notLater := bson.D{
			{Key: fieldID, Value: s.domain},
			{Key: "epoch", Value: bson.D{{Key: "$lte", Value: st.Epoch}}},
		}
		res, err := s.db.state.ReplaceOne(ctx, notLater, stateDoc(st))
		if err != nil || res.MatchedCount == 1 {
			return translate(err, writing)
		}
		_, err = s.db.state.InsertOne(ctx, stateDoc(st))
		if !isDuplicate(err) {
			return translate(err, writing)
		}
		there, err := s.ReadState(ctx)
		if err != nil || there.Epoch > st.Epoch {
			return err
		}
	}
}
