package payment

import (
	"context"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/internal/chain"
	"github.com/amanat-dev/amanat/internal/money"
	"pgregory.net/rapid"
)

// manyUnits has up to 38 digits, more than any machine integer.
var manyUnits = rapid.Custom(func(t *rapid.T) money.Units {
	return money.MustUnits(rapid.StringMatching(`[1-9][0-9]{0,36}`).Draw(t, "units"))
})

// TestNoUnitIsMadeOrLost plays deposits and payouts in any order and counts
// what came in against where it is said to be.
func TestNoUnitIsMadeOrLost(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		expected := manyUnits.Draw(t, "expected")
		p := newPayment(1)
		p.ExpectedUnits = &expected
		in, entries := new(big.Int), []Entry(nil)
		for n := range rapid.IntRange(1, 12).Draw(t, "steps") {
			switch rapid.SampledFrom([]string{"deposit", "deposit", "done", "release", "refund", "confirm"}).Draw(t, "step") {
			case "deposit":
				c := Callback{TxHash: fmt.Sprintf("0x%064x", n), ChainID: 56, Amount: manyUnits.Draw(t, "amount")}
				split := p.Receives(c.Amount, *p.EscrowBalance)
				e, err := DepositEntry(p, &c, split)
				if err != nil {
					t.Fatal(err)
				}
				p.Deposit(split, *p.EscrowBalance)
				entries, in = append(entries, e), in.Add(in, c.Amount.Big())
			case "done":
				p.DealDone()
			case "confirm":
				if p.Payout == nil {
					continue
				}
				e, err := p.PayoutEntry(fmt.Sprintf("0x%064x", n))
				if err != nil {
					t.Fatal(err)
				}
				p.FinishPayout(e.TxHash)
				entries = append(entries, e)
			case "release":
				reserveSome(t, p, PayRelease)
			case "refund":
				reserveSome(t, p, PayRefund)
			}
			wantConserved(t, p, entries, in)
		}
	})
}

func reserveSome(t *rapid.T, p *Payment, kind PayoutKind) {
	r := Reservation{Kind: kind, FeeBps: rapid.Int64Range(0, 10_000).Draw(t, "fee")}
	if rapid.Bool().Draw(t, "part") {
		r.Units = unitsPtr(manyUnits.Draw(t, "units"))
	}
	if err := p.Reserve(r, *p.EscrowBalance); err != nil {
		if fault.KindOf(err) != fault.Conflict {
			t.Fatal(err)
		}
		return
	}
	out := p.Payout
	if out.FeeUnits.Sign() < 0 || out.FeeUnits.Cmp(out.Units) > 0 || kind == PayRefund && !out.FeeUnits.IsZero() {
		t.Fatalf("of %s units the fee is %s at %d", out.Units, out.FeeUnits, r.FeeBps)
	}
	exact := new(big.Rat).SetFrac(new(big.Int).Mul(out.Units.Big(), big.NewInt(r.FeeBps)), big.NewInt(10_000))
	if fee := new(big.Rat).SetInt(out.FeeUnits.Big()); kind == PayRelease && (fee.Cmp(exact) > 0 || exact.Sub(exact, fee).Cmp(big.NewRat(1, 1)) >= 0) {
		t.Fatalf("of %s units the fee is %s at %d", out.Units, out.FeeUnits, r.FeeBps)
	}
}

// wantConserved checks that each entry sums to zero, that custody is what came
// in, that all of it is with somebody, and that nobody has less than nothing.
func wantConserved(t *rapid.T, p *Payment, entries []Entry, in *big.Int) {
	classes := map[string]*big.Int{}
	for _, e := range entries {
		sum := new(big.Int)
		for _, posting := range e.Postings {
			sum.Add(sum, posting.Amount.Big())
			addTo(classes, accountClass(posting.Account), posting.Amount.Big())
		}
		if sum.Sign() != 0 || e.Asset != usdt {
			t.Fatalf("the entry %+v is off balance by %s", e, sum)
		}
	}
	with := new(big.Int)
	for class, units := range classes {
		if class == "custody" {
			continue
		}
		if with.Add(with, units); units.Sign() < 0 {
			t.Fatalf("%s has %s", class, units)
		}
	}
	custody := classes["custody"]
	if custody == nil {
		custody = new(big.Int)
	}
	if with.Cmp(in) != 0 || new(big.Int).Neg(custody).Cmp(in) != 0 {
		t.Fatalf("%s came in, but custody is %s and the rest %s: %v", in, custody, with, classes)
	}
	if escrow := balance(entries, EscrowAccount(p.ID)); !escrow.Equal(*p.EscrowBalance) || escrow.Cmp(*p.ExpectedUnits) > 0 {
		t.Fatalf("escrow is %s by its postings, %s by the payment", escrow, p.EscrowBalance)
	}
	if !unitsOr0(p.ReceivedUnits).Equal(money.UnitsOfBig(in)) {
		t.Fatalf("%s came in, the payment says %s", in, p.ReceivedUnits)
	}
}

