package mongosim

import (
	"slices"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// transaction is one that is open on a member. It reads and writes a draft of
// its own, made from a snapshot. What it writes it claims: whoever else wants to
// write that meets a conflict in a transaction, or waits outside of one.
// https://www.mongodb.com/docs/v7.0/core/transactions/
type transaction struct {
	session string
	number  int64
	began   time.Time
	base    *state
	draft   *draft
	claims  []string
	over    chan struct{} // closed at its end
}

// transactionLife is how long one may stay open.
const transactionLife = 60 * time.Second

// busy is the error of a write outside of a transaction that has to wait for one.
type busy struct{ over <-chan struct{} }

func (busy) Error() string { return "an open transaction has claimed this" }

func writeConflict() error {
	return &refusal{code: codeWriteConflict, labels: []string{labelTransient},
		msg: "Caused by :: Write conflict during plan execution and yielding is disabled. :: Please retry your operation or multi-document transaction."}
}

const (
	labelTransient = "TransientTransactionError"
	labelRetryable = "RetryableWriteError"
)

// claim sees to it that nobody else is at what a write is about: its document,
// and the unique values that it takes or leaves.
func (d *draft) claim(c *collection, id string, doc bson.Raw) error {
	claims := d.node.claims
	if d.txn == nil && len(claims) == 0 {
		return nil
	}
	names, err := c.claimsOf(id, doc)
	if err != nil {
		return err
	}
	for _, name := range names {
		holder := claims[name]
		switch {
		case holder == nil || holder == d.txn:
		case d.txn == nil:
			return busy{holder.over}
		default:
			return writeConflict()
		}
	}
	if d.txn == nil {
		return nil
	}
	if d.node.changedSince(d.txn, c.ns, id, names) {
		return writeConflict()
	}
	for _, name := range names {
		claims[name] = d.txn
	}
	d.txn.claims = append(d.txn.claims, names...)
	return nil
}

// claimsOf names what a write is about.
func (c *collection) claimsOf(id string, doc bson.Raw) ([]string, error) {
	names := []string{c.ns + "\x00" + id}
	old, _ := c.docs.Get(id)
	for _, version := range []bson.Raw{old, doc} {
		entries, err := c.entriesOf(version)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			for _, k := range e.keys {
				if e.index.unique {
					names = append(names, claimOn(c.ns, e.index.name, k.text))
				}
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

func claimOn(ns, index, key string) string { return ns + "\x00\x00" + index + "\x00" + key }

// changedSince says that somebody has written, since a transaction's snapshot,
// what it is about to write.
func (n *node) changedSince(t *transaction, ns, id string, names []string) bool {
	then, now := t.base.collection(ns), n.last.Load().collection(ns)
	if then == now {
		return false
	}
	if then == nil || now == nil {
		return then == nil && now.holds(id, names)
	}
	a, _ := then.docs.Get(id)
	b, _ := now.docs.Get(id)
	if !samePlace(a, b) {
		return true
	}
	for _, name := range names {
		if then.claimed(name) != now.claimed(name) {
			return true
		}
	}
	return false
}

// holds says that something of what is named is there.
func (c *collection) holds(id string, names []string) bool {
	if _, there := c.docs.Get(id); there {
		return true
	}
	return slices.ContainsFunc(names, func(name string) bool { return c.claimed(name) != "" })
}

// claimed returns whose the unique value is that a claim is on; "" for nobody's.
func (c *collection) claimed(name string) string {
	on, ok := strings.CutPrefix(name, c.ns+"\x00\x00")
	index, key, _ := strings.Cut(on, "\x00")
	x := c.byName(index)
	if !ok || x == nil {
		return ""
	}
	owner, _ := x.owner(key, "")
	return owner
}

// samePlace says that two documents are the same version.
func samePlace(a, b bson.Raw) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// endOld ends transactions that are open for too long. The lock is held.
func (s *Server) endOld() {
	for _, n := range s.nodes {
		for _, t := range n.open {
			if time.Since(t.began) > transactionLife {
				n.end(t)
			}
		}
	}
}

// end gives up what a transaction has claimed, and lets go who waits.
func (n *node) end(t *transaction) {
	for _, name := range t.claims {
		delete(n.claims, name)
	}
	if n.open[t.session] == t {
		delete(n.open, t.session)
	}
	close(t.over)
}
