package main

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
)

// The four endpoints, each against the peer: requests answered in a second with
// 16 connections, in short slices that alternate between the two servers.

const requestsPath = "/api/marketplace/purchase-requests"

// endpoint is a stream of requests to one endpoint.
type endpoint struct {
	nth   func(c *contest, n int) request // the n-th request of the stream
	fresh []string                        // fields of the answer that are new each time
}

var (
	getEndpoint = endpoint{nth: func(c *contest, n int) request {
		r := c.requests[scattered(n, len(c.requests))]
		return request{method: "GET", path: requestsPath + "/" + r.id, token: c.members[r.buyer], want: http.StatusOK}
	}}
	listEndpoint = endpoint{nth: func(c *contest, n int) request {
		r := c.requests[scattered(n, len(c.requests))]
		return request{method: "GET", path: requestsPath + "?mine=true&limit=20", token: c.members[r.buyer], want: http.StatusOK}
	}}
	postRequestEndpoint = endpoint{fresh: []string{"id", "createdAt", "updatedAt"}, nth: func(c *contest, n int) request {
		r := c.requests[scattered(n, len(c.requests))]
		return request{method: "POST", path: requestsPath, token: c.members[r.buyer], want: http.StatusCreated, body: requestBody(n)}
	}}
	postOfferEndpoint = endpoint{fresh: []string{"id", "createdAt", "updatedAt"}, nth: func(c *contest, n int) request {
		r := c.open[scattered(n, len(c.open))]
		// The first few sellers after this place have offers by the data set.
		seller := c.sellers[(r.place*7+4+n/len(c.open))%len(c.sellers)]
		return request{method: "POST", path: requestsPath + "/" + r.id + "/offers", token: c.members[seller], want: http.StatusCreated, body: offerBody(n)}
	}}
)

// requestBody is the draft of a purchase request.
func requestBody(n int) []byte {
	return fmt.Appendf(nil, `{"title":"Wanted: thing number %d","description":"Something that is wanted, in good order, by the end of next month.",`+
		`"productType":"physical_product","quantity":2,"budget":{"min":"10","max":"99.5","currency":"USDT"},"urgency":"high",`+
		`"specifications":[{"key":"colour","value":"blue","label":"Colour"},{"key":"number","value":"%d"}]}`, n, n)
}

// offerBody is the draft of an offer.
func offerBody(n int) []byte {
	return fmt.Appendf(nil, `{"title":"Can do","description":"An offer for exactly what is wanted, delivered to your door.",`+
		`"price":{"amount":"%d.5","currency":"USDT"},"deliveryTime":{"amount":3,"unit":"days"}}`, 20+n%900)
}

// scattered visits each of size places once before it visits one again, and
// neighbours far apart.
func scattered(n, size int) int { return n * 7919 % size }

// share measures an endpoint: the product's requests per second in shares of
// the peer's.
func (p endpoint) share(ctx context.Context, e *env) (samples, error) {
	c, err := e.contest(ctx)
	if err != nil {
		return nil, err
	}
	streams := map[*target]func() request{c.ours: p.stream(c), c.peer: p.stream(c)}
	for range 20 {
		if err := c.alike(ctx, func(t *target) request { return streams[t]() }, p.fresh...); err != nil {
			return nil, err
		}
	}
	ours := c.ours.rate(e, streams[c.ours])
	theirs := c.peer.rate(e, streams[c.peer])
	if _, _, err := alternate(ctx, e.times(2), ours, theirs); err != nil { // plans, pools and caches are warm after this
		return nil, err
	}
	var out samples
	for range e.times(5) {
		ours, peer, err := alternate(ctx, e.times(4), ours, theirs)
		if err != nil {
			return nil, err
		}
		e.say("amanat %.0f/s (%s each, itself and PostgreSQL), peer %.0f/s (%s)", ours, c.ours.took(), peer, c.peer.took())
		out = append(out, ours/peer)
	}
	return out, nil
}

func (p endpoint) stream(c *contest) func() request {
	var n atomic.Int64
	return func() request { return p.nth(c, int(n.Add(1)-1)) }
}

// rate loads a server for a slice, and returns its answers per second.
func (t *target) rate(e *env, next func() request) func(context.Context) (float64, error) {
	return func(ctx context.Context) (float64, error) {
		before := t.processor()
		s, err := t.load(ctx, connections, e.slice(), next)
		t.spent, t.answers = t.spent.plus(t.processor().less(before)), t.answers+len(s.answers)
		return s.perSecond(), err
	}
}

// took says what an answer has taken of the processors since it was last asked.
func (t *target) took() string {
	text := t.spent.per(t.answers)
	t.spent, t.answers = processor{}, 0
	return text
}
