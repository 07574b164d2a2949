package mongosim

import (
	"maps"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tidwall/btree"
	"go.mongodb.org/mongo-driver/v2/bson"
)

// state is all that a server holds, in one version. A published one changes no
// more: who reads it holds a snapshot, and a write makes the next one out of it,
// which shares what has not changed.
type state struct {
	seq     int64          // counts the writes
	ts      bson.Timestamp // the same for clients, with the time
	colls   *btree.Map[string, *collection]
	retries *btree.Map[string, *retried] // by session
	log     *btree.Map[int64, *change]   // of late, for change streams
	logged  int64
}

func emptyState() *state {
	return &state{colls: new(btree.Map[string, *collection]), retries: new(btree.Map[string, *retried]),
		log: new(btree.Map[int64, *change]), ts: bson.Timestamp{T: uint32(time.Now().Unix()), I: 1}}
}

// collection returns a collection; nil when it is not there.
func (s *state) collection(ns string) *collection {
	c, _ := s.colls.Get(ns)
	return c
}

// of ranges over a database's collections in the order of their names.
func (s *state) of(db string) []*collection {
	var all []*collection
	s.colls.Ascend(db+".", func(ns string, c *collection) bool {
		if !strings.HasPrefix(ns, db+".") {
			return false
		}
		all = append(all, c)
		return true
	})
	return all
}

// draft is the next state while it is made.
type draft struct {
	state
	own     map[string]bool // the collections that this draft may change
	txn     *transaction    // whose it is; nil for a write by itself
	node    *node           // where it will be
	changes []*change
	record  *retried // what this draft remembers for its session
}

// draft begins the next state. The server's lock is held, as in all that a draft
// does: sharing a tree marks both sides.
func (s *state) draft(n *node) *draft {
	d := &draft{state: *s, own: map[string]bool{}, node: n}
	d.colls, d.retries, d.log = s.colls.Copy(), s.retries.Copy(), s.log.Copy()
	return d
}

// writable returns a collection that may be changed; it makes one that is not
// there.
func (d *draft) writable(ns string) *collection {
	c := d.collection(ns)
	switch {
	case c == nil:
		c = newCollection(ns)
	case d.own[ns]:
		return c
	default:
		c = c.clone()
	}
	d.own[ns] = true
	d.colls.Set(ns, c)
	return c
}

// set writes a document, or removes it when doc is nil.
func (d *draft) set(ns, id string, doc bson.Raw, insert bool) error {
	c := d.writable(ns)
	if err := d.claim(c, id, doc); err != nil {
		return err
	}
	old, _ := c.docs.Get(id)
	write := c.set
	if insert {
		write = c.insert
	}
	if err := write(id, doc); err != nil {
		return err
	}
	d.changes = append(d.changes, &change{ns: ns, id: id, old: old, doc: doc})
	return nil
}

// change is one document's change, as change streams tell it.
type change struct {
	ns, id   string
	old, doc bson.Raw // nil: it was, or is, not there
	ts       bson.Timestamp
	replaced bool // by a whole document
	drop     bool // of the collection
}

// logKept is how many changes the log keeps.
const logKept = 20_000

// finish returns the draft its number and time, and writes the log.
func (d *draft) finish(now time.Time) *state {
	d.seq++
	if t := uint32(now.Unix()); t > d.ts.T {
		d.ts = bson.Timestamp{T: t, I: 1}
	} else {
		d.ts.I++
	}
	for _, c := range d.changes {
		c.ts = d.ts
		d.logged++
		d.log.Set(d.logged, c)
	}
	for d.log.Len() > logKept {
		d.log.PopMin()
	}
	done := d.state
	return &done
}

// retried is what a session's last retryable write has done, by statement: it
// is answered again and not done again. It is part of the state, so that it is
// lost with the write, or not.
type retried struct {
	number    int64
	committed bool // a transaction of this number was
	done      map[int32]outcome
}

// outcome is what one statement has done.
type outcome struct {
	matched, modified int32
	upserted          *bson.RawValue
	value             bson.RawValue // of findAndModify
	found             bool
}

// known returns what a statement has done before.
func (s *state) known(session string, number int64, statement int32) (outcome, bool) {
	r, ok := s.retries.Get(session)
	if !ok || r.number != number {
		return outcome{}, false
	}
	o, ok := r.done[statement]
	return o, ok
}

// remember keeps what a statement has done.
func (d *draft) remember(session string, number int64, statement int32, o outcome) {
	if d.record == nil {
		d.record = &retried{number: number, done: map[int32]outcome{}}
		if before, ok := d.retries.Get(session); ok && before.number == number {
			maps.Copy(d.record.done, before.done)
		}
		d.retries.Set(session, d.record)
	}
	d.record.done[statement] = o
}

// atomicState is the version that a member holds; readers take it without a
// lock.
type atomicState = atomic.Pointer[state]
