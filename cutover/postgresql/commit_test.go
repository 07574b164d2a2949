package postgresql_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/cutovertest"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/cutover/postgresql"
	"github.com/amanat-dev/amanat/cutover/query"
	"github.com/amanat-dev/amanat/internal/devstack/link"
	"github.com/amanat-dev/amanat/internal/storetest"
)

func put(t *testing.T, side cutover.Side, records ...cutover.Record) error {
	t.Helper()
	return side.Update(t.Context(), cutover.Guard{Domain: "specimen"}, putting(records...))
}

func putting(records ...cutover.Record) func(context.Context, cutover.Tx) error {
	return func(ctx context.Context, tx cutover.Tx) error {
		for _, r := range records {
			if err := tx.Put(ctx, r); err != nil {
				return err
			}
		}
		return nil
	}
}

func specimen(id string) *cutovertest.Specimen {
	s := new(cutovertest.Specimen)
	s.ID = cutover.MustID(strings.Repeat("0", 24-len(id)) + id)
	return s
}

func execute(t *testing.T, db *postgresql.DB, statements ...string) {
	t.Helper()
	for _, sql := range statements {
		if _, err := db.Pool().Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

func count(t *testing.T, db *postgresql.DB, sql string) (n int64) {
	t.Helper()
	if err := db.Pool().QueryRow(t.Context(), sql).Scan(&n); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return n
}

func TestUpdate_PassesAUniqueValueFromOneRecordToAnother(t *testing.T) {
	t.Parallel()
	_, side := specimens(t)
	first, second := specimen("1"), specimen("2")
	second.Email = "one@example.org"
	if err := put(t, side, first, second); err != nil {
		t.Fatal(err)
	}
	first.Email, second.Email = second.Email, ""
	if err := put(t, side, first, second); err != nil {
		t.Errorf("the value goes from the later record to the earlier one: %v", err)
	}
	first.Email, second.Email = second.Email, first.Email
	if err := put(t, side, first, second); err != nil {
		t.Errorf("and back: %v", err)
	}
}

func TestUpdate_DeletesAParentWhoseLastReferenceGoes(t *testing.T) {
	t.Parallel()
	_, side := specimens(t)
	shelf := &cutovertest.Shelf{Label: "A"}
	shelf.ID = cutover.NewID()
	s := specimen("1")
	s.ShelfID = shelf.ID
	if err := put(t, side, s, shelf); err != nil {
		t.Fatalf("a child that is put before its parent: %v", err)
	}
	s.ShelfID = cutover.ID{}
	err := side.Update(t.Context(), cutover.Guard{}, func(ctx context.Context, tx cutover.Tx) error {
		return errors.Join(tx.Delete(ctx, shelf), tx.Put(ctx, s))
	})
	if err != nil {
		t.Error(err)
	}
}

func TestUpdate_TellsWhichRuleItBroke(t *testing.T) {
	t.Parallel()
	_, side := specimens(t)
	taken := specimen("1")
	taken.Email = "one@example.org"
	if err := put(t, side, taken); err != nil {
		t.Fatal(err)
	}
	again, orphan, badLabel := specimen("2"), specimen("3"), &cutovertest.Shelf{Label: "small secret"}
	again.Email, orphan.ShelfID = taken.Email, cutover.NewID()
	for _, c := range []struct {
		record     cutover.Record
		kind       fault.Kind
		rule       postgresql.Rule
		constraint string
	}{
		{again, fault.Conflict, postgresql.Unique, "specimens_email_key"},
		{orphan, fault.Conflict, postgresql.ForeignKey, "specimens_shelf_id_fkey"},
		{badLabel, fault.Internal, postgresql.Check, "shelves_label_check"},
	} {
		err := put(t, side, specimen("4"), c.record)
		var v *postgresql.Violation
		if !fault.Is(err, c.kind) || !errors.As(err, &v) || v.Rule != c.rule || v.Constraint != c.constraint {
			t.Errorf("%v: want %s by the %s rule %s", err, c.kind, c.rule, c.constraint)
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("%q shows the row", err)
		}
		var f *fault.Error
		if errors.As(err, &f) && (strings.Contains(f.Message, "SQLSTATE") || strings.Contains(f.Message, c.constraint)) {
			t.Errorf("the message %q is none for a caller", f.Message)
		}
	}
}

func TestUpdate_SaysThatItsOutcomeIsNotKnown(t *testing.T) {
	t.Parallel()
	db, side := specimens(t)
	// A commit that takes its time, so that the connection can be cut in it.
	execute(t, db, `CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(20); RETURN NULL; END $$`,
		`CREATE CONSTRAINT TRIGGER dawdle AFTER INSERT ON specimens DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION dawdle()`)
	done := make(chan error, 1)
	go func() { done <- put(t, side, specimen("1")) }()
	for count(t, db, `SELECT count(*) FROM (SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE datname = current_database() AND wait_event = 'PgSleep') AS cut`) == 0 {
		time.Sleep(10 * time.Millisecond)
	}
	err := <-done
	if !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "outcome of the write is not known") {
		t.Errorf("a commit that was cut off gave %v", err)
	}
}

func TestUpdate_IsUnavailableWhenTheConnectionIsCutBeforeTheCommit(t *testing.T) {
	t.Parallel()
	db, side := specimens(t)
	err := side.Update(t.Context(), cutover.Guard{}, func(ctx context.Context, tx cutover.Tx) error {
		if _, err := cutover.Find[cutovertest.Shelf](ctx, tx, query.All().Limit(1)); err != nil {
			return err
		}
		execute(t, db, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE datname = current_database() AND state = 'idle in transaction'`)
		return tx.Put(ctx, specimen("1"))
	})
	if !fault.Is(err, fault.Unavailable) || strings.Contains(err.Error(), "not known") {
		t.Errorf("got %v; want unavailable, with a known outcome", err)
	}
	if err := put(t, side, specimen("1")); err != nil {
		t.Errorf("the next Update: %v", err)
	}
}

// What the server ended before it came to the COMMIT it has not done, although
// the COMMIT had been sent.
func TestUpdate_IsUnavailableWhenItIsEndedInItsWrites(t *testing.T) {
	t.Parallel()
	db, side := specimens(t)
	s := specimen("1")
	if err := put(t, side, s); err != nil {
		t.Fatal(err)
	}
	lock, err := db.Pool().Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Rollback(context.Background())
	if _, err := lock.Exec(t.Context(), "SELECT FROM specimens FOR UPDATE"); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- put(t, side, s) }()
	for count(t, db, `SELECT count(*) FROM (SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE datname = current_database() AND wait_event_type = 'Lock') AS cut`) == 0 {
		time.Sleep(10 * time.Millisecond)
	}
	if err := <-done; !fault.Is(err, fault.Unavailable) || strings.Contains(err.Error(), "not known") {
		t.Errorf("got %v; want unavailable, with a known outcome", err)
	}
}

func TestUpdate_OfAProcessThatFellSilentIsEnded(t *testing.T) {
	t.Parallel()
	db, _ := specimens(t)
	u, err := url.Parse(db.Pool().Config().ConnString())
	if err != nil {
		t.Fatal(err)
	}
	l, err := link.To(u.Host)
	if err != nil {
		t.Fatal(err)
	}
	u.Host = l.Address()
	far, err := postgresql.Open(t.Context(), u.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l.Close() // first: a silent connection would not be closed in time
		far.Close()
	})
	silent, done := make(chan error), make(chan error)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		side := far.Side(cutovertest.Definition)
		done <- side.Update(ctx, cutover.Guard{Domain: "specimen"}, func(ctx context.Context, tx cutover.Tx) error {
			if _, err := cutover.Find[cutovertest.Shelf](ctx, tx, query.All().Limit(1)); err != nil {
				return err
			}
			silent <- l.Silence()
			<-ctx.Done()
			return tx.Put(ctx, specimen("1"))
		})
	}()
	if err := <-silent; err != nil {
		t.Fatal(err)
	}
	const open = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'"
	if n := count(t, db, open); n != 1 {
		t.Fatalf("%d transactions are open, want 1", n)
	}
	for deadline := time.Now().Add(15 * time.Second); count(t, db, open) > 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it is open still")
		}
	}
	cancel()
	if err := <-done; !fault.Is(err, fault.Unavailable) {
		t.Errorf("got %v; want unavailable", err)
	}
}

func TestUpdate_KeepsToItsEpoch(t *testing.T) {
	t.Parallel()
	db, side := specimens(t)
	execute(t, db, "INSERT INTO cutover_domains (domain, phase, epoch, sealed) VALUES ('specimen', 'pg', 3, false)")
	fenced := func(epoch int64) error {
		return side.Update(t.Context(), cutover.Guard{Domain: "specimen", Epoch: epoch, Fenced: true}, putting(new(cutovertest.Specimen)))
	}
	if err := fenced(3); err != nil {
		t.Error(err)
	}
	if err := fenced(2); !errors.Is(err, cutover.ErrMoved) {
		t.Errorf("an Update of an earlier epoch gave %v, want ErrMoved", err)
	}
	execute(t, db, "UPDATE cutover_domains SET sealed = true")
	if err := fenced(3); !errors.Is(err, cutover.ErrMoved) {
		t.Errorf("an Update of a sealed domain gave %v, want ErrMoved", err)
	}
	if n := count(t, db, "SELECT count(*) FROM specimens"); n != 1 {
		t.Errorf("%d specimens, want 1", n)
	}
}

// A copier that slept through the flip must not write over what the new primary
// has acknowledged since.
func TestApply_TakesNoCopiesWhilePostgreSQLIsThePrimary(t *testing.T) {
	t.Parallel()
	db, side := specimens(t)
	execute(t, db, "INSERT INTO cutover_domains (domain, phase, epoch, sealed) VALUES ('specimen', 'dual', 2, false)")
	item := func() cutover.Item {
		r := new(cutovertest.Specimen)
		r.ID, r.Rev = cutover.NewID(), 1
		return cutover.Item{Key: cutover.Key{Kind: "specimen", ID: r.ID}, Rev: 1, Record: r}
	}
	if errs, err := side.Apply(t.Context(), []cutover.Item{item()}, cutover.ApplyOptions{}); err != nil || errs[0] != nil {
		t.Fatalf("a copy in phase dual: %v %v", errs, err)
	}
	execute(t, db, "UPDATE cutover_domains SET phase = 'mirror', epoch = 4")
	if _, err := side.Apply(t.Context(), []cutover.Item{item()}, cutover.ApplyOptions{}); !errors.Is(err, cutover.ErrMoved) {
		t.Errorf("Apply in phase mirror gave %v, want ErrMoved", err)
	}
	if err := side.Load(t.Context(), "specimen", []cutover.Item{item()}); !errors.Is(err, cutover.ErrMoved) {
		t.Errorf("Load in phase mirror gave %v, want ErrMoved", err)
	}
	if n := count(t, db, "SELECT count(*) FROM specimens"); n != 1 {
		t.Errorf("%d specimens, want 1", n)
	}
}

func TestOpen_IsUnavailableWithoutAServer(t *testing.T) {
	t.Parallel()
	db, err := postgresql.Open(t.Context(), "postgres://nobody:hush@127.0.0.1:1/none")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Ping(t.Context()); !fault.Is(err, fault.Unavailable) || strings.Contains(err.Error(), "hush") {
		t.Errorf("Ping gave %v, want unavailable", err)
	}
	if _, err := postgresql.Open(t.Context(), "postgres://nobody:hush@[::1"); err == nil || strings.Contains(err.Error(), "hush") {
		t.Errorf("an unreadable URL gave %v", err)
	}
}

// Every record of this test says in each of its lines which revision it is, so
// that a mixture of two would show.
func TestUpdate_NeverReadsHalfOfAnothersWrite(t *testing.T) {
	t.Parallel()
	_, side := specimens(t)
	s := specimen("1")
	lined := func(rev int64) {
		s.Order, s.Lines = int(rev), nil
		for range 20 {
			s.Lines = append(s.Lines, cutovertest.Line{Key: fmt.Sprint(rev), Amount: cutovertest.MustWhole(fmt.Sprint(rev))})
		}
	}
	lined(1)
	if err := put(t, side, s); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() { readWhole(t, side, s.ID, stop) })
	}
	for rev := range int64(150) {
		lined(rev + 2)
		if err := put(t, side, s); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	wg.Wait()
}

func readWhole(t *testing.T, side cutover.Side, id cutover.ID, stop chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		err := side.Update(t.Context(), cutover.Guard{}, func(ctx context.Context, tx cutover.Tx) error {
			s, err := cutover.Get[cutovertest.Specimen](ctx, tx, id)
			if err != nil {
				return err
			}
			for _, l := range s.Lines {
				if l.Key != fmt.Sprint(s.Order) || len(s.Lines) != 20 {
					t.Errorf("revision %d was read with %d lines of revision %s", s.Order, len(s.Lines), l.Key)
				}
			}
			return nil
		})
		if err != nil && !fault.Is(err, fault.Conflict) {
			t.Error(err)
		}
	}
}

func TestUpdate_DoesNotNoticeThatIdleConnectionsWereCut(t *testing.T) {
	t.Parallel()
	db, side := specimens(t)
	var several []*pgxpool.Conn
	for range 4 {
		conn, err := db.Pool().Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		several = append(several, conn)
	}
	for _, conn := range several {
		conn.Release()
	}
	other := storetest.Postgres(t)
	var name string
	if err := db.Pool().QueryRow(t.Context(), "SELECT current_database()").Scan(&name); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Pool().Exec(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name); err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		if err := put(t, side, new(cutovertest.Specimen)); err != nil {
			t.Errorf("Update %d: %v", i, err)
		}
	}
}

func TestUpdate_RefusesTextThatCannotBeStored(t *testing.T) {
	t.Parallel()
	_, side := specimens(t)
	plain, within := specimen("1"), specimen("2")
	plain.Name = "a\x00b"
	within.Links = map[string]string{"a": "a\x00b"}
	for _, s := range []*cutovertest.Specimen{plain, within} {
		if err := put(t, side, s); !fault.Is(err, fault.Invalid) {
			t.Errorf("got %v, want invalid", err)
		}
	}
}
