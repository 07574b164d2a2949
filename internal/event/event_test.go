package event_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/cutover/memdb"
	"github.com/amanat-dev/amanat/internal/event"
)

type parcel struct {
	To   cutover.ID `json:"to"`
	Note string     `json:"note,omitempty"`
}

var (
	posted = event.NewType[parcel]("parcel.posted")
	lost   = event.NewType[parcel]("parcel.lost")
)

// bundle is two domains in memory, with a clock that the test moves.
type bundle struct {
	post, home *cutover.Domain

	mu      sync.Mutex
	now     time.Time
	handled []string         // notes, as often as the handler was called
	trouble map[string]error // by note
}

func setup(t *testing.T) *bundle {
	t.Helper()
	return &bundle{post: newDomain("post"), home: newDomain("home"), now: cutover.Now(), trouble: map[string]error{}}
}

func newDomain(name string) *cutover.Domain {
	kinds := event.Kinds(name)
	return cutover.Solo(cutover.Spec{Source: memdb.New("memory", kinds),
		Definition: cutover.Definition{Name: name, Kinds: kinds, Queries: []string{event.QueryPending}}})
}

// receive handles an event once.
func (b *bundle) receive(ctx context.Context, e event.Event, p parcel) error {
	b.mu.Lock()
	b.handled = append(b.handled, p.Note)
	err := b.trouble[p.Note]
	b.mu.Unlock()
	if err != nil {
		return err
	}
	_, err = cutover.Update(ctx, b.home, func(ctx context.Context, tx cutover.Tx) (struct{}, error) {
		return struct{}{}, event.Once(ctx, tx, e, func() error { return nil })
	})
	return err
}

func (b *bundle) clock() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now
}

func (b *bundle) later(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = b.now.Add(d)
}

func (b *bundle) setTrouble(note string, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.trouble[note] = err
}

// count says how often an event was handed to the handler.
func (b *bundle) count(note string) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, h := range b.handled {
		if h == note {
			n++
		}
	}
	return n
}

