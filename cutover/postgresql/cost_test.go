package postgresql_test

import (
	"context"
	"net"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/cutovertest"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/cutover/postgresql"
	"github.com/amanat-dev/amanat/cutover/query"
	"github.com/amanat-dev/amanat/domain/marketplace"
	"github.com/amanat-dev/amanat/internal/storetest"
)

// trips counts round trips: that something was received after something had
// been sent.
type trips struct {
	mu   sync.Mutex
	sent bool
	n    int
}

type countedConn struct {
	net.Conn
	*trips
}

func (c countedConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	c.sent = true
	c.mu.Unlock()
	return c.Conn.Write(b)
}

func (c countedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.mu.Lock()
	defer c.mu.Unlock()
	if n > 0 && c.sent {
		c.sent = false
		c.n++
	}
	return n, err
}

// of counts those of do, after it was done twice, so that its statements are
// prepared.
func (c *trips) of(t *testing.T, do func() error) int {
	t.Helper()
	before := 0
	for range 3 {
		c.mu.Lock()
		before = c.n
		c.mu.Unlock()
		if err := do(); err != nil {
			t.Fatal(err)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n - before
}

// counted returns the specimens' side over one connection whose round trips are
// counted.
func counted(t *testing.T) (*postgresql.DB, cutover.Side, *trips) {
	t.Helper()
	db, _ := specimens(t)
	one, c := countedOn(t, db)
	return db, one.Side(cutovertest.Definition), c
}

// countedOn returns a database over one connection whose round trips are counted.
func countedOn(t *testing.T, db *postgresql.DB) (*postgresql.DB, *trips) {
	t.Helper()
	c := new(trips)
	one := postgresql.Reopen(t, db, func(config *pgxpool.Config) {
		config.MaxConns = 1
		config.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return false }
		dial := config.ConnConfig.DialFunc
		config.ConnConfig.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dial(ctx, network, address)
			return countedConn{conn, c}, err
		}
	})
	return one, c
}

// listed is a new one with rows in every child table.
func listed(seed int) *cutovertest.Specimen {
	s := new(cutovertest.Specimen)
	cutovertest.Fill(s, seed)
	s.ID, s.Rev, s.ShelfID, s.Email = cutover.ID{}, 0, cutover.ID{}, ""
	return s
}

func get(ctx context.Context, tx cutover.Tx, id cutover.ID) (cutovertest.Specimen, error) {
	return cutover.Get[cutovertest.Specimen](ctx, tx, id)
}

func TestView_IsOneRoundTripPerQuestion(t *testing.T) {
	t.Parallel()
	db, side, trips := counted(t)
	whole := db.Side(cutovertest.Definition)
	a, b := listed(1), listed(2)
	if err := put(t, whole, a, b); err != nil {
		t.Fatal(err)
	}
	for name, ask := range map[string]func(context.Context, cutover.Tx) error{
		"a record": func(ctx context.Context, tx cutover.Tx) error {
			s, err := get(ctx, tx, a.ID)
			if err == nil && len(s.Lines)*len(s.Marks)*len(s.Place.Steps) == 0 {
				t.Errorf("%+v has not all of its lists", s)
			}
			return err
		},
		"a list": func(ctx context.Context, tx cutover.Tx) error {
			list, err := cutover.Find[cutovertest.Specimen](ctx, tx, query.All())
			if len(list) != 2 {
				t.Errorf("%d specimens, want 2", len(list))
			}
			return err
		},
		"a list by what other records have": func(ctx context.Context, tx cutover.Tx) error {
			ask := query.Among(query.ID, "specimen", query.ID, query.Eq("name", a.Name).OrderByDesc("at").Limit(5))
			list, err := cutover.Find[cutovertest.Specimen](ctx, tx, query.AnyOf(query.Eq("name", b.Name), ask))
			if len(list) != 2 {
				t.Errorf("%d specimens, want 2", len(list))
			}
			return err
		},
		"a number": func(ctx context.Context, tx cutover.Tx) error {
			_, err := cutover.Count[cutovertest.Specimen](ctx, tx, query.All())
			return err
		},
	} {
		if n := trips.of(t, func() error { return side.View(t.Context(), ask) }); n != 1 {
			t.Errorf("a View of %s took %d round trips, want 1", name, n)
		}
	}
}

func TestOwnRequestsAreOneRoundTrip(t *testing.T) {
	t.Parallel()
	one, trips := countedOn(t, storetest.Postgres(t))
	side, member := one.Side(marketplace.Definition), cutover.NewID()
	for name, f := range map[string]marketplace.RequestFilter{
		"own":                  {Party: member},
		"own of one status":    {Party: member, Status: marketplace.StatusActive},
		"own and open to them": {Party: member, OpenTo: member},
	} {
		n := trips.of(t, func() error {
			return side.View(t.Context(), func(ctx context.Context, tx cutover.Tx) error {
				_, err := marketplace.Requests(ctx, tx, f, cutover.ID{}, 21)
				return err
			})
		})
		if n != 1 {
			t.Errorf("requests that are %s took %d round trips, want 1", name, n)
		}
	}
}

