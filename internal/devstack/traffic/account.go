package traffic

import (
	"maps"
	"slices"
	"sync"

	"github.com/amanat-dev/amanat/internal/devstack/audit"
)

// Account is what the servers have acknowledged: for each record, what must
// be true of it from then on.
type Account struct {
	mu     sync.Mutex
	facts  map[string]*audit.Fact // kind/id
	sole   []audit.Sole
	writes int64
}

func newAccount() *Account { return &Account{facts: map[string]*audit.Fact{}} }

// fields are allowed values by field name.
type fields map[string][]string

// is allows exactly one value.
func is(value string) []string { return []string{value} }

// acknowledge notes an answered write: from now on these fields of the record
// hold one of these values. Earlier statements about other fields stand.
func (a *Account) acknowledge(kind, id string, f fields) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.writes++
	fact := a.fact(kind, id)
	maps.Copy(fact.Fields, f)
}

// doubt takes back statements about fields: a write that would have changed
// them has an unknown outcome.
func (a *Account) doubt(kind, id string, names ...string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	fact := a.fact(kind, id)
	for _, n := range names {
		delete(fact.Fields, n)
	}
}

// removed notes an acknowledged removal: from now on the record is not there.
func (a *Account) removed(kind, id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.writes++
	a.facts[kind+"/"+id] = &audit.Fact{Kind: kind, ID: id, Gone: true}
}

// forget takes back all statements about a record, of which it is not known
// whether it was removed.
func (a *Account) forget(kind, id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.facts, kind+"/"+id)
}

// post notes an acknowledged movement of money on an account of the ledger, in
// base units.
func (a *Account) post(payment string, entry audit.Entry) {
	a.mu.Lock()
	defer a.mu.Unlock()
	fact := a.fact("payment", payment)
	fact.Entries = append(fact.Entries, entry)
}

// maybePost notes a movement that was asked for without an answer.
func (a *Account) maybePost(payment string, entry audit.Entry) {
	a.mu.Lock()
	defer a.mu.Unlock()
	fact := a.fact("payment", payment)
	fact.Maybe = append(fact.Maybe, entry)
}

// once notes that one request is sent for a record with this value, whatever
// will become of it.
func (a *Account) once(kind, field, value string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sole = append(a.sole, audit.Sole{Kind: kind, Field: field, Value: value})
}

// Sole returns what must not be there twice.
func (a *Account) Sole() []audit.Sole {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.sole)
}

func (a *Account) fact(kind, id string) *audit.Fact {
	key := kind + "/" + id
	if a.facts[key] == nil {
		a.facts[key] = &audit.Fact{Kind: kind, ID: id, Fields: map[string][]string{}}
	}
	return a.facts[key]
}

// Facts returns copies of all statements, by kind and id.
func (a *Account) Facts() []audit.Fact {
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []audit.Fact
	for _, key := range slices.Sorted(maps.Keys(a.facts)) {
		f := *a.facts[key]
		f.Fields = maps.Clone(f.Fields)
		f.Entries, f.Maybe = slices.Clone(f.Entries), slices.Clone(f.Maybe)
		out = append(out, f)
	}
	return out
}

// Writes counts the acknowledged writes.
func (a *Account) Writes() int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.writes
}
