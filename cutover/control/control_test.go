package control_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/control"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/cutover/postgresql"
	"github.com/amanat-dev/amanat/internal/devstack"
)

// bundle is a migrated database of the test's own and a plane on it.
type bundle struct {
	*control.Plane
	pool *pgxpool.Pool
	url  string
}

func setup(t *testing.T) bundle {
	t.Helper()
	url := devstack.Shared(t).NewDatabase(t, templateKey(t), migrate)
	pool, err := pgxpool.New(t.Context(), url)
	check(t, err)
	t.Cleanup(pool.Close)
	plane, err := control.Connect(t.Context(), url)
	check(t, err)
	t.Cleanup(plane.Close)
	return bundle{plane, pool, url}
}

func migrate(ctx context.Context, url string) error {
	db, err := postgresql.Open(ctx, url)
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.Up(ctx)
	return err
}

// templateKey is another one whenever a migration is.
func templateKey(t *testing.T) string {
	t.Helper()
	key := "control"
	for _, source := range postgresql.Sources() {
		files, err := fs.Glob(source.Files, path.Join(source.Dir, "*.sql"))
		check(t, err)
		for _, file := range files {
			sql, err := fs.ReadFile(source.Files, file)
			check(t, err)
			key += " " + string(sql)
		}
	}
	return key
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("want no error, got %v", err)
	}
}

func checkKind(t *testing.T, err error, kind fault.Kind) {
	t.Helper()
	if !fault.Is(err, kind) {
		t.Fatalf("want a fault of kind %s, got %v", kind, err)
	}
}

func equal[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if g, w := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want); g != w {
		t.Fatalf("%s: got %s, want %s", what, g, w)
	}
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("not within 15 s: %s", what)
}

func (b bundle) register(t *testing.T, first cutover.Phase) cutover.State {
	t.Helper()
	s, err := b.Register(t.Context(), "payment", first)
	check(t, err)
	return s
}

func next(s cutover.State, phase cutover.Phase, sealed bool) cutover.State {
	return cutover.State{Domain: s.Domain, Phase: phase, Epoch: s.Epoch + 1, Sealed: sealed}
}

// killBackends ends the server's side of this database's connections that run
// or ran a statement like this one.
func (b bundle) killBackends(t *testing.T, like string) (n int) {
	t.Helper()
	err := b.pool.QueryRow(t.Context(), `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
		WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE $1`, like).Scan(&n)
	check(t, err)
	return n
}

func TestUnmigratedDatabaseIsNamedAsSuch(t *testing.T) {
	t.Parallel()
	plane, err := control.Connect(t.Context(), devstack.Shared(t).Postgres.NewDatabase(t))
	check(t, err)
	defer plane.Close()
	_, err = plane.States(t.Context())
	checkKind(t, err, fault.Internal)
}

func TestAwayIsUnavailableQuickly(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]string{
		"refused":    "postgres://x@127.0.0.1:1/x",
		"swallowed":  "postgres://x@10.255.255.1:5432/x",
		"wrong name": devstack.Shared(t).Postgres.URL("no_such_database"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plane, err := control.Connect(t.Context(), url)
			check(t, err)
			defer plane.Close()
			begin := time.Now()
			_, err = plane.States(t.Context())
			checkKind(t, err, fault.Unavailable)
			if took := time.Since(begin); took > 4*time.Second {
				t.Fatalf("took %v, want at most 4 s", took)
			}
			_, err = plane.Lead(t.Context(), "r", func(context.Context) error { return nil })
			checkKind(t, err, fault.Unavailable)
		})
	}
}

func TestRegisterKeepsWhatIsRecorded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := b.register(t, cutover.PhaseSource)
	equal(t, "new", first, cutover.State{Domain: "payment", Phase: cutover.PhaseSource, Epoch: 1})
	equal(t, "known", b.register(t, cutover.PhaseTarget), first)
	states, err := b.States(t.Context())
	check(t, err)
	equal(t, "states", states, map[string]cutover.State{"payment": first})
}

