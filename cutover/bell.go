package cutover

import (
	"context"
	"sync"
)

// bells tell, within this process, that records of a kind were put.
type bells struct {
	mu sync.Mutex
	of map[string]chan struct{}
}

// Bell returns a channel on which something comes after an Update of this
// process that has put records of the kind. What comes while nobody listens is
// kept, once. It is the same channel each time, so it is for one listener.
func (d *Domain) Bell(kind string) <-chan struct{} {
	d.bells.mu.Lock()
	defer d.bells.mu.Unlock()
	if d.bells.of == nil {
		d.bells.of = map[string]chan struct{}{}
	}
	if d.bells.of[kind] == nil {
		d.bells.of[kind] = make(chan struct{}, 1)
	}
	return d.bells.of[kind]
}

// ring tells of kinds that were put.
func (b *bells) ring(put map[string]bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for kind, bell := range b.of {
		if !put[kind] {
			continue
		}
		select {
		case bell <- struct{}{}:
		default:
		}
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
