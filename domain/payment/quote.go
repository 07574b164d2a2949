package payment

import (
	"context"
	"math/big"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/internal/chain"
	"github.com/amanat-dev/amanat/internal/money"
	"github.com/shopspring/decimal"
)

// Quote says how much of a token pays an offer's price, and why. There is one
// per payment. While the payment is pending a new one may replace it once it
// has expired; after the payment was seen it never changes.
type Quote struct {
	cutover.Meta
	PaymentID       cutover.ID   `json:"paymentId" field:",ref=payment"`
	PricingAmount   money.Amount `json:"pricingAmount"`
	PricingCurrency string       `json:"pricingCurrency"`
	Token           string       `json:"token"`
	ChainID         int64        `json:"chainId"`
	FxRate          money.Amount `json:"fxRate"`       // US dollars for one of PricingCurrency
	TokenUSD        money.Amount `json:"tokenUsd"`     // US dollars for one token
	SettleAmount    money.Amount `json:"settleAmount"` // of the token
	OnChainUnits    money.Units  `json:"onChainUnits"` // SettleAmount in smallest units
	SpreadBps       int64        `json:"spreadBps"`    // the widest among the sources, in 1/10000
	Sources         []SourceRate `json:"sources" field:"sources,jsonb"`
	ExpiresAt       time.Time    `json:"expiresAt,omitzero"`
	LockedAt        time.Time    `json:"lockedAt,omitzero"` // when the payment was first seen
}

// SourceRate is what one source said.
type SourceRate struct {
	Name       string       `json:"name"` // source and pair, such as "kraken USDT/USD"
	Price      money.Amount `json:"price"`
	ObservedAt time.Time    `json:"observedAt"`
}

// Expired says that the quote's price holds no more. A locked one holds on.
func (q *Quote) Expired(now time.Time) bool {
	return q.LockedAt.IsZero() && !now.Before(q.ExpiresAt)
}

// Rules of quoting.
const (
	minSources    = 2
	maxSpread     = 200 // 2 %, in 1/10000
	bpsOne        = 10_000
	MinValidity   = 60 * time.Second
	MaxValidity   = 120 * time.Second
	usd           = "USD"
	sourceTimeout = 5 * time.Second
)

// Source tells prices.
type Source interface {
	Name() string
	// Stale is the age from which its prices are left out.
	Stale() time.Duration
	// Price returns how many of pair's second currency one of the first costs
	// ("USDT/USD"), and when that was so.
	Price(ctx context.Context, pair string) (money.Amount, time.Time, error)
}

// Quoter makes quotes.
type Quoter struct {
	Sources  []Source
	Validity time.Duration // of a quote; MinValidity to MaxValidity
	// Now is the clock; cutover.Now when nil.
	Now func() time.Time
}

func (q *Quoter) now() time.Time {
	if q.Now == nil {
		return cutover.Now()
	}
	return q.Now()
}

// Quote prices an offer in a token. It asks the sources, so it is never
// called inside an Update. Errors: fault.Unavailable when too few sources
// answer freshly or they disagree.
func (q *Quoter) Quote(ctx context.Context, price Price, chainID int64, token chain.Token) (Quote, error) {
	out := Quote{
		PricingAmount: price.Amount, PricingCurrency: price.Currency, Token: token.Symbol, ChainID: chainID,
		FxRate: money.MustAmount("1"), TokenUSD: money.MustAmount("1"),
	}
	// A price in the token itself needs no rate: so many tokens it is.
	if price.Currency != token.Symbol {
		if err := q.rates(ctx, &out); err != nil {
			return Quote{}, err
		}
	}
	units, err := settleUnits(price.Amount, out.FxRate, out.TokenUSD, token.Decimals)
	if err != nil {
		return Quote{}, err
	}
	out.OnChainUnits, out.SettleAmount = units, token.Amount(units)
	out.ExpiresAt = q.now().Add(min(max(q.Validity, MinValidity), MaxValidity)).Truncate(time.Millisecond)
	return out, nil
}

// rates fills the rates of both pairs: pricing currency and token in dollars.
func (q *Quoter) rates(ctx context.Context, out *Quote) error {
	for _, side := range []struct {
		currency string
		rate     *money.Amount
	}{{out.PricingCurrency, &out.FxRate}, {out.Token, &out.TokenUSD}} {
		if side.currency == usd {
			continue
		}
		seen := q.observe(ctx, side.currency+"/"+usd)
		median, spread, err := Agree(seen)
		if err != nil {
			return err
		}
		*side.rate = median
		out.SpreadBps = max(out.SpreadBps, spread)
		out.Sources = append(out.Sources, seen...)
	}
	return nil
}

