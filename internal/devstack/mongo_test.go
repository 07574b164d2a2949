package devstack

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"
)

const clients = 8

// client connects to a server for one test.
func client(t testing.TB, uri string) *mongo.Client {
	t.Helper()
	c, err := mongo.Connect(options.Client().ApplyURI(uri))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Disconnect(context.Background()) })
	return c
}

func insert(t testing.TB, c *mongo.Collection, docs ...any) {
	t.Helper()
	if _, err := c.InsertMany(t.Context(), docs); err != nil {
		t.Fatal(err)
	}
}

// race is the outcome of clients that change one document at once.
type race struct {
	successes int64 // writes that reported success
	rev, sum  int64 // what the document says in the end
}

// compareAndSet has eight clients add 1 to sum, and to rev, with each write
// naming the revision that it read. Half use updateOne, half findOneAndUpdate.
func compareAndSet(t *testing.T, uri string) race {
	t.Helper()
	c := client(t, uri).Database("race").Collection("records")
	insert(t, c, bson.M{"_id": "one", "rev": int64(0), "sum": int64(0)})
	var r race
	together(t, func(i int) error {
		for range 30 {
			won, err := compareAndSetOnce(t.Context(), c, i%2 == 0)
			if err != nil {
				return err
			}
			if won {
				atomic.AddInt64(&r.successes, 1)
			}
		}
		return nil
	})
	r.read(t, c)
	return r
}

func compareAndSetOnce(ctx context.Context, c *mongo.Collection, byUpdate bool) (bool, error) {
	var doc struct{ Rev, Sum int64 }
	if err := c.FindOne(ctx, bson.M{"_id": "one"}).Decode(&doc); err != nil {
		return false, err
	}
	filter := bson.M{"_id": "one", "rev": doc.Rev}
	update := bson.M{"$set": bson.M{"rev": doc.Rev + 1, "sum": doc.Sum + 1}}
	if byUpdate {
		res, err := c.UpdateOne(ctx, filter, update)
		return err == nil && res.ModifiedCount == 1, err
	}
	err := c.FindOneAndUpdate(ctx, filter, update).Err()
	if errors.Is(err, mongo.ErrNoDocuments) {
		return false, nil
	}
	return err == nil, err
}

// increment has eight clients add 1 to sum with $inc.
func increment(t *testing.T, uri string) race {
	t.Helper()
	c := client(t, uri).Database("race").Collection("sums")
	insert(t, c, bson.M{"_id": "one", "rev": int64(0), "sum": int64(0)})
	var r race
	together(t, func(int) error {
		for range 30 {
			res, err := c.UpdateByID(t.Context(), "one", bson.M{"$inc": bson.M{"sum": int64(1)}})
			if err != nil {
				return err
			}
			atomic.AddInt64(&r.successes, res.ModifiedCount)
		}
		return nil
	})
	r.read(t, c)
	return r
}

func (r *race) read(t *testing.T, c *mongo.Collection) {
	t.Helper()
	var doc struct{ Rev, Sum int64 }
	if err := c.FindOne(t.Context(), bson.M{"_id": "one"}).Decode(&doc); err != nil {
		t.Fatal(err)
	}
	r.rev, r.sum = doc.Rev, doc.Sum
}

