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
	Domain string `bson:"_id"`
	Phase  string `bson:"phase"` // as Phase.Stored has it
	Epoch  int64  `bson:"epoch"`
	Sealed bool   `bson:"sealed"`
}

// ReadState returns the second copy of the domain's state, see
// cutover.StateMirror.
func (s *store) ReadState(ctx context.Context) (cutover.State, error) {
	var d stateDoc
	err := s.db.state.FindOne(ctx, bson.D{{Key: fieldID, Value: s.domain}}).Decode(&d)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return cutover.State{}, nil
	}
	if err != nil {
		return cutover.State{}, translate(err, reading)
	}
	return d.state()
}

func (d stateDoc) state() (cutover.State, error) {
	phase, err := cutover.ParsePhase(d.Phase)
	return cutover.State{Domain: d.Domain, Phase: phase, Epoch: d.Epoch, Sealed: d.Sealed}, err
}

// Place: see cutover.SharedMirror.
func (s *store) Place() any { return s.db }

// ReadStates: see cutover.SharedMirror.
func (s *store) ReadStates(ctx context.Context) (map[string]cutover.State, error) {
	cur, err := s.db.state.Find(ctx, bson.D{})
	if err != nil {
		return nil, translate(err, reading)
	}
	var docs []stateDoc
	if err := cur.All(ctx, &docs); err != nil {
		return nil, translate(err, reading)
	}
	out := map[string]cutover.State{}
	for _, d := range docs {
		if out[d.Domain], err = d.state(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// WriteState writes st unless a state of a later epoch is there.
func (s *store) WriteState(ctx context.Context, st cutover.State) error {
	doc := stateDoc{Domain: s.domain, Phase: st.Phase.Stored(), Epoch: st.Epoch, Sealed: st.Sealed}
	for {
		notLater := bson.D{
			{Key: fieldID, Value: s.domain},
			{Key: "epoch", Value: bson.D{{Key: "$lte", Value: st.Epoch}}},
		}
		res, err := s.db.state.ReplaceOne(ctx, notLater, doc)
		if err != nil || res.MatchedCount == 1 {
			return translate(err, writing)
		}
		_, err = s.db.state.InsertOne(ctx, doc)
		if !isDuplicate(err) {
			return translate(err, writing)
		}
		there, err := s.ReadState(ctx)
		if err != nil || there.Epoch > st.Epoch {
			return err
		}
	}
}