func TestUpdate_IsTwoRoundTrips(t *testing.T) {
	t.Parallel()
	db, side, trips := counted(t)
	execute(t, db, "INSERT INTO cutover_domains (domain, phase, epoch, sealed) VALUES ('specimen', 'mirror', 3, false)")
	guard := cutover.Guard{Domain: "specimen", Epoch: 3, Journal: true, Fenced: true}
	s := listed(1)
	if err := side.Update(t.Context(), guard, putting(s)); err != nil {
		t.Fatal(err)
	}
	changing := func(ctx context.Context, tx cutover.Tx) error {
		s, err := get(ctx, tx, s.ID)
		if err != nil {
			return err
		}
		s.Lines = append(s.Lines, s.Lines[0])
		return tx.Put(ctx, &s)
	}
	// Two questions of which the second was announced.
	asking := func(ctx context.Context, tx cutover.Tx) error {
		others := query.Eq("shelfId", s.ID).Limit(3)
		cutover.Expect[cutovertest.Specimen](tx, others)
		s, err := get(ctx, tx, s.ID)
		if err != nil {
			return err
		}
		if list, err := cutover.Find[cutovertest.Specimen](ctx, tx, others); err != nil || len(list) > 0 {
			t.Errorf("%d others, %v; want none", len(list), err)
		}
		return tx.Put(ctx, &s)
	}
	making := func(ctx context.Context, tx cutover.Tx) error { return tx.Put(ctx, listed(0)) }
	for name, fn := range map[string]func(context.Context, cutover.Tx) error{
		"reads and writes": changing, "reads twice and writes": asking, "only writes": making,
	} {
		n := trips.of(t, func() error { return side.Update(t.Context(), guard, fn) })
		if n != 2 {
			t.Errorf("an Update that %s took %d round trips, want 2", name, n)
		}
	}
}

func TestView_OfSeveralQuestionsSeesOneState(t *testing.T) {
	t.Parallel()
	_, side := specimens(t)
	s := specimen("1")
	if err := put(t, side, s); err != nil {
		t.Fatal(err)
	}
	for name, disturb := range map[string]func(){
		"nothing": func() {},
		"a write": func() {
			if err := put(t, side, s); err != nil {
				t.Error(err)
			}
		},
	} {
		runs := 0
		err := side.View(t.Context(), func(ctx context.Context, tx cutover.Tx) error {
			runs++
			var revs []int64
			for range 3 {
				s, err := get(ctx, tx, s.ID)
				if err != nil {
					return err
				}
				revs = append(revs, s.Rev)
				if runs == 1 && len(revs) == 1 || len(revs) == 2 {
					disturb()
				}
			}
			if revs[0] != revs[1] || revs[1] != revs[2] {
				t.Errorf("with %s between them, one View read revisions %d", name, revs)
			}
			return nil
		})
		if want := map[string]int{"nothing": 1, "a write": 2}[name]; err != nil || runs != want {
			t.Errorf("with %s between its questions, a View ran %d times (%v), want %d", name, runs, err, want)
		}
	}
}

func TestView_FailsWithAQuestionThatGotNoAnswer(t *testing.T) {
	t.Parallel()
	_, side := specimens(t)
	err := side.View(t.Context(), func(ctx context.Context, tx cutover.Tx) error {
		_ = postgresql.Pose(ctx, tx, "SELECT 1/0")
		return nil
	})
	if !fault.Is(err, fault.Internal) {
		t.Errorf("a View that made nothing of a failure gave %v", err)
	}
}

func TestAPanicCostsNoConnection(t *testing.T) {
	t.Parallel()
	_, side, _ := counted(t)
	panicking := func(ctx context.Context, tx cutover.Tx) error {
		return postgresql.Ask(ctx, tx, "SELECT 1", func(pgx.Rows) error { panic("in the middle of an answer") })
	}
	asking := func(ctx context.Context, tx cutover.Tx) error {
		_, err := cutover.Find[cutovertest.Shelf](ctx, tx, query.All().Limit(1))
		return err
	}
	for range 2 {
		for name, run := range map[string]func(func(context.Context, cutover.Tx) error) error{
			"View": func(fn func(context.Context, cutover.Tx) error) error { return side.View(t.Context(), fn) },
			"Update": func(fn func(context.Context, cutover.Tx) error) error {
				return side.Update(t.Context(), cutover.Guard{}, fn)
			},
		} {
			func() {
				defer func() { _ = recover() }()
				_ = run(panicking)
			}()
			if err := run(asking); err != nil {
				t.Errorf("the %s after one that panicked: %v", name, err)
			}
		}
	}
}
