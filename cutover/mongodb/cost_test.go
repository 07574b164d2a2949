package mongodb_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/event"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/cutover/mongodb"
	"github.com/amanat-dev/amanat/cutover/query"
	"github.com/amanat-dev/amanat/internal/devstack"
)

// ear is what a test hears of what a handle sends: every command, as "find
// accounts"; and a test may do something while the answer to one is on its way
// back.
type ear struct {
	mu    sync.Mutex
	sent  []string
	after map[string]func() // by command, once
}

func (e *ear) monitor() *event.CommandMonitor {
	var names sync.Map // by request id
	return &event.CommandMonitor{
		Started: func(_ context.Context, c *event.CommandStartedEvent) {
			on, _ := c.Command.Lookup(c.CommandName).StringValueOK()
			name := strings.TrimSpace(c.CommandName + " " + on)
			names.Store(c.RequestID, name)
			e.mu.Lock()
			defer e.mu.Unlock()
			e.sent = append(e.sent, name)
		},
		Succeeded: func(_ context.Context, c *event.CommandSucceededEvent) {
			if name, ok := names.LoadAndDelete(c.RequestID); ok {
				e.answered(name.(string))
			}
		},
	}
}

func (e *ear) answered(name string) {
	e.mu.Lock()
	do := e.after[name]
	delete(e.after, name)
	e.mu.Unlock()
	if do != nil {
		do()
	}
}

// once has do done when the answer to the next such command is there, before
// whoever asked has it.
func (e *ear) once(name string, do func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.after = map[string]func(){name: do}
}

// heard returns what was sent since it was last asked.
func (e *ear) heard() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	sent := e.sent
	e.sent = nil
	return sent
}

// newHeardBank makes a database and returns the handles of a writing process
// and of a reading one, which is listened to.
func newHeardBank(t *testing.T) (writer, reader *bank, e *ear) {
	t.Helper()
	uri, name := devstack.Shared(t).Mongo.URI(), devstack.Shared(t).NewMongoDatabase(t)
	writer, e = openBankAt(t, uri, name), &ear{}
	if err := writer.db.EnsureIndexes(t.Context()); err != nil {
		t.Fatal(err)
	}
	db, err := mongodb.OpenHeard(uri, name, e.monitor())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close(context.Background()) })
	reader = bankOn(t, db)
	reader.owned(t, "nobody", 1) // what is asked once per process
	e.heard()
	return writer, reader, e
}

// What a query costs does not depend on what others write: one look at the
// commits in flight, and what they hide once more, where the server is good at
// it in one command. Nothing is written, and nobody waited for.
func TestWhatAQueryCosts(t *testing.T) {
	t.Parallel()
	writer, reader, e := newHeardBank(t)
	reader.db.SetFindsLists(true)
	s := newScene(t, writer)
	costs := func(what, want string, ask func()) {
		t.Helper()
		e.heard()
		ask()
		if got := strings.Join(e.heard(), ", "); got != want {
			t.Errorf("%s: a query sent %s; want %s", what, got, want)
		}
	}
	old := func() { reader.owned(t, "old", 2) }
	const alone = "find accounts, find cutover_commits"
	costs("nothing is in flight", alone, old)
	costs("a record by its id", "find accounts", func() { _, _ = reader.account(t, s.a.ID) })

	elsewhere := writer.pendingCommit(t, func() error { return writer.tryPut(t.Context(), new(transfer), new(transfer)) })
	costs("a commit of another kind is in flight", alone, old)
	elsewhere()

	over := writer.pendingCommit(t, func() error { return s.run(t.Context(), writer) })
	costs("a commit of four such records is in flight", alone+", find accounts", old)
	reader.db.SetFindsLists(false)
	costs("likewise, where a list is no good", alone+strings.Repeat(", find accounts", 4), old)
	over()
	costs("it is over", alone, old)

	stale := *s.a // in a revision that is no more
	writer.update(t.Context(), func(ctx context.Context, tx cutover.Tx) error {
		return errors.Join(tx.Put(ctx, newAccount("old", 1)), tx.Put(ctx, &stale))
	})
	writer.setCommits(t, bson.D{{Key: "endedAt", Value: time.Now().Add(-time.Minute)}})
	costs("a commit was rolled back before", alone, old)
}

// Only when more of a page than its slack turns out not to count is it read
// again, once: what was hidden does not fill it up where it comes after others
// that were not looked at.
func TestAPageThatIsAllInDoubtIsReadTwice(t *testing.T) {
	t.Parallel()
	writer, reader, e := newHeardBank(t)
	reader.db.SetFindsLists(true)
	moving := []cutover.Record{newAccount("new", 0), newAccount("new", -1)}
	for n := range 12 {
		moving = append(moving, newAccount("old", int64(100+n)))
	}
	low := []*account{newAccount("new", 3), newAccount("new", 2), newAccount("new", 1)}
	writer.put(t, moving...)
	writer.put(t, low[0], low[1], low[2], newAccount("old", 4))
	over := writer.pendingCommit(t, func() error {
		for _, r := range moving {
			r.(*account).Owner = map[string]string{"new": "old", "old": "new"}[r.(*account).Owner]
		}
		return writer.tryPut(t.Context(), moving...)
	})
	e.heard()
	if got, want := reader.owned(t, "new", 2), []string{low[0].Email, low[1].Email}; !slices.Equal(got, want) {
		t.Errorf("found %v of the new owner, want %v", got, want)
	}
	one := []string{"find accounts", "find cutover_commits", "find accounts"}
	if got, want := e.heard(), slices.Concat(one, one); !slices.Equal(got, want) {
		t.Errorf("that sent %v, want %v", got, want)
	}
	if got, want := reader.owned(t, "old", 1), moving[13].(*account).Email; len(got) != 1 || got[0] != want {
		t.Errorf("the first of the old owner is %v, want %s", got, want)
	}
	over()
}

// The records of commits that were rolled back are not kept for ever.
func TestAQueryThatTakesTooLongFails(t *testing.T) {
	t.Parallel()
	bk, _ := newBank(t)
	bk.db.SetLongestQuery(0)
	for what, ask := range map[string]func(context.Context, cutover.Tx) error{
		"Find": func(ctx context.Context, tx cutover.Tx) error {
			_, err := cutover.Find[account](ctx, tx, query.All())
			return err
		},
		"Count": func(ctx context.Context, tx cutover.Tx) error {
			_, err := cutover.Count[account](ctx, tx, query.All())
			return err
		},
	} {
		if err := bk.View(t.Context(), ask); !fault.Is(err, fault.Unavailable) {
			t.Errorf("%s gave %v, want unavailable", what, err)
		}
	}
}

// pendingCommit has a commit wait for its mark, until the function that it
// returns is called, which waits for its end.
func (b *bank) pendingCommit(t *testing.T, do func() error) (over func()) {
	t.Helper()
	reached, letGo := b.hold("mark")
	done := make(chan error, 1)
	go func() { done <- do() }()
	select {
	case <-reached:
	case err := <-done:
		t.Fatalf("the commit ended before its mark: %v", err)
	}
	return func() {
		t.Helper()
		close(letGo)
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// setCommits changes all commit records that there are.
func (b *bank) setCommits(t *testing.T, set bson.D) {
	t.Helper()
	_, err := b.db.Raw("cutover_commits").UpdateMany(t.Context(), bson.D{}, bson.D{{Key: "$set", Value: set}})
	if err != nil {
		t.Error(err)
	}
}
