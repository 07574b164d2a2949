package cutover_test

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/cutover/memdb"
)

func (w *world) set(t *testing.T, s cutover.Settings) {
	t.Helper()
	if err := w.control.SetSettings(t.Context(), "bank", s); err != nil {
		t.Fatal(err)
	}
}

// doing returns what a worker last said it does.
func (w *world) doing(t *testing.T, role string) string {
	t.Helper()
	for _, a := range must[cutover.Status](t)(w.engine().Status(t.Context(), "bank")).Working {
		if a.Role == role {
			return a.Doing
		}
	}
	return ""
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("not within 10 s: %s", what)
}

func (w *world) notes(t *testing.T) int64 {
	t.Helper()
	n, _, err := w.source.Journal(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestAPausedCopierCopiesNothingAndHoldsTheSwitch(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.copyOver(t)
	w.set(t, cutover.Settings{CopyPaused: true})
	eventually(t, "the copier says that it is paused", func() bool { return strings.Contains(w.doing(t, "copier"), "paused") })
	a := must[account](t)(w.banks[0].open(t.Context(), "sara"))
	if w.notes(t) != 1 {
		t.Fatalf("want the write's note in the journal, got %d notes", w.notes(t))
	}
	var refusal *cutover.Refusal
	if _, err := w.engine().Verify(t.Context(), "bank", cutover.VerifyOptions{}); !errors.As(err, &refusal) || refusal.Remedy != cutover.RemedyResume {
		t.Errorf("want a verify that says how to go on, got %v", err)
	}
	r, err := w.engine().Switch(t.Context(), "bank", execute)
	if err == nil || r.Gate[2].OK || !strings.Contains(r.Gate[2].Evidence, "paused") {
		t.Errorf("want the gate to hold, got %v, %+v", err, r.Gate)
	}
	w.set(t, cutover.Settings{})
	eventually(t, "the note is worked off", func() bool { return w.notes(t) == 0 })
	w.verify(t)
	w.switchOver(t)
	must[account](t)(w.banks[0].get(t.Context(), a.ID))
}

func TestTheCopierKeepsItsRate(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.copyOver(t)
	w.set(t, cutover.Settings{CopyPaused: true})
	eventually(t, "the copier says that it is paused", func() bool { return strings.Contains(w.doing(t, "copier"), "paused") })
	const records, rate = 30, 20
	for range records {
		must[account](t)(w.banks[0].open(t.Context(), "sara"))
	}
	begin := time.Now()
	w.set(t, cutover.Settings{CopyRate: rate})
	eventually(t, "all are copied", func() bool { return w.notes(t) == 0 })
	// The first batch, of one second, goes at once.
	if took, least := time.Since(begin), time.Second; took < least {
		t.Errorf("copied %d records at %d a second within %s, want %s at least", records, rate, took, least)
	}
}

func TestABackfillGivesWayToABusyPrimaryAndSaysSo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	for range 3 * 2000 {
		w.source.Seed("account", &account{Meta: cutover.Meta{ID: cutover.NewID()}})
	}
	must[cutover.Report](t)(w.engine().Start(t.Context(), "bank", execute))
	w.set(t, cutover.Settings{MaxLatencyMS: 1})
	w.source.Before(func(op string) error {
		switch op {
		case "get":
			time.Sleep(5 * time.Millisecond)
		case "scan": // so that it lasts for longer than what it does is told
			time.Sleep(100 * time.Millisecond)
		}
		return nil
	})
	done := make(chan error, 1)
	go func() {
		_, err := w.engine().Backfill(t.Context(), "bank", cutover.BackfillOptions{Workers: 1})
		done <- err
	}()
	eventually(t, "the backfill says why it rests", func() bool {
		doing := w.doing(t, "backfill")
		return strings.HasPrefix(doing, "resting: mongo takes ") && strings.HasSuffix(doing, "more than the 1 ms allowed")
	})
	w.source.Before(nil)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	w.verify(t)
}

// takes has operations of a database take some time.
func takes(d map[string]time.Duration) func(op string) error {
	return func(op string) error {
		time.Sleep(d[op])
		return nil
	}
}

// alone is a world without a server, of one process that gives commands.
func alone(t *testing.T) *world {
	w := newWorld(t, 0)
	w.banks = []*bank{w.newBank(t, "command")}
	return w
}

func TestABackfillKeepsAFloorHoweverBusyThePrimaryIs(t *testing.T) {
	t.Parallel()
	for name, busy := range map[string]func(t *testing.T, w *world){
		"by an operator's limit": func(t *testing.T, w *world) { w.set(t, cutover.Settings{MaxLatencyMS: 1}) },
		"by a lag": func(t *testing.T, w *world) {
			must[account](t)(w.newBank(t, "writer").open(t.Context(), "sara")) // nobody copies its note
			time.Sleep(time.Hour)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := alone(t)
				for range 3 * 2000 {
					w.source.Seed("account", &account{Meta: cutover.Meta{ID: cutover.NewID()}})
				}
				must[cutover.Report](t)(w.engine().Start(t.Context(), "bank", execute))
				busy(t, w)
				pages := 0
				slow := takes(map[string]time.Duration{"get": 3 * time.Second, "notes": 3 * time.Second, "scan": 100 * time.Millisecond})
				w.source.Before(func(op string) error {
					if op == "scan" {
						pages++
					}
					return slow(op)
				})
				rested := ""
				begin := time.Now()
				must[[]cutover.KindProgress](t)(w.engine().Backfill(t.Context(), "bank", cutover.BackfillOptions{Workers: 1,
					Resting: func(why string) { rested = cmp.Or(why, rested) }}))
				// What rests there were after the last page do not count.
				took, work := time.Since(begin), time.Duration(pages)*100*time.Millisecond
				if most := 20*work + 20*time.Second; took > most {
					t.Errorf("it took %s, with %s of work: want %s at most", took, work, most)
				}
				if took < 3*work || rested == "" {
					t.Errorf("it took %s, with %s of work, and rested for %q: want it to give way", took, work, rested)
				}
			})
		})
	}
}

