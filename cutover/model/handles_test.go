package model

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/memdb"
)

// side is one database as one process has it.
type side struct {
	*memdb.DB
	p      *process
	on     resource
	source bool
}

// keeper is the source's side, which keeps a copy of the state.
type keeper struct{ side }

// tx has the reads of a closure wait their turn.
type tx struct {
	cutover.Tx
	s side
}

func (t tx) Get(ctx context.Context, kind string, id cutover.ID) (r cutover.Record, err error) {
	stepErr := t.s.p.look(ctx, t.s.on, "read", short(id), func() error {
		r, err = t.Tx.Get(ctx, kind, id)
		return nil
	})
	if stepErr != nil {
		return nil, stepErr
	}
	return r, err
}

// short writes an identity briefly.
func short(id cutover.ID) string { return fmt.Sprintf("k%d", id[11]) }

func keysOf[T any](all []T, key func(T) cutover.Key) (out []string) {
	for _, x := range all {
		out = append(out, short(key(x).ID))
	}
	return out
}

func (s side) View(ctx context.Context, fn func(context.Context, cutover.Tx) error) error {
	err := s.DB.View(ctx, func(ctx context.Context, inner cutover.Tx) error { return fn(ctx, tx{inner, s}) })
	if actorOf(ctx) == "run" {
		return err // a shadow read
	}
	if gone := s.p.look(ctx, none, "answer", nil, nil); gone != nil {
		return gone
	}
	return err
}

func (s side) Update(ctx context.Context, g cutover.Guard, fn func(context.Context, cutover.Tx) error) error {
	w := s.p.world
	if w.mutant == unfenced {
		g.Fenced = false
	}
	t, err := s.begin(ctx, g)
	if err != nil {
		return err
	}
	settled := true
	defer func() {
		if settled {
			t.Abort()
		}
	}()
	if err := fn(ctx, tx{t, s}); err != nil {
		return err
	}
	if w.mutant == noteApart && s.source {
		if err := w.noteFirst(ctx, s, t); err != nil {
			return err
		}
	}
	r := &request{on: s.on, op: "commit", arg: writes(t.Writes()), drop: t.Abort,
		effect: func() error { return w.commit(ctx, s, t, g) }}
	settled, err = s.p.request(ctx, r)
	if err != nil {
		return err
	}
	return s.p.step(ctx, none, "answer", nil, nil)
}

func (s side) begin(ctx context.Context, g cutover.Guard) (t *memdb.Txn, err error) {
	if s.source {
		return s.DB.Begin(ctx, g)
	}
	err = s.p.look(ctx, s.on, "begin", g.Epoch, func() (err error) {
		t, err = s.DB.Begin(ctx, g)
		return err
	})
	if err == nil {
		s.p.world.connected(t)
	} else if t != nil {
		t.Abort()
	}
	return t, err
}

type writes []cutover.Write

func (ws writes) String() string {
	text := ""
	for _, w := range ws {
		what := "deleted"
		if w.Record != nil {
			what = w.Record.(*entry).Log
		}
		text += fmt.Sprintf("%s@%d %s ", short(w.Key.ID), w.Rev(), what)
	}
	return text
}

type items []cutover.Item

func (is items) String() string {
	text := ""
	for _, i := range is {
		what := "missing"
		switch {
		case i.Deleted:
			what = "deleted"
		case i.Record != nil:
			what = i.Record.(*entry).Log
		}
		text += fmt.Sprintf("%s@%d %s ", short(i.Key.ID), i.Rev, what)
	}
	return text
}

type notes []cutover.Note

func (ns notes) String() string {
	text := ""
	for _, n := range ns {
		text += fmt.Sprintf("%s@%d#%d ", short(n.Key.ID), n.Rev, n.Seq)
	}
	return text
}

func (s side) Ping(ctx context.Context) error { return s.p.look(ctx, s.on, "ping", nil, nil) }

func (s side) Get(ctx context.Context, keys []cutover.Key) (out []cutover.Item, err error) {
	err = s.p.look(ctx, s.on, "get", keysOf(keys, func(k cutover.Key) cutover.Key { return k }), func() (err error) {
		out, err = s.DB.Get(ctx, keys)
		return err
	})
	return out, err
}

func (s side) Scan(ctx context.Context, kind string, after, until cutover.ID, limit int) (out []cutover.Item, err error) {
	err = s.p.look(ctx, s.on, "scan", s.Name(), func() (err error) {
		out, err = s.DB.Scan(ctx, kind, after, until, limit)
		return err
	})
	return out, err
}

func (s side) Bounds(ctx context.Context, kind string, size int) (out []cutover.ID, err error) {
	err = s.p.look(ctx, s.on, "bounds", nil, func() (err error) {
		out, err = s.DB.Bounds(ctx, kind, 2) // smaller chunks than the engine asks for
		return err
	})
	return out, err
}

