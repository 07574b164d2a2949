package audit

import (
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// Ledger is what the ledger of one side adds up to.
type Ledger struct {
	Entries    int
	Sums       map[string]string // asset → sum of all postings: "0"
	Held       map[string]string // asset → held in escrow
	Unbalanced []string
}

// posting is one line of a ledger entry. Units is nil when they are no number.
type posting struct {
	account string
	units   *big.Int
}

// postings returns the lines of an entry.
func postings(r record) []posting {
	var out []posting
	for i := 0; ; i++ {
		prefix := "postings_" + strconv.Itoa(i) + "_"
		account, ok := r[prefix+"account"]
		if !ok {
			return out
		}
		out = append(out, posting{account.text, integer(r[prefix+"amount"].text)})
	}
}

func integer(text string) *big.Int {
	rat, ok := new(big.Rat).SetString(text)
	if !ok || !rat.IsInt() {
		return nil
	}
	return rat.Num()
}

// asset names what an entry moves.
func asset(r record) string {
	var parts []string
	for _, path := range slices.Sorted(maps.Keys(r)) {
		if path == "asset" || strings.HasPrefix(path, "asset_") {
			parts = append(parts, r[path].text)
		}
	}
	return strings.Join(parts, ":")
}

// tally adds up a ledger.
type tally struct {
	l      *Ledger
	sums   map[string]*big.Int
	held   map[string]*big.Int
	escrow map[string]*big.Int // payment → in escrow
}

func balance(all records) Ledger {
	l := Ledger{Sums: map[string]string{}, Held: map[string]string{}}
	t := tally{&l, map[string]*big.Int{}, map[string]*big.Int{}, map[string]*big.Int{}}
	for id, r := range all["funds_ledger_entry"] {
		t.add(id, r)
	}
	for asset, sum := range t.sums {
		l.Sums[asset] = sum.String()
	}
	for asset, sum := range t.held {
		l.Held[asset] = sum.String()
	}
	t.checkPayments(all["payment"])
	slices.Sort(l.Unbalanced)
	return l
}

func (t *tally) wrong(format string, args ...any) {
	t.l.Unbalanced = append(t.l.Unbalanced, fmt.Sprintf(format, args...))
}

// add takes one entry in. Each must sum to zero by itself.
func (t *tally) add(id string, r record) {
	t.l.Entries++
	lines, own := postings(r), new(big.Int)
	if len(lines) < 2 {
		t.wrong("ledger entry %s has %d postings", id, len(lines))
	}
	for _, p := range lines {
		if p.units == nil {
			t.wrong("ledger entry %s: the posting to %s has no amount", id, p.account)
			continue
		}
		own.Add(own, p.units)
		addTo(t.sums, asset(r), p.units)
		if payment, ok := strings.CutPrefix(p.account, "escrow:"); ok {
			addTo(t.escrow, payment, p.units)
			addTo(t.held, asset(r), p.units)
		}
	}
	if own.Sign() != 0 {
		t.wrong("ledger entry %s sums to %s", id, own)
	}
}

func addTo(sums map[string]*big.Int, key string, n *big.Int) {
	if sums[key] == nil {
		sums[key] = new(big.Int)
	}
	sums[key].Add(sums[key], n)
}

// holding are the states in which a payment's money lies in escrow.
var holding = []string{"funded", "partial", "releasable", "releasing", "refunding"}

// checkPayments compares what each payment says of its money with the ledger.
func (t *tally) checkPayments(payments map[string]record) {
	for id, p := range payments {
		in := t.escrow[id]
		if in == nil {
			in = new(big.Int)
		}
		state := p["escrow_state"].text
		switch holds := slices.Contains(holding, state); {
		case holds && in.Sign() <= 0:
			t.wrong("payment %s is %s, with %s in escrow", id, state, in)
		case !holds && in.Sign() != 0:
			t.wrong("payment %s is %q, with %s in escrow", id, state, in)
		}
	}
	for id := range t.escrow {
		if _, ok := payments[id]; !ok && len(payments) > 0 {
			t.wrong("escrow of payment %s, which is not there", id)
		}
	}
}
