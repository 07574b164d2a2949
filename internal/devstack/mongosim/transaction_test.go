package mongosim_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"

	"github.com/amanat-dev/amanat/internal/devstack/mongosim"
)

// begin opens a transaction.
func begin(t *testing.T, c *mongo.Collection) (*mongo.Session, context.Context) {
	t.Helper()
	s, err := c.Database().Client().StartSession()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.EndSession(context.Background()) })
	if err := s.StartTransaction(options.Transaction().SetReadConcern(readconcern.Snapshot())); err != nil {
		t.Fatal(err)
	}
	return s, mongo.NewSessionContext(t.Context(), s)
}

func balance(t *testing.T, ctx context.Context, c *mongo.Collection, id any) int64 {
	t.Helper()
	var doc struct{ N int64 }
	if err := c.FindOne(ctx, d("_id", id)).Decode(&doc); err != nil {
		t.Error(err)
	}
	return doc.N
}

func add(ctx context.Context, c *mongo.Collection, id any, n int) error {
	_, err := c.UpdateOne(ctx, d("_id", id), d("$inc", d("n", n)))
	return err
}

// A transaction sees the moment of its first read and its own writes; others
// see these when it commits, all at once.
func TestATransactionIsOneSnapshot(t *testing.T) {
	t.Parallel()
	_, c := replicaSet(t, mongosim.Options{})
	insert(t, c, d("_id", 1, "n", 1), d("_id", 2, "n", 2))
	s, ctx := begin(t, c)
	balance(t, ctx, c, 1)
	if err := add(t.Context(), c, 2, 10); err != nil {
		t.Fatal(err)
	}
	if n := balance(t, ctx, c, 2); n != 2 {
		t.Errorf("inside there is %d, want the snapshot's 2", n)
	}
	if err := add(ctx, c, 1, 5); err != nil {
		t.Fatal(err)
	}
	if in, out := balance(t, ctx, c, 1), balance(t, t.Context(), c, 1); in != 6 || out != 1 {
		t.Errorf("before the commit there is %d inside and %d outside, want 6 and 1", in, out)
	}
	if err := s.CommitTransaction(t.Context()); err != nil {
		t.Fatal(err)
	}
	if a, b := balance(t, t.Context(), c, 1), balance(t, t.Context(), c, 2); a != 6 || b != 12 {
		t.Errorf("after the commit there are %d and %d, want 6 and 12", a, b)
	}
}

func TestAnAbortedTransactionLeavesNothing(t *testing.T) {
	t.Parallel()
	_, c := replicaSet(t, mongosim.Options{})
	insert(t, c, d("_id", 1, "n", 1))
	s, ctx := begin(t, c)
	if err := errors.Join(add(ctx, c, 1, 5), s.AbortTransaction(t.Context())); err != nil {
		t.Fatal(err)
	}
	if n := balance(t, t.Context(), c, 1); n != 1 {
		t.Errorf("there is %d, want 1", n)
	}
}

// wantConflict fails unless an error is a write conflict that says to try again.
func wantConflict(t *testing.T, what string, err error) {
	t.Helper()
	wantCode(t, what, err, 112)
	var server mongo.ServerError
	if errors.As(err, &server) && !server.HasErrorLabel("TransientTransactionError") {
		t.Errorf("%s has no label TransientTransactionError", what)
	}
}

// Of two transactions that write the same, the second one fails at once; of one
// that comes after a commit that its snapshot does not have, likewise. A unique
// value counts like a document.
func TestTransactionsConflict(t *testing.T) {
	t.Parallel()
	_, c := replicaSet(t, mongosim.Options{})
	unique := mongo.IndexModel{Keys: d("email", 1), Options: options.Index().SetUnique(true).SetSparse(true)}
	if _, err := c.Indexes().CreateOne(t.Context(), unique); err != nil {
		t.Fatal(err)
	}
	insert(t, c, d("_id", 1, "n", 1), d("_id", 2, "n", 2))

	_, one := begin(t, c)
	_, two := begin(t, c)
	if err := add(one, c, 1, 1); err != nil {
		t.Fatal(err)
	}
	wantConflict(t, "a write of what another has written", add(two, c, 1, 1))
	wantCode(t, "the next command of that one", add(two, c, 2, 1), 251)

	_, three := begin(t, c)
	balance(t, three, c, 2)
	if err := add(t.Context(), c, 2, 1); err != nil {
		t.Fatal(err)
	}
	wantConflict(t, "a write of what was written since", add(three, c, 2, 1))

	_, four := begin(t, c)
	_, five := begin(t, c)
	if _, err := c.InsertOne(four, d("_id", 3, "email", "a")); err != nil {
		t.Fatal(err)
	}
	_, err := c.InsertOne(five, d("_id", 4, "email", "a"))
	wantConflict(t, "a unique value that another has taken", err)
}

