package payment

import (
	"context"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/internal/chain"
	"github.com/amanat-dev/amanat/internal/money"
	"github.com/shopspring/decimal"
	"pgregory.net/rapid"
)

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// said is a source that answers from a table.
type said struct {
	name   string
	prices map[string]string
	age    time.Duration
}

func (s said) Name() string         { return s.name }
func (s said) Stale() time.Duration { return time.Minute }
func (s said) Price(_ context.Context, pair string) (money.Amount, time.Time, error) {
	text, ok := s.prices[pair]
	if !ok {
		return money.Amount{}, time.Time{}, errors.New("no such pair")
	}
	return money.MustAmount(text), noon.Add(-s.age), nil
}

func quoterOf(sources ...Source) *Quoter {
	return &Quoter{Sources: sources, Validity: 90 * time.Second, Now: func() time.Time { return noon }}
}

// usdtAt makes sources that say each price of USDT.
func usdtAt(prices ...string) []Source {
	var out []Source
	for i, p := range prices {
		out = append(out, said{name: string(rune('a' + i)), prices: map[string]string{"USDT/USD": p}})
	}
	return out
}

func bscToken(t testing.TB, symbol string) chain.Token {
	t.Helper()
	n, _ := chain.NetworkOf(56)
	token, ok := n.Token(symbol)
	if !ok {
		t.Fatalf("no %s on BSC", symbol)
	}
	return token
}

func price(amount, currency string) Price { return Price{money.MustAmount(amount), currency} }

func TestAQuoteTakesTheMedianOfTheSources(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		prices []string
		median string
		spread int64
	}{
		{[]string{"0.99", "1"}, "0.995", 101},
		{[]string{"0.99", "0.98", "0.985"}, "0.985", 102},
		{[]string{"0.98", "0.98", "0.99", "0.99"}, "0.985", 102},
		{[]string{"1", "1"}, "1", 0},
	} {
		q, err := quoterOf(usdtAt(c.prices...)...).Quote(t.Context(), price("10", "USD"), 56, bscToken(t, "USDT"))
		if err != nil {
			t.Fatal(err)
		}
		if q.TokenUSD.String() != c.median || q.SpreadBps != c.spread || len(q.Sources) != len(c.prices) {
			t.Errorf("%v: median %s, spread %d of %d sources; want %s, %d", c.prices, q.TokenUSD, q.SpreadBps, len(q.Sources), c.median, c.spread)
		}
	}
}

func TestATokenBelowItsPegCostsMoreOfItAndOneAboveNotLess(t *testing.T) {
	t.Parallel()
	for tokenPrice, want := range map[string]string{
		"1":    "10000000000000000000",
		"0.98": "10204081632653061225", // 10.204081632653061224489… rounded up
		"1.01": "10000000000000000000",
	} {
		q, err := quoterOf(usdtAt(tokenPrice, tokenPrice)...).Quote(t.Context(), price("10", "USD"), 56, bscToken(t, "USDT"))
		if err != nil || q.OnChainUnits.String() != want {
			t.Errorf("at %s: got %s units, %v; want %s", tokenPrice, q.OnChainUnits, err, want)
		}
		if got := bscToken(t, "USDT").UnitsUp(q.SettleAmount); !got.Equal(q.OnChainUnits) {
			t.Errorf("settle amount %s is %s units, not %s", q.SettleAmount, got, q.OnChainUnits)
		}
	}
}

func TestAPriceInAnotherCurrencyUsesBothRates(t *testing.T) {
	t.Parallel()
	sources := []Source{
		said{name: "a", prices: map[string]string{"EUR/USD": "1.10", "USDC/USD": "1"}},
		said{name: "b", prices: map[string]string{"EUR/USD": "1.12", "USDC/USD": "1"}},
	}
	q, err := quoterOf(sources...).Quote(t.Context(), price("10", "EUR"), 56, bscToken(t, "USDC"))
	if err != nil {
		t.Fatal(err)
	}
	if q.FxRate.String() != "1.11" || q.SettleAmount.String() != "11.1" || len(q.Sources) != 4 {
		t.Fatalf("got rate %s, settle %s, %d sources", q.FxRate, q.SettleAmount, len(q.Sources))
	}
	if q.PricingAmount.String() != "10" || q.PricingCurrency != "EUR" || q.Token != "USDC" || q.ChainID != 56 {
		t.Fatalf("got %+v", q)
	}
}

func TestAPriceInTheTokenItselfNeedsNoRate(t *testing.T) {
	t.Parallel()
	q, err := quoterOf().Quote(t.Context(), price("12.5", "USDT"), 56, bscToken(t, "USDT"))
	if err != nil || q.SettleAmount.String() != "12.5" {
		t.Fatalf("got %s, %v; want 12.5", q.SettleAmount, err)
	}
}

