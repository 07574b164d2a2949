package cutover

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/amanat-dev/amanat/cutover/failpoint"
)

const (
	chunkRows    = 2000
	analyzeEvery = 20 // chunks
	lagLimit     = 2 * time.Second
	lagEvery     = time.Second // at most, is the lag looked at
	backfillRole = "backfill"

	// A page is copied between two rests, so a slow database is asked for small
	// ones: a worker that rests most of the time gets on all the same.
	pageFirst = 250 // records
	pageLeast = 50
	pageTime  = 500 * time.Millisecond

	// claimsLost is how many claims in a row a worker may lose.
	claimsLost = 5
)

// errPaused has a chunk given back that an operator's pause interrupts: its
// claim is not to be held for as long as that may be.
var errPaused = errors.New("paused")

// BackfillOptions tune a backfill.
type BackfillOptions struct {
	Workers int // in this process; default 2
	// Progress, when not nil, is called about twice a second and at the end.
	Progress func([]KindProgress)
	// Resting, when not nil, is told why the backfill rests or waits, and "" when
	// it goes on: such as "resting: mongo takes 310 ms, 6 times the usual".
	Resting func(why string)
}

// Backfill copies what was written before the domain was in phase dual. It
// begins only when no process can write without a note any more, goes on
// where an earlier one was killed, and shares its work with others that run
// at the same time, on any machine. Records that cannot be copied go on
// record as gaps. It returns the progress of each kind at the end.
func (e *Engine) Backfill(ctx context.Context, domain string, o BackfillOptions) ([]KindProgress, error) {
	c, err := e.core(domain)
	if err != nil {
		return nil, err
	}
	b := &backfill{domainCore: c, control: e.opts.Control, o: o, activity: &activityLog{base: c.base, role: backfillRole}}
	if err := b.prepare(ctx); err != nil {
		return nil, err
	}
	done := b.report(ctx)
	err = b.run(ctx)
	done()
	if err != nil {
		return nil, err
	}
	return b.control.Progress(ctx, domain, b.since)
}

type backfill struct {
	*domainCore
	control  Control
	o        BackfillOptions
	since    int64 // the epoch in which dual began
	rows     atomic.Int64
	begin    time.Time
	gauge    *gauge
	activity *activityLog

	lagMu    sync.Mutex
	lagAsked time.Time
	lastLag  time.Duration
}

// worker is one of those that share a backfill's chunks.
type worker struct {
	*backfill
	pace pace
	page atomic.Int64 // records that it reads at a time
}

func (b *backfill) prepare(ctx context.Context) error {
	if err := b.needBoth(); err != nil {
		return err
	}
	if b.o.Workers <= 0 {
		b.o.Workers = 2
	}
	s, err := b.states.recorded(ctx)
	if err != nil {
		return err
	}
	if s.Phase != PhaseDual || s.Sealed {
		return b.refuse(RemedyStart, "%s is in phase %s; a backfill runs in phase dual", b.name, s.Phase)
	}
	if b.since, err = b.states.startEpoch(ctx); err != nil {
		return err
	}
	b.begin, b.gauge = time.Now(), b.newGauge(s)
	return b.states.awaitAcks(ctx, s)
}

// run copies kind by kind, parents first.
func (b *backfill) run(ctx context.Context) error {
	if err := b.plan(ctx); err != nil {
		return err
	}
	for _, kind := range b.kinds {
		if err := b.copyKind(ctx, kind.Name); err != nil {
			return err
		}
		if err := b.target.Analyze(ctx, kind.Name); err != nil {
			return err
		}
	}
	return nil
}

func (b *backfill) plan(ctx context.Context) error {
	planned, err := b.control.Planned(ctx, b.name, b.since)
	if err != nil {
		return err
	}
	for _, kind := range b.kinds {
		if planned[kind.Name] {
			continue
		}
		bounds, err := b.bounds(ctx, kind.Name)
		if err != nil {
			return err
		}
		if err := b.control.PlanChunks(ctx, b.name, b.since, kind.Name, chunksOf(kind.Name, bounds)); err != nil {
			return err
		}
		failpoint.At(failpoint.BackfillPlanned)
		if err := b.planForeign(ctx, kind.Name, bounds); err != nil {
			return err
		}
	}
	return nil
}

// bounds cuts a kind, unless the source would read the whole of it for each part.
func (b *backfill) bounds(ctx context.Context, kind string) ([]ID, error) {
	if s, ok := b.source.(Streamer); ok {
		if ranges, err := s.Ranges(ctx); err != nil || !ranges {
			return nil, err
		}
	}
	return b.source.Bounds(ctx, kind, chunkRows)
}

// planForeign puts records whose identity is no ID on record, but for those that
// come with a stream of the whole kind.
func (b *backfill) planForeign(ctx context.Context, kind string, bounds []ID) error {
	if _, ok := b.source.(Streamer); ok && len(bounds) == 0 {
		return nil
	}
	items, err := b.source.Foreign(ctx, kind, foreignMost)
	if err != nil {
		return err
	}
	return b.recordForeign(ctx, kind, items)
}