func TestAdvanceOnlyFromThatVeryState(t *testing.T) {
	t.Parallel()
	b := setup(t)
	from := b.register(t, cutover.PhaseSource)
	to := next(from, cutover.PhaseDual, false)
	for _, wrong := range []cutover.State{
		{Domain: "payment", Phase: cutover.PhaseDual, Epoch: 1},
		{Domain: "payment", Phase: cutover.PhaseSource, Epoch: 1, Sealed: true},
		{Domain: "user", Phase: cutover.PhaseSource, Epoch: 1},
	} {
		to := to
		to.Domain = wrong.Domain
		checkKind(t, b.Advance(t.Context(), wrong, to, cutover.Change{}), fault.Conflict)
	}
	checkKind(t, b.Advance(t.Context(), from, from, cutover.Change{}), fault.Internal)
	history, err := b.History(t.Context(), "payment", 0)
	check(t, err)
	equal(t, "history lines", len(history), 0)

	check(t, b.Advance(t.Context(), from, to, cutover.Change{Who: "ada", Action: "start", Why: "it is time", Detail: []byte(`{"b":1,"a":2}`)}))
	checkKind(t, b.Advance(t.Context(), from, to, cutover.Change{}), fault.Conflict)
	history, err = b.History(t.Context(), "payment", 10)
	check(t, err)
	equal(t, "history lines", len(history), 1)
	line := history[0]
	equal(t, "line", []any{line.From, line.To, line.Who, line.Action, line.Why, string(line.Detail)},
		[]any{from, to, "ada", "start", "it is time", `{"b":1,"a":2}`})
	if time.Since(line.At).Abs() > time.Minute {
		t.Fatalf("line at %v, want now", line.At)
	}
}

func TestOfManyAdvancesAtOnceOneWins(t *testing.T) {
	t.Parallel()
	b := setup(t)
	from := b.register(t, cutover.PhaseDual)
	var won atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			err := b.Advance(context.Background(), from, next(from, cutover.PhaseDual, true), cutover.Change{Action: "seal"})
			switch {
			case err == nil:
				won.Add(1)
			case !fault.Is(err, fault.Conflict):
				t.Errorf("want a conflict, got %v", err)
			}
		})
	}
	wg.Wait()
	equal(t, "winners", won.Load(), 1)
}

func (b bundle) fence(t *testing.T, domain string, epoch int64, level pgx.TxIsoLevel) error {
	t.Helper()
	tx, err := b.pool.BeginTx(t.Context(), pgx.TxOptions{IsoLevel: level})
	check(t, err)
	defer tx.Rollback(context.Background())
	return control.Fence(t.Context(), tx, domain, epoch)
}

func TestFenceLetsOnlyThePresentEpochThrough(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := b.register(t, cutover.PhaseTarget)
	check(t, b.fence(t, "payment", s.Epoch, pgx.ReadCommitted))
	for name, err := range map[string]error{
		"later epoch":    b.fence(t, "payment", s.Epoch+1, pgx.ReadCommitted),
		"unknown domain": b.fence(t, "user", 0, pgx.ReadCommitted),
	} {
		if !errors.Is(err, cutover.ErrMoved) {
			t.Errorf("%s: want ErrMoved, got %v", name, err)
		}
	}
	checkKind(t, b.fence(t, "payment", s.Epoch, pgx.RepeatableRead), fault.Internal)

	sealed := next(s, cutover.PhaseTarget, true)
	check(t, b.Advance(t.Context(), s, sealed, cutover.Change{}))
	for _, epoch := range []int64{s.Epoch, sealed.Epoch} {
		if err := b.fence(t, "payment", epoch, pgx.ReadCommitted); !errors.Is(err, cutover.ErrMoved) {
			t.Errorf("epoch %d of a sealed domain: want ErrMoved, got %v", epoch, err)
		}
	}
	_, err := b.Register(t.Context(), "chat", cutover.PhaseDual)
	check(t, err)
	checkKind(t, b.fence(t, "chat", 1, pgx.ReadCommitted), fault.Internal)
}

// writers commit rows fenced to the epoch they believe in until stopped; a row
// names it. Each looks up the epoch again when it is told that it has moved.
func (b bundle) writers(t *testing.T, n int) (stop func()) {
	t.Helper()
	_, err := b.pool.Exec(t.Context(), "CREATE TABLE written (seq bigint GENERATED ALWAYS AS IDENTITY, epoch bigint)")
	check(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			epoch := int64(1)
			for ctx.Err() == nil {
				err := pgx.BeginFunc(context.Background(), b.pool, func(tx pgx.Tx) error {
					if err := control.Fence(context.Background(), tx, "payment", epoch); err != nil {
						return err
					}
					_, err := tx.Exec(context.Background(), "INSERT INTO written (epoch) VALUES ($1)", epoch)
					return err
				})
				switch {
				case errors.Is(err, cutover.ErrMoved):
					_ = b.pool.QueryRow(context.Background(), "SELECT epoch FROM cutover_domains").Scan(&epoch)
				case err != nil:
					t.Error(err)
					return
				}
			}
		})
	}
	return func() { cancel(); wg.Wait() }
}

