package cutover

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/amanat-dev/amanat/cutover/fault"
)

const (
	// wordPause is the least time between two words to other processes, so that a
	// busy process sends few: what it writes meanwhile goes with the next.
	wordPause = 50 * time.Millisecond
	// wordTime bounds what is sent when a process stops, or gives a command.
	wordTime = time.Second
)

// words are what other processes are to be told of writes.
type words struct {
	mu   sync.Mutex
	all  map[Written]bool
	came chan struct{}
}

func newWords() *words { return &words{all: map[Written]bool{}, came: make(chan struct{}, 1)} }

func (w *words) add(all ...Written) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, one := range all {
		w.all[one] = true
	}
	wake(w.came)
}

// take takes all words, in the same order each time.
func (w *words) take() (out []Written) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for one := range w.all {
		out = append(out, one)
	}
	clear(w.all)
	slices.SortFunc(out, func(a, b Written) int {
		return cmp.Or(cmp.Compare(a.Domain, b.Domain), cmp.Compare(a.Kind, b.Kind))
	})
	return out
}

// mayHaveWritten says that after an Update that ended with err there may be
// something new.
func mayHaveWritten(err error) bool { return err == nil || fault.Is(err, fault.Unavailable) }

// ring tells of kinds of which an Update may have put records.
func (c *domainCore) ring(put map[string]bool) {
	for _, kind := range c.bells.ring(func(kind string) bool { return put[kind] }) {
		c.engine.pass(Written{c.name, kind})
	}
}

// tell says that an Update admitted in state s may have left notes.
func (c *copies) tell(s State) {
	wake(c.wrote)
	c.engine.stirred.Store(true)
	if s.Phase.Copies() || c.local.current().Phase.Copies() {
		c.engine.pass(Written{Domain: c.name})
	}
}

// urge has whoever leads look at the journal: whoever waits for copies does not
// rely on it that the leader has heard of each write.
func (c *copies) urge(ctx context.Context) {
	wake(c.wrote)
	if c.engine.role.Load() == leads {
		return
	}
	if err := c.engine.opts.Control.Wrote(ctx, []Written{{Domain: c.name}}); err != nil && ctx.Err() == nil {
		c.engine.log.Debug("the leader was not told of notes", "domain", c.name, "error", err)
	}
}

// pass has another process hear of a write, where one leads. A process that only
// gives commands sends it at once.
func (e *Engine) pass(w Written) {
	if e.opts.Control == nil || e.role.Load() == leads {
		return
	}
	e.words.add(w)
	if !e.running.Load() {
		e.sendWords(context.Background())
	}
}

// spread sends words until ctx ends. While the control plane is away they wait.
func (e *Engine) spread(ctx context.Context) {
	defer e.sendWords(context.WithoutCancel(ctx))
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.words.came:
		}
		rest := wordPause
		if all := e.words.take(); len(all) > 0 && e.opts.Control.Wrote(ctx, all) != nil {
			e.words.add(all...)
			rest = leadEvery
		}
		pause(ctx, rest)
	}
}

// sendWords sends what waits, once: what does not get through is found without
// it.
func (e *Engine) sendWords(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, wordTime)
	defer cancel()
	if all := e.words.take(); len(all) > 0 {
		if err := e.opts.Control.Wrote(ctx, all); err != nil {
			e.log.Debug("other processes were not told of writes", "error", err)
		}
	}
}

// heard takes in word of a write. It does not block.
func (e *Engine) heard(w Written) {
	e.stirred.Store(true)
	switch c := e.domains[w.Domain]; {
	case w == Written{}:
		e.ringAll()
	case c == nil: // of another version of the program
	case w.Kind == "":
		wake(c.copies.wrote)
	default:
		c.bells.ring(func(kind string) bool { return kind == w.Kind })
	}
}

// ringAll has everything in this process look: anything may have been written.
func (e *Engine) ringAll() {
	for _, name := range e.order {
		c := e.domains[name]
		wake(c.copies.wrote)
		c.bells.ring(func(string) bool { return true })
	}
}
