package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// lagLoad is how often in a second each of two servers is written to while the
// lag is measured; a stand-in for MongoDB takes less.
const (
	lagLoad       = 50
	lagLoadFerret = 5
	lagSamples    = 200
	lagPoll       = 2 * time.Millisecond
	lagMost       = time.Minute
)

// copyLag measures, in phase dual, how long after it was asked for a write is
// found in the other database: that is as old as its note became. Other members
// write meanwhile.
func copyLag(ctx context.Context, e *env) (out samples, err error) {
	l, err := e.live(ctx)
	if err != nil {
		return nil, err
	}
	if err := l.toDual(ctx); err != nil {
		return nil, err
	}
	rate := lagLoad
	if e.mongo.IsFerret() {
		rate = lagLoadFerret
		e.say("FerretDB takes %d writes/s rather than %d", 2*lagLoadFerret, 2*lagLoad)
	}
	for range e.times(3) {
		lag, err := l.lagUnder(ctx, rate)
		if err != nil {
			return nil, err
		}
		out = append(out, lag)
	}
	return out, nil
}

// lagUnder measures the lag while both servers are written to at a rate.
func (l *live) lagUnder(ctx context.Context, rate int) (p99 float64, err error) {
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan error, len(l.servers))
	for _, server := range l.servers {
		go func() { ended <- l.pace(ctx, server, rate, l.post) }()
	}
	var lags []int64
	for range l.e.size(20*lagSamples) / 20 {
		lag, err := l.lagOfOne(ctx)
		if err != nil {
			stop()
			return 0, errors.Join(err, <-ended, <-ended)
		}
		lags = append(lags, lag.Nanoseconds())
	}
	stop()
	if err := errors.Join(<-ended, <-ended); err != nil {
		return 0, err
	}
	p99 = float64(quantile(lags, 0.99)) / 1e6
	l.e.say("copy lag of %d writes: p50 %.0f ms, p99 %.0f ms", len(lags), float64(quantile(lags, 0.5))/1e6, p99)
	return p99, nil
}

// pace sends a request each 1/rate seconds, or as fast as they are answered,
// until ctx ends.
func (l *live) pace(ctx context.Context, server *target, rate int, next func() request) error {
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if _, err := server.ask(context.WithoutCancel(ctx), next()); err != nil {
			return err
		}
	}
}

// lagOfOne writes a record and waits until the other database has it.
func (l *live) lagOfOne(ctx context.Context) (time.Duration, error) {
	began := time.Now()
	id, err := l.postOne(ctx)
	if err != nil {
		return 0, err
	}
	for there := false; !there; time.Sleep(lagPoll) {
		if err := l.pg.QueryRow(ctx, "SELECT EXISTS (SELECT FROM purchase_requests WHERE id = $1)", id).Scan(&there); err != nil {
			return 0, err
		}
		if time.Since(began) > lagMost {
			return 0, fmt.Errorf("request %s is not in PostgreSQL after %s", id, lagMost)
		}
	}
	return time.Since(began), nil
}