// foreignMost is how many records whose identity is no ID are put on record or
// counted, of one kind.
const foreignMost = 10_000

// chunksOf returns the ranges between bounds; the last one is open, for records
// that come while the backfill runs.
func chunksOf(kind string, bounds []ID) []Chunk {
	var out []Chunk
	var after ID
	for i, until := range bounds {
		out = append(out, Chunk{Seq: int64(i), Kind: kind, After: after, Until: until})
		after = until
	}
	return append(out, Chunk{Seq: int64(len(bounds)), Kind: kind, After: after})
}

// recordForeign puts records whose stored identity is no ID on record.
func (c *base) recordForeign(ctx context.Context, kind string, items []Item) error {
	if len(items) == 0 {
		return nil
	}
	gaps := make([]Gap, len(items))
	for i, item := range items {
		gaps[i] = Gap{Domain: c.name, Kind: kind, ID: item.RawID, Attempts: 1,
			Reason: "its identity is no ObjectID"}
	}
	return c.engine.opts.Control.RecordGaps(ctx, gaps)
}

func (b *backfill) copyKind(ctx context.Context, kind string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var workers sync.WaitGroup
	for range b.o.Workers {
		workers.Go(func() {
			if err := b.newWorker().work(ctx, kind); err != nil {
				cancel(err)
			}
		})
	}
	workers.Wait()
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return b.awaitOthers(ctx, kind)
}

func (b *backfill) newWorker() *worker {
	w := &worker{backfill: b}
	w.page.Store(pageFirst)
	return w
}

// work copies chunks until none is free. One whose claim is lost is somebody's
// again, perhaps this worker's.
func (w *worker) work(ctx context.Context, kind string) error {
	lost := 0
	for n := 1; ; n++ {
		if err := w.throttle(ctx); err != nil {
			return err
		}
		w.activity.set(ctx, "copies %s, %d records so far", kind, w.rows.Load())
		found, err := w.control.WithChunk(ctx, w.name, w.since, kind, w.copyChunk)
		if errors.Is(err, errPaused) {
			continue
		}
		if errors.Is(err, ErrClaimLost) && lost < claimsLost {
			lost++
			pause(ctx, restStep)
			continue
		}
		if err != nil || !found {
			return err
		}
		lost = 0
		if n%analyzeEvery == 0 {
			if err := w.target.Analyze(ctx, kind); err != nil {
				return err
			}
		}
	}
}

// awaitOthers waits for chunks that workers elsewhere have claimed, and takes
// them over when they are freed.
func (b *backfill) awaitOthers(ctx context.Context, kind string) error {
	w := b.newWorker()
	for {
		progress, err := b.control.Progress(ctx, b.name, b.since)
		if err != nil {
			return err
		}
		if kindDone(progress, kind) {
			return nil
		}
		pause(ctx, 200*time.Millisecond)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := w.work(ctx, kind); err != nil {
			return err
		}
	}
}

func kindDone(progress []KindProgress, kind string) bool {
	for _, p := range progress {
		if p.Kind == kind {
			return p.Done == p.Chunks
		}
	}
	return false
}

func (w *worker) copyChunk(ctx context.Context, chunk Chunk) (rows, gaps int64, err error) {
	failpoint.At(failpoint.BackfillClaimed)
	r := read(ctx, w.source, chunk.Kind, chunk.After, chunk.Until, func() int { return int(w.page.Load()) })
	defer r.close()
	for {
		begin := time.Now()
		items, err := r.next()
		if err != nil || len(items) == 0 {
			return rows, gaps, err
		}
		n, bad, err := w.loadPage(ctx, chunk.Kind, items)
		if err != nil {
			return rows, gaps, err
		}
		failpoint.At(failpoint.BackfillLoaded)
		gaps += bad
		rows += n - bad
		w.rows.Add(n)
		if r.end {
			return rows, gaps, nil
		}
		w.page.Store(pageAfter(w.page.Load(), time.Since(begin)))
		if err := w.betweenPages(ctx, chunk.Kind); err != nil {
			return rows, gaps, err
		}
	}
}

// pageAfter is how many records to read at a time after a page took so long.
func pageAfter(page int64, took time.Duration) int64 {
	switch {
	case took > pageTime:
		return max(pageLeast, page/2)
	case took < pageTime/4:
		return min(chunkRows, 2*page)
	}
	return page
}

// loadPage brings a page of a stream, and says of how many records with an ID,
// and how many of them failed.
func (b *backfill) loadPage(ctx context.Context, kind string, items []Item) (n, bad int64, err error) {
	items, foreign := apart(items)
	if err := b.recordForeign(ctx, kind, foreign); err != nil || len(items) == 0 {
		return 0, 0, err
	}
	failed, err := b.load(ctx, kind, items)
	return int64(len(items)), int64(failed), err
}

