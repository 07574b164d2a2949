// Package memdb is a third store, in memory, with a control plane: services are
// tested on it in milliseconds, and the engine, its model and its examples move
// applications from one of it to another. It passes the contract that databases
// pass (package cutovertest); what it holds ends with the process. A DB plays
// either part: the source keeps a copy of the domain's state and leaves its notes
// inside the records; the target checks the epoch within each Update.
package memdb

import (
	"context"
	"maps"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
)

// DB is one domain's database. Make it with New.
type DB struct {
	name  string
	kinds cutover.Kinds
	// Control, for a target, is asked for the epoch within each Update, and
	// within each copy whether the target is the primary of its only domain.
	Control *Control
	// Accept, when not nil, may refuse a copy, as a foreign key would.
	Accept func(has func(cutover.Key) bool, r cutover.Record) error

	hook      hook
	scratches atomic.Int64

	mu         sync.Mutex
	rows       map[cutover.Key]row
	tombstones map[cutover.Key]tombstone
	state      cutover.State
	seq        int64
}

// tombstone is the revision that a record's removal had, and when it came here.
type tombstone struct {
	rev int64
	at  time.Time
}

type row struct {
	record  cutover.Record // nil: a tombstone that waits for its copy
	rev     int64
	noted   bool
	notedAt time.Time
	seq     int64
	epoch   int64
}

// New makes an empty database.
func New(name string, kinds cutover.Kinds) *DB {
	return &DB{name: name, kinds: kinds, rows: map[cutover.Key]row{}, tombstones: map[cutover.Key]tombstone{}}
}

func (d *DB) before(op string) error { return d.hook.before(op) }

// Before has f called before each operation, by name ("get", "scan", "apply",
// "commit", "notes", "forget" …); its error is the operation's. nil takes it
// away.
func (d *DB) Before(f func(op string) error) { d.hook.set(f) }

// hook is a function that tests put in front of operations while they run.
type hook struct {
	f atomic.Pointer[func(string) error]
}

func (h *hook) set(f func(string) error) {
	if f == nil {
		h.f.Store(nil)
		return
	}
	h.f.Store(&f)
}

func (h *hook) before(op string) error {
	if f := h.f.Load(); f != nil {
		return (*f)(op)
	}
	return nil
}

// sorted returns the keys of a kind's records in id order.
func (d *DB) sorted(kind string) []cutover.Key {
	var keys []cutover.Key
	for k, r := range d.rows {
		if k.Kind == kind && r.record != nil {
			keys = append(keys, k)
		}
	}
	sort.Slice(keys, func(i, j int) bool { return string(keys[i].ID[:]) < string(keys[j].ID[:]) })
	return keys
}

// View runs fn; see cutover.Side.
func (d *DB) View(ctx context.Context, fn func(context.Context, cutover.Tx) error) error {
	return fn(ctx, tx{cutover.ReadOnly(d.kinds), d, nil, nil})
}

// Update runs fn and commits what it put; see cutover.Side.
func (d *DB) Update(ctx context.Context, g cutover.Guard, fn func(context.Context, cutover.Tx) error) error {
	t, err := d.Begin(ctx, g)
	if err != nil {
		return err
	}
	defer t.Abort()
	if err := fn(ctx, t); err != nil {
		return err
	}
	return t.Commit()
}

// Txn is an Update in parts, for tests that stop between them.
type Txn struct {
	tx
	guard   cutover.Guard
	release func()

	mu   sync.Mutex
	over bool
}

// Begin starts an Update: on a target it checks the epoch, and keeps Advance
// waiting until Commit or Abort.
func (d *DB) Begin(ctx context.Context, g cutover.Guard) (*Txn, error) {
	t := &Txn{tx: tx{nil, d, map[cutover.Key]bool{}, map[cutover.Key]cutover.Record{}}, guard: g, release: func() {}}
	t.Batch = cutover.NewBatch(d.kinds, t.keep)
	if g.Fenced && d.Control != nil {
		release, err := d.Control.fence(ctx, g)
		if err != nil {
			return nil, err
		}
		t.release = release
	}
	return t, nil
}

// Guard returns what the Update was begun with.
func (t *Txn) Guard() cutover.Guard { return t.guard }