func (s side) Apply(ctx context.Context, in []cutover.Item, o cutover.ApplyOptions) (errs []error, err error) {
	w := s.p.world
	err = s.p.step(ctx, s.on, "apply", items(in), func() (err error) {
		o.Force = o.Force || w.mutant == unguarded
		if w.mutant == lateCopy {
			errs = s.DB.Copy(in, o)
		} else {
			errs, err = s.DB.Apply(ctx, in, o)
		}
		w.applied(ctx, s, in)
		return err
	})
	return errs, err
}

func (s side) Load(ctx context.Context, kind string, in []cutover.Item) error {
	w := s.p.world
	return s.p.step(ctx, s.on, "load", items(in), func() error {
		err := s.DB.Load(ctx, kind, in)
		w.applied(ctx, s, in)
		return err
	})
}

func (s side) Notes(ctx context.Context, limit int) (out []cutover.Note, err error) {
	err = s.p.look(ctx, s.on, "notes", s.Name(), func() (err error) {
		out, err = s.p.world.notes(ctx, s, limit)
		return err
	})
	return out, err
}

func (s side) Forget(ctx context.Context, in []cutover.Note) error {
	w := s.p.world
	return s.p.step(ctx, s.on, "forget", notes(in), func() error {
		err := w.forget(ctx, s, in)
		w.touched(keysIn(in)...)
		return err
	})
}

func keysIn(in []cutover.Note) (out []cutover.Key) {
	for _, n := range in {
		out = append(out, n.Key)
	}
	return out
}

func (s side) Journal(ctx context.Context) (n int64, oldest time.Time, err error) {
	err = s.p.look(ctx, s.on, "journal", s.Name(), func() error {
		all, err := s.p.world.notes(ctx, s, 1<<30)
		if len(all) > 0 {
			n, oldest = int64(len(all)), all[0].At
		}
		return err
	})
	return n, oldest, err
}

func (k keeper) ReadState(ctx context.Context) (s cutover.State, err error) {
	err = k.p.look(ctx, mongo, "read-state", nil, func() (err error) {
		s, err = memdb.Source{DB: k.DB}.ReadState(ctx)
		return err
	})
	return s, err
}

func (k keeper) WriteState(ctx context.Context, s cutover.State) error {
	return k.p.step(ctx, mongo, "write-state", stateText(s), func() error {
		return memdb.Source{DB: k.DB}.WriteState(ctx, s)
	})
}

// stateText is a state in few letters.
type stateText cutover.State

func (s stateText) String() string {
	text := fmt.Sprintf("%s %d", s.Phase, s.Epoch)
	if s.Sealed {
		text += " sealed"
	}
	return text
}

// plane is the control plane as one process has it. What it does not override
// is bookkeeping that no safety rests on.
type plane struct {
	*memdb.Control
	p *process
}

func (c plane) States(ctx context.Context) (out map[string]cutover.State, err error) {
	err = c.p.look(ctx, pg, "states", nil, func() (err error) {
		out, err = c.Control.States(ctx)
		return err
	})
	return out, err
}

func (c plane) Register(ctx context.Context, domain string, first cutover.Phase) (out cutover.State, err error) {
	err = c.p.step(ctx, pg, "register", nil, func() (err error) {
		out, err = c.Control.Register(ctx, domain, first)
		return err
	})
	return out, err
}

func (c plane) Advance(ctx context.Context, from, to cutover.State, why cutover.Change) error {
	return c.p.step(ctx, pg, "advance", stateText(to), func() error {
		return c.p.world.advance(ctx, c, from, to, why)
	})
}

func (c plane) Barrier(ctx context.Context, domain string) error {
	return c.p.look(ctx, pg, "barrier", nil, func() error { return c.Control.Barrier(ctx, domain) })
}

// Watch hears of changes, and of writes, by messages that may come late, or never.
func (c plane) Watch(ctx context.Context, changed func(), wrote func(cutover.Written)) {
	bell, words := c.p.world.listen(c.p)
	ctx = as(ctx, "watch")
	if c.p.look(ctx, pg, "notify", nil, nil) == nil {
		changed()
		wrote(cutover.Written{})
	}
	ring := func() {
		if c.p.look(ctx, pg, "notify", nil, nil) == nil {
			changed()
		}
	}
	for {
		select { // first, so that what both wait for comes in the same order each time
		case <-bell:
			ring()
			continue
		default:
		}
		select {
		case <-ctx.Done():
			return
		case <-c.p.dead:
			return
		case <-bell:
			ring()
		case w := <-words:
			if c.p.look(ctx, pg, "word", w.Domain, nil) == nil {
				wrote(w)
			}
		}
	}
}

func (c plane) Wrote(ctx context.Context, all []cutover.Written) error {
	return c.p.look(as(ctx, "word"), pg, "wrote", len(all), func() error {
		c.p.world.spread(all)
		return nil
	})
}