func (b *bundle) send(t *testing.T, what event.Type[parcel], note string) cutover.ID {
	t.Helper()
	id := cutover.NewID()
	_, err := cutover.Update(t.Context(), b.post, func(ctx context.Context, tx cutover.Tx) (struct{}, error) {
		return struct{}{}, what.Send(ctx, tx, id, cutover.NewID(), parcel{cutover.NewID(), note})
	})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func (b *bundle) list(t *testing.T) []event.Event {
	t.Helper()
	list, err := event.List(t.Context(), b.post, 1000)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// only is the one event that is left.
func (b *bundle) only(t *testing.T) event.Event {
	t.Helper()
	list := b.list(t)
	if len(list) != 1 {
		t.Fatalf("want one event, got %+v", list)
	}
	return list[0]
}

func alone() bool { return true }

func (b *bundle) options() event.Options {
	return event.Options{
		Domains:  []*cutover.Domain{b.post, b.home},
		Sends:    map[string][]event.Sent{"post": {posted}},
		Handlers: []event.Handling{event.On(posted, b.receive)},
		Leads:    alone, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Now: b.clock,
	}
}

func (b *bundle) dispatcher(t *testing.T) *event.Dispatcher {
	t.Helper()
	d, err := event.NewDispatcher(b.options())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// deliver delivers what is due at this moment.
func (b *bundle) deliver(t *testing.T, d *event.Dispatcher) {
	t.Helper()
	for d.Round(t.Context(), b.post) {
	}
}

func TestATypeThatNobodyHandlesOrSendsIsNamed(t *testing.T) {
	nothing := func(context.Context, event.Event, parcel) error { return nil }
	for want, err := range map[string]error{
		"nobody handles parcel.lost": event.Check([]event.Sent{posted, lost}, []event.Handling{event.On(posted, nothing)}),
		"nobody sends parcel.lost":   event.Check([]event.Sent{posted}, []event.Handling{event.On(posted, nothing), event.On(lost, nothing)}),
		"parcel.lost has several":    event.Check([]event.Sent{lost}, []event.Handling{event.On(lost, nothing), event.On(lost, nothing)}),
		"parcel.lost is sent under":  event.Check([]event.Sent{lost, lost}, []event.Handling{event.On(lost, nothing)}),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	if err := event.Check([]event.Sent{posted}, []event.Handling{event.On(posted, nothing)}); err != nil {
		t.Error(err)
	}
	b := setup(t)
	o := b.options()
	o.Sends["home"] = []event.Sent{lost}
	if _, err := event.NewDispatcher(o); err == nil {
		t.Error("a dispatcher was made that would lose events")
	}
}

func TestAnEventIsDeliveredWithItsDataAndRemoved(t *testing.T) {
	b := setup(t)
	b.send(t, posted, "hello")
	b.deliver(t, b.dispatcher(t))
	if got := b.count("hello"); got != 1 || len(b.list(t)) != 0 {
		t.Errorf("delivered %d times, left: %v", got, b.list(t))
	}
}

func TestAnEventOfAnEarlierVersionIsDelivered(t *testing.T) {
	b := setup(t)
	_, err := cutover.Update(t.Context(), b.post, func(ctx context.Context, tx cutover.Tx) (struct{}, error) {
		return struct{}{}, tx.Put(ctx, &event.Event{Type: posted.Name(), Data: map[string]string{"to": "", "note": "old", "more": "x"}})
	})
	if err != nil {
		t.Fatal(err)
	}
	b.deliver(t, b.dispatcher(t))
	if b.count("old") != 1 {
		t.Error("it was not delivered")
	}
}

func TestFailingEventsWaitAndHoldUpNoOther(t *testing.T) {
	b := setup(t)
	b.setTrouble("bad", errors.New("secret text of a driver"))
	for range 150 {
		b.send(t, posted, "bad")
	}
	b.send(t, posted, "good")
	d := b.dispatcher(t)
	b.deliver(t, d)
	b.deliver(t, d) // nothing is due
	if b.count("good") != 1 || b.count("bad") != 150 {
		t.Fatalf("good was delivered %d times, bad tried %d times", b.count("good"), b.count("bad"))
	}
	for _, e := range b.list(t) {
		if e.Attempts != 1 || !e.NextAt.Equal(b.now.Add(time.Second)) || strings.Contains(e.Reason, "secret") {
			t.Fatalf("after one failure: %+v", e)
		}
	}
	b.later(time.Second)
	b.send(t, posted, "new")
	d.Round(t.Context(), b.post)
	if b.count("new") != 1 || b.count("bad") > 150+10 {
		t.Errorf("new was delivered %d times, bad tried %d times", b.count("new"), b.count("bad"))
	}
}

func TestAFailingEventWaitsLongerEachTimeAndIsParked(t *testing.T) {
	b := setup(t)
	id := b.send(t, posted, "bad")
	b.setTrouble("bad", fault.New(fault.Conflict, "the door is shut"))
	d := b.dispatcher(t)
	var waits []time.Duration
	for range 20 {
		b.deliver(t, d)
		e := b.only(t)
		waits = append(waits, e.NextAt.Sub(b.now))
		b.later(e.NextAt.Sub(b.now))
	}
	if !slices.IsSorted(waits) || waits[1] != 2*time.Second || waits[19] != 10*time.Minute {
		t.Errorf("the waits were %v", waits)
	}
	if e := b.only(t); !e.Parked || e.Reason != "the door is shut" {
		t.Errorf("want it parked with its reason, got %+v", e)
	}
	b.later(time.Hour)
	b.deliver(t, d)
	if got := b.count("bad"); got != 20 {
		t.Errorf("a parked event was tried again: %d attempts", got)
	}

	b.setTrouble("bad", nil)
	if _, err := event.Retry(t.Context(), b.post, id); err != nil {
		t.Fatal(err)
	}
	b.deliver(t, d)
	if b.count("bad") != 21 || len(b.list(t)) != 0 {
		t.Errorf("retried by hand it was not delivered: %v", b.list(t))
	}
}

func TestWhileADatabaseIsAwayNothingIsParked(t *testing.T) {
	b := setup(t)
	b.send(t, posted, "bad")
	b.setTrouble("bad", fault.New(fault.Unavailable, "the database is away"))
	d := b.dispatcher(t)
	for range 40 {
		b.deliver(t, d)
		b.later(10 * time.Minute)
	}
	if e := b.only(t); e.Parked || e.Attempts != 40 {
		t.Errorf("want it waiting after 40 attempts, got %+v", e)
	}
}

func TestAnEventOfAnUnknownTypeIsKeptAndParked(t *testing.T) {
	b := setup(t)
	id := b.send(t, lost, "")
	d := b.dispatcher(t)
	for range 25 {
		b.deliver(t, d)
		b.later(10 * time.Minute)
	}
	if e := b.only(t); !e.Parked || !strings.Contains(e.Reason, "parcel.lost") {
		t.Errorf("want it parked, got %+v", e)
	}
	if n, err := event.RetryParked(t.Context(), b.post, 100); n != 1 || err != nil {
		t.Errorf("retried %d: %v", n, err)
	}
	if e := b.only(t); e.Parked || e.Attempts != 0 {
		t.Errorf("want it waiting, got %+v", e)
	}
	if e, err := event.Drop(t.Context(), b.post, id); err != nil || e.Type != lost.Name() || len(b.list(t)) != 0 {
		t.Errorf("dropped %+v: %v", e, err)
	}
	if _, err := event.Drop(t.Context(), b.post, id); !fault.Is(err, fault.NotFound) {
		t.Errorf("want not found, got %v", err)
	}
}

func (b *bundle) marks(t *testing.T) (n int) {
	t.Helper()
	n, err := cutover.View(t.Context(), b.home, event.QueryPending, func(ctx context.Context, tx cutover.Tx) (int, error) {
		all, err := event.HandledBefore(ctx, tx, time.Now().Add(time.Hour), 1000)
		return len(all), err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestHandledEventsAreForgottenAfterAMonth(t *testing.T) {
	b := setup(t)
	for range 250 {
		b.send(t, posted, "")
	}
	d := b.dispatcher(t)
	b.deliver(t, d)
	b.later(29 * 24 * time.Hour)
	if err := d.Forget(t.Context(), b.home); err != nil || b.marks(t) != 250 {
		t.Errorf("after 29 days there are %d marks: %v", b.marks(t), err)
	}
	b.later(2 * 24 * time.Hour)
	if err := d.Forget(t.Context(), b.home); err != nil || b.marks(t) != 0 {
		t.Errorf("after 31 days there are %d marks: %v", b.marks(t), err)
	}
}

func TestTwoDispatchersDeliverOnceInEffect(t *testing.T) {
	b := setup(t)
	for range 50 {
		b.send(t, posted, "x")
	}
	var both sync.WaitGroup
	for _, d := range []*event.Dispatcher{b.dispatcher(t), b.dispatcher(t)} {
		both.Go(func() { b.deliver(t, d) })
	}
	both.Wait()
	if len(b.list(t)) != 0 || b.marks(t) != 50 {
		t.Errorf("%d events are left, %d are handled", len(b.list(t)), b.marks(t))
	}
}

// run starts a dispatcher that ends with the test.
func run(t *testing.T, d *event.Dispatcher) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); d.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
}

func (b *bundle) wait(t *testing.T, note string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); b.count(note) == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s was not delivered", note)
		}
	}
}

func TestEventsOfThisProcessAndOfOthersAreDelivered(t *testing.T) {
	b := setup(t)
	b.send(t, posted, "before") // as another process would
	run(t, b.dispatcher(t))
	b.wait(t, "before")
	b.send(t, posted, "after")
	b.wait(t, "after")
}

func TestWhoDoesNotLeadDeliversNothing(t *testing.T) {
	b := setup(t)
	asked := make(chan struct{}, 10)
	o := b.options()
	o.Leads = func() bool {
		asked <- struct{}{}
		return false
	}
	d, err := event.NewDispatcher(o)
	if err != nil {
		t.Fatal(err)
	}
	b.send(t, posted, "x")
	run(t, d)
	<-asked
	<-asked
	if b.count("x") != 0 {
		t.Error("it was delivered")
	}
}

// TestTheNextLookIsWhenAnEventIsDue: nobody asks for what is not.
func TestTheNextLookIsWhenAnEventIsDue(t *testing.T) {
	b := setup(t)
	d := b.dispatcher(t)
	if next := d.Work(t.Context(), b.post); next < time.Hour {
		t.Errorf("without events it looks again after %s", next)
	}
	b.setTrouble("x", errors.New("not today"))
	b.send(t, posted, "x")
	if next := d.Work(t.Context(), b.post); next != time.Second {
		t.Errorf("after a failure it looks again after %s, want a second", next)
	}
	b.later(time.Second)
	d.Work(t.Context(), b.post)
	b.later(500 * time.Millisecond)
	if next := d.Work(t.Context(), b.post); next != 1500*time.Millisecond {
		t.Errorf("half a second after the second failure it looks again after %s, want the rest of two seconds", next)
	}
}
