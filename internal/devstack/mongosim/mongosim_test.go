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

	"github.com/amanat-dev/amanat/internal/devstack/mongosim"
)

// start starts a server that ends with the test.
func start(t *testing.T, o mongosim.Options) *mongosim.Server {
	t.Helper()
	s, err := mongosim.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() })
	return s
}

// connect connects the official driver.
func connect(t *testing.T, uri string) *mongo.Client {
	t.Helper()
	c, err := mongo.Connect(options.Client().ApplyURI(uri).SetServerSelectionTimeout(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Disconnect(context.Background()) })
	return c
}

// single is a collection of a single server, member one of a replica set.
func single(t *testing.T) *mongo.Collection {
	t.Helper()
	return connect(t, start(t, mongosim.Options{}).URI()).Database("d").Collection("c")
}

func replicaSet(t *testing.T, o mongosim.Options) (*mongosim.Server, *mongo.Collection) {
	t.Helper()
	o.ReplicaSet = true
	s := start(t, o)
	return s, connect(t, s.URI()).Database("d").Collection("c")
}

func d(pairs ...any) bson.D {
	out := bson.D{}
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, bson.E{Key: pairs[i].(string), Value: pairs[i+1]})
	}
	return out
}

func insert(t *testing.T, c *mongo.Collection, docs ...any) {
	t.Helper()
	if _, err := c.InsertMany(t.Context(), docs); err != nil {
		t.Fatal(err)
	}
}

// found returns the ids that a filter finds, by _id.
func found(t *testing.T, c *mongo.Collection, filter any, o ...options.Lister[options.FindOptions]) []any {
	t.Helper()
	cur, err := c.Find(t.Context(), filter, o...)
	if err != nil {
		t.Fatal(err)
	}
	var docs []struct {
		ID any `bson:"_id"`
	}
	if err := cur.All(t.Context(), &docs); err != nil {
		t.Fatal(err)
	}
	ids := []any{}
	for _, doc := range docs {
		ids = append(ids, doc.ID)
	}
	return ids
}

// wantCode fails unless an error has a code.
func wantCode(t *testing.T, what string, err error, code int) {
	t.Helper()
	var server mongo.ServerError
	if !errors.As(err, &server) || !server.HasErrorCode(code) {
		t.Errorf("%s gave %v, want code %d", what, err, code)
	}
}

// What this server does not know is refused by name, never guessed.
func TestWhatIsNotKnownIsRefused(t *testing.T) {
	t.Parallel()
	c := single(t)
	insert(t, c, d("_id", 1))
	run := func(command bson.D) error { return c.Database().RunCommand(t.Context(), command).Err() }
	wantCode(t, "an unknown command", run(d("mapReduce", "c")), 59)
	wantCode(t, "an unknown option", run(d("find", "c", "collation", d("locale", "en"))), 40415)
	wantCode(t, "an unknown operator", run(d("find", "c", "filter", d("a", d("$near", 1)))), 2)
	_, err := c.UpdateOne(t.Context(), d("_id", 1), d("$bit", d("a", 1)))
	wantCode(t, "an unknown update operator", err, 9)
	_, err = c.UpdateOne(t.Context(), d("_id", 1), bson.A{d("$set", d("a", 1))})
	wantCode(t, "a pipeline as an update", err, 238)
	_, err = c.Aggregate(t.Context(), bson.A{d("$lookup", d())})
	wantCode(t, "an unknown stage", err, 40324)
}

func TestASingleServerHasNoTransactions(t *testing.T) {
	t.Parallel()
	c := single(t)
	err := c.Database().Client().UseSession(t.Context(), func(ctx context.Context) error {
		s := mongo.SessionFromContext(ctx)
		if err := s.StartTransaction(); err != nil {
			return err
		}
		_, err := c.InsertOne(ctx, d("_id", 1))
		return err
	})
	wantCode(t, "a transaction", err, 20)
	if err := c.Database().Client().Ping(t.Context(), readpref.Primary()); err != nil {
		t.Error(err)
	}
}

// A cursor that nobody asks is gone after its time.
func TestACursorTimesOut(t *testing.T) {
	t.Parallel()
	s := start(t, mongosim.Options{CursorTimeout: time.Millisecond})
	c := connect(t, s.URI()).Database("d").Collection("c")
	insert(t, c, d("_id", 1), d("_id", 2), d("_id", 3))
	cur, err := c.Find(t.Context(), d(), options.Find().SetBatchSize(1))
	if err != nil {
		t.Fatal(err)
	}
	cur.Next(t.Context())
	time.Sleep(10 * time.Millisecond)
	if cur.Next(t.Context()) {
		t.Error("the cursor went on, want it gone")
	}
	wantCode(t, "its next batch", cur.Err(), 43)
}

