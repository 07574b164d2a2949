package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/amanat-dev/amanat/cutover"
)

// Commits of several records on MongoDB, which readers of the same collections
// have to take into account.
const (
	growthCommits  = 100 // in a second, of all writers
	growthWriters  = 10
	growthTargets  = 100 // requests that take offers
	growthRequests = 20  // of the member who lists theirs
)

// sourceReadGrowth compares how long a list takes on MongoDB while offers are
// made, each of which writes two records at once, with how long it takes while
// nobody writes.
func sourceReadGrowth(ctx context.Context, e *env) (out samples, err error) {
	l, err := e.live(ctx)
	if err != nil {
		return nil, err
	}
	if err := l.toSource(ctx); err != nil {
		return nil, err
	}
	offer, list, err := l.offersAndList(ctx)
	if err != nil {
		return nil, err
	}
	for range e.times(3) {
		alone, err := l.servers[0].load(ctx, 1, 4*e.slice(), list)
		if err != nil {
			return nil, err
		}
		busy, commits, err := l.listAmongCommits(ctx, list, offer)
		if err != nil {
			return nil, err
		}
		e.say("p50 of a list: %.1f ms with %.0f commits/s (of %d wanted), %.1f ms without", busy.p50(), commits, growthCommits, alone.p50())
		out = append(out, busy.p50()/alone.p50())
	}
	return out, nil
}

// offersAndList posts the requests, and returns the writing and the reading
// request.
func (l *live) offersAndList(ctx context.Context) (offer, list func() request, err error) {
	reader, err := accessToken(cutover.NewID().String(), "buyer")
	if err != nil {
		return nil, nil, err
	}
	for range growthRequests {
		q := l.post()
		q.token = reader
		if _, err := l.servers[0].ask(ctx, q); err != nil {
			return nil, nil, err
		}
	}
	var targets, sellers []string
	for range growthTargets {
		id, err := l.postOne(ctx)
		if err != nil {
			return nil, nil, err
		}
		seller, err := accessToken(cutover.NewID().String(), "seller")
		if err != nil {
			return nil, nil, err
		}
		targets, sellers = append(targets, id), append(sellers, seller)
	}
	var n atomic.Int64
	offer = func() request { // a seller makes one offer on each request, before the next seller does
		i := int(n.Add(1) - 1)
		return request{method: "POST", path: requestsPath + "/" + targets[i%len(targets)] + "/offers",
			token: sellers[i/len(targets)%len(sellers)], body: offerBody(i), want: http.StatusCreated}
	}
	return offer, func() request {
		return request{method: "GET", path: requestsPath + "?mine=true&limit=20", token: reader, want: http.StatusOK}
	}, nil
}

// listAmongCommits lists for a slice while offers are made, and returns how many
// were made in a second.
func (l *live) listAmongCommits(ctx context.Context, list, offer func() request) (slice, float64, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var (
		writers sync.WaitGroup
		made    atomic.Int64
		failed  = make(chan error, growthWriters)
	)
	for range growthWriters {
		writers.Go(func() {
			err := l.pace(ctx, l.servers[0], growthCommits/growthWriters, func() request {
				made.Add(1)
				return offer()
			})
			if err != nil {
				failed <- fmt.Errorf("an offer: %w", err)
			}
		})
	}
	s, err := l.servers[0].load(ctx, 1, 4*l.e.slice(), list)
	commits := float64(made.Load()) / s.took.Seconds()
	stop()
	writers.Wait()
	close(failed)
	return s, commits, errors.Join(err, <-failed)
}