// ledgerOnly is a transaction that knows entries and nothing else.
type ledgerOnly struct {
	cutover.Tx
	entries []Entry
}

func (l ledgerOnly) Kinds() cutover.Kinds { return Kinds }

func (l ledgerOnly) Each(_ context.Context, _ string, do func(cutover.Record) error) error {
	for _, e := range l.entries {
		if err := do(&e); err != nil {
			return err
		}
	}
	return nil
}

// TestAssetsDoNotMakeUpForEachOther shows entries that sum to zero together
// but not by themselves: they are refused one by one and as a whole.
func TestAssetsDoNotMakeUpForEachOther(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		units := manyUnits.Draw(t, "units")
		posting := func(account string, u money.Units) Posting { return Posting{account, u} }
		assets := []Asset{usdt, {ChainID: 1, Token: "USDT"}, {ChainID: 56, Token: "USDC"}}
		one := rapid.SampledFrom(assets).Draw(t, "one")
		other := rapid.SampledFrom(slices.DeleteFunc(slices.Clone(assets), func(a Asset) bool { return a == one })).Draw(t, "other")
		if _, err := NewEntry("k", EntryDeposit, cutover.ID{}, one, posting(AccountFees, units), posting(AccountSuspense, money.UnitsOf(0))); err == nil {
			t.Fatal("half of a deposit was made")
		}
		half := func(a Asset, u money.Units) Entry {
			return Entry{IdempotencyKey: a.String(), Type: EntryDeposit, Asset: a, Postings: []Posting{posting(AccountFees, u)}}
		}
		mixed := ledgerOnly{entries: []Entry{half(one, units), half(other, units.Neg())}}
		if _, err := ledgerTotals(t.Context(), mixed); err == nil || !strings.Contains(err.Error(), "off balance") {
			t.Fatalf("%s of %s against %s of %s counts as balanced: %v", units, one, units.Neg(), other, err)
		}
		same := ledgerOnly{entries: []Entry{half(one, units), half(one, units.Neg())}}
		if _, err := ledgerTotals(t.Context(), same); err != nil {
			t.Fatal(err)
		}
	})
}

// TestATransferOfAnotherAssetIsNoneOfThePayments goes through all tokens of
// all networks.
func TestATransferOfAnotherAssetIsNoneOfThePayments(t *testing.T) {
	t.Parallel()
	p := newPayment(100)
	matched := 0
	for _, network := range chain.Networks() {
		for _, token := range network.Tokens {
			for _, name := range []string{token.Symbol, strings.ToLower(token.Symbol), token.Address, strings.ToUpper(token.Address)} {
				c := Callback{ChainID: network.ID, Token: name}
				fits := network.ID == 56 && token.Symbol == "USDT"
				if err := c.Concerns(p); (err == nil) != fits {
					t.Errorf("%s on %s: %v", name, network.Name, err)
				}
				if fits {
					matched++
				}
			}
		}
	}
	if matched == 0 {
		t.Error("the payment's own token was not tried")
	}
}

// TestAQuoteNeverAsksForTooLittle compares with fractions: never below the
// price, and above it by less than one unit.
func TestAQuoteNeverAsksForTooLittle(t *testing.T) {
	t.Parallel()
	positive := rapid.Custom(func(t *rapid.T) money.Amount {
		a := money.MustAmount(rapid.StringMatching(`[0-9]{1,9}(\.[0-9]{1,10})?`).Draw(t, "amount"))
		if a.IsZero() {
			t.Skip("zero")
		}
		return a
	})
	rapid.Check(t, func(t *rapid.T) {
		amount, fx, usd := positive.Draw(t, "amount"), positive.Draw(t, "fx"), positive.Draw(t, "token")
		decimals := int32(rapid.SampledFrom([]int{0, 6, 18}).Draw(t, "decimals"))
		units, err := settleUnits(amount, fx, usd, decimals)
		if err != nil {
			t.Skip("too much to say in 38 digits")
		}
		worth := usd.Decimal().Rat()
		if one := big.NewRat(1, 1); worth.Cmp(one) > 0 {
			worth = one
		}
		scale := new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(decimals)), nil))
		price := new(big.Rat).Mul(amount.Decimal().Rat(), fx.Decimal().Rat())
		price.Mul(price.Quo(price, worth), scale)
		over := new(big.Rat).SetInt(units.Big())
		if over.Sub(over, price); over.Sign() < 0 || over.Cmp(big.NewRat(1, 1)) >= 0 {
			t.Fatalf("%s at %s and %s is %s units, %s off", amount, fx, usd, units, over.FloatString(20))
		}
	})
}