// Unnoted has the writes leave no notes: a mistake for tests.
func (t *Txn) Unnoted() { t.guard.Journal = false }

// Commit makes the writes, all or none.
func (t *Txn) Commit() error {
	if err := t.db.before("commit"); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over {
		return fault.New(fault.Unavailable, "the connection was lost before the commit")
	}
	t.over = true
	defer t.release()
	return t.db.commit(t.kept(), t.seen, t.guard)
}

// Abort ends the Update without its writes, unless it has ended already.
func (t *Txn) Abort() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.over {
		t.over = true
		t.release()
	}
}

func (d *DB) commit(writes []cutover.Write, seen map[cutover.Key]bool, g cutover.Guard) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, w := range writes {
		if have := d.rows[w.Key]; have.rev != w.Base || seen[w.Key] && have.record == nil {
			return cutover.ConflictOn(w.Key)
		}
	}
	if err := d.checkUnique(writes); err != nil {
		return err
	}
	for _, w := range writes {
		d.seq++
		r := row{rev: w.Rev(), noted: g.Journal, notedAt: time.Now(), seq: d.seq, epoch: g.Epoch}
		if w.Record != nil {
			r.record = w.Record
		}
		if r.record == nil && !g.Journal {
			delete(d.rows, w.Key)
			continue
		}
		d.rows[w.Key] = r
	}
	return nil
}

// Seed puts a record in as an application without the engine would.
func (d *DB) Seed(kind string, r cutover.Record) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.rows[cutover.Key{Kind: kind, ID: r.RecordMeta().ID}] = row{record: stored(r), rev: r.RecordMeta().Rev}
}

// Remove takes a record away behind the engine's back.
func (d *DB) Remove(key cutover.Key) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.rows, key)
}

// Kinds are those that it was made for.
func (d *DB) Kinds() cutover.Kinds { return d.kinds }

// Name is what New was told.
func (d *DB) Name() string { return d.name }

// Ping answers at once.
func (d *DB) Ping(context.Context) error { return d.before("ping") }

// Get returns one item per key.
func (d *DB) Get(_ context.Context, keys []cutover.Key) ([]cutover.Item, error) {
	if err := d.before("get"); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	out := make([]cutover.Item, len(keys))
	for i, k := range keys {
		out[i] = d.item(k)
	}
	return out, nil
}

func (d *DB) item(k cutover.Key) cutover.Item {
	r, ok := d.rows[k]
	switch {
	case ok && r.record != nil:
		return cutover.Item{Key: k, Rev: r.rev, Record: cutover.Clone(r.record)}
	case ok:
		return cutover.Item{Key: k, Rev: r.rev, Deleted: true}
	case d.tombstones[k].rev > 0:
		return cutover.Item{Key: k, Rev: d.tombstones[k].rev, Deleted: true}
	}
	return cutover.Item{Key: k}
}

// Scan pages in id order.
func (d *DB) Scan(_ context.Context, kind string, after, until cutover.ID, limit int) ([]cutover.Item, error) {
	if err := d.before("scan"); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []cutover.Item
	for _, k := range d.sorted(kind) {
		if string(k.ID[:]) > string(after[:]) && (until.IsZero() || string(k.ID[:]) <= string(until[:])) && len(out) < limit {
			out = append(out, d.item(k))
		}
	}
	return out, nil
}

// Foreign: a toy has only proper identities.
func (d *DB) Foreign(context.Context, string, int) ([]cutover.Item, error) { return nil, nil }

// Count counts records.
func (d *DB) Count(_ context.Context, kind string) (int64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return int64(len(d.sorted(kind))), nil
}

// Bounds returns every size-th id, and the last.
func (d *DB) Bounds(_ context.Context, kind string, size int) ([]cutover.ID, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []cutover.ID
	keys := d.sorted(kind)
	for i, k := range keys {
		if (i+1)%size == 0 || i+1 == len(keys) {
			out = append(out, k.ID)
		}
	}
	return out, nil
}

// Apply brings copies in.
func (d *DB) Apply(ctx context.Context, items []cutover.Item, o cutover.ApplyOptions) ([]error, error) {
	if err := d.before("apply"); err != nil {
		return nil, err
	}
	if d.Control != nil {
		release, err := d.Control.fenceCopy(ctx, d.Control.only())
		if err != nil {
			return nil, err
		}
		defer release()
	}
	return d.Copy(items, o), nil
}

