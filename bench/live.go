package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/jackc/pgx/v5"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/devstack/deployment"
)

// live is a deployment on both databases whose marketplace is in use while it
// moves.
type live struct {
	e       *env
	d       *deployment.Deployment
	servers []*target
	pg      *pgx.Conn
	buyer   string // an access token
	posted  atomic.Int64
}

// live starts so many servers on fresh databases.
func (e *env) live(ctx context.Context, servers int) (_ *live, err error) {
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
	l.d, err = e.deployment(deployment.Options{MongoURI: uri, Database: database, PGURL: url, Ports: make([]int, servers),
		Own: func(int) []string { return []string{"JWT_SECRET=" + jwtSecret} }})
	if err != nil {
		return nil, err
	}
	if err := l.d.Serve(ctx); err != nil {
		return nil, err
	}
	for i, address := range l.d.Addresses() {
		t, err := e.dial(ctx, fmt.Sprintf("server %d", i+1), strings.TrimPrefix(address, "http://"))
		if err != nil {
			return nil, err
		}
		l.servers = append(l.servers, t)
	}
	return l, nil
}

// onBoth measures on what goes away right after, with both databases at hand.
func (e *env) onBoth(ctx context.Context, do func(*env) error) error {
	if _, err := e.mongoServer(ctx); err != nil {
		return err
	}
	return e.within(ctx, do)
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

// dualRatio compares how long a writing request takes in phase dual with how
// long it takes before the move, with nobody else there. The domain goes there
// and back between any two slices.
func dualRatio(ctx context.Context, e *env) (out samples, err error) {
	err = e.onBoth(ctx, func(e *env) error {
		l, err := e.live(ctx, 1)
		if err != nil {
			return err
		}
		if _, err := l.p50(ctx); err != nil { // warm
			return err
		}
		for range e.times(5) {
			source, err := l.p50(ctx)
			if err != nil {
				return err
			}
			if err := l.step(ctx, "start"); err != nil {
				return err
			}
			dual, err := l.p50(ctx)
			if err != nil {
				return err
			}
			if err := l.step(ctx, "abandon"); err != nil {
				return err
			}
			e.say("p50 of a write: %.2f ms in phase dual, %.2f ms before", dual, source)
			out = append(out, dual/source)
		}
		return nil
	})
	return out, err
}

// p50 is the median time of a writing request in milliseconds.
func (l *live) p50(ctx context.Context) (float64, error) {
	s, err := l.servers[0].load(ctx, 1, 4*l.e.slice(), l.post)
	return s.p50(), err
}