// load brings a page by the fast way, and record by record when that fails.
func (b *backfill) load(ctx context.Context, kind string, items []Item) (bad int, err error) {
	good := items[:0:0]
	for _, i := range items {
		if i.Err == nil {
			good = append(good, i)
		}
	}
	if len(good) == len(items) {
		if err := b.target.Load(ctx, kind, good); err == nil {
			return 0, nil
		}
	}
	failed, err := b.copies.bring(ctx, b.source, b.target, items)
	if err != nil || len(failed) == 0 {
		return 0, err
	}
	var gaps []Gap
	for key, why := range failed {
		gaps = append(gaps, b.gap(key.Kind, key.ID.String(), why))
	}
	return len(failed), b.control.RecordGaps(ctx, gaps)
}

// throttle waits while the operator has paused the backfill or while it is
// ahead of its rate, and gives way.
func (w *worker) throttle(ctx context.Context) error {
	for ctx.Err() == nil {
		settings, err := w.control.Settings(ctx, w.name)
		if err != nil {
			return err
		}
		why := w.held(settings)
		if why == "" {
			return w.giveWay(ctx, settings)
		}
		w.showResting(ctx, "waits: "+why)
		pause(ctx, restStep)
		w.pace.since = time.Time{} // that was neither work nor rest
	}
	return ctx.Err()
}

// betweenPages gives way while a chunk is being copied.
func (w *worker) betweenPages(ctx context.Context, kind string) error {
	settings, err := w.control.Settings(ctx, w.name)
	if err != nil {
		return err
	}
	if settings.Paused {
		return errPaused
	}
	if err := w.giveWay(ctx, settings); err != nil {
		return err
	}
	w.activity.set(ctx, "copies %s, %d records so far", kind, w.rows.Load())
	return ctx.Err()
}

// giveWay rests while the primary is busy or the copies of live writes fall
// behind, as long as the worker's pace allows.
func (w *worker) giveWay(ctx context.Context, settings Settings) error {
	for may := w.pace.tire(); may; may = w.pace.rest() {
		why, err := w.slowed(ctx, settings)
		if err != nil {
			return err
		}
		if why == "" {
			w.pace.rest()
			w.showGoing()
			return nil
		}
		w.showResting(ctx, "resting: "+why)
		pause(ctx, min(restStep, w.pace.credit))
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

// showResting says why this backfill does not copy at the moment.
func (b *backfill) showResting(ctx context.Context, why string) {
	if b.o.Resting != nil {
		b.o.Resting(why)
	}
	b.activity.set(ctx, "%s", why)
}

func (b *backfill) showGoing() {
	if b.o.Resting != nil {
		b.o.Resting("")
	}
}

// held says why an operator's settings hold the backfill; "" when they do not.
func (b *backfill) held(settings Settings) string {
	switch {
	case settings.Paused:
		return pausedText
	case b.ahead(settings.BackfillRate):
		return rateText(settings.BackfillRate)
	}
	return ""
}

const pausedText = "paused by an operator"

func rateText(rate int) string { return fmt.Sprintf("held to %d records a second", rate) }

// slowed says for whose sake the backfill should slow down; "" for nobody's.
func (b *backfill) slowed(ctx context.Context, settings Settings) (string, error) {
	lag, err := b.lately(ctx)
	if err != nil {
		return "", err
	}
	if lag > lagLimit {
		return fmt.Sprintf("the copies of live writes are %s behind, more than %s", spell(lag), spell(lagLimit)), nil
	}
	return b.gauge.busy(ctx, settings.maxLatency())
}

// lately returns how far the copies of live writes are behind, as it was a moment
// ago at most: the question costs the primary more than one of the gauge's.
func (b *backfill) lately(ctx context.Context) (time.Duration, error) {
	b.lagMu.Lock()
	if time.Since(b.lagAsked) < lagEvery {
		defer b.lagMu.Unlock()
		return b.lastLag, nil
	}
	b.lagAsked = time.Now()
	b.lagMu.Unlock()
	lag, err := b.copies.lag(ctx, State{Phase: PhaseDual})
	b.lagMu.Lock()
	defer b.lagMu.Unlock()
	b.lastLag, b.lagAsked = lag, time.Now()
	return lag, err
}

func (b *backfill) ahead(rate int) bool {
	if rate <= 0 {
		return false
	}
	return float64(b.rows.Load()) > float64(rate)*time.Since(b.begin).Seconds()
}

// report calls Progress until the returned function is called.
func (b *backfill) report(ctx context.Context) func() {
	if b.o.Progress == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var reporter sync.WaitGroup
	show := func(ctx context.Context) {
		if p, err := b.control.Progress(ctx, b.name, b.since); err == nil {
			b.o.Progress(p)
		}
	}
	reporter.Go(func() {
		for ctx.Err() == nil {
			show(ctx)
			pause(ctx, 500*time.Millisecond)
		}
	})
	return func() {
		cancel()
		reporter.Wait()
		show(context.WithoutCancel(ctx))
	}
}
