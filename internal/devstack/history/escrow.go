package history

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
)

// escrow is a payment on which judges open holds and resolve them. Opening one
// writes two records at once, the payment and the hold; of those who resolve a
// hold at the same time the first is its resolver, to everybody.
type escrow struct {
	payment string // its ID
	judges  []session

	mu    sync.Mutex
	holds map[string]string // asked for and not known to be resolved: reason to ID, "" when not known
}

// openAtOnce bounds the holds that are open at the same time, more or less.
const openAtOnce = 4

var (
	paymentFields = [2]string{"status", "escrowState"}
	holdFields    = [2]string{"reason", "resolvedBy"}
)

func (e *escrow) name() string              { return "payment/" + e.payment }
func (e *escrow) path(suffix string) string { return "/api/payment/" + e.payment + suffix }
func (e *escrow) judge(w *client) session   { return e.judges[w.random.IntN(len(e.judges))] }

func holdName(reason string) string { return "hold/" + reason }

// remember notes a hold that may be open, and its ID when that is known.
func (e *escrow) remember(reason, id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.holds[reason] = id
}

func (e *escrow) forget(reason string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.holds, reason)
}

// live returns the holds that may be open.
func (e *escrow) live() map[string]string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return maps.Clone(e.holds)
}

func (e *escrow) found(ctx context.Context, w *client) error {
	payment, f, s := e.look(ctx, w)
	if f != done {
		return fmt.Errorf("%s cannot be read", e.name())
	}
	w.note(s, e.name(), Input{Action: Found}, Output{Known: true, Version: payment.version(paymentFields)})
	return nil
}

func (e *escrow) look(ctx context.Context, w *client) (payment object, f fate, s span) {
	f, s = w.ask(ctx, request{method: http.MethodGet, path: e.path(""), token: e.judges[0].token}, &payment)
	return payment, f, s
}

func (e *escrow) act(ctx context.Context, w *client) {
	live := e.live()
	known := slices.DeleteFunc(slices.Sorted(maps.Keys(live)), func(reason string) bool { return live[reason] == "" })
	n := w.random.IntN(4)
	switch {
	case n < 2:
		e.read(ctx, w, live)
	case len(known) == 0, n == 2 && len(known) < openAtOnce:
		e.open(ctx, w)
	default:
		reason := known[w.random.IntN(len(known))]
		e.resolve(ctx, w, reason, live[reason])
	}
}

// read looks at the payment and at its open holds: those that are there, and
// those that were asked for before and are not.
func (e *escrow) read(ctx context.Context, w *client, live map[string]string) {
	payment, f, s := e.look(ctx, w)
	if f != done {
		return
	}
	w.note(s, e.name(), Input{Action: Read}, Output{Known: true, Version: payment.version(paymentFields)})
	listed, _ := payment["holds"].([]any)
	for _, item := range listed {
		hold := object(item.(map[string]any))
		reason := hold.text("reason")
		w.note(s, holdName(reason), Input{Action: List}, Output{Known: true, There: true, Version: hold.version(holdFields)})
		if id, asked := live[reason]; asked && id == "" {
			e.remember(reason, hold.text("id"))
		}
		delete(live, reason)
	}
	for reason := range live {
		w.note(s, holdName(reason), Input{Action: List}, Output{Known: true})
	}
}

func (e *escrow) open(ctx context.Context, w *client) {
	in := Input{Action: Add, Value: w.value()}
	e.remember(in.Value, "")
	var hold object
	f, s := w.ask(ctx, request{http.MethodPost, e.path("/holds"), e.judge(w).token, nest("reason", in.Value)}, &hold)
	w.wrote(f, s, e.name(), Input{Action: Touch}, Version{})
	w.wrote(f, s, holdName(in.Value), in, hold.version(holdFields))
	switch f {
	case done:
		e.remember(in.Value, hold.text("id"))
	case refused:
		e.forget(in.Value)
	}
}

func (e *escrow) resolve(ctx context.Context, w *client, reason, id string) {
	judge := e.judge(w)
	var hold object
	f, s := w.ask(ctx, request{http.MethodPost, e.path("/holds/" + id + "/resolve"), judge.token, nil}, &hold)
	w.wrote(f, s, holdName(reason), Input{Action: Settle, Value: judge.id}, hold.version(holdFields))
	if f == done {
		e.forget(reason)
	}
}
