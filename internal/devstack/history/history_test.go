package history

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/amanat-dev/amanat/internal/devstack/await"
)

// version makes one of a revision and two values.
func version(rev int64, first, second string) Version { return Version{rev, [2]string{first, second}} }

// operation is one line of a history that is written down by hand.
type operation struct {
	call, end int64
	in        Input
	out       Output
}

func (o operation) of(h *History, record string) {
	h.add(h.client(), record, o.in, o.out, o.call, o.end)
}

func answered(v Version) Output { return Output{Known: true, Version: v} }

func listed(v Version) Output { return Output{Known: true, There: true, Version: v} }

var (
	lost      = Output{} // the answer was
	found     = operation{0, 0, Input{Action: Found}, answered(version(1, "a", "x"))}
	setFirst  = Input{Action: Set, Value: "b"}
	setSecond = Input{Action: Set, Field: 1, Value: "y"}
	read      = Input{Action: Read}
	open4     = version(1, "4", "")
	settled4  = version(2, "4", "ada")
	add       = operation{0, 1, Input{Action: Add, Value: "4"}, answered(open4)}
	byAda     = Input{Action: Settle, Value: "ada"}
	byCem     = Input{Action: Settle, Value: "cem"}
	list      = Input{Action: List}
	gone      = Output{Known: true}
)

// Each fault stands beside a history that is like it and allowed.
func TestFaultsAreToldFromWhatIsAllowed(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name    string
		history []operation
		allowed bool
	}{
		{"a read of what was written", []operation{found, {1, 2, setFirst, answered(version(2, "b", "x"))}, {3, 4, read, answered(version(2, "b", "x"))}}, true},
		{"a stale read", []operation{found, {1, 2, setFirst, answered(version(2, "b", "x"))}, {3, 4, read, answered(version(1, "a", "x"))}}, false},
		{"a read of the old while it is written", []operation{found, {1, 4, setFirst, answered(version(2, "b", "x"))}, {2, 3, read, answered(version(1, "a", "x"))}}, true},
		{"two reads that go back in time", []operation{found, {1, 9, setFirst, answered(version(2, "b", "x"))}, {2, 3, read, answered(version(2, "b", "x"))}, {4, 5, read, answered(version(1, "a", "x"))}}, false},
		{"two writes at once", []operation{found, {1, 4, setFirst, answered(version(3, "b", "y"))}, {2, 3, setSecond, answered(version(2, "a", "y"))}}, true},
		{"a lost update", []operation{found, {1, 4, setFirst, answered(version(2, "b", "x"))}, {2, 3, setSecond, answered(version(2, "a", "y"))}}, false},
		{"a lost update at a revision of its own", []operation{found, {1, 2, setFirst, answered(version(2, "b", "x"))}, {3, 4, setSecond, answered(version(3, "a", "y"))}}, false},
		{"a write made twice", []operation{found, {1, 2, setFirst, answered(version(3, "b", "x"))}}, false},
		{"a write without an answer that was not made", []operation{found, {1, open, setFirst, lost}, {3, 4, read, answered(version(1, "a", "x"))}}, true},
		{"a write without an answer that was made much later", []operation{found, {1, open, setFirst, lost}, {3, 4, read, answered(version(1, "a", "x"))}, {5, 6, read, answered(version(2, "b", "x"))}}, true},
		{"a write without an answer that was made and undone", []operation{found, {1, open, setFirst, lost}, {3, 4, read, answered(version(2, "b", "x"))}, {5, 6, read, answered(version(1, "a", "x"))}}, false},
		{"a write that nobody made", []operation{found, {3, 4, read, answered(version(2, "b", "x"))}}, false},
		{"a record that went", []operation{found, {3, 4, read, answered(Version{Rev: -1})}}, false},
		{"a touch", []operation{found, {1, 2, Input{Action: Touch}, answered(Version{})}, {3, 4, read, answered(version(2, "a", "x"))}}, true},
		{"a touch that left nothing", []operation{found, {1, 2, Input{Action: Touch}, answered(Version{})}, {3, 4, read, answered(version(1, "a", "x"))}}, false},
		{"a record that was added, and settled", []operation{{0, 0, list, gone}, add, {2, 3, list, listed(open4)}, {4, 5, byAda, answered(settled4)}, {6, 7, list, gone}}, true},
		{"a record that was added and is not listed", []operation{add, {2, 3, list, gone}}, false},
		{"a record that is listed after it was settled", []operation{add, {4, 5, byAda, answered(settled4)}, {6, 7, list, listed(open4)}}, false},
		{"a record that is listed before it was added", []operation{{1, 2, list, listed(open4)}, {3, 4, add.in, add.out}}, false},
		{"a second to settle", []operation{add, {4, 5, byAda, answered(settled4)}, {6, 7, byCem, answered(settled4)}}, true},
		{"two who both settled it", []operation{add, {4, 7, byAda, answered(settled4)}, {5, 6, byCem, answered(version(2, "4", "cem"))}}, false},
		{"a record that was added without an answer", []operation{{0, open, add.in, lost}, {2, 3, list, gone}, {4, 5, list, listed(open4)}}, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var h History
			found.of(&h, "user/other")
			for _, o := range c.history {
				o.of(&h, "user/1")
			}
			dir := t.TempDir()
			err := h.Check(dir)
			if c.allowed {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.HasPrefix(err.Error(), "user/1 is not linearizable") {
				t.Fatalf("want user/1 refused, got %v", err)
			}
			page, err := os.ReadFile(dir + "/user-1.html")
			if err != nil || !strings.Contains(string(page), "<html") {
				t.Errorf("want a page that shows it, got %v", err)
			}
		})
	}
}