// together runs eight clients at once.
func together(t *testing.T, do func(i int) error) {
	t.Helper()
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			if err := do(i); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestMongo_EachSuccessIsOneRevision(t *testing.T) {
	m := start(t, StartMongo, Options{})
	r := compareAndSet(t, m.URI())
	if r.successes == 0 || r.rev != r.successes || r.sum != r.successes {
		t.Errorf("want as many revisions, and as large a sum, as successes, got %+v", r)
	}
	r = increment(t, m.URI())
	if want := int64(clients * 30); r.sum != want || r.successes != want {
		t.Errorf("want %d increments, got %+v", want, r)
	}
}

// If this test fails, FerretDB's updates have become atomic, and the gate can
// go.
func TestFerret_LosesUpdatesWithoutGate(t *testing.T) {
	f := startFerretForTest(t, Options{ungated: true})
	cas, inc := compareAndSet(t, f.URI()), increment(t, f.URI())
	t.Logf("without the gate: compare-and-set %+v, increment %+v", cas, inc)
	if cas.rev == cas.successes && inc.sum == inc.successes {
		t.Errorf("want updates lost, got compare-and-set %+v, increment %+v", cas, inc)
	}
}

// startFerretForTest starts FerretDB even where there is a mongod.
func startFerretForTest(t *testing.T, o Options) *Mongo {
	t.Helper()
	return start(t, func(ctx context.Context, o Options) (*Mongo, error) {
		m := &Mongo{server: &ferret{o: o}}
		return m, m.start(ctx)
	}, o)
}

func TestFerret_IndexesGetTwins(t *testing.T) {
	m := startFerretForTest(t, Options{})
	c := client(t, m.URI()).Database("shop").Collection("Orders")
	_, err := c.Indexes().CreateMany(t.Context(), []mongo.IndexModel{
		{Keys: bson.D{{Key: "buyer", Value: 1}, {Key: "createdAt", Value: -1}}},
		{Keys: bson.D{{Key: "o'clock.from", Value: 1}}, Options: options.Index().SetUnique(true)},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.EnsureLookupIndexes(t.Context(), "shop", map[string][]string{"Orders": {"_id", "seller"}}); err != nil {
		t.Fatal(err)
	}
	fill(t, c, 5000)
	for _, field := range []string{"_id", "buyer", "createdAt", "seller"} {
		if plan := explain(t, c, bson.D{{Key: field, Value: "x"}}); !strings.Contains(plan, "gin_") {
			t.Errorf("want a lookup by %s to use a GIN index, got plan %s", field, plan)
		}
	}
	if plan := explain(t, c, bson.D{{Key: "status", Value: "x"}}); strings.Contains(plan, "gin_") {
		t.Errorf("want a lookup by a field without an index to use none, got plan %s", plan)
	}
	// FerretDB looks up by a dotted field only to update or delete, which it does
	// not explain.
	conn := connect(t, m.server.(*ferret).pg.URL(""))
	const dotted = `SELECT count(*) FROM pg_indexes WHERE schemaname = 'shop' AND indexdef LIKE '%gin%#> \'{o\'\'clock,from}\'%'`
	if n := count(t, conn, strings.ReplaceAll(dotted, `\'`, `''`)); n != 1 {
		t.Errorf("want one GIN index on the dotted field, got %d", n)
	}
}

// fill inserts documents by the thousand.
func fill(t testing.TB, c *mongo.Collection, n int) {
	t.Helper()
	for from := 0; from < n; from += 1000 {
		var docs []any
		for i := from; i < min(n, from+1000); i++ {
			docs = append(docs, bson.D{{Key: "_id", Value: bson.NewObjectID()}, {Key: "n", Value: int64(i)},
				{Key: "rev", Value: int64(1)}, {Key: "buyer", Value: bson.NewObjectID()},
				{Key: "o'clock", Value: bson.D{{Key: "from", Value: int64(i)}}}})
		}
		insert(t, c, docs...)
	}
}

// explain returns PostgreSQL's plan for a find.
func explain(t *testing.T, c *mongo.Collection, filter bson.D) string {
	t.Helper()
	var plan bson.M
	err := c.Database().RunCommand(t.Context(), bson.D{
		{Key: "explain", Value: bson.D{{Key: "find", Value: c.Name()}, {Key: "filter", Value: filter}}},
	}).Decode(&plan)
	if err != nil {
		t.Fatal(err)
	}
	text, err := bson.MarshalExtJSON(plan, false, false)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestFerret_TwinsMakeLookupsFast(t *testing.T) {
	m := startFerretForTest(t, Options{})
	db := client(t, m.URI()).Database("shop")
	with, without := db.Collection("with"), db.Collection("without")
	_, err := with.Indexes().CreateOne(t.Context(), mongo.IndexModel{Keys: bson.D{{Key: "n", Value: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	fill(t, with, 20000)
	fill(t, without, 20000)
	fast, slow := lookups(t, with), lookups(t, without)
	t.Logf("20,000 documents, a lookup by one field: %v with the twin, %v without, %.0f times as fast",
		fast, slow, float64(slow)/float64(fast))
	if slow < 2*fast {
		t.Errorf("want a lookup with an index at least twice as fast, got %v with and %v without", fast, slow)
	}
}

// lookups returns what one lookup takes.
func lookups(t *testing.T, c *mongo.Collection) time.Duration {
	t.Helper()
	const n = 50
	begin := time.Now()
	for i := range n {
		if err := c.FindOne(t.Context(), bson.M{"n": int64(i * 100)}).Err(); err != nil {
			t.Fatal(err)
		}
	}
	return time.Since(begin) / n
}

func TestMongo_UniqueIndexHoldsForEveryWrite(t *testing.T) {
	m := start(t, StartMongo, Options{})
	c := client(t, m.URI()).Database("shop").Collection("users")
	unique := mongo.IndexModel{Keys: bson.D{{Key: "email", Value: 1}}, Options: options.Index().SetUnique(true)}
	if _, err := c.Indexes().CreateOne(t.Context(), unique); err != nil {
		t.Fatal(err)
	}
	insert(t, c, bson.M{"_id": 1, "email": "a"}, bson.M{"_id": 2, "email": "b"})
	taken, second := bson.M{"email": "a"}, bson.M{"_id": 2}
	for name, write := range map[string]func(context.Context) error{
		"insert":  func(ctx context.Context) error { _, err := c.InsertOne(ctx, taken); return err },
		"update":  func(ctx context.Context) error { _, err := c.UpdateOne(ctx, second, bson.M{"$set": taken}); return err },
		"replace": func(ctx context.Context) error { _, err := c.ReplaceOne(ctx, second, taken); return err },
		"findOneAndReplace": func(ctx context.Context) error {
			return c.FindOneAndReplace(ctx, second, taken).Err()
		},
	} {
		if err := write(t.Context()); !mongo.IsDuplicateKeyError(err) {
			t.Errorf("%s: want a duplicate key error, got %v", name, err)
		}
	}
	if n, err := c.CountDocuments(t.Context(), taken); err != nil || n != 1 {
		t.Errorf("want one document with the email, got %d, %v", n, err)
	}
}

func TestMongo_UnacknowledgedWriteKeepsReplyOrder(t *testing.T) {
	m := start(t, StartMongo, Options{})
	db := client(t, m.URI()+"?maxPoolSize=1").Database("shop") // one connection, whose replies could shift
	silent := db.Collection("orders", options.Collection().SetWriteConcern(writeconcern.Unacknowledged()))
	for range 3 {
		if _, err := silent.InsertOne(t.Context(), bson.M{}); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := db.Collection("orders").CountDocuments(t.Context(), bson.M{}); err != nil || n != 3 {
		t.Errorf("want 3 documents, got %d, %v", n, err)
	}
}

func TestMongo_KillLosesNoWrite(t *testing.T) {
	m := start(t, StartMongo, Options{Durable: true})
	uri := m.URI()
	c := client(t, uri).Database("shop").Collection("orders")
	fill(t, c, 100)
	if err := m.Kill(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := c.FindOne(ctx, bson.M{}).Err(); err == nil {
		t.Error("want no answer after Kill, got one")
	}
	if err := m.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if m.URI() != uri {
		t.Errorf("want the same URI after Restart, %s, got %s", uri, m.URI())
	}
	if n, err := c.CountDocuments(t.Context(), bson.M{}); err != nil || n != 100 {
		t.Errorf("want 100 documents after Kill and Restart, got %d, %v", n, err)
	}
}

func TestMongo_FrozenAnswersNobodyUntilThawed(t *testing.T) {
	m := start(t, StartMongo, Options{})
	c := client(t, m.URI()).Database("shop").Collection("orders")
	fill(t, c, 1)
	if err := m.Freeze(); err != nil {
		t.Fatal(err)
	}
	answer := make(chan error, 1)
	go func() { answer <- c.FindOne(t.Context(), bson.M{}).Err() }()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := c.InsertOne(ctx, bson.M{}); !mongo.IsTimeout(err) {
		t.Errorf("want no answer, and no refusal, got %v", err)
	}
	select {
	case err := <-answer:
		t.Errorf("want no answer, got %v", err)
	default:
	}
	if err := m.Thaw(); err != nil {
		t.Fatal(err)
	}
	if err := <-answer; err != nil {
		t.Errorf("want the answer after Thaw, got %v", err)
	}
}

func TestMongo_FrozenCanBeKilledAndRestarted(t *testing.T) {
	m := start(t, StartMongo, Options{Durable: true})
	c := client(t, m.URI()).Database("shop").Collection("orders")
	fill(t, c, 10)
	if err := m.Freeze(); err != nil {
		t.Fatal(err)
	}
	if err := m.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := m.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n, err := c.CountDocuments(t.Context(), bson.M{}); err != nil || n != 10 {
		t.Errorf("want 10 documents after Kill and Restart, got %d, %v", n, err)
	}
}
