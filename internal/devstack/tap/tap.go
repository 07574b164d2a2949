// Package tap stands between a process and a database server, and counts what
// the process asks: every statement and every command, its driver's own too.
package tap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
)

// Tap is the way to one server.
type Tap struct {
	listener net.Listener
	upstream string
	listen   func(*Tap, io.Reader) // reads what one connection's client says

	mu    sync.Mutex
	calls map[string]int
	conns map[net.Conn]bool
	over  bool
	done  sync.WaitGroup
}

// Postgres opens a tap on the PostgreSQL server at upstream, host:port. Close it
// at the end. What is said under TLS is not understood.
func Postgres(upstream string) (*Tap, error) { return open(upstream, (*Tap).postgres) }

// Mongo is Postgres for a server that speaks MongoDB's protocol.
func Mongo(upstream string) (*Tap, error) { return open(upstream, (*Tap).mongo) }

func open(upstream string, listen func(*Tap, io.Reader)) (*Tap, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("tap on %s: %w", upstream, err)
	}
	t := &Tap{listener: l, upstream: upstream, listen: listen, calls: map[string]int{}, conns: map[net.Conn]bool{}}
	t.done.Go(t.accept)
	return t, nil
}

// Address is where the server is reached through this tap.
func (t *Tap) Address() string { return t.listener.Addr().String() }

// Close closes all connections, for good.
func (t *Tap) Close() {
	t.listener.Close()
	t.mu.Lock()
	t.over = true
	for c := range t.conns {
		c.Close()
	}
	t.mu.Unlock()
	t.done.Wait()
}

// Take returns what was asked since it was last called, and how often.
func (t *Tap) Take() map[string]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	taken := t.calls
	t.calls = map[string]int{}
	return taken
}

// Sum is how many calls there were.
func Sum(calls map[string]int) (n int) {
	for _, c := range calls {
		n += c
	}
	return n
}

// Text lists calls, the most frequent first.
func Text(calls map[string]int) string {
	names := slices.SortedFunc(maps.Keys(calls), func(a, b string) int { return calls[b] - calls[a] })
	var b strings.Builder
	for _, name := range names {
		fmt.Fprintf(&b, "%6d  %s\n", calls[name], name)
	}
	return b.String()
}

func (t *Tap) count(call string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.calls[call]++
}

func (t *Tap) accept() {
	for {
		client, err := t.listener.Accept()
		if err != nil {
			return // closed
		}
		server, err := net.Dial("tcp", t.upstream)
		if err != nil {
			client.Close()
			continue
		}
		if !t.keep(client, server) {
			return
		}
		t.done.Go(func() { t.pass(client, server) })
	}
}

// keep remembers a pair of connections for Close; false after it.
func (t *Tap) keep(pair ...net.Conn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range pair {
		if t.over {
			c.Close()
		}
		t.conns[c] = true
	}
	return !t.over
}

// pass carries both directions, and listens to the client's.
func (t *Tap) pass(client, server net.Conn) {
	heard, say := io.Pipe()
	var both sync.WaitGroup
	both.Go(func() {
		t.listen(t, heard)
		_, _ = io.Copy(io.Discard, heard) // what it did not understand
	})
	both.Go(func() {
		_, _ = io.Copy(server, io.TeeReader(client, say))
		say.Close()
		server.Close()
	})
	_, _ = io.Copy(client, server)
	client.Close()
	both.Wait()
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.conns, client)
	delete(t.conns, server)
}

var errLong = errors.New("tap: a message of this length is none")

const longest = 64 << 20

// body reads what follows a length of four bytes that counts itself.
func body(r io.Reader, order binary.ByteOrder) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := int(order.Uint32(head[:])) - 4
	if n < 0 || n > longest {
		return nil, errLong
	}
	b := make([]byte, n)
	_, err := io.ReadFull(r, b)
	return b, err
}
