package postgresql_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/cutovertest"
	"github.com/amanat-dev/amanat/cutover/postgresql"
)

// lined makes a specimen with a row in a child table.
func lined(id, name string, rev int64) cutover.Item {
	s := specimen(id)
	s.Name, s.Rev = name, rev
	s.Lines = []cutovertest.Line{{Key: name}}
	return itemOf("specimen", s)
}

// names returns the specimens as name@rev/line, in the order of their ids.
func names(t *testing.T, side cutover.Side) (out []string) {
	t.Helper()
	items, err := side.Scan(t.Context(), "specimen", cutover.ID{}, cutover.ID{}, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range items {
		s := i.Record.(*cutovertest.Specimen)
		out = append(out, fmt.Sprintf("%s@%d/%s", s.Name, s.Rev, s.Lines[0].Key))
	}
	return out
}

func sameNames(t *testing.T, side cutover.Side, want ...string) {
	t.Helper()
	if got := names(t, side); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestLoad_PutsNothingOverALaterRevisionOrATombstone(t *testing.T) {
	t.Parallel()
	_, side := specimens(t)
	load := func(items ...cutover.Item) {
		t.Helper()
		if err := side.Load(t.Context(), "specimen", items); err != nil {
			t.Fatal(err)
		}
	}
	load(lined("2", "later", 5), lined("4", "earlier", 1))
	gone := lined("3", "", 2)
	if _, err := side.Apply(t.Context(), []cutover.Item{{Key: gone.Key, Rev: 2, Deleted: true}}, cutover.ApplyOptions{}); err != nil {
		t.Fatal(err)
	}
	load(lined("3", "dead", 1)) // a range without a row, but with a tombstone
	sameNames(t, side, "later@5/later", "earlier@1/earlier")
	load(lined("1", "new", 1), lined("2", "old", 4), lined("3", "dead", 2), lined("4", "newer", 2))
	sameNames(t, side, "new@1/new", "later@5/later", "newer@2/newer")
}

// A live copy that is not committed when Load looks is there when it writes.
func TestLoad_LetsALiveCopyStandThatCameInBetween(t *testing.T) {
	t.Parallel()
	db, side := specimens(t)
	live, err := db.Pool().Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer live.Rollback(context.WithoutCancel(t.Context()))
	mine := lined("2", "", 0).Key.ID.String()
	if _, err := live.Exec(t.Context(), `INSERT INTO specimens (id, rev, name, "order", flag, price, units) VALUES ($1, 7, 'live', 0, false, 0, 0)`, mine); err != nil {
		t.Fatal(err)
	}
	if _, err := live.Exec(t.Context(), `INSERT INTO specimen_lines (parent_id, position, key, amount) VALUES ($1, 0, 'live', 0)`, mine); err != nil {
		t.Fatal(err)
	}
	loaded := make(chan error)
	go func() {
		loaded <- side.Load(context.WithoutCancel(t.Context()), "specimen", []cutover.Item{lined("1", "one", 1), lined("2", "two", 1)})
	}()
	awaitLock(t, db)
	if err := live.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-loaded; err != nil {
		t.Fatal(err)
	}
	sameNames(t, side, "one@1/one", "live@7/live")
}

// awaitLock waits until a statement waits for another transaction.
func awaitLock(t *testing.T, db *postgresql.DB) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if count(t, db, `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock'`) > 0 {
			return
		}
	}
	t.Fatal("nothing waits for a lock")
}