func (b bundle) writtenIn(t *testing.T, epoch int64) (n int64) {
	t.Helper()
	check(t, b.pool.QueryRow(t.Context(), "SELECT count(*) FROM written WHERE epoch = $1", epoch).Scan(&n))
	return n
}

func TestNothingOfAnEpochCommitsOnceAdvanceHasEndedIt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := b.register(t, cutover.PhaseMirror)
	stop := b.writers(t, 6)
	defer stop()
	atEnd := map[int64]int64{}
	for range 40 {
		time.Sleep(5 * time.Millisecond)
		to := next(s, cutover.PhaseMirror, !s.Sealed)
		check(t, b.Advance(t.Context(), s, to, cutover.Change{}))
		atEnd[s.Epoch] = b.writtenIn(t, s.Epoch)
		if s.Sealed && atEnd[s.Epoch] != 0 {
			t.Fatalf("sealed epoch %d: %d rows, want none", s.Epoch, atEnd[s.Epoch])
		}
		s = to
	}
	stop()
	var sum int64
	for epoch, n := range atEnd {
		sum += n
		if now := b.writtenIn(t, epoch); now != n {
			t.Errorf("epoch %d: %d rows after it was ended, want still %d", epoch, now, n)
		}
	}
	if sum == 0 {
		t.Fatal("the writers wrote nothing, so nothing was shown")
	}
}

func TestAdvanceAndBarrierWaitForAnUpdateInFlight(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := b.register(t, cutover.PhaseTarget)
	tx, err := b.pool.Begin(t.Context())
	check(t, err)
	defer tx.Rollback(context.Background())
	check(t, control.Fence(t.Context(), tx, "payment", s.Epoch))

	short, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	to := next(s, cutover.PhaseTarget, true)
	checkKind(t, b.Advance(short, s, to, cutover.Change{}), fault.Unavailable)
	checkKind(t, b.Barrier(short, "payment"), fault.Unavailable)
	equal(t, "state", b.register(t, cutover.PhaseTarget), s)

	done := make(chan error, 2)
	go func() { done <- b.Advance(context.Background(), s, to, cutover.Change{}) }()
	go func() { done <- b.Barrier(context.Background(), "payment") }()
	select {
	case err := <-done:
		t.Fatalf("ended with %v before the Update did", err)
	case <-time.After(200 * time.Millisecond):
	}
	check(t, tx.Commit(t.Context()))
	check(t, <-done)
	check(t, <-done)
}

func TestSettingsDefaultUntilSet(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s, err := b.Settings(t.Context(), "payment")
	check(t, err)
	equal(t, "before", s, cutover.DefaultSettings)
	want := cutover.Settings{ShadowPercent: 0, BackfillRate: 500, Paused: true, CopyRate: 70, CopyPaused: true, MaxLatencyMS: 40}
	check(t, b.SetSettings(t.Context(), "payment", want))
	s, err = b.Settings(t.Context(), "payment")
	check(t, err)
	equal(t, "after", s, want)
	checkKind(t, b.SetSettings(t.Context(), "payment", cutover.Settings{ShadowPercent: 101}), fault.Invalid)
	checkKind(t, b.SetSettings(t.Context(), "payment", cutover.Settings{BackfillRate: -1}), fault.Invalid)
	checkKind(t, b.SetSettings(t.Context(), "payment", cutover.Settings{CopyRate: -1}), fault.Invalid)
	checkKind(t, b.SetSettings(t.Context(), "payment", cutover.Settings{MaxLatencyMS: -1}), fault.Invalid)
}