// A write outside of a transaction waits for the one that is in its way.
func TestAPlainWriteWaitsForATransaction(t *testing.T) {
	t.Parallel()
	_, c := replicaSet(t, mongosim.Options{})
	insert(t, c, d("_id", 1, "n", 1))
	s, ctx := begin(t, c)
	if err := add(ctx, c, 1, 10); err != nil {
		t.Fatal(err)
	}
	err := c.Database().RunCommand(t.Context(), d("update", "c", "updates", bson.A{d("q", d("_id", 1), "u", d("$inc", d("n", 1)))}, "maxTimeMS", 20)).Err()
	wantCode(t, "a write that waits longer than it may", err, 50)
	done := make(chan error)
	go func() { done <- add(t.Context(), c, 1, 100) }()
	select {
	case err := <-done:
		t.Fatalf("the write did not wait (%v)", err)
	case <-time.After(50 * time.Millisecond):
	}
	if err := errors.Join(s.CommitTransaction(t.Context()), <-done); err != nil {
		t.Fatal(err)
	}
	if n := balance(t, t.Context(), c, 1); n != 111 {
		t.Errorf("there is %d, want 111", n)
	}
}

// Whoever loses the answer to a write sends it again, and it is not done twice;
// the same with a commit.
func TestARetriedWriteIsDoneOnce(t *testing.T) {
	t.Parallel()
	server, c := replicaSet(t, mongosim.Options{})
	insert(t, c, d("_id", 1, "n", 0))
	server.Fault(mongosim.Fault{Commands: []string{"update"}, Times: 1, HangUp: mongosim.AfterIt})
	if err := add(t.Context(), c, 1, 1); err != nil {
		t.Fatal(err)
	}
	server.Fault(mongosim.Fault{Commands: []string{"findAndModify"}, Times: 1, HangUp: mongosim.AfterIt})
	var before struct{ N int }
	if err := c.FindOneAndUpdate(t.Context(), d("_id", 1), d("$inc", d("n", 1))).Decode(&before); err != nil || before.N != 1 {
		t.Fatalf("findAndModify gave %v (%v), want what was there before: 1", before, err)
	}
	server.Fault(mongosim.Fault{Commands: []string{"insert"}, Times: 1, HangUp: mongosim.AfterIt})
	if _, err := c.InsertMany(t.Context(), []any{d("_id", 2), d("_id", 3)}); err != nil {
		t.Fatal(err)
	}
	server.Fault(mongosim.Fault{Commands: []string{"commitTransaction"}, Times: 1, HangUp: mongosim.AfterIt})
	s, ctx := begin(t, c)
	if err := errors.Join(add(ctx, c, 1, 1), s.CommitTransaction(t.Context())); err != nil {
		t.Fatal(err)
	}
	if n := balance(t, t.Context(), c, 1); n != 3 {
		t.Errorf("there is %d, want 3", n)
	}
}

// Transfers by several clients over connections that break, each retried as the
// driver does, lose nothing. One that fails all the same happened or not, but not
// by half.
func TestTransfersKeepTheSum(t *testing.T) {
	t.Parallel()
	server, c := replicaSet(t, mongosim.Options{Seed: 1})
	server.Fault(mongosim.Fault{Commands: []string{"update", "commitTransaction"}, Chance: 0.05, HangUp: mongosim.AfterIt})
	for id := range 4 {
		insert(t, c, d("_id", id, "n", 100))
	}
	var wg sync.WaitGroup
	var good atomic.Int64
	for worker := range 4 {
		wg.Go(func() {
			for i := range 20 {
				from, to := (worker+i)%4, (worker+i+1)%4
				err := c.Database().Client().UseSession(t.Context(), func(ctx context.Context) error {
					_, err := mongo.SessionFromContext(ctx).WithTransaction(ctx, func(ctx context.Context) (any, error) {
						return nil, errors.Join(add(ctx, c, from, -1), add(ctx, c, to, 1))
					})
					return err
				})
				if err == nil {
					good.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if good.Load() < 40 {
		t.Errorf("%d of 80 transfers succeeded, want most of them", good.Load())
	}
	sum := int64(0)
	for id := range 4 {
		sum += balance(t, t.Context(), c, id)
	}
	if sum != 400 {
		t.Errorf("the sum is %d, want 400", sum)
	}
}
