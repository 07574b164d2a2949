// Package link stands between a process and a database server, and can cut,
// slow or silence what passes there, as a network does.
package link

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/Shopify/toxiproxy/v2/toxics"
	"github.com/rs/zerolog"
)

// Link is the way to one server.
type Link struct {
	proxy *toxiproxy.Proxy
	mu    sync.Mutex // one change at a time
}

// To opens a link to the server at upstream, host:port. Close it at the end.
func To(upstream string) (*Link, error) {
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	l := &Link{proxy: toxiproxy.NewProxy(server, upstream, "127.0.0.1:0", upstream)}
	if err := l.proxy.Start(); err != nil {
		return nil, fmt.Errorf("link to %s: %w", upstream, err)
	}
	return l, nil
}

// Address is where the server is reached through this link.
func (l *Link) Address() string { return l.proxy.Listen }

// Close closes all connections, for good.
func (l *Link) Close() {
	l.proxy.Stop()
	l.proxy.Toxics.ResetToxics(context.Background())
}

// Cut closes all connections and refuses new ones until Heal.
func (l *Link) Cut() { l.proxy.Stop() }

// Slow delays everything by about so much in either direction, until Heal.
func (l *Link) Slow(by time.Duration) error {
	return l.add("latency", toxics.LatencyToxic{Latency: by.Milliseconds(), Jitter: by.Milliseconds() / 2})
}

// Silence lets nothing through any more, not even the news that a side has hung
// up: connections stay half-open, and new ones are made and never answered.
// Heal closes them, since what was lost on them would be missing.
func (l *Link) Silence() error { return l.add(silenceType, silence{}) }

func (l *Link) add(kind string, attributes any) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, stream := range []string{"upstream", "downstream"} {
		order, err := json.Marshal(map[string]any{"type": kind, "stream": stream, "attributes": attributes})
		if err != nil {
			return err
		}
		if _, err := l.proxy.Toxics.AddToxicJson(bytes.NewReader(order)); err != nil {
			return fmt.Errorf("link to %s: %s: %w", l.proxy.Upstream, kind, err)
		}
	}
	return nil
}

// Heal undoes Cut, Slow and Silence.
func (l *Link) Heal() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.proxy.Toxics.ResetToxics(context.Background())
	if err := l.proxy.Start(); err != nil && !errors.Is(err, toxiproxy.ErrProxyAlreadyStarted) {
		return fmt.Errorf("link to %s: %w", l.proxy.Upstream, err)
	}
	return nil
}

// silence is a toxic of our own: the library's timeout passes on that a side
// has hung up.
type silence struct{}

const silenceType = "silence"

func init() { toxics.Register(silenceType, new(silence)) }

// Pipe swallows everything until the toxic is taken away.
func (*silence) Pipe(stub *toxics.ToxicStub) {
	for {
		select {
		case <-stub.Interrupt:
			return
		case c := <-stub.Input:
			if c == nil { // hung up
				<-stub.Interrupt
				return
			}
		}
	}
}

// Cleanup closes what was silent.
func (*silence) Cleanup(stub *toxics.ToxicStub) { stub.Close() }