func TestWatchSeesEachChangeAndReconnects(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var calls atomic.Int64
	words := make(chan cutover.Written, 100)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		b.Watch(ctx, func() { calls.Add(1) }, func(w cutover.Written) { words <- w })
		close(ended)
	}()
	listening := func() bool {
		var n int
		err := b.pool.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
			AND pid <> pg_backend_pid() AND (query LIKE 'LISTEN%' OR query LIKE '%string_agg%')`).Scan(&n)
		return err == nil && n == 1
	}
	rings := func(change func()) time.Duration {
		before := calls.Load()
		begin := time.Now()
		change()
		eventually(t, "changed() was called", func() bool { return calls.Load() > before })
		return time.Since(begin)
	}
	eventually(t, "it listens", listening)
	equal(t, "word of anything", <-words, cutover.Written{})
	time.Sleep(100 * time.Millisecond)
	rings(func() { b.register(t, cutover.PhaseSource) })
	time.Sleep(2500 * time.Millisecond) // what listens has looked once more
	quiet := calls.Load()
	time.Sleep(2500 * time.Millisecond)
	equal(t, "calls without a change", calls.Load(), quiet)
	if took := rings(func() { check(t, b.SetSettings(t.Context(), "payment", cutover.Settings{})) }); took > 500*time.Millisecond {
		t.Errorf("a notification took %v", took)
	}
	all := []cutover.Written{{Domain: "payment"}, {Domain: "user", Kind: "user_event"}}
	check(t, b.Wrote(t.Context(), all))
	equal(t, "words", []cutover.Written{<-words, <-words}, all)
	rings(func() { equal(t, "killed", b.killBackends(t, "%LISTEN%")+b.killBackends(t, "%string_agg%"), 1) })
	eventually(t, "it listens again", listening)
	equal(t, "word of anything after a break", <-words, cutover.Written{})
	cancel()
	<-ended
}

// TestAListenerThatHearsAllTheTimeIsNotEnded: the server counts as silence what a
// client does not say, whatever it hears.
func TestAListenerThatHearsAllTheTimeIsNotEnded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var begun, heard atomic.Int64
	go b.Watch(t.Context(), func() {}, func(w cutover.Written) {
		if w == (cutover.Written{}) {
			begun.Add(1)
			return
		}
		heard.Add(1)
	})
	for began := time.Now(); time.Since(began) < 10*time.Second; time.Sleep(100 * time.Millisecond) {
		check(t, b.Wrote(t.Context(), []cutover.Written{{Domain: "payment"}}))
	}
	equal(t, "times that it began to listen", begun.Load(), 1)
	if heard.Load() == 0 {
		t.Error("it has heard nothing")
	}
}

func TestBeganIsReadOutOfAnyHistory(t *testing.T) {
	t.Parallel()
	b := setup(t)
	began, err := b.Began(t.Context(), "payment")
	check(t, err)
	equal(t, "of an unknown domain", began, cutover.Began{})
	s := b.register(t, cutover.PhaseSource)
	began, err = b.Began(t.Context(), "payment")
	check(t, err)
	equal(t, "of one that has never moved", began, cutover.Began{})
	step := func(phase cutover.Phase, sealed bool) {
		t.Helper()
		to := cutover.State{Domain: s.Domain, Phase: phase, Epoch: s.Epoch + 1, Sealed: sealed}
		check(t, b.Advance(t.Context(), s, to, cutover.Change{Action: "test"}))
		s = to
	}
	step(cutover.PhaseDual, false)   // 2
	step(cutover.PhaseSource, false) // 3
	step(cutover.PhaseDual, false)   // 4
	step(cutover.PhaseDual, true)    // 5
	step(cutover.PhaseMirror, true)  // 6
	step(cutover.PhaseMirror, false) // 7
	began, err = b.Began(t.Context(), "payment")
	check(t, err)
	equal(t, "epochs", [2]int64{began.Move, began.Phase}, [2]int64{4, 6})
	equal(t, "never rolled back", began.RolledBackAt.IsZero(), true)
	step(cutover.PhaseMirror, true) // 8
	step(cutover.PhaseDual, true)   // 9
	step(cutover.PhaseDual, false)  // 10
	began, err = b.Began(t.Context(), "payment")
	check(t, err)
	equal(t, "epochs after a rollback", [2]int64{began.Move, began.Phase}, [2]int64{4, 9})
	history, err := b.History(t.Context(), "payment", 2)
	check(t, err)
	equal(t, "rolled back", began.RolledBackAt, history[1].At)
	equal(t, "the phase began", began.PhaseAt, history[1].At)
}

func TestLeadIsHeldByOneAtATime(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ran := 0
	led, err := b.Lead(t.Context(), "copier", func(ctx context.Context) error {
		ran++
		held, err := b.Led(ctx, "copier")
		check(t, err)
		equal(t, "the role is held", held, true)
		other, err := b.Lead(ctx, "copier", func(context.Context) error { ran++; return nil })
		equal(t, "second leader", other, false)
		check(t, err)
		another, err := b.Lead(ctx, "sweeper", func(context.Context) error { ran++; return nil })
		equal(t, "leader of another role", another, true)
		return err
	})
	check(t, err)
	equal(t, "led", led, true)
	equal(t, "ran", ran, 2)
	failed := errors.New("own error")
	held, err := b.Led(t.Context(), "copier")
	check(t, err)
	equal(t, "the role is held afterwards", held, false)
	led, err = b.Lead(t.Context(), "copier", func(context.Context) error { return failed })
	equal(t, "led again", led, true)
	if err != failed {
		t.Fatalf("want do's own error, got %v", err)
	}
}

func TestLeadEndsWhenItsConnectionIsLost(t *testing.T) {
	t.Parallel()
	b := setup(t)
	begun, killed := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(killed)
		<-begun
		b.killBackends(t, "%pg_try_advisory_lock%")
	}()
	defer func() { <-killed }()
	led, err := b.Lead(t.Context(), "copier", func(ctx context.Context) error {
		close(begun)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Second):
			return errors.New("its context did not end")
		}
	})
	equal(t, "led", led, true)
	checkKind(t, err, fault.Unavailable)
	// The server frees the role when it has ended the session, which may be a
	// moment after the client has noticed.
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		led, err = b.Lead(t.Context(), "copier", func(context.Context) error { return nil })
		check(t, err)
		if led {
			return
		}
		if time.Since(began) > time.Minute {
			t.Fatal("nobody can lead again")
		}
	}
}

func TestProcessesLiveByTheirLease(t *testing.T) {
	t.Parallel()
	b := setup(t)
	started := cutover.Now()
	p := cutover.Process{ID: "a", Host: "h", PID: 7, Version: "v1", Started: started, Acks: map[string]int64{"payment": 3}}
	check(t, b.Beat(t.Context(), p, time.Minute))
	p.Acks["payment"] = 4
	check(t, b.Beat(t.Context(), p, time.Minute))
	check(t, b.Beat(t.Context(), cutover.Process{ID: "b", Started: started.Add(time.Second)}, time.Millisecond))
	time.Sleep(20 * time.Millisecond)
	ps, err := b.Processes(t.Context())
	check(t, err)
	equal(t, "processes", len(ps), 2)
	equal(t, "first", []any{ps[0].ID, ps[0].Host, ps[0].PID, ps[0].Version, ps[0].Started, ps[0].Acks, ps[0].Alive, ps[0].Until.Sub(ps[0].Seen)},
		[]any{"a", "h", 7, "v1", started, map[string]int64{"payment": 4}, true, time.Minute})
	equal(t, "second", []any{ps[1].ID, ps[1].Alive}, []any{"b", false})
	if ahead := ps[0].ClockAheadMS; ahead < -2000 || ahead > 2000 {
		t.Errorf("the clock of this very machine is %v ms ahead", ahead)
	}

	_, err = b.pool.Exec(t.Context(), "UPDATE cutover_processes SET until = now() - interval '61 minutes' WHERE id = 'b'")
	check(t, err)
	ps, err = b.Processes(t.Context())
	check(t, err)
	equal(t, "an hour later", len(ps), 1)
	check(t, b.Leave(t.Context(), "a"))
	var left int
	check(t, b.pool.QueryRow(t.Context(), "SELECT count(*) FROM cutover_processes").Scan(&left))
	equal(t, "rows left", left, 0)
}

func gap(id cutover.ID, reason string) cutover.Gap {
	return cutover.Gap{Domain: "payment", Kind: "payment", ID: id.String(), Reason: reason}
}

func TestGapLifeCycle(t *testing.T) {
	t.Parallel()
	b := setup(t)
	one, two := cutover.NewID(), cutover.NewID()
	only := func(openOnly bool, n int) cutover.Gap {
		t.Helper()
		gaps, err := b.Gaps(t.Context(), "", openOnly, 10)
		check(t, err)
		equal(t, "gaps", len(gaps), n)
		if n == 0 {
			return cutover.Gap{}
		}
		return gaps[0]
	}
	open := func(want int64) {
		t.Helper()
		n, err := b.CountOpenGaps(t.Context(), "payment")
		check(t, err)
		equal(t, "open gaps", n, want)
	}
	check(t, b.RecordGaps(t.Context(), []cutover.Gap{gap(one, "no parent"), gap(one, "still\x00none")}))
	g := only(true, 1)
	equal(t, "counted", []any{g.Attempts, g.Reason, g.Open(), g.LastSeen.Before(g.FirstSeen)}, []any{2, "still\uFFFDnone", true, false})

	check(t, b.ResolveGaps(t.Context(), "payment", []cutover.Key{{Kind: "payment", ID: one}, {Kind: "payment", ID: two}}))
	only(true, 0)
	of := func(want int) {
		t.Helper()
		gaps, err := b.GapsOf(t.Context(), "payment", []cutover.Key{{Kind: "payment", ID: one}, {Kind: "payment", ID: two}})
		check(t, err)
		equal(t, "unresolved gaps of both", len(gaps), want)
	}
	of(0)
	if g = only(false, 1); g.Open() || time.Since(g.Resolved).Abs() > time.Minute {
		t.Fatalf("want a gap resolved just now, got %+v", g)
	}
	check(t, b.RecordGaps(t.Context(), []cutover.Gap{gap(one, "again")}))
	equal(t, "reopened", only(true, 1).Attempts, 3)

	_, err := b.WaiveGap(t.Context(), "payment", "", "", "ada", "")
	checkKind(t, err, fault.Invalid)
	n, err := b.WaiveGap(t.Context(), "payment", "payment", one.String(), "ada", "a test account")
	check(t, err)
	equal(t, "waived", n, 1)
	open(0)
	check(t, b.RecordGaps(t.Context(), []cutover.Gap{gap(one, "again")}))
	g = only(false, 1)
	equal(t, "still waived", []any{g.WaivedBy, g.WaivedWhy, g.Open()}, []any{"ada", "a test account", false})
	of(1)
	check(t, b.ResolveGaps(t.Context(), "payment", []cutover.Key{{Kind: "payment", ID: one}}))
	check(t, b.RecordGaps(t.Context(), []cutover.Gap{gap(one, "another failure"), gap(two, "x"), {Domain: "user", Kind: "user", ID: "old-7", Reason: "y"}}))
	open(2)
	n, err = b.WaiveGap(t.Context(), "payment", "", "", "ada", "all of it")
	check(t, err)
	equal(t, "waived of the domain", n, 2)
	equal(t, "left", only(true, 1).Domain, "user")
	check(t, b.ResolveForeignGap(t.Context(), "user", "user", "old-7"))
	only(true, 0)
}

func TestGapsAtOnceDoNotDeadlock(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var gaps []cutover.Gap
	var keys []cutover.Key
	for range 50 {
		id := cutover.NewID()
		gaps, keys = append(gaps, gap(id, "r")), append(keys, cutover.Key{Kind: "payment", ID: id})
	}
	backwards := slices.Clone(gaps)
	slices.Reverse(backwards)
	var wg sync.WaitGroup
	for _, do := range []func() error{
		func() error { return b.RecordGaps(context.Background(), gaps) },
		func() error { return b.RecordGaps(context.Background(), backwards) },
		func() error { return b.ResolveGaps(context.Background(), "payment", keys) },
	} {
		wg.Go(func() {
			for range 20 {
				if err := do(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func (b bundle) plan(t *testing.T, chunks int) {
	t.Helper()
	var plan []cutover.Chunk
	var last cutover.ID
	for i := range chunks {
		id := cutover.NewIDAt(time.Unix(int64(1000+i), 0))
		plan = append(plan, cutover.Chunk{After: last, Until: id})
		last = id
	}
	plan[chunks-1].Until = cutover.ID{}
	check(t, b.PlanChunks(t.Context(), "payment", 2, "payment", plan))
}

func TestPlanIsMadeOnceAndKeepsTheOrderOfKinds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.plan(t, 3)
	b.plan(t, 9)
	check(t, b.PlanChunks(t.Context(), "payment", 2, "empty", nil))
	check(t, b.PlanChunks(t.Context(), "payment", 5, "payment", nil))
	planned, err := b.Planned(t.Context(), "payment", 2)
	check(t, err)
	equal(t, "planned", planned, map[string]bool{"payment": true, "empty": true})
	progress, err := b.Progress(t.Context(), "payment", 2)
	check(t, err)
	equal(t, "progress", progress, []cutover.KindProgress{{Kind: "payment", Chunks: 3}, {Kind: "empty"}})
}

func TestParallelWorkersDoEachChunkOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.plan(t, 40)
	var mu sync.Mutex
	done := map[int64]cutover.Chunk{}
	var wg sync.WaitGroup
	for range 8 { // more than the plane's pool has connections
		wg.Go(func() {
			for {
				found, err := b.WithChunk(context.Background(), "payment", 2, "payment", func(ctx context.Context, c cutover.Chunk) (int64, int64, error) {
					mu.Lock()
					defer mu.Unlock()
					if _, twice := done[c.Seq]; twice {
						t.Errorf("chunk %d was done twice", c.Seq)
					}
					done[c.Seq] = c
					return 10, 1, nil
				})
				if err != nil {
					t.Error(err)
				}
				if err != nil || !found {
					return
				}
			}
		})
	}
	wg.Wait()
	equal(t, "chunks done", len(done), 40)
	for seq := int64(2); seq <= 40; seq++ {
		equal(t, "no hole between chunks", done[seq].After, done[seq-1].Until)
	}
	equal(t, "ends", []bool{done[1].After.IsZero(), done[40].Until.IsZero()}, []bool{true, true})
	progress, err := b.Progress(t.Context(), "payment", 2)
	check(t, err)
	equal(t, "progress", progress, []cutover.KindProgress{{Kind: "payment", Chunks: 40, Done: 40, Rows: 400, Gaps: 40}})
}

func TestChunkIsFreeAgainAfterFailureOrLostWorker(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.plan(t, 1)
	failed := errors.New("own error")
	found, err := b.WithChunk(t.Context(), "payment", 2, "payment", func(context.Context, cutover.Chunk) (int64, int64, error) {
		other, err := b.WithChunk(t.Context(), "payment", 2, "payment", nil)
		check(t, err)
		equal(t, "claimed twice", other, false)
		return 5, 0, failed
	})
	equal(t, "found", found, true)
	if err != failed {
		t.Fatalf("want do's own error, got %v", err)
	}
	_, err = b.WithChunk(t.Context(), "payment", 2, "payment", func(ctx context.Context, _ cutover.Chunk) (int64, int64, error) {
		equal(t, "killed", b.killBackends(t, "%SKIP LOCKED%"), 1)
		select {
		case <-ctx.Done():
			return 5, 0, ctx.Err()
		case <-time.After(10 * time.Second):
			return 5, 0, errors.New("its context did not end")
		}
	})
	checkKind(t, err, fault.Unavailable)
	if !errors.Is(err, cutover.ErrClaimLost) {
		t.Errorf("got %v, want that the claim was lost", err)
	}
	// The server takes a moment to notice that the worker is gone.
	eventually(t, "found again", func() bool {
		found, err = b.WithChunk(t.Context(), "payment", 2, "payment", func(context.Context, cutover.Chunk) (int64, int64, error) { return 7, 0, nil })
		check(t, err)
		return found
	})
	progress, err := b.Progress(t.Context(), "payment", 2)
	check(t, err)
	equal(t, "progress", progress, []cutover.KindProgress{{Kind: "payment", Chunks: 1, Done: 1, Rows: 7}})
}

func TestShadowCountsAddUpAndSamplesAreBounded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	now := cutover.Now()
	for i := range 3 {
		at := now.Add(time.Duration(i) * time.Second)
		check(t, b.AddShadow(t.Context(), "payment", 2, []cutover.ShadowCount{
			{Query: "payment.list", Dropped: 1},
			{Query: "payment.get", Compared: 10, Matched: 9, Diffs: 1, Errors: 2, First: at, Last: at},
		}, nil))
	}
	counts, err := b.Shadow(t.Context(), "payment", 2)
	check(t, err)
	equal(t, "counts", counts, []cutover.ShadowCount{
		{Query: "payment.get", Compared: 30, Matched: 27, Diffs: 3, Errors: 6, First: now, Last: now.Add(2 * time.Second)},
		{Query: "payment.list", Dropped: 3},
	})
	var samples []cutover.ShadowSample
	for i := range 30 {
		samples = append(samples, cutover.ShadowSample{Query: "payment.get", At: now, Primary: fmt.Sprint(i), Secondary: "\x00"})
	}
	check(t, b.AddShadow(t.Context(), "payment", 2, nil, samples))
	kept, err := b.ShadowSamples(t.Context(), "payment", 2, 0)
	check(t, err)
	equal(t, "kept", len(kept), 20)
	equal(t, "newest", kept[0], cutover.ShadowSample{Query: "payment.get", At: now, Primary: "29", Secondary: "\uFFFD"})
	other, err := b.Shadow(t.Context(), "payment", 4)
	check(t, err)
	equal(t, "of another epoch", len(other), 0)
}

func TestDocumentsNewestFirst(t *testing.T) {
	t.Parallel()
	b := setup(t)
	now := cutover.Now()
	d := cutover.Document{ID: "1", Domain: "payment", Type: "verify", Epoch: 2, At: now, Who: "ada", OK: true, Body: []byte(`{"z":1.10,"a":"\u0000"}`)}
	check(t, b.SaveDocument(t.Context(), d))
	check(t, b.SaveDocument(t.Context(), d))
	check(t, b.SaveDocument(t.Context(), cutover.Document{Domain: "payment", Type: "verify", At: now.Add(-time.Hour)}))
	check(t, b.SaveDocument(t.Context(), cutover.Document{Domain: "payment", Type: "drill"}))
	docs, err := b.Documents(t.Context(), "payment", "verify", 5)
	check(t, err)
	equal(t, "documents", len(docs), 2)
	equal(t, "newest", docs[0], d)
	if docs[1].ID == "" {
		t.Fatal("want an ID given")
	}
}

func TestTouchedUntilForgotten(t *testing.T) {
	t.Parallel()
	b := setup(t)
	one, two := cutover.Key{Kind: "a", ID: cutover.NewID()}, cutover.Key{Kind: "b", ID: cutover.NewID()}
	check(t, b.Touch(t.Context(), "payment", []cutover.Key{two, one, one}))
	check(t, b.Touch(t.Context(), "user", []cutover.Key{one}))
	between, err := b.Clock(t.Context())
	check(t, err)
	check(t, b.Touch(t.Context(), "payment", []cutover.Key{two}))
	touched := func(want ...cutover.Key) {
		t.Helper()
		keys, err := b.Touched(t.Context(), "payment", 10)
		check(t, err)
		equal(t, "touched", keys, want)
	}
	touched(one, two)
	check(t, b.Untouch(t.Context(), "payment", between))
	touched(two)
	keys, err := b.Touched(t.Context(), "user", 10)
	check(t, err)
	equal(t, "of another domain", len(keys), 1)
}

func TestHostsNamesEveryHostThatMayBeReached(t *testing.T) {
	t.Parallel()
	for url, want := range map[string][]string{
		"postgres://u@db.example.org/x":           {"db.example.org"},
		"postgres://u@127.0.0.1:5,10.0.0.7:6/x":   {"127.0.0.1", "10.0.0.7"},
		"postgres://u@127.0.0.1/x?host=10.0.0.7":  {"10.0.0.7"},
		"postgres:///x?host=/var/run/postgresql":  {"/var/run/postgresql"},
		"postgres://u@localhost/x?sslmode=prefer": {"localhost"},
	} {
		hosts, err := control.Hosts(url)
		check(t, err)
		equal(t, url, hosts, want)
	}
	_, err := control.Hosts("postgres://u:secret@h:port/x")
	checkKind(t, err, fault.Invalid)
	if strings.Contains(err.Error(), "secret") {
		t.Fatalf("the fault shows the password: %v", err)
	}
}

func TestActivitiesAreTheNewestOfEachWorkerAndPass(t *testing.T) {
	t.Parallel()
	b := setup(t)
	tell := func(role, who, doing string) {
		check(t, b.SetActivities(t.Context(), []cutover.Activity{{Domain: "payment", Role: role, Who: who, Doing: doing}}))
	}
	tell("copier", "p1", "copies")
	tell("backfill", "p2", "waits")
	tell("copier", "p1", "has nothing to copy")
	var got []string
	all, err := b.Activities(t.Context(), "payment")
	check(t, err)
	for _, a := range all {
		got = append(got, a.Role+" "+a.Who+" "+a.Doing)
	}
	equal(t, "told", got, []string{"backfill p2 waits", "copier p1 has nothing to copy"})
	_, err = b.pool.Exec(t.Context(), `UPDATE cutover_activities SET at = at - interval '31 seconds' WHERE role = 'copier'`)
	check(t, err)
	all, err = b.Activities(t.Context(), "payment")
	check(t, err)
	equal(t, "left", len(all), 1)
	none, err := b.Activities(t.Context(), "user")
	check(t, err)
	equal(t, "of another domain", len(none), 0)
}
