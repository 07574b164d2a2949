package cutover

import (
	"context"
	"sync"
)

// bells of a domain tell that records of a kind were put.
type bells struct {
	mu sync.Mutex
	of map[string]chan struct{}
}

// Bell returns a channel on which something comes after an Update that has put
// records of the kind: one of this process; and one of another that has asked for
// the same Bell, while this process leads (see Engine.Leads), unless word of it
// was lost. It also comes when this process begins to lead, since anything may
// have been put before. What comes while nobody listens is kept, once. It is the
// same channel each time, so it is for one listener.
func (d *Domain) Bell(kind string) <-chan struct{} { return d.core.bells.get(kind) }

func (b *bells) get(kind string) <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.of == nil {
		b.of = map[string]chan struct{}{}
	}
	if b.of[kind] == nil {
		b.of[kind] = make(chan struct{}, 1)
	}
	return b.of[kind]
}

// ring tells of kinds that were put, and returns those for which there is a bell.
func (b *bells) ring(put func(kind string) bool) (rung []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for kind, bell := range b.of {
		if !put(kind) {
			continue
		}
		wake(bell)
		rung = append(rung, kind)
	}
	return rung
}

// wake puts something into a channel of one, unless something waits there.
func wake(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// listened is a Tx that remembers of which kinds records were put.
type listened struct {
	Tx
	put map[string]bool
}

func (l listened) Put(ctx context.Context, r Record) error {
	if k, ok := l.Kinds().Of(r); ok {
		l.put[k.Name] = true
	}
	return l.Tx.Put(ctx, r)
}
