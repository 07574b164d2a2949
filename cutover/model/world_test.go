package model

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"reflect"
	"sync"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/cutover/memdb"
)

const (
	domainName = "toy"
	kind       = "entry"
	queryGet   = "entry.get"
	opThink    = "think"
	actorLast  = "last client" // writes once more when all is over
	leaseTTL   = 2 * time.Second
	clientOps  = 30
	legacy     = 3 // records that are there before the move
)

// entry is the toy's record. Log names the writes that made it, in order.
type entry struct {
	cutover.Meta
	Log string `json:"log"`
}

var kinds = cutover.Kinds{{Name: kind, Type: reflect.TypeFor[entry]()}}

func keyOf(n int) cutover.Key {
	return cutover.Key{Kind: kind, ID: cutover.ID{0: 1, 11: byte(n)}}
}

// world is both databases, the control plane, the processes and the oracle.
type world struct {
	sched          *scheduler
	source, target *memdb.DB
	control        *memdb.Control
	mutant         mutant

	mu        sync.Mutex
	servers   []*process // in their places; a restarted one takes its predecessor's
	command   *process   // that gives commands now, when it is a process of its own
	all       []*process
	keys      int
	roles     map[string]*session
	bells     map[*process]chan struct{}
	words     map[*process]chan cutover.Written
	txns      map[*memdb.Txn]bool
	oracle    oracle
	endSeq    int64             // a mutant's end position
	apart     []cutover.Note    // a mutant's notes
	unwritten *unwritten        // a mutant's flip
	scripted  bool              // the script is over
	rndOf     func() *rand.Rand // a generator for another goroutine
}

// process is one running process.
type process struct {
	world  *world
	name   string
	n      int
	place  int // among the servers; -1 for a command
	server bool
	ctx    context.Context
	cancel context.CancelFunc
	dead   chan struct{}
	gone   bool // dead, under the scheduler's lock
	frozen bool
	rnd    *rand.Rand
	tokens map[string]*int // by who writes; each counts by itself

	engine   *cutover.Engine
	domain   *cutover.Domain
	running  bool
	leaving  context.CancelFunc // ends the client
	clientOf sync.WaitGroup
}

func newWorld(seed uint64, m mutant) *world {
	w := &world{
		sched:  newScheduler(seed),
		source: memdb.New("mongo", kinds), target: memdb.New("postgres", kinds), control: memdb.NewControl(),
		mutant: m, keys: legacy, roles: map[string]*session{}, bells: map[*process]chan struct{}{}, words: map[*process]chan cutover.Written{},
		txns: map[*memdb.Txn]bool{},
	}
	n := uint64(0)
	w.rndOf = func() *rand.Rand { n++; return rand.New(rand.NewPCG(seed, n)) }
	w.target.Control = w.control
	w.oracle.init(w)
	for i := range legacy {
		w.source.Seed(kind, &entry{Meta: cutover.Meta{ID: keyOf(i + 1).ID}, Log: "seed;"})
	}
	shadow := cutover.Settings{}
	if w.sched.plan.shadow {
		shadow.ShadowPercent = 100
	}
	_ = w.control.SetSettings(context.Background(), domainName, shadow)
	return w
}

// start begins a process: a server, which runs and has a client, or a command.
func (w *world) start(name string, place int) *process {
	w.mu.Lock()
	p := &process{world: w, name: name, n: len(w.all), place: place, server: place >= 0, dead: make(chan struct{}), rnd: w.rndOf(),
		tokens: map[string]*int{"client": new(int), actorLast: new(int)}}
	p.ctx, p.cancel = context.WithCancel(as(context.Background(), "run"))
	w.all = append(w.all, p)
	switch {
	case place < 0:
		w.command = p
	case place < len(w.servers):
		w.servers[place] = p
	default:
		w.servers = append(w.servers, p)
	}
	w.mu.Unlock()
	p.engine = cutover.NewEngine(cutover.Options{
		Control: plane{w.control, p}, Process: cutover.Process{ID: name}, Logger: slog.New(slog.DiscardHandler),
		LeaseTTL: leaseTTL, LookEvery: time.Second, MaxWait: 8 * time.Second,
		Random: func(n int64) int64 { return n - 1 }, // no shadow reads but where all are
	})
	p.domain = domainOn(p.engine, cutover.Spec{
		Definition: cutover.Definition{Name: domainName, Kinds: kinds, Queries: []string{queryGet}},
		Source:     keeper{side{w.source, p, mongo, true}}, Target: side{w.target, p, pg, false},
	})
	return p
}

