package audit

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Fact is what must be true of one record since a server acknowledged it.
type Fact struct {
	Kind   string
	ID     string
	Gone   bool                // it was removed
	Fields map[string][]string // field as in the API, dotted → values that it may have
	// Entries are movements of money that must be in the ledger, for a payment.
	Entries []Entry
	// Maybe are movements that were asked for without an answer: each may be
	// there, once.
	Maybe []Entry
}

// Entry is one movement of a payment's money.
type Entry struct {
	Type  string // deposit, release, refund
	Units string // of the payment's escrow, without sign
}

// Sole says that at most one record has a value: one request was sent that
// makes such a record, whatever became of it.
type Sole struct {
	Kind, Field, Value string
}

// twiceIn says what is there more often than once.
func (s Sole) twiceIn(all records) []string {
	path := pathOf(s.Field)
	n := 0
	for _, r := range all[s.Kind] {
		if r[path].text == s.Value {
			n++
		}
	}
	if n < 2 {
		return nil
	}
	return []string{fmt.Sprintf("%d records %s have %s %q, of which one was asked for", n, s.Kind, s.Field, s.Value)}
}

// pathOf returns a field's path in a record.
func pathOf(field string) string { return snake(strings.ReplaceAll(field, ".", "_")) }

// missingIn says what of the fact does not hold on a side.
func (f Fact) missingIn(all records) []string {
	if all[f.Kind] == nil {
		return nil // a kind of a domain that is not looked at
	}
	r, ok := all[f.Kind][f.ID]
	switch {
	case f.Gone && ok:
		return []string{fmt.Sprintf("%s %s is there although it was removed", f.Kind, f.ID)}
	case f.Gone:
		return nil
	case !ok:
		return []string{fmt.Sprintf("%s %s is not there", f.Kind, f.ID)}
	}
	var lost []string
	for _, name := range slices.Sorted(maps.Keys(f.Fields)) {
		path := pathOf(name)
		if !allowed(path, r[path], f.Fields[name]) {
			lost = append(lost, fmt.Sprintf("%s %s: %s is %s, acknowledged was %s",
				f.Kind, f.ID, name, show(path, r[path]), strings.Join(f.Fields[name], " or ")))
		}
	}
	return append(lost, f.missingEntries(all)...)
}

func allowed(path string, v value, values []string) bool {
	return slices.ContainsFunc(values, func(want string) bool { return same(path, value{text: want}, v) })
}

// missingEntries looks for each acknowledged movement in the ledger. One that
// is there twice is as wrong as one that is not there.
func (f Fact) missingEntries(all records) []string {
	if len(f.Entries)+len(f.Maybe) == 0 {
		return nil
	}
	var there []string
	for _, r := range all["funds_ledger_entry"] {
		if r["payment_id"].text == f.ID {
			there = append(there, r["type"].text+" "+escrowUnits(r, f.ID))
		}
	}
	var want []string
	for _, e := range f.Entries {
		want = append(want, e.Type+" "+e.Units)
	}
	for _, e := range f.Maybe {
		if entry := e.Type + " " + e.Units; slices.Contains(there, entry) {
			want = append(want, entry)
		}
	}
	slices.Sort(there)
	slices.Sort(want)
	if slices.Equal(there, want) {
		return nil
	}
	return []string{fmt.Sprintf("payment %s: the ledger has %q, acknowledged was %q", f.ID, there, want)}
}

// escrowUnits returns by how much an entry changes a payment's escrow, without
// sign.
func escrowUnits(r record, payment string) string {
	for _, p := range postings(r) {
		if p.account == "escrow:"+payment && p.units != nil {
			return strings.TrimPrefix(p.units.String(), "-")
		}
	}
	return "nothing"
}
