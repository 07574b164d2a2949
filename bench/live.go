package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/jackc/pgx/v5"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/internal/devstack/deployment"
)

// live is a deployment of two servers on both databases, whose marketplace is in
// use while it moves.
type live struct {
	e       *env
	dual    bool // the marketplace is in phase dual, all copied; else in its first phase
	d       *deployment.Deployment
	servers []*target
	pg      *pgx.Conn
	buyer   string // an access token
	posted  atomic.Int64
}

// live starts it when it is first asked for.
func (e *env) live(ctx context.Context) (_ *live, err error) {
	if e.deployed != nil {
		return e.deployed, nil
	}
	url, err := e.migrated(ctx)
	if err != nil {
		return nil, err
	}
	_, uri, database, err := e.mongoDatabase(ctx)
	if err != nil {
		return nil, err
	}
	l := &live{e: e}
	if l.buyer, err = accessToken(cutover.NewID().String(), "buyer"); err != nil {
		return nil, err
	}
	if l.pg, err = writer(ctx, url); err != nil {
		return nil, err
	}
	e.atEnd(func() error { return l.pg.Close(context.WithoutCancel(ctx)) })
	l.d, err = e.deployment(deployment.Options{MongoURI: uri, Database: database, PGURL: url, Ports: make([]int, 2),
		Own: func(int) []string { return []string{"JWT_SECRET=" + jwtSecret} }})
	if err != nil {
		return nil, err
	}
	if err := l.d.Serve(ctx); err != nil {
		return nil, err
	}
	for i, address := range l.d.Addresses() {
		l.servers = append(l.servers, e.target(fmt.Sprintf("server %d", i+1), strings.TrimPrefix(address, "http://")))
	}
	e.deployed = l
	return l, nil
}

// post is a request that writes: a new purchase request.
func (l *live) post() request {
	return request{method: "POST", path: requestsPath, token: l.buyer, body: requestBody(int(l.posted.Add(1))), want: http.StatusCreated}
}

// postOne posts a purchase request and returns its id.
func (l *live) postOne(ctx context.Context) (id string, err error) {
	answer, err := l.servers[0].object(ctx, l.post())
	if err != nil {
		return "", err
	}
	data, _ := answer["data"].(map[string]any)
	if id, _ = data["id"].(string); id == "" {
		return "", fmt.Errorf("a new request has no id: %v", answer)
	}
	return id, nil
}

// step takes one step of the marketplace's move.
func (l *live) step(ctx context.Context, action string, more ...string) error {
	return l.e.run(ctx, l.d, append([]string{"cutover", action, "marketplace", "--execute", "--why", "a measurement"}, more...)...)
}

// toDual brings the marketplace to phase dual with all copied.
func (l *live) toDual(ctx context.Context) error {
	if l.dual {
		return nil
	}
	if err := l.step(ctx, "start"); err != nil {
		return err
	}
	l.dual = true
	return l.e.run(ctx, l.d, "backfill", "marketplace")
}

// toSource brings it back to its first phase.
func (l *live) toSource(ctx context.Context) error {
	if !l.dual {
		return nil
	}
	l.dual = false
	return l.step(ctx, "abandon")
}

// dualRatio compares how long a writing request takes in phase dual with how
// long it takes before the move, with nobody else there. The domain goes there
// and back between any two slices.
func dualRatio(ctx context.Context, e *env) (samples, error) {
	l, err := e.live(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := l.p50(ctx); err != nil { // warm
		return nil, err
	}
	p50In := func(phase func(context.Context) error) func(context.Context) (float64, error) {
		return func(ctx context.Context) (float64, error) {
			if err := phase(ctx); err != nil {
				return 0, err
			}
			return l.p50(ctx)
		}
	}
	var out samples
	for range e.times(5) {
		dual, source, err := alternate(ctx, 1, p50In(l.toDual), p50In(l.toSource))
		if err != nil {
			return nil, err
		}
		e.say("p50 of a write: %.2f ms in phase dual, %.2f ms before", dual, source)
		out = append(out, dual/source)
	}
	return out, nil
}

// p50 is the median time of a writing request in milliseconds.
func (l *live) p50(ctx context.Context) (float64, error) {
	s, err := l.servers[0].load(ctx, 1, 4*l.e.slice(), l.post)
	return s.p50(), err
}