// serve opens and runs a server with its client, until it dies.
func (p *process) serve() {
	for p.ctx.Err() == nil {
		if err := p.engine.Open(p.ctx); err == nil {
			break
		}
		p.sleep(p.ctx, time.Second)
	}
	if p.ctx.Err() != nil {
		return
	}
	ctx, leaving := context.WithCancel(p.ctx)
	p.world.mu.Lock()
	p.running, p.leaving = true, leaving
	p.world.mu.Unlock()
	p.engine.Run(p.ctx)
	p.clientOf.Go(func() { p.client(as(ctx, "client")) })
}

func (p *process) sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-p.dead:
	case <-timer.C:
	}
}

var errStop = errors.New("no more turns")

// client reads and writes whenever the scheduler gives it a turn.
func (p *process) client(ctx context.Context) {
	for range clientOps {
		if p.look(ctx, none, opThink, nil, nil) != nil {
			return
		}
		p.oneOp(ctx)
		if ctx.Err() != nil {
			return
		}
	}
}

func (p *process) oneOp(ctx context.Context) {
	key := p.someKey()
	n := p.rnd.IntN(20)
	for what, share := range p.world.sched.plan.mix {
		if n -= share; n >= 0 {
			continue
		}
		switch what {
		case 0:
			p.append(ctx, key)
		case 1:
			p.append(ctx, key, p.someKey())
		case 2:
			p.create(ctx)
		case 3:
			p.delete(ctx, key)
		}
		return
	}
	p.view(ctx, key)
}

func (p *process) someKey() cutover.Key {
	p.world.mu.Lock()
	defer p.world.mu.Unlock()
	return keyOf(1 + p.rnd.IntN(p.world.keys))
}

// attempt is one run of an Update's closure.
type attempt struct {
	token string
	keys  []cutover.Key
	gone  bool // a delete
}

func (p *process) attempt(ctx context.Context, gone bool, keys ...cutover.Key) attempt {
	writer, n := p.name, p.tokens[actorOf(ctx)]
	if actorOf(ctx) == actorLast {
		writer += "!"
	}
	*n++
	return attempt{fmt.Sprintf("%s.%d;", writer, *n), keys, gone}
}

func (p *process) append(ctx context.Context, keys ...cutover.Key) bool {
	if len(keys) == 2 && keys[0] == keys[1] {
		keys = keys[:1]
	}
	return p.update(ctx, "append", keys, func(ctx context.Context, tx cutover.Tx) (attempt, error) {
		a := p.attempt(ctx, false, keys...)
		for _, k := range keys {
			r, err := tx.Get(ctx, kind, k.ID)
			if err != nil {
				return a, err
			}
			e := r.(*entry)
			e.Log += a.token
			if err := tx.Put(ctx, e); err != nil {
				return a, err
			}
		}
		return a, nil
	})
}

func (p *process) create(ctx context.Context) {
	p.world.mu.Lock()
	if p.world.keys == 9 {
		p.world.mu.Unlock()
		return
	}
	p.world.keys++
	key := keyOf(p.world.keys)
	p.world.mu.Unlock()
	p.update(ctx, "create", []cutover.Key{key}, func(ctx context.Context, tx cutover.Tx) (attempt, error) {
		a := p.attempt(ctx, false, key)
		return a, tx.Put(ctx, &entry{Meta: cutover.Meta{ID: key.ID}, Log: a.token})
	})
}

func (p *process) delete(ctx context.Context, key cutover.Key) {
	p.update(ctx, "delete", []cutover.Key{key}, func(ctx context.Context, tx cutover.Tx) (attempt, error) {
		a := p.attempt(ctx, true, key)
		r, err := tx.Get(ctx, kind, key.ID)
		if err != nil {
			return a, err
		}
		return a, tx.Delete(ctx, r)
	})
}

func (p *process) update(ctx context.Context, what string, keys []cutover.Key, fn func(context.Context, cutover.Tx) (attempt, error)) bool {
	p.tell("client: %s %v", what, keysOf(keys, func(k cutover.Key) cutover.Key { return k }))
	a, err := cutover.Update(ctx, p.domain, fn)
	if err != nil {
		p.tell("client: %s failed: %v", what, err)
		return fault.Is(err, fault.NotFound)
	}
	if p.isDead() {
		return false
	}
	p.tell("client: %s acknowledged as %s", what, a.token)
	p.world.acknowledged(a)
	return true
}

func (p *process) isDead() bool {
	select {
	case <-p.dead:
		return true
	default:
		return false
	}
}

func (p *process) view(ctx context.Context, key cutover.Key) bool {
	before := p.world.mustSee(key)
	log, err := cutover.View(ctx, p.domain, queryGet, func(ctx context.Context, tx cutover.Tx) (string, error) {
		r, err := tx.Get(ctx, kind, key.ID)
		if err != nil {
			return "", err
		}
		return r.(*entry).Log, nil
	})
	if err != nil && !fault.Is(err, fault.NotFound) || p.isDead() {
		return false
	}
	p.tell("client: read %s: %q", short(key.ID), log)
	p.world.read(p, key, before, log, err == nil)
	return true
}

