package mongosim_test

import (
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/amanat-dev/amanat/internal/devstack/mongosim"
)

// told reads the kinds of the next events of a change stream.
func told(t *testing.T, s *mongo.ChangeStream, n int) []string {
	t.Helper()
	var kinds []string
	for range n {
		if !s.Next(t.Context()) {
			t.Fatalf("the stream ended after %v: %v", kinds, s.Err())
		}
		kinds = append(kinds, s.Current.Lookup("operationType").StringValue())
	}
	return kinds
}

func watch(t *testing.T, c *mongo.Collection, o ...options.Lister[options.ChangeStreamOptions]) *mongo.ChangeStream {
	t.Helper()
	s, err := c.Watch(t.Context(), mongo.Pipeline{}, o...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(t.Context()) })
	return s
}

func wantTold(t *testing.T, got []string, want ...string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("the stream told %v, want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("the stream told %v, want %v", got, want)
		}
	}
}

// A change stream tells every change in order, and goes on where it was, also
// on another primary.
func TestAChangeStreamTellsEveryChange(t *testing.T) {
	t.Parallel()
	server, c := replicaSet(t, mongosim.Options{})
	insert(t, c, d("_id", 0))
	s := watch(t, c)
	insert(t, c, d("_id", 1, "n", 1))
	if err := add(t.Context(), c, 1, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := c.ReplaceOne(t.Context(), d("_id", 1), d("m", 3)); err != nil {
		t.Fatal(err)
	}
	wantTold(t, told(t, s, 2), "insert", "update")
	token := s.ResumeToken()
	wantTold(t, told(t, s, 1), "replace")
	server.Elect(mongosim.Election{})
	if _, err := c.DeleteOne(t.Context(), d("_id", 1)); err != nil {
		t.Fatal(err)
	}
	wantTold(t, told(t, s, 1), "delete")
	wantTold(t, told(t, watch(t, c, options.ChangeStream().SetResumeAfter(token)), 2), "replace", "delete")
}

// What no majority has is not told.
func TestAChangeStreamTellsWhatAMajorityHas(t *testing.T) {
	t.Parallel()
	server, c := replicaSet(t, mongosim.Options{Lag: time.Hour})
	s := watch(t, c, options.ChangeStream().SetMaxAwaitTime(10*time.Millisecond))
	if err := write(c, 1, d("w", 1)); err != nil {
		t.Fatal(err)
	}
	if s.TryNext(t.Context()) {
		t.Errorf("the stream told %v, which one member alone has", s.Current)
	}
	server.Settle()
	wantTold(t, told(t, s, 1), "insert")
}

func TestASingleServerHasNoChangeStreams(t *testing.T) {
	t.Parallel()
	_, err := single(t).Watch(t.Context(), bson.A{})
	wantCode(t, "a change stream", err, 40573)
}
