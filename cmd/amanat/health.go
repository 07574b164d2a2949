package main

import (
	"context"
	"sync"
	"time"

	"github.com/amanat-dev/amanat/cutover"
)

const (
	pingTime  = time.Second
	pingEvery = time.Second // however often the health is asked for
)

// health answers GET /api/health. It is public, so there is nothing secret in
// it, and asking often costs little.
type health struct {
	app     *app
	started time.Time

	mu     sync.Mutex
	at     time.Time
	answer map[string]bool // database → whether it answered at that time
}

func (a *app) newHealth() *health { return &health{app: a, started: time.Now()} }

// healthReport is what GET /api/health shows.
type healthReport struct {
	Status     string            `json:"status"` // ok, or degraded when a primary does not answer
	Version    string            `json:"version"`
	Process    string            `json:"process"`
	UptimeS    int64             `json:"uptimeSeconds"`
	Databases  map[string]bool   `json:"databases"` // name → it answers
	Domains    []domainHealth    `json:"domains"`
	Operations []cutover.OpCount `json:"operations"` // of this process
}

type domainHealth struct {
	Domain  string        `json:"domain"`
	Phase   cutover.Phase `json:"phase"`
	Epoch   int64         `json:"epoch"`
	Sealed  bool          `json:"sealed"`
	Primary string        `json:"primary"`
}

// report is well when every domain's primary answers.
func (h *health) report(ctx context.Context) (any, bool) {
	r := healthReport{
		Status: "ok", Version: buildVersion(), Process: h.app.process.ID, UptimeS: int64(time.Since(h.started).Seconds()),
		Databases: h.databases(ctx), Operations: h.app.engine.Ops(),
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

// databases pings, or gives what the last ping said when that is recent.
func (h *health) databases(ctx context.Context) map[string]bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if time.Since(h.at) < pingEvery {
		return h.answer
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pingTime)
	defer cancel()
	h.answer = map[string]bool{}
	if h.app.mongo != nil {
		h.answer["mongo"] = h.app.mongo.Ping(ctx) == nil
	}
	if h.app.pg != nil {
		h.answer["postgres"] = h.app.pg.Ping(ctx) == nil
	}
	h.at = time.Now()
	return h.answer
}