// Copy is Apply without asking whether this database is the primary: a mistake
// for tests.
func (d *DB) Copy(items []cutover.Item, o cutover.ApplyOptions) []error {
	d.mu.Lock()
	defer d.mu.Unlock()
	errs := make([]error, len(items))
	for i, item := range items {
		errs[i] = d.apply(item, o)
	}
	return errs
}

func (d *DB) apply(i cutover.Item, o cutover.ApplyOptions) error {
	have, there := d.rows[i.Key]
	newer := max(have.rev, d.tombstones[i.Key].rev) >= i.Rev && (there || d.tombstones[i.Key].rev > 0)
	if newer && !o.Force {
		if o.Ahead != nil && there && (have.rev > i.Rev || i.Deleted) {
			o.Ahead(i.Key, have.rev)
		}
		return nil
	}
	if i.Deleted {
		delete(d.rows, i.Key)
		d.tombstones[i.Key] = tombstone{i.Rev, time.Now()}
		return nil
	}
	if i.Record == nil {
		return fault.New(fault.Internal, "%s has no record to copy", i.Key)
	}
	if d.Accept != nil {
		has := func(k cutover.Key) bool { return d.rows[k].record != nil }
		if err := d.Accept(has, i.Record); err != nil {
			return err
		}
	}
	delete(d.tombstones, i.Key)
	d.rows[i.Key] = row{record: stored(i.Record), rev: i.Rev}
	return nil
}

// Load is Apply, all or nothing.
func (d *DB) Load(ctx context.Context, _ string, items []cutover.Item) error {
	if d.Accept != nil {
		return fault.New(fault.Conflict, "a load checks nothing: apply one by one")
	}
	_, err := d.Apply(ctx, items, cutover.ApplyOptions{})
	return err
}

// Analyze has nothing to do.
func (d *DB) Analyze(context.Context, string) error { return nil }

// ForgetTombstones removes old tombstones. A note's own is part of its row.
func (d *DB) ForgetTombstones(_ context.Context, olderThan time.Duration) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	maps.DeleteFunc(d.tombstones, func(_ cutover.Key, g tombstone) bool { return time.Since(g.at) >= olderThan })
	return nil
}

// Notes returns the oldest notes.
func (d *DB) Notes(_ context.Context, limit int) ([]cutover.Note, error) {
	if err := d.before("notes"); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []cutover.Note
	for k, r := range d.rows {
		if r.noted {
			out = append(out, cutover.Note{Key: k, Rev: r.rev, Seq: r.seq, At: r.notedAt, Epoch: r.epoch})
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Seq < out[j].Seq })
	return out[:min(limit, len(out))], nil
}

// Forget removes notes of revisions that are still the present ones.
func (d *DB) Forget(_ context.Context, notes []cutover.Note) error {
	if err := d.before("forget"); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, n := range notes {
		r, ok := d.rows[n.Key]
		if !ok || r.seq != n.Seq {
			continue
		}
		if r.record == nil {
			delete(d.rows, n.Key)
			d.tombstones[n.Key] = tombstone{r.rev, time.Now()}
			continue
		}
		r.noted = false
		d.rows[n.Key] = r
	}
	return nil
}

// Journal counts the notes.
func (d *DB) Journal(ctx context.Context) (int64, time.Time, error) {
	notes, err := d.Notes(ctx, 1<<30)
	if err != nil || len(notes) == 0 {
		return 0, time.Time{}, err
	}
	return int64(len(notes)), notes[0].At, nil
}

// Source is a DB that keeps a copy of the domain's state.
type Source struct{ *DB }

// ReadState returns the kept state.
func (s Source) ReadState(context.Context) (cutover.State, error) {
	if err := s.before("read-state"); err != nil {
		return cutover.State{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state, nil
}

// WriteState keeps a state unless a later one is there.
func (s Source) WriteState(_ context.Context, state cutover.State) error {
	if err := s.before("write-state"); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if state.Epoch > s.state.Epoch {
		s.state = state
	}
	return nil
}
