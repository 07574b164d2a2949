package main

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/amanat-dev/amanat/cutover"
)

const (
	pingTime = time.Second
	// pingEvery is how often a database is asked that answers, pingAgain one that
	// does not.
	pingEvery = 5 * time.Second
	pingAgain = time.Second
)

// health answers GET /api/health. It is public, so there is nothing secret in
// it, and asking costs nothing: the databases are asked in the background, and
// one that is silent holds up neither a request nor what is said of the other.
type health struct {
	app     *app
	started time.Time
	answers map[string]*atomic.Bool // database → whether it answered the last ping
	pingers map[string]pinger
}

// pinger is a database that says whether it answers.
type pinger interface {
	Ping(ctx context.Context) error
}

// newHealth asks every database once.
func (a *app) newHealth(ctx context.Context) *health {
	h := &health{app: a, started: time.Now(), answers: map[string]*atomic.Bool{}, pingers: map[string]pinger{}}
	if a.mongo != nil {
		h.pingers["mongo"] = a.mongo
	}
	if a.pg != nil {
		h.pingers["postgres"] = a.pg
	}
	for name := range h.pingers {
		h.answers[name] = new(atomic.Bool)
	}
	h.each(func(name string) { h.look(ctx, name) })
	return h
}

// each runs do for all databases at once, and waits.
func (h *health) each(do func(name string)) {
	var all sync.WaitGroup
	for name := range h.pingers {
		all.Go(func() { do(name) })
	}
	all.Wait()
}

// watch asks each database now and then until ctx ends.
func (h *health) watch(ctx context.Context) {
	h.each(func(name string) {
		for ctx.Err() == nil {
			rest := pingEvery
			if !h.answers[name].Load() {
				rest = pingAgain
			}
			select {
			case <-ctx.Done():
			case <-time.After(rest):
				h.look(ctx, name)
			}
		}
	})
}

func (h *health) look(ctx context.Context, name string) {
	h.answers[name].Store(pings(ctx, h.pingers[name]) == nil)
}

// pings asks whether a database answers within a moment.
func pings(ctx context.Context, p pinger) error {
	ctx, cancel := context.WithTimeout(ctx, pingTime)
	defer cancel()
	return p.Ping(ctx)
}

// healthReport is what GET /api/health shows.
type healthReport struct {
	Status     string            `json:"status"` // ok, or degraded when a primary does not answer
	Version    string            `json:"version"`
	Process    string            `json:"process"`
	UptimeS    int64             `json:"uptimeSeconds"`
	Databases  map[string]bool   `json:"databases"` // name → it answers
	Domains    []domainHealth    `json:"domains"`
	Operations []cutover.OpCount `json:"operations"` // of this process
	// Records in MongoDB that lists left out because they cannot be read.
	Unreadable int `json:"unreadableRecords"`
}

type domainHealth struct {
	Domain  string        `json:"domain"`
	Phase   cutover.Phase `json:"phase"`
	Epoch   int64         `json:"epoch"`
	Sealed  bool          `json:"sealed"`
	Primary string        `json:"primary"`
}

// report is well when every domain's primary answers.
func (h *health) report(context.Context) (any, bool) {
	r := healthReport{
		Status: "ok", Version: buildVersion(), Process: h.app.process.ID, UptimeS: int64(time.Since(h.started).Seconds()),
		Databases: h.databases(), Operations: h.app.engine.Ops(),
	}
	if h.app.mongo != nil {
		r.Unreadable = h.app.mongo.Unreadable()
	}
	for _, name := range h.app.engine.Domains() {
		s := h.app.engine.State(name)
		d := domainHealth{Domain: name, Phase: s.Phase, Epoch: s.Epoch, Sealed: s.Sealed, Primary: "postgres"}
		if s.Phase.PrimaryIsSource() {
			d.Primary = "mongo"
		}
		if !r.Databases[d.Primary] {
			r.Status = "degraded"
		}
		r.Domains = append(r.Domains, d)
	}
	return r, r.Status == "ok"
}

// databases returns what the last pings said.
func (h *health) databases() map[string]bool {
	out := map[string]bool{}
	for name, answered := range h.answers {
		out[name] = answered.Load()
	}
	return out
}