// paged notes how many records are asked for at a time.
type paged struct {
	memdb.Source
	pages []int
}

func (p *paged) Scan(ctx context.Context, kind string, after, until cutover.ID, limit int) ([]cutover.Item, error) {
	if kind == "account" {
		p.pages = append(p.pages, limit)
	}
	return p.Source.Scan(ctx, kind, after, until, limit)
}

func TestABackfillAsksASlowDatabaseForSmallPages(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		takes time.Duration
		want  []int
	}{
		{time.Second, []int{250, 125, 62, 50, 50}},
		{200 * time.Millisecond, []int{250, 250, 250}},
		{time.Millisecond, []int{250, 500, 1000, 2000}},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 0)
			source := &paged{Source: memdb.Source{DB: w.source}}
			e := cutover.NewEngine(cutover.Options{Control: w.control, Logger: quiet, Process: cutover.Process{ID: "command"}})
			must[*cutover.Domain](t)(cutover.NewDomain(e, bankSpec(source, w.target)))
			if err := e.Open(t.Context()); err != nil {
				t.Fatal(err)
			}
			for range 2000 {
				w.source.Seed("account", &account{Meta: cutover.Meta{ID: cutover.NewID()}})
			}
			must[cutover.Report](t)(e.Start(t.Context(), "bank", execute))
			w.source.Before(takes(map[string]time.Duration{"scan": test.takes}))
			must[[]cutover.KindProgress](t)(e.Backfill(t.Context(), "bank", cutover.BackfillOptions{Workers: 1}))
			if len(source.pages) < len(test.want) || !slices.Equal(source.pages[:len(test.want)], test.want) {
				t.Errorf("pages that take %s: got %v, want %v …", test.takes, source.pages, test.want)
			}
		})
	}
}