// Without a batch size the first reply has 101 documents.
func TestTheFirstBatchHas101Documents(t *testing.T) {
	t.Parallel()
	c := single(t)
	var docs []any
	for i := range 250 {
		docs = append(docs, d("_id", i))
	}
	insert(t, c, docs...)
	cur, err := c.Find(t.Context(), d())
	if err != nil {
		t.Fatal(err)
	}
	if n := cur.RemainingBatchLength(); n != 101 {
		t.Errorf("the first batch has %d documents, want 101", n)
	}
	insert(t, c, d("_id", 1000))
	var all []bson.Raw
	if err := cur.All(t.Context(), &all); err != nil || len(all) != 251 {
		t.Errorf("the cursor found %d documents (%v), want 251: it sees what came meanwhile", len(all), err)
	}
}

// What a single server has not promised to be in its journal may be lost.
func TestACrashLosesWhatIsNotInTheJournal(t *testing.T) {
	t.Parallel()
	s := start(t, mongosim.Options{})
	c := connect(t, s.URI()).Database("d").Collection("c")
	db := func(command ...any) {
		t.Helper()
		if err := c.Database().RunCommand(t.Context(), d(command...)).Err(); err != nil {
			t.Fatal(err)
		}
	}
	db("insert", "c", "documents", bson.A{d("_id", 1)}, "writeConcern", d("w", 1, "j", true))
	db("insert", "c", "documents", bson.A{d("_id", 2)})
	s.Crash(time.Hour)
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	c = connect(t, s.URI()).Database("d").Collection("c") // the old client may still have connections that are gone
	if ids := found(t, c, d()); len(ids) != 1 || ids[0] != int32(1) {
		t.Errorf("after the crash there is %v, want what was in the journal: 1", ids)
	}
}

// TTL removes what is past its time, and leaves what is no date.
func TestExpiredDocumentsGo(t *testing.T) {
	t.Parallel()
	s := start(t, mongosim.Options{TTLInterval: time.Millisecond})
	c := connect(t, s.URI()).Database("d").Collection("c")
	_, err := c.Indexes().CreateOne(t.Context(), mongo.IndexModel{Keys: d("at", 1), Options: options.Index().SetExpireAfterSeconds(60)})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	insert(t, c, d("_id", 1, "at", now.Add(-time.Hour)), d("_id", 2, "at", now), d("_id", 3, "at", "long ago"),
		d("_id", 4), d("_id", 5, "at", bson.A{now, now.Add(-time.Hour)}))
	for end := time.Now().Add(time.Minute); len(found(t, c, d())) > 3 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if ids := found(t, c, d()); len(ids) != 3 || ids[0] != int32(2) || ids[1] != int32(3) || ids[2] != int32(4) {
		t.Errorf("%v are left, want 2, 3 and 4", ids)
	}
}

// No document grows beyond 16 MB.
func TestADocumentOf16MBIsTheLargest(t *testing.T) {
	t.Parallel()
	c := single(t)
	insert(t, c, d("_id", 1, "a", make([]byte, 9<<20)))
	_, err := c.UpdateOne(t.Context(), d("_id", 1), d("$set", d("b", make([]byte, 9<<20))))
	wantCode(t, "an update to 18 MB", err, 17419)
}

// Concerns that are wrong are refused.
func TestConcernsThatAreWrong(t *testing.T) {
	t.Parallel()
	_, c := replicaSet(t, mongosim.Options{})
	wantCode(t, "w: 4 of three", write(c, 1, d("w", 4)), 100)
	wantCode(t, "an unknown mode", write(c, 1, d("w", "most")), 79)
	_, err := read(c, "sure")
	wantCode(t, "an unknown level", err, 9)
	alone := single(t)
	wantCode(t, "w: 2 of one", write(alone, 1, d("w", 2)), 2)
	_, err = read(alone, "linearizable")
	wantCode(t, "linearizable without a replica set", err, 123)
	for _, level := range []string{"local", "available", "majority", "snapshot", "linearizable"} {
		if _, err := read(c, level); err != nil {
			t.Errorf("%s gave %v", level, err)
		}
	}
}
