package devstack

import (
	"context"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/amanat-dev/amanat/internal/devstack/mongosim"
)

// A server in memory can be killed, restarted and frozen like any other.
func TestSim_IsKilledAndFrozenLikeAnyOther(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]mongosim.Options{"single": {}, "set": {ReplicaSet: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := start(t, StartMongo, Options{Sim: &o})
			c := client(t, m.URI()).Database("shop").Collection("orders")
			fill(t, c, 100)
			if err := m.Freeze(); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			if _, err := c.InsertOne(ctx, bson.M{}); !mongo.IsTimeout(err) {
				t.Errorf("want no answer, and no refusal, got %v", err)
			}
			if err := m.Restart(t.Context()); err != nil {
				t.Fatal(err)
			}
			if n, err := c.CountDocuments(t.Context(), bson.M{}); err != nil || n != 100 {
				t.Errorf("want 100 documents after Restart, got %d, %v", n, err)
			}
		})
	}
}

// Only a server in this process can be made to hold an election.
func TestSim_IsThereForElections(t *testing.T) {
	t.Parallel()
	m := start(t, StartMongo, Options{Sim: &mongosim.Options{ReplicaSet: true}})
	s, err := m.Sim()
	if err != nil {
		t.Fatal(err)
	}
	c := client(t, m.URI()).Database("shop").Collection("orders")
	fill(t, c, 1)
	s.Elect(mongosim.Election{})
	fill(t, c, 1)
	if n, err := c.CountDocuments(t.Context(), bson.M{}); err != nil || n != 2 {
		t.Errorf("want 2 documents after an election, got %d, %v", n, err)
	}
	if _, err := (&Mongo{}).Sim(); err == nil {
		t.Error("want an error for a server that is not in this process")
	}
}
