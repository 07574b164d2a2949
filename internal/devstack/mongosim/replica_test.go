package mongosim_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"github.com/amanat-dev/amanat/internal/devstack/mongosim"
)

// direct connects to one member alone.
func direct(t *testing.T, address string) *mongo.Collection {
	t.Helper()
	c, err := mongo.Connect(options.Client().ApplyURI("mongodb://" + address + "/").SetDirect(true).SetRetryWrites(false).SetRetryReads(false).SetServerMonitoringMode("poll"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Disconnect(context.Background()) })
	return c.Database("d").Collection("c")
}

func run(c *mongo.Collection, command ...any) error {
	return c.Database().RunCommand(context.Background(), d(command...)).Err()
}

func write(c *mongo.Collection, id int, concern bson.D) error {
	return run(c, "insert", "c", "documents", bson.A{d("_id", id)}, "writeConcern", concern)
}

func read(c *mongo.Collection, level string) (n int, err error) {
	var reply struct {
		Cursor struct {
			FirstBatch []bson.Raw `bson:"firstBatch"`
		}
	}
	err = c.Database().RunCommand(context.Background(), d("find", "c", "readConcern", d("level", level), "maxTimeMS", 10_000)).Decode(&reply)
	return len(reply.Cursor.FirstBatch), err
}

// deposed has the first member go on as primary while another was elected,
// until the function that it returns is called.
func deposed(t *testing.T, s *mongosim.Server) (old *mongo.Collection, over func()) {
	t.Helper()
	hold, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		s.Elect(mongosim.Election{Until: hold, Hidden: true})
	}()
	old = direct(t, s.Addresses()[0])
	second, third := direct(t, s.Addresses()[1]), direct(t, s.Addresses()[2])
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
		// A write that a majority has says that there is a new primary.
		if write(second, 100, d("w", "majority")) == nil || write(third, 100, d("w", "majority")) == nil {
			return old, func() { close(hold); <-done }
		}
	}
	t.Fatal("nobody was elected")
	return nil, nil
}

// While two take themselves for the primary, the old one answers as before, and
// takes writes that are lost: only a majority, and a linearizable read, find out.
func TestADeposedPrimaryGoesOn(t *testing.T) {
	t.Parallel()
	s, c := replicaSet(t, mongosim.Options{})
	insert(t, c, d("_id", 1))
	s.Settle()
	old, over := deposed(t, s)
	for _, level := range []string{"local", "majority"} {
		if n, err := read(old, level); err != nil || n != 1 {
			t.Errorf("the old primary has %d documents at %s (%v), want 1, the stale answer", n, level, err)
		}
	}
	if err := write(old, 2, d("w", 1)); err != nil {
		t.Errorf("a write by one alone gave %v, want none", err)
	}
	if n, err := read(old, "local"); err != nil || n != 2 {
		t.Errorf("the old primary has %d documents (%v), want its own write too: 2", n, err)
	}
	if n, err := read(old, "majority"); err != nil || n != 1 {
		t.Errorf("a majority has %d documents (%v), want 1", n, err)
	}
	err := run(old, "insert", "c", "documents", bson.A{d("_id", 3)}, "writeConcern", d("w", "majority", "wtimeout", 20))
	var concern mongo.WriteException
	if !errors.As(err, &concern) || concern.WriteConcernError == nil || concern.WriteConcernError.Code != 64 {
		t.Errorf("a write by a majority gave %v, want a timeout of its concern", err)
	}
	lin := make(chan error)
	go func() { _, err := read(old, "linearizable"); lin <- err }()
	maj := make(chan error)
	go func() { maj <- write(old, 4, d("w", "majority")) }()
	time.Sleep(20 * time.Millisecond)
	over()
	if err := <-lin; err == nil {
		t.Error("a linearizable read on the old primary had an answer")
	}
	if err := <-maj; err == nil {
		t.Error("a write by a majority succeeded on the old primary")
	}
	if ids := found(t, c, d()); len(ids) != 2 || ids[0] != int32(1) || ids[1] != int32(100) {
		t.Errorf("%v are left, want 1 and 100: what only the old primary had is rolled back", ids)
	}
	fresh := direct(t, s.Addresses()[0])
	wantCode(t, "a write on a secondary", write(fresh, 5, d("w", 1)), 10107)
}