func TestWhatAPrimaryTakesAllTheTimeIsUsual(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := alone(t)
		busy := w.engine().Gauge("bank")
		looks := func(takes time.Duration, n int) (why string, busiest int) {
			w.source.Before(func(string) error { time.Sleep(takes); return nil })
			for range n {
				why = must[string](t)(busy(t.Context(), 0))
				if why != "" {
					busiest++
				}
				time.Sleep(300 * time.Millisecond)
			}
			return why, busiest
		}
		if why, _ := looks(60*time.Millisecond, 60); why != "" {
			t.Errorf("a primary that is slow from the first look on counts as busy: %s", why)
		}
		if why, _ := looks(600*time.Millisecond, 10); !strings.HasSuffix(why, " times the usual") || !strings.HasPrefix(why, "mongo takes 5") {
			t.Errorf("ten times the usual: got %q", why)
		}
		looks(600*time.Millisecond, 60)
		if why, _ := looks(600*time.Millisecond, 1); why != "" {
			t.Errorf("what it has taken for half a minute is not usual: %s", why)
		}
		looks(time.Millisecond, 10) // its best moment
		if why, n := looks(600*time.Millisecond, 10); n > 0 {
			t.Errorf("a good moment has made what is usual busy: %s", why)
		}
	})
}

func TestTheCopierIsNotRestedBelowTheRateAtWhichNotesArrive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.copyOver(t)
		w.set(t, cutover.Settings{MaxLatencyMS: 1}) // which it never keeps
		// A round takes 300 ms: 1,600 records a second at most.
		w.source.Before(takes(map[string]time.Duration{
			"notes": 100 * time.Millisecond, "get": 100 * time.Millisecond, "forget": 100 * time.Millisecond}))
		for range 12 * 1000 {
			must[account](t)(w.banks[0].open(t.Context(), "sara"))
			time.Sleep(time.Second / 1200)
		}
		w.source.Before(nil)
		if n := w.notes(t); n > 1200 {
			t.Errorf("after ten seconds %d notes wait for their copies: want those of a second at most", n)
		}
	})
}

func TestACopierThatKeepsUpGivesWayToABusyPrimary(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 0)
		w.banks = []*bank{w.newBank(t, "p0", func(o *cutover.Options) { o.LookEvery = time.Second })}
		running(t, w.engine())
		w.copyOver(t)
		w.set(t, cutover.Settings{MaxLatencyMS: 1})
		var rounds atomic.Int64
		slow := takes(map[string]time.Duration{"get": 10 * time.Millisecond})
		w.source.Before(func(op string) error {
			if op == "notes" {
				rounds.Add(1)
			}
			return slow(op)
		})
		for range 1000 {
			must[account](t)(w.banks[0].open(t.Context(), "sara"))
			time.Sleep(10 * time.Millisecond)
		}
		if n := rounds.Load(); n > 250 {
			t.Errorf("%d looks at the journal in ten seconds, want twenty a second at most", n)
		}
		if doing := w.doing(t, "copier"); !strings.Contains(doing, "mongo takes") {
			t.Errorf("the copier says %q, want why it rests", doing)
		}
		w.source.Before(nil)
	})
}

func TestAVerifyWithoutServersEndsUnderSteadyWrites(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := alone(t)
		w.copyOver(t)
		writer := w.newBank(t, "writer") // copies nothing
		w.source.Before(takes(map[string]time.Duration{"notes": 5 * time.Millisecond}))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		var writing sync.WaitGroup
		writing.Go(func() {
			for ctx.Err() == nil {
				must[account](t)(writer.open(context.WithoutCancel(ctx), "sara"))
				time.Sleep(time.Millisecond)
			}
		})
		_, err := w.engine().Verify(ctx, "bank", cutover.VerifyOptions{})
		cancel()
		writing.Wait()
		if err != nil {
			t.Errorf("got %v, want its result while the writes go on", err)
		}
	})
}