// observe asks all sources at once and returns those that answered in time with
// a fresh price, by name.
func (q *Quoter) observe(ctx context.Context, pair string) []SourceRate {
	ctx, cancel := context.WithTimeout(ctx, sourceTimeout)
	defer cancel()
	answers := make([]*SourceRate, len(q.Sources))
	var wg sync.WaitGroup
	for i, source := range q.Sources {
		wg.Go(func() { answers[i] = q.ask(ctx, source, pair) })
	}
	wg.Wait()
	var out []SourceRate
	for _, a := range answers {
		if a != nil {
			out = append(out, *a)
		}
	}
	slices.SortFunc(out, func(a, b SourceRate) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// ask returns nil when the source's price cannot be used.
func (q *Quoter) ask(ctx context.Context, source Source, pair string) *SourceRate {
	price, at, err := source.Price(ctx, pair)
	if err != nil || price.Sign() <= 0 {
		return nil
	}
	age := q.now().Sub(at)
	if age > source.Stale() || age < -source.Stale() {
		return nil
	}
	return &SourceRate{Name: source.Name() + " " + pair, Price: price, ObservedAt: at.UTC().Truncate(time.Millisecond)}
}

// Agree returns the median of what sources say, and how far they lie apart in
// 1/10000 of it, rounded up. Errors: fault.Unavailable when there are fewer
// than two or they lie more than 2 % apart.
func Agree(seen []SourceRate) (money.Amount, int64, error) {
	if len(seen) < minSources {
		return money.Amount{}, 0, quoteUnavailable("too few price sources answer at the moment")
	}
	prices := make([]decimal.Decimal, len(seen))
	for i, s := range seen {
		prices[i] = s.Price.Decimal()
	}
	slices.SortFunc(prices, decimal.Decimal.Cmp)
	lowest, highest, median := prices[0], prices[len(prices)-1], medianOf(prices)
	// Compared without dividing, so that exactly 2 % is still in.
	if highest.Sub(lowest).Mul(decimal.NewFromInt(bpsOne)).GreaterThan(median.Mul(decimal.NewFromInt(maxSpread))) {
		return money.Amount{}, 0, quoteUnavailable("the price sources disagree at the moment")
	}
	spread := new(big.Rat).Quo(highest.Sub(lowest).Rat(), median.Rat())
	return money.AmountOf(median), ceil(spread.Mul(spread, big.NewRat(bpsOne, 1))).Int64(), nil
}

// medianOf expects sorted prices. Halving adds one digit, so it stays exact.
func medianOf(sorted []decimal.Decimal) decimal.Decimal {
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return sorted[middle-1].Add(sorted[middle]).Mul(decimal.New(5, -1))
}

func quoteUnavailable(why string) error {
	e := fault.New(fault.Unavailable, "%s; no price can be quoted, try again shortly", why)
	e.RetryAfter = 15 * time.Second
	return e
}

// settleUnits computes amount × fx ÷ tokenUSD in the token's smallest unit,
// rounded up. A token above its peg counts as at its peg: only one below it
// changes what the buyer sends.
func settleUnits(amount, fx, tokenUSD money.Amount, decimals int32) (money.Units, error) {
	token := tokenUSD.Decimal()
	if one := decimal.NewFromInt(1); token.GreaterThan(one) {
		token = one
	}
	r := new(big.Rat).Mul(amount.Decimal().Rat(), fx.Decimal().Rat())
	r.Quo(r, token.Rat())
	r.Mul(r, decimal.New(1, decimals).Rat())
	units, err := money.ParseUnits(ceil(r).String())
	if err != nil || units.Sign() <= 0 {
		return money.Units{}, fault.New(fault.Conflict, "this price cannot be paid in that token")
	}
	return units, nil
}

// ceil rounds up to an integer.
func ceil(r *big.Rat) *big.Int {
	q, m := new(big.Int).DivMod(r.Num(), r.Denom(), new(big.Int))
	if m.Sign() != 0 {
		q.Add(q, big.NewInt(1))
	}
	return q
}

// pegged lists the currencies that a token pays one to one without a quote.
var pegged = []string{usd, "USDT", "USDC"}

// peggedUnits prices an offer without sources.
func peggedUnits(price Price, token chain.Token) (money.Units, error) {
	if !slices.Contains(pegged, price.Currency) {
		return money.Units{}, fault.New(fault.Conflict,
			"an offer in %s cannot be paid in %s while quoting is off", price.Currency, token.Symbol)
	}
	one := money.MustAmount("1")
	return settleUnits(price.Amount, one, one, token.Decimals)
}