// crash ends a process at once, and has it started again after a while. s.mu
// is held.
func (w *world) crash(p *process, again time.Duration) {
	if p.gone {
		return
	}
	p.gone, p.frozen = true, false
	for _, r := range w.sched.pending {
		if r.p == p && !r.read && w.sched.chance(0.5) {
			r.sent = true
		}
	}
	close(p.dead)
	p.cancel()
	w.mu.Lock()
	for _, role := range sortedRoles(w.roles) {
		if s := w.roles[role]; s.p == p {
			delete(w.roles, role)
			w.lose(s)
		}
	}
	w.mu.Unlock()
	if p.server {
		w.sched.after(again+time.Millisecond, "a new process starts in place of "+p.name, func() {
			w.replace(p)
		})
	}
}

func (w *world) replace(p *process) {
	n := w.start(p.name+"'", p.place)
	go n.serve()
}

// freeze holds up all steps of a process. s.mu is held.
func (w *world) freeze(p *process, d time.Duration) {
	if p.gone || p.frozen {
		return
	}
	p.frozen = true
	for _, r := range w.sched.pending {
		if r.p == p && r.on != none && w.sched.chance(0.3) {
			r.sent = true
		}
	}
	w.sched.after(d, p.name+" thaws", func() { p.frozen = false })
}

// leave has a server stop properly, and another take its place.
func (w *world) leave(p *process) {
	w.mu.Lock()
	running, stop := p.running, p.leaving
	w.mu.Unlock()
	if !p.server || !running || p.gone {
		return
	}
	go func() {
		stop()
		p.clientOf.Wait()
		_ = p.engine.Close(as(p.ctx, "close"))
		w.sched.mu.Lock()
		defer w.sched.mu.Unlock()
		if !p.gone {
			w.crash(p, time.Second)
		}
	}()
}

// restartPG loses the target's sessions and open transactions.
func (w *world) restartPG(d time.Duration) {
	w.sched.wires[pg] = time.Now().Add(d)
	w.mu.Lock()
	txns := w.txns
	w.txns = map[*memdb.Txn]bool{}
	var owners []*process
	for _, role := range sortedRoles(w.roles) {
		owners = append(owners, w.roles[role].p)
	}
	w.mu.Unlock()
	for t := range txns {
		t.Abort()
	}
	for _, p := range owners {
		w.cutSessions(p)
	}
}

func (w *world) connected(t *memdb.Txn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.txns[t] = true
}

// victim returns the server in a place, or with -1 who gives commands.
func (w *world) victim(who int) *process {
	w.mu.Lock()
	defer w.mu.Unlock()
	if who < 0 {
		if w.command != nil {
			return w.command
		}
		who = 0
	}
	if p := w.servers[who]; !p.gone {
		return p
	}
	return nil
}

// listen returns the bell that rings when a state has changed, and where words of
// writes come.
func (w *world) listen(p *process) (chan struct{}, chan cutover.Written) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.bells[p] = make(chan struct{}, 1)
	w.words[p] = make(chan cutover.Written, 1)
	return w.bells[p], w.words[p]
}

func (w *world) ring() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, bell := range w.bells {
		select {
		case bell <- struct{}{}:
		default:
		}
	}
}

// spread brings words of writes to all; what nobody has taken yet is enough.
func (w *world) spread(all []cutover.Written) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, words := range w.words {
		for _, one := range all {
			select {
			case words <- one:
			default:
			}
		}
	}
}

// advance is the control plane's, with what a mutant makes of it.
func (w *world) advance(ctx context.Context, c plane, from, to cutover.State, why cutover.Change) error {
	err := c.Control.Advance(ctx, from, to, why)
	if err != nil {
		return err
	}
	w.advanced(ctx, from, to)
	w.ring()
	return nil
}

// seen marks what the plan's mishaps follow. s.mu is held.
func (w *world) seen(r *request, v verdict) {
	if v == lost {
		return
	}
	switch to, _ := r.arg.(stateText); {
	case r.op == "plan":
		w.sched.mark("plan")
	case r.op != "advance":
	case to.Sealed:
		if to.Phase.PrimaryIsSource() == w.statePhase().PrimaryIsSource() {
			w.sched.mark("seal")
			return
		}
		w.sched.mark("flip")
	case w.statePhase() != to.Phase:
		w.sched.mark("start")
	default:
		w.sched.mark("open")
	}
}

func (w *world) state() cutover.State {
	all, _ := w.control.States(context.Background())
	return all[domainName]
}

func (w *world) statePhase() cutover.Phase { return w.state().Phase }

// domainOn is cutover.NewDomain of what is right.
func domainOn(e *cutover.Engine, spec cutover.Spec) *cutover.Domain {
	d, err := cutover.NewDomain(e, spec)
	if err != nil {
		panic(err)
	}
	return d
}
