package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// connections is how many requests are under way at a time, each on a
// connection of its own that stays open.
const connections = 16

// answerTime is how long one answer may take.
const answerTime = 30 * time.Second

// request is one that the load generator sends.
type request struct {
	method, path string
	token        string
	body         []byte
	want         int // the status that it must be answered with
}

// target is a server under load. The generator writes requests by hand, so that
// it takes little of the cores that it shares with the servers.
type target struct {
	name string
	addr string
	free chan *conn
}

// dial opens the connections of a target.
func dial(ctx context.Context, name, addr string) (*target, error) {
	t := &target{name: name, addr: addr, free: make(chan *conn, connections)}
	for range connections {
		var d net.Dialer
		c, err := d.DialContext(ctx, "tcp", addr)
		if err != nil {
			return nil, errors.Join(err, t.close())
		}
		t.free <- &conn{c: c, r: bufio.NewReaderSize(c, 32<<10), host: addr}
	}
	return t, nil
}

// close ends the connections; nothing may be under way.
func (t *target) close() error {
	var errs []error
	for len(t.free) > 0 {
		errs = append(errs, (<-t.free).c.Close())
	}
	return errors.Join(errs...)
}

// ask sends one request and returns the body of its answer.
func (t *target) ask(ctx context.Context, q request) ([]byte, error) {
	c := <-t.free
	defer func() { t.free <- c }()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	body, err := c.ask(q)
	return bytes.Clone(body), err
}

// slice is what came of some time under load.
type slice struct {
	took    time.Duration
	answers []int64 // how long each took, in nanoseconds
}

func (s slice) perSecond() float64 { return float64(len(s.answers)) / s.took.Seconds() }

// p50 is the median time of an answer in milliseconds.
func (s slice) p50() float64 { return float64(quantile(s.answers, 0.5)) / 1e6 }

// load keeps so many of the connections busy for so long with what next
// returns, which is called concurrently. The first answer that is not as it
// should be ends it.
func (t *target) load(ctx context.Context, busy int, lasts time.Duration, next func() request) (slice, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, lasts, errOver)
	defer cancel()
	var (
		all     slice
		mu      sync.Mutex
		failed  error
		workers sync.WaitGroup
		began   = time.Now()
	)
	for range busy {
		workers.Go(func() {
			answers, err := t.work(ctx, next)
			mu.Lock()
			defer mu.Unlock()
			all.answers = append(all.answers, answers...)
			if err != nil && failed == nil {
				failed = err
				cancel()
			}
		})
	}
	workers.Wait()
	all.took = time.Since(began)
	if failed == nil && context.Cause(ctx) != errOver {
		failed = context.Cause(ctx)
	}
	return all, failed
}

// errOver ends a slice whose time is over.
var errOver = errors.New("the slice is over")

func (t *target) work(ctx context.Context, next func() request) (answers []int64, err error) {
	c := <-t.free
	defer func() { t.free <- c }()
	for ctx.Err() == nil {
		q, began := next(), time.Now()
		if _, err := c.ask(q); err != nil {
			return answers, fmt.Errorf("%s: %w", t.name, err)
		}
		answers = append(answers, time.Since(began).Nanoseconds())
	}
	return answers, nil
}

// conn is one connection.
type conn struct {
	c    net.Conn
	r    *bufio.Reader
	host string
	out  []byte
	in   []byte
}

// ask sends a request; the body that it returns is overwritten by the next.
func (c *conn) ask(q request) ([]byte, error) {
	if err := c.c.SetDeadline(time.Now().Add(answerTime)); err != nil {
		return nil, err
	}
	if _, err := c.c.Write(c.encode(q)); err != nil {
		return nil, err
	}
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", q.method, q.path, err)
	}
	if err := c.read(resp); err != nil {
		return nil, fmt.Errorf("%s %s: %w", q.method, q.path, err)
	}
	if resp.StatusCode != q.want {
		return nil, fmt.Errorf("%s %s: %s, want %d: %.300s", q.method, q.path, resp.Status, q.want, c.in)
	}
	return c.in, nil
}

func (c *conn) encode(q request) []byte {
	b := append(c.out[:0], q.method+" "+q.path+" HTTP/1.1\r\nHost: "+c.host+"\r\nAuthorization: Bearer "+q.token+"\r\n"...)
	if q.body != nil {
		b = append(b, "Content-Type: application/json\r\nContent-Length: "+strconv.Itoa(len(q.body))+"\r\n"...)
	}
	b = append(append(b, "\r\n"...), q.body...)
	c.out = b
	return b
}

// read takes the whole body, so that the connection can be used again.
func (c *conn) read(resp *http.Response) error {
	defer resp.Body.Close()
	c.in = c.in[:0]
	for {
		if len(c.in) == cap(c.in) {
			c.in = append(c.in, make([]byte, 8<<10)...)[:len(c.in)]
		}
		n, err := resp.Body.Read(c.in[len(c.in):cap(c.in)])
		c.in = c.in[:len(c.in)+n]
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