func TestAQuoteIsRefused(t *testing.T) {
	t.Parallel()
	stale := said{name: "old", prices: map[string]string{"USDT/USD": "1"}, age: 61 * time.Second}
	future := said{name: "future", prices: map[string]string{"USDT/USD": "1"}, age: -2 * time.Minute}
	for name, sources := range map[string][]Source{
		"without sources":          nil,
		"with one source":          usdtAt("1"),
		"when all but one is old":  append(usdtAt("1"), stale),
		"when one is from later":   append(usdtAt("1"), future),
		"when one fails":           append(usdtAt("1"), said{name: "z"}),
		"when they differ too far": usdtAt("1", "1.0203"),
		"when one says zero":       append(usdtAt("1"), said{name: "z", prices: map[string]string{"USDT/USD": "0"}}),
		"when one says less":       append(usdtAt("1"), said{name: "z", prices: map[string]string{"USDT/USD": "-1"}}),
	} {
		_, err := quoterOf(sources...).Quote(t.Context(), price("10", "USD"), 56, bscToken(t, "USDT"))
		if !fault.Is(err, fault.Unavailable) {
			t.Errorf("%s: got %v, want unavailable", name, err)
		}
	}
}

func TestExactlyTwoPercentIsNotTooFar(t *testing.T) {
	t.Parallel()
	// The median is 1, so 0.99 and 1.01 are 2 % of it apart.
	if _, err := quoterOf(usdtAt("0.99", "1.01")...).Quote(t.Context(), price("1", "USD"), 56, bscToken(t, "USDT")); err != nil {
		t.Error(err)
	}
	if _, err := quoterOf(usdtAt("0.99", "1.010001")...).Quote(t.Context(), price("1", "USD"), 56, bscToken(t, "USDT")); err == nil {
		t.Error("more than 2 % was taken")
	}
}

func TestValidityIsKeptWithinItsBounds(t *testing.T) {
	t.Parallel()
	for given, want := range map[time.Duration]time.Duration{0: time.Minute, 90 * time.Second: 90 * time.Second, time.Hour: 2 * time.Minute} {
		q := quoterOf(usdtAt("1", "1")...)
		q.Validity = given
		got, err := q.Quote(t.Context(), price("1", "USD"), 56, bscToken(t, "USDT"))
		if err != nil || !got.ExpiresAt.Equal(noon.Add(want)) {
			t.Errorf("validity %s: expires at %s, %v; want after %s", given, got.ExpiresAt, err, want)
		}
	}
}

func TestALockedQuoteNeverExpires(t *testing.T) {
	t.Parallel()
	q := Quote{ExpiresAt: noon}
	if !q.Expired(noon) || q.Expired(noon.Add(-time.Millisecond)) {
		t.Error("a quote expires at its end, not before")
	}
	q.LockedAt = noon
	if q.Expired(noon.Add(time.Hour)) {
		t.Error("a locked quote expired")
	}
}

func TestUnitsAreRoundedUpByLessThanOne(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		amount := money.AmountOf(decimalOf(t, "amount", 1_000_000_000, 9))
		fx := money.AmountOf(decimalOf(t, "fx", 100_000_000, 8))
		usd := money.AmountOf(decimalOf(t, "usd", 1_000_000, 6))
		decimals := rapid.SampledFrom([]int32{6, 18}).Draw(t, "decimals")
		units, err := settleUnits(amount, fx, usd, decimals)
		if err != nil {
			t.Skip("too large")
		}
		token := usd.Decimal().Rat()
		if one := big.NewRat(1, 1); token.Cmp(one) > 0 {
			token = one
		}
		exact := new(big.Rat).Mul(amount.Decimal().Rat(), fx.Decimal().Rat())
		exact.Quo(exact, token)
		exact.Mul(exact, new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(decimals)), nil)))
		over := new(big.Rat).Sub(new(big.Rat).SetInt(units.Big()), exact)
		if over.Sign() < 0 || over.Cmp(big.NewRat(1, 1)) >= 0 {
			t.Fatalf("%s × %s ÷ %s: %s units, which is %s over", amount, fx, usd, units, over.FloatString(6))
		}
	})
}

func TestAPriceTooLargeForTheTokenIsRefused(t *testing.T) {
	t.Parallel()
	if _, err := peggedUnits(price(strings.Repeat("9", 30), "USD"), bscToken(t, "USDT")); !fault.Is(err, fault.Conflict) {
		t.Fatalf("got %v, want a conflict", err)
	}
}

func TestWithoutQuotingOnlyDollarPricesArePayable(t *testing.T) {
	t.Parallel()
	for _, currency := range []string{"USD", "USDT", "USDC"} {
		u, err := peggedUnits(price("1.5", currency), bscToken(t, "USDC"))
		if err != nil || u.String() != "1500000000000000000" {
			t.Errorf("%s: got %s, %v", currency, u, err)
		}
	}
	for _, currency := range []string{"EUR", "IRR", "TRY", ""} {
		if _, err := peggedUnits(price("1.5", currency), bscToken(t, "USDC")); !fault.Is(err, fault.Conflict) {
			t.Errorf("%s: got %v, want a conflict", currency, err)
		}
	}
}

// decimalOf draws a positive decimal with some places.
func decimalOf(t *rapid.T, name string, most int64, places int32) decimal.Decimal {
	return decimal.New(rapid.Int64Range(1, most).Draw(t, name), -rapid.Int32Range(0, places).Draw(t, name+" places"))
}
