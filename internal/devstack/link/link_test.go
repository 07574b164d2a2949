package link

import (
	"io"
	"net"
	"testing"
	"time"
)

// soon is when something that does happen has happened.
const soon = 10 * time.Second

// echo starts a server that sends everything back, and returns its address and
// its connections.
func echo(t *testing.T) (address string, accepted <-chan net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	t.Cleanup(func() { l.Close() })
	conns := make(chan net.Conn, 10)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // closed
			}
			conns <- c
		}
	}()
	return l.Addr().String(), conns
}

func open(t *testing.T) (l *Link, client, server net.Conn) {
	t.Helper()
	address, accepted := echo(t)
	l, err := To(address)
	check(t, err)
	t.Cleanup(l.Close)
	client = dial(t, l)
	server = <-accepted
	t.Cleanup(func() { server.Close() })
	passes(t, client, server)
	return l, client, server
}

func dial(t *testing.T, l *Link) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", l.Address())
	check(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

func passes(t *testing.T, from, to net.Conn) {
	t.Helper()
	_, err := from.Write([]byte("x"))
	check(t, err)
	if _, err := read(to, soon); err != nil {
		t.Errorf("want what was sent, got %v", err)
	}
}

func read(c net.Conn, within time.Duration) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(within)); err != nil {
		return 0, err
	}
	return c.Read(make([]byte, 1))
}

// silent wants neither data nor an end to arrive.
func silent(t *testing.T, c net.Conn) {
	t.Helper()
	if n, err := read(c, 200*time.Millisecond); n > 0 || !timedOut(err) {
		t.Errorf("want silence, got %d bytes and %v", n, err)
	}
}

func timedOut(err error) bool {
	e, ok := err.(net.Error)
	return ok && e.Timeout()
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestASilentLinkDoesNotEvenTellThatASideHungUp(t *testing.T) {
	l, client, server := open(t)
	check(t, l.Silence())
	_, err := client.Write([]byte("x"))
	check(t, err)
	silent(t, server)
	silent(t, dial(t, l))
	check(t, client.Close())
	silent(t, server)

	check(t, l.Heal())
	if _, err := read(server, soon); err != io.EOF {
		t.Errorf("want the connection closed, for what it lost, got %v", err)
	}
	dial(t, l)
}

func TestACutLinkClosesAndRefuses(t *testing.T) {
	l, client, server := open(t)
	l.Cut()
	for _, c := range []net.Conn{client, server} {
		if _, err := read(c, soon); err == nil || timedOut(err) {
			t.Errorf("want the connection closed, got %v", err)
		}
	}
	if c, err := net.Dial("tcp", l.Address()); err == nil {
		c.Close()
		t.Error("want no new connection")
	}
	address := l.Address()
	check(t, l.Heal())
	if l.Address() != address {
		t.Errorf("want the address %s again, got %s", address, l.Address())
	}
	dial(t, l)
}

func TestASlowLinkDelaysUntilItHeals(t *testing.T) {
	l, client, server := open(t)
	check(t, l.Slow(400*time.Millisecond))
	began := time.Now()
	passes(t, client, server)
	if took := time.Since(began); took < 200*time.Millisecond {
		t.Errorf("want a delay of 0.2 s at least, got %s", took)
	}
	check(t, l.Heal())
	passes(t, client, server)
	passes(t, server, client)
}
