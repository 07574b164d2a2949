package history

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/amanat-dev/amanat/internal/devstack/pace"
	"github.com/amanat-dev/amanat/internal/devstack/traffic"
)

// Kinds are those of which a contest has records. Of a payment and its holds
// the history has two kinds, "payment" and "hold".
var Kinds = []string{"user", "purchase_request", "seller_offer", "payment"}

// Options say who contends for what, and how fast.
type Options struct {
	Servers []string            // base URLs; each request goes to one of them at random
	Admin   traffic.Credentials // makes the accounts
	Kinds   []string            // that are contended for: those of Kinds when nil
	Clients int                 // of each kind of record; 3 when zero
	Rate    float64             // requests per second at most, all clients together; 30 when zero. They follow what the servers serve
	Seed    uint64              // of what the clients choose
}

// Contest is clients that read and write a few records of each domain, all of
// them the same ones. Make it with New.
type Contest struct {
	o        Options
	pace     *pace.Pace
	history  History
	subjects map[string][]subject // by kind

	mu    sync.Mutex
	tally map[string]*Tally
}

// Tally is what became of the requests about one kind of record.
type Tally struct {
	Done, Refused, Wrong, Unknown int
	Samples                       []string // of what was not done
}

// subject is what clients contend for.
type subject interface {
	// found records it as it is before anybody contends for it.
	found(ctx context.Context, w *client) error
	// act asks one thing of it, in one request.
	act(ctx context.Context, w *client)
}

// New makes the records, or picks them.
func New(ctx context.Context, o Options) (*Contest, error) {
	if o.Clients == 0 {
		o.Clients = 3
	}
	if o.Rate == 0 {
		o.Rate = 30
	}
	c := newContest(o)
	setup := stage{ctx: ctx, server: o.Servers[0]}
	c.subjects = setup.build(o.Admin)
	if setup.err != nil {
		return nil, fmt.Errorf("history: %w", setup.err)
	}
	if o.Kinds != nil {
		maps.DeleteFunc(c.subjects, func(kind string, _ []subject) bool { return !slices.Contains(o.Kinds, kind) })
	}
	return c, c.find(ctx)
}

// load is how many requests are under way on average: enough for some to meet
// at the same record.
const load = 1.5

func newContest(o Options) *Contest {
	return &Contest{o: o, pace: pace.New(pace.Options{Ceiling: o.Rate, Load: load, Abreast: len(Kinds) * o.Clients}), tally: map[string]*Tally{}}
}

// find records what there is before anybody contends for it.
func (c *Contest) find(ctx context.Context) error {
	for kind, all := range c.subjects {
		w := c.client(kind)
		for _, s := range all {
			if err := s.found(ctx, w); err != nil {
				return fmt.Errorf("history: %w", err)
			}
		}
	}
	return nil
}

// Run has the clients contend until ctx ends. It may be run again.
func (c *Contest) Run(ctx context.Context) {
	var wg sync.WaitGroup
	for kind := range c.subjects {
		for range c.o.Clients {
			wg.Go(func() { c.client(kind).run(ctx) })
		}
	}
	wg.Wait()
}

// History is what was asked and answered so far.
func (c *Contest) History() *History { return &c.history }

// Tallies says, by kind, what became of the requests so far.
func (c *Contest) Tallies() map[string]Tally {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[string]Tally{}
	for kind, t := range c.tally {
		out[kind] = Tally{t.Done, t.Refused, t.Wrong, t.Unknown, slices.Clone(t.Samples)}
	}
	return out
}

const samples = 5

func (c *Contest) count(kind string, f fate, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.tally[kind]
	if t == nil {
		t = &Tally{}
		c.tally[kind] = t
	}
	switch f {
	case done:
		t.Done++
		return
	case refused:
		t.Refused++
	case wrong:
		t.Wrong++
	case unknown:
		t.Unknown++
	}
	if len(t.Samples) < samples {
		t.Samples = append(t.Samples, text)
	}
}

// client asks one thing after the other.
type client struct {
	*Contest
	kind   string
	id     int // in the history
	random *rand.Rand
	serial int
}

func (c *Contest) client(kind string) *client {
	id := c.history.client()
	return &client{Contest: c, kind: kind, id: id, random: rand.New(rand.NewPCG(c.o.Seed, uint64(id)))}
}

func (w *client) run(ctx context.Context) {
	all := w.subjects[w.kind]
	for {
		end, err := w.pace.Begin(ctx)
		if err != nil {
			return
		}
		all[w.random.IntN(len(all))].act(ctx, w)
		end()
	}
}

// value returns a text that nobody else writes.
func (w *client) value() string {
	w.serial++
	return fmt.Sprintf("client %d, write %d", w.id, w.serial)
}

// span is when a request was under way, and by whom.
type span struct {
	client    int
	call, end int64
}

// ask sends a request to one of the servers. Whoever waits for an answer that
// has not come asks no more: the client goes on as another one.
func (w *client) ask(ctx context.Context, q request, into any) (fate, span) {
	server := w.o.Servers[w.random.IntN(len(w.o.Servers))]
	s := span{client: w.id, call: w.history.now()}
	f, text := ask(ctx, server, q, into)
	s.end = w.history.now()
	if f == unknown {
		s.end = open
		w.id = w.history.client()
	}
	w.count(w.kind, f, text)
	return f, s
}

// note records an operation of a request that was made.
func (w *client) note(s span, record string, in Input, out Output) {
	w.history.add(s.client, record, in, out, s.call, s.end)
}

// wrote records a write: as it was answered, or with its outcome unknown, or
// not at all when it was refused.
func (w *client) wrote(f fate, s span, record string, in Input, v Version) {
	switch f {
	case done:
		w.note(s, record, in, Output{Known: true, Version: v})
	case unknown:
		w.note(s, record, in, Output{})
	}
}