// What a majority had is there after an election; what one alone had, and had
// not sent on yet, is not.
func TestAnElectionRollsBack(t *testing.T) {
	t.Parallel()
	s, c := replicaSet(t, mongosim.Options{Lag: 50 * time.Millisecond})
	if err := write(c, 1, d("w", "majority")); err != nil {
		t.Fatal(err)
	}
	if err := write(c, 2, d("w", 1)); err != nil {
		t.Fatal(err)
	}
	s.Elect(mongosim.Election{})
	if ids := found(t, c, d()); len(ids) != 1 {
		t.Errorf("%v are left, want 1 alone", ids)
	}
}

// A client that writes and retries comes through elections: nothing that was
// acknowledged is lost, nothing is there twice.
func TestWritesComeThroughElections(t *testing.T) {
	t.Parallel()
	s, c := replicaSet(t, mongosim.Options{Seed: 3, Lag: time.Millisecond})
	majority := c.Database().Collection("c", options.Collection().SetWriteConcern(writeconcern.Majority()))
	insert(t, majority, d("_id", 1, "n", 0))
	s.Fault(mongosim.Fault{Commands: []string{"update"}, Chance: 0.05, HangUp: mongosim.AfterIt})
	elections := make(chan struct{})
	go func() {
		defer close(elections)
		for range 3 {
			time.Sleep(30 * time.Millisecond)
			s.Elect(mongosim.Election{Stale: 20 * time.Millisecond})
		}
	}()
	good, open := int64(0), int64(0)
	for done := false; !done; {
		select {
		case <-elections:
			done = true
		default:
		}
		if add(t.Context(), majority, 1, 1) == nil {
			good++
		} else {
			open++
		}
	}
	if n := balance(t, t.Context(), c, 1); n < good || n > good+open {
		t.Errorf("there is %d after %d writes and %d of unknown outcome", n, good, open)
	}
}

// A secondary answers who asks for one, from what it has.
func TestASecondaryAnswersWhoAsksForIt(t *testing.T) {
	t.Parallel()
	_, c := replicaSet(t, mongosim.Options{})
	insert(t, c, d("_id", 1))
	second := c.Database().Collection("c", options.Collection().SetReadPreference(readpref.Secondary()))
	if ids := found(t, second, d()); len(ids) != 1 {
		t.Errorf("a secondary has %v, want 1", ids)
	}
}

// An election ends the transactions of the old primary; the commit of one says
// to begin anew.
func TestAnElectionEndsTransactions(t *testing.T) {
	t.Parallel()
	server, c := replicaSet(t, mongosim.Options{})
	insert(t, c, d("_id", 1, "n", 1))
	s, ctx := begin(t, c)
	if err := add(ctx, c, 1, 1); err != nil {
		t.Fatal(err)
	}
	server.Elect(mongosim.Election{})
	err := s.CommitTransaction(t.Context())
	var e mongo.ServerError
	if !errors.As(err, &e) || !e.HasErrorLabel("TransientTransactionError") {
		t.Errorf("the commit gave %v, want an error to begin anew on", err)
	}
	if n := balance(t, t.Context(), c, 1); n != 1 {
		t.Errorf("there is %d, want 1", n)
	}
}

// A commit whose outcome nobody could tell says so.
func TestACommitOfUnknownOutcome(t *testing.T) {
	t.Parallel()
	server, c := replicaSet(t, mongosim.Options{})
	insert(t, c, d("_id", 1, "n", 1))
	s, ctx := begin(t, c)
	if err := add(ctx, c, 1, 1); err != nil {
		t.Fatal(err)
	}
	server.Fault(mongosim.Fault{Commands: []string{"commitTransaction"}, Times: 2, HangUp: mongosim.AfterIt})
	err := s.CommitTransaction(t.Context())
	var e mongo.LabeledError
	if !errors.As(err, &e) || !e.HasErrorLabel("UnknownTransactionCommitResult") {
		t.Errorf("the commit gave %v, want an unknown result", err)
	}
	if err := s.CommitTransaction(t.Context()); err != nil {
		t.Errorf("asked again, the commit gave %v", err)
	}
	if n := balance(t, t.Context(), c, 1); n != 2 {
		t.Errorf("there is %d, want 2", n)
	}
}
