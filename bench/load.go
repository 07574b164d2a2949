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
	name     string
	pid      int    // of the server
	database string // its database's name
	free     chan *conn

	spent   processor // on so many answers
	answers int
}

func newTarget(name, address string) *target {
	t := &target{name: name, free: make(chan *conn, connections)}
	for range connections {
		t.free <- &conn{address: address}
	}
	return t
}

// close ends the connections; nothing may be under way.
func (t *target) close() error {
	var errs []error
	for len(t.free) > 0 {
		errs = append(errs, (<-t.free).close())
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

// idleMost is how long a connection may have been idle; a server closes it some
// time after that.
const idleMost = 30 * time.Second

// conn is one connection, opened when it is first needed.
type conn struct {
	address string
	c       net.Conn // nil: not open
	r       *bufio.Reader
	last    time.Time // when it was used
	out, in []byte
}

// open sees to it that the connection can be used.
func (c *conn) open() (err error) {
	if c.c != nil && time.Since(c.last) < idleMost {
		return nil
	}
	if err := c.close(); err != nil {
		return err
	}
	if c.c, err = net.DialTimeout("tcp", c.address, answerTime); err != nil {
		c.c = nil
		return err
	}
	c.r = bufio.NewReaderSize(c.c, 32<<10)
	return nil
}

func (c *conn) close() error {
	if c.c == nil {
		return nil
	}
	err := c.c.Close()
	c.c = nil
	return err
}

// ask sends a request; the body that it returns is overwritten by the next.
// After an error the next request goes over a new connection.
func (c *conn) ask(q request) ([]byte, error) {
	err := c.exchange(q)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s %s: %w", q.method, q.path, err), c.close())
	}
	return c.in, nil
}

func (c *conn) exchange(q request) error {
	if err := c.open(); err != nil {
		return err
	}
	c.last = time.Now()
	if err := c.c.SetDeadline(c.last.Add(answerTime)); err != nil {
		return err
	}
	if _, err := c.c.Write(c.encode(q)); err != nil {
		return err
	}
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return err
	}
	if err := c.read(resp); err != nil {
		return err
	}
	if resp.StatusCode != q.want {
		return fmt.Errorf("%s, want %d: %.300s", resp.Status, q.want, c.in)
	}
	return nil
}

func (c *conn) encode(q request) []byte {
	b := append(c.out[:0], q.method+" "+q.path+" HTTP/1.1\r\nHost: "+c.address+"\r\nAuthorization: Bearer "+q.token+"\r\n"...)
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