func (c plane) Lead(ctx context.Context, role string, do func(context.Context) error) (bool, error) {
	w := c.p.world
	ctx = as(ctx, role)
	var held *session
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	err := c.p.look(ctx, pg, "lead", nil, func() error {
		held = w.takeRole(c.p, role, cancel)
		return nil
	})
	if err != nil || held == nil {
		return false, err
	}
	defer w.giveRole(held)
	return true, do(context.WithValue(ctx, sessionKey{}, held))
}

type sessionKey struct{}

// coordinates says that ctx is that of a step's coordinator.
func coordinates(ctx context.Context) bool { return actorOf(ctx) == "coordinator:"+domainName }

func (c plane) Beat(ctx context.Context, p cutover.Process, ttl time.Duration) error {
	if c.p.world.mutant == shortLease {
		ttl /= 10
	}
	return c.p.step(ctx, pg, "beat", p.Acks[domainName], func() error { return c.Control.Beat(ctx, p, ttl) })
}

func (c plane) Leave(ctx context.Context, id string) error {
	return c.p.step(ctx, pg, "leave", id, func() error { return c.Control.Leave(ctx, id) })
}

func (c plane) Processes(ctx context.Context) (out []cutover.Process, err error) {
	err = c.p.look(ctx, pg, "processes", nil, func() (err error) {
		out, err = c.Control.Processes(ctx)
		out = c.p.world.pretend(ctx, out)
		return err
	})
	return out, err
}

func (c plane) Touch(ctx context.Context, domain string, keys []cutover.Key) error {
	return c.p.step(ctx, pg, "touch", len(keys), func() error { return c.Control.Touch(ctx, domain, keys) })
}

func (c plane) Touched(ctx context.Context, domain string, limit int) (out []cutover.Key, err error) {
	err = c.p.look(ctx, pg, "touched", nil, func() (err error) {
		out, err = c.Control.Touched(ctx, domain, limit)
		return err
	})
	return out, err
}

func (c plane) Untouch(ctx context.Context, domain string, before time.Time) error {
	return c.p.step(ctx, pg, "untouch", nil, func() error { return c.Control.Untouch(ctx, domain, before) })
}

func (c plane) RecordGaps(ctx context.Context, gaps []cutover.Gap) error {
	return c.p.step(ctx, pg, "gaps", len(gaps), func() error { return c.Control.RecordGaps(ctx, gaps) })
}

func (c plane) PlanChunks(ctx context.Context, domain string, since int64, kind string, chunks []cutover.Chunk) error {
	return c.p.step(ctx, pg, "plan", len(chunks), func() error {
		return c.Control.PlanChunks(ctx, domain, since, kind, chunks)
	})
}

func (c plane) WithChunk(ctx context.Context, domain string, since int64, kind string, do func(context.Context, cutover.Chunk) (int64, int64, error)) (found bool, err error) {
	if err := c.p.look(ctx, pg, "claim", nil, nil); err != nil {
		return false, err
	}
	return c.Control.WithChunk(ctx, domain, since, kind, func(ctx context.Context, ch cutover.Chunk) (int64, int64, error) {
		rows, gaps, err := do(ctx, ch)
		if err == nil {
			err = c.p.look(ctx, pg, "done", ch.Seq, nil)
		}
		return rows, gaps, err
	})
}

func (c plane) SaveDocument(ctx context.Context, d cutover.Document) error {
	return c.p.step(ctx, pg, "save", d.Type, func() error { return c.Control.SaveDocument(ctx, d) })
}

// session is what a role hangs on.
type session struct {
	p      *process
	role   string
	cancel context.CancelFunc
}

func (w *world) takeRole(p *process, role string, cancel context.CancelFunc) *session {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.roles[role] != nil {
		return nil
	}
	s := &session{p: p, role: role, cancel: cancel}
	w.roles[role] = s
	return s
}

func (w *world) giveRole(s *session) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.roles[s.role] == s {
		delete(w.roles, s.role)
		if w.mutant == unrecorded && w.unwritten != nil && w.unwritten.by == s {
			w.unwritten = nil // written at last
		}
	}
}

// cutSessions has a process lose its roles, which it notices some time later.
func (w *world) cutSessions(p *process) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, role := range sortedRoles(w.roles) {
		s := w.roles[role]
		if s.p != p {
			continue
		}
		delete(w.roles, role)
		cancel := s.cancel
		go func() {
			ctx := as(context.WithoutCancel(p.ctx), "line "+role)
			_ = p.look(ctx, none, "notices that it lost", role, func() error { cancel(); return nil })
		}()
	}
}

func sortedRoles(roles map[string]*session) (out []string) {
	for r := range roles {
		out = append(out, r)
	}
	slices.Sort(out)
	return out
}
