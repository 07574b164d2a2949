package payment

import (
	"context"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"

	"github.com/amanat-dev/amanat/cutover"
)

// Invariants of the domain.
var Invariants = []cutover.Invariant{
	{Name: "the funds ledger sums to zero per asset", Kind: KindEntry, Check: checkEntry, Suspects: suspectEntries, Eval: ledgerTotals},
	{Name: "escrow equals its postings and is not below zero", Kind: KindPayment, Check: checkEscrow, Suspects: suspectEscrow, Eval: escrowTotal},
	{Name: "a ledger key names one entry", Kind: KindEntry, Check: checkKey, Suspects: suspectKeys},
	{Name: "payments by status", Eval: paymentsByStatus},
}

// checkEntry looks at an entry by itself, and for the payments whose escrow it
// changes.
func checkEntry(ctx context.Context, tx cutover.Tx, r cutover.Record) error {
	e := r.(*Entry)
	if err := e.Normalize(); err != nil {
		return err
	}
	for _, p := range e.Postings {
		owner, isEscrow := strings.CutPrefix(p.Account, "escrow:")
		if !isEscrow {
			continue
		}
		id, err := cutover.ParseID(owner)
		if err != nil {
			return fmt.Errorf("entry %s: account %s: %w", e.ID, p.Account, err)
		}
		if _, err := cutover.Get[Payment](ctx, tx, id); err != nil {
			return fmt.Errorf("entry %s: account %s: %w", e.ID, p.Account, err)
		}
	}
	return nil
}

// suspectEntries names the entries that are off balance by themselves or post
// to the escrow of a payment that was not found.
func suspectEntries(ctx context.Context, tx cutover.Tx) ([]cutover.ID, error) {
	escrows := map[string]bool{}
	err := cutover.Each(ctx, tx, func(p Payment) error {
		escrows[EscrowAccount(p.ID)] = true
		return nil
	})
	if err != nil {
		return nil, err
	}
	var out []cutover.ID
	err = cutover.Each(ctx, tx, func(e Entry) error {
		off := e.Normalize() != nil
		for _, p := range e.Postings {
			off = off || strings.HasPrefix(p.Account, "escrow:") && !escrows[p.Account]
		}
		if off {
			out = append(out, e.ID)
		}
		return nil
	})
	return out, err
}

// suspectEscrow names the payments whose figure is not the sum of their
// postings, or is below zero.
func suspectEscrow(ctx context.Context, tx cutover.Tx) ([]cutover.ID, error) {
	posted := map[string]*big.Int{}
	err := cutover.Each(ctx, tx, func(e Entry) error {
		for _, p := range e.Postings {
			if strings.HasPrefix(p.Account, "escrow:") {
				addTo(posted, p.Account, p.Amount.Big())
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var out []cutover.ID
	err = cutover.Each(ctx, tx, func(p Payment) error {
		sum := posted[EscrowAccount(p.ID)]
		if sum == nil {
			sum = new(big.Int)
		}
		if sum.Sign() < 0 || p.EscrowBalance != nil && p.EscrowBalance.Big().Cmp(sum) != 0 {
			out = append(out, p.ID)
		}
		return nil
	})
	return out, err
}

// suspectKeys names every entry whose key another one has as well.
func suspectKeys(ctx context.Context, tx cutover.Tx) ([]cutover.ID, error) {
	first := map[string]cutover.ID{}
	var out []cutover.ID
	err := cutover.Each(ctx, tx, func(e Entry) error {
		if other, twice := first[e.IdempotencyKey]; twice {
			out = append(out, other, e.ID)
		}
		first[e.IdempotencyKey] = e.ID
		return nil
	})
	return out, err
}

// checkEscrow compares a payment's own figure with its postings.
func checkEscrow(ctx context.Context, tx cutover.Tx, r cutover.Record) error {
	p := r.(*Payment)
	entries, err := LedgerOfPayment(ctx, tx, p.ID)
	if err != nil {
		return err
	}
	posted := balance(entries, EscrowAccount(p.ID))
	if posted.Sign() < 0 {
		return fmt.Errorf("payment %s: escrow is below zero: %s", p.ID, posted)
	}
	if p.EscrowBalance != nil && !p.EscrowBalance.Equal(posted) {
		return fmt.Errorf("payment %s: escrow is %s, its postings sum to %s", p.ID, p.EscrowBalance, posted)
	}
	return nil
}

// checkKey relies on LedgerEntry giving one entry of a key, always the same.
func checkKey(ctx context.Context, tx cutover.Tx, r cutover.Record) error {
	e := r.(*Entry)
	found, err := LedgerEntry(ctx, tx, e.IdempotencyKey)
	if err != nil {
		return fmt.Errorf("entry %s: by its key: %w", e.ID, err)
	}
	if found.ID != e.ID {
		return fmt.Errorf("entries %s and %s have the same key", e.ID, found.ID)
	}
	return nil
}

// ledgerTotals sums up per asset and class of account. Errors: an asset whose
// postings do not sum to zero.
func ledgerTotals(ctx context.Context, tx cutover.Tx) (string, error) {
	classes, assets := map[string]*big.Int{}, map[string]*big.Int{}
	entries := 0
	err := cutover.Each(ctx, tx, func(e Entry) error {
		entries++
		for _, p := range e.Postings {
			addTo(assets, e.Asset.String(), p.Amount.Big())
			addTo(classes, e.Asset.String()+" "+accountClass(p.Account), p.Amount.Big())
		}
		return nil
	})
	for asset, sum := range assets {
		if err == nil && sum.Sign() != 0 {
			err = fmt.Errorf("the ledger is off balance by %s of %s", sum, asset)
		}
	}
	return fmt.Sprintf("%d entries; %s", entries, list(classes)), err
}

func escrowTotal(ctx context.Context, tx cutover.Tx) (string, error) {
	held, total := 0, map[string]*big.Int{}
	err := cutover.Each(ctx, tx, func(p Payment) error {
		if unitsOr0(p.EscrowBalance).IsZero() {
			return nil
		}
		held++
		asset, err := p.Asset()
		name := asset.String()
		if err != nil {
			name = "unknown asset"
		}
		addTo(total, name, p.EscrowBalance.Big())
		return nil
	})
	return fmt.Sprintf("%d payments hold money; %s", held, list(total)), err
}

func paymentsByStatus(ctx context.Context, tx cutover.Tx) (string, error) {
	counts := map[string]*big.Int{}
	one := big.NewInt(1)
	err := cutover.Each(ctx, tx, func(p Payment) error {
		addTo(counts, string(p.Status), one)
		if p.EscrowState != "" {
			addTo(counts, "escrow "+string(p.EscrowState), one)
		}
		return nil
	})
	return list(counts), err
}

func addTo(sums map[string]*big.Int, key string, n *big.Int) {
	if sums[key] == nil {
		sums[key] = new(big.Int)
	}
	sums[key].Add(sums[key], n)
}

// list returns the figures in the order of their names, zeros included.
func list(totals map[string]*big.Int) string {
	var out []string
	for _, key := range slices.Sorted(maps.Keys(totals)) {
		out = append(out, key+" "+totals[key].String())
	}
	if out == nil {
		return "none"
	}
	return strings.Join(out, ", ")
}