func TestWhatStandsBehindTheNotesThatAreReadIsNotTakenForCopied(t *testing.T) {
	t.Parallel()
	w := alone(t)
	w.copyOver(t)
	w.set(t, cutover.Settings{CopyPaused: true})
	writer := w.newBank(t, "writer")
	first := must[account](t)(writer.open(t.Context(), "sara"))
	var gaps []cutover.Gap
	for range 5000 {
		a := must[account](t)(writer.open(t.Context(), "ali"))
		gaps = append(gaps, cutover.Gap{Domain: "bank", Kind: "account", ID: a.ID.String(), Reason: "of the test"})
	}
	if err := w.control.RecordGaps(t.Context(), gaps); err != nil {
		t.Fatal(err)
	}
	var looks atomic.Int64
	w.source.Before(func(op string) error {
		if op == "notes" {
			if looks.Add(1) == 2 { // its note moves behind the others
				must[int](t)(writer.deposit(t.Context(), first.ID, 1))
			}
		}
		return nil
	})
	if err := writer.engine.AwaitCopied(t.Context(), "bank"); !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "paused") {
		t.Errorf("got %v, want that its copy is waited for in vain", err)
	}
}

func TestAPausedBackfillSaysSoAndGoesOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	must[account](t)(w.banks[0].open(t.Context(), "sara"))
	must[cutover.Report](t)(w.engine().Start(t.Context(), "bank", execute))
	w.set(t, cutover.Settings{Paused: true})
	done := make(chan error, 1)
	go func() {
		_, err := w.engine().Backfill(t.Context(), "bank", cutover.BackfillOptions{})
		done <- err
	}()
	eventually(t, "the backfill says that it is paused", func() bool { return strings.Contains(w.doing(t, "backfill"), "paused") })
	select {
	case err := <-done:
		t.Fatalf("a paused backfill ended: %v", err)
	default:
	}
	w.set(t, cutover.Settings{})
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestShadowReadsBeginWhenTheBackfillIsComplete(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	old := &account{Meta: cutover.Meta{ID: cutover.NewID()}, Owner: "legacy"}
	w.source.Seed("account", old)
	w.set(t, cutover.Settings{ShadowPercent: 100, Paused: true})
	must[cutover.Report](t)(w.engine().Start(t.Context(), "bank", execute))
	for range 50 { // more than the pool drops
		must[account](t)(w.banks[0].get(t.Context(), old.ID))
		time.Sleep(time.Millisecond)
	}
	w.set(t, cutover.Settings{ShadowPercent: 100})
	must[[]cutover.KindProgress](t)(w.engine().Backfill(t.Context(), "bank", cutover.BackfillOptions{}))
	var counts []cutover.ShadowCount
	eventually(t, "a shadow read is counted", func() bool {
		must[account](t)(w.banks[0].get(t.Context(), old.ID))
		counts = must[[]cutover.ShadowCount](t)(w.control.Shadow(t.Context(), "bank", 0))
		return len(counts) > 0
	})
	if n := counts[0]; n.Diffs != 0 || n.Matched == 0 {
		t.Errorf("want matches alone, got %+v", n)
	}
}

func TestShadowReadsCountInTheEpochInWhichTheyRan(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	a := must[account](t)(w.banks[0].open(t.Context(), "sara"))
	w.set(t, cutover.Settings{ShadowPercent: 100})
	w.copyOver(t)
	eventually(t, "a shadow read is counted", func() bool {
		must[account](t)(w.banks[0].get(t.Context(), a.ID))
		return len(must[[]cutover.ShadowCount](t)(w.control.Shadow(t.Context(), "bank", 0))) > 0
	})
	must[account](t)(w.banks[0].get(t.Context(), a.ID)) // not flushed yet
	r := w.switchOver(t)
	time.Sleep(1100 * time.Millisecond) // one flush and more
	if counts := must[[]cutover.ShadowCount](t)(w.control.Shadow(t.Context(), "bank", r.Epoch)); len(counts) > 0 {
		t.Errorf("nobody has read since the switch, but there are counts: %+v", counts)
	}
}