// api is two servers that keep one profile, with a fault if so wished.
type api struct {
	fault string
	mu    sync.Mutex
	now   Version
	old   Version // the version before
	n     int
}

// faults of an api. It shows each now and then.
const (
	sound       = ""
	staleRead   = "the second server answers with the version before"
	lostUpdate  = "the second server writes upon the version before"
	lateWrite   = "a write is answered as unknown, and made a moment later"
	undoneWrite = "a write is answered with success, and not made"
	falseNo     = "a write is answered as not made, and is"
)

func (a *api) serve(t *testing.T, n int) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.n++
		faulty := n == 1 && a.n%5 == 0
		if r.Method == http.MethodGet {
			a.show(w, faulty)
			return
		}
		var body struct{ Profile map[string]string }
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		a.write(w, body.Profile, faulty)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func (a *api) show(w http.ResponseWriter, faulty bool) {
	if faulty && a.fault == staleRead {
		answer(w, a.old)
		return
	}
	answer(w, a.now)
}

func (a *api) write(w http.ResponseWriter, change map[string]string, faulty bool) {
	base := a.now
	if faulty && a.fault == lostUpdate {
		base = a.old
		base.Rev = a.now.Rev
	}
	next := base
	next.Rev++
	for i, name := range []string{"bio", "phone"} {
		if v, ok := change[name]; ok {
			next.Values[i] = v
		}
	}
	switch {
	case faulty && a.fault == lateWrite:
		go a.later(change)
		refuse(w, "the outcome of the write is not known")
		return
	case faulty && a.fault == falseNo:
		refuse(w, "too busy; nothing was written")
	case faulty && a.fault == undoneWrite:
		answer(w, next)
		return
	default:
		answer(w, next)
	}
	a.old, a.now = a.now, next
}

// later makes a write that its client has given up on.
func (a *api) later(change map[string]string) {
	time.Sleep(5 * time.Millisecond)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.write(httptest.NewRecorder(), change, false)
}

func answer(w http.ResponseWriter, v Version) {
	_ = json.NewEncoder(w).Encode(map[string]any{"data": map[string]any{
		"id": "1", "rev": v.Rev, "profile": map[string]any{"bio": v.Values[0], "phone": v.Values[1]}}})
}

func refuse(w http.ResponseWriter, message string) {
	w.WriteHeader(http.StatusServiceUnavailable)
	_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{"code": "unavailable", "message": message}})
}

func TestServersWithAFaultAreFoundOut(t *testing.T) {
	t.Parallel()
	for fault, allowed := range map[string]bool{
		sound: true, lateWrite: true, staleRead: false, lostUpdate: false, undoneWrite: false, falseNo: false,
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			a := &api{fault: fault, now: version(1, "a", "x"), old: version(1, "a", "x")}
			c := newContest(Options{Servers: []string{a.serve(t, 0), a.serve(t, 1)}, Clients: 4, Rate: 4000, Seed: 3})
			c.subjects = map[string][]subject{"user": {profile(session{id: "1"})}}
			if err := c.find(t.Context()); err != nil {
				t.Fatal(err)
			}
			c.runUntil(t, 400)
			err := c.History().Check(t.TempDir())
			if (err == nil) != allowed {
				t.Errorf("want allowed %v, got %v", allowed, err)
			}
			counts := c.History().Count("user")
			if counts["set"] < 50 || counts["read"] < 50 || fault == lateWrite && counts["unknown"] == 0 {
				t.Errorf("too little was asked: %v", counts)
			}
		})
	}
}

// runUntil has the clients contend until so many requests were done.
func (c *Contest) runUntil(t *testing.T, n int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	clients.Go(func() { c.Run(ctx) })
	err := await.Until(ctx, fmt.Sprintf("%d requests", n), time.Millisecond, func() (bool, string, error) {
		done := c.Tallies()["user"].Done
		return done >= n, fmt.Sprint(done), nil
	})
	cancel()
	clients.Wait()
	if err != nil {
		t.Fatal(err)
	}
}
