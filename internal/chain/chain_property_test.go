package chain

import (
	"math/big"
	"testing"

	"github.com/amanat-dev/amanat/internal/money"
	"pgregory.net/rapid"
)

var anyToken = rapid.Custom(func(t *rapid.T) Token {
	return Token{Symbol: "T", Decimals: int32(rapid.IntRange(0, 30).Draw(t, "decimals"))}
})

// one is a token's smallest unit as a fraction.
func (t Token) one() *big.Rat {
	return new(big.Rat).SetFrac(big.NewInt(1), new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(t.Decimals)), nil))
}

func TestUnitsUpNeverUnderpaysAndOverpaysByLessThanOneUnit(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		token := anyToken.Draw(t, "token")
		text := rapid.StringMatching(`[0-9]{1,19}(\.[0-9]{1,19})?`).Draw(t, "amount")
		amount := money.MustAmount(text)
		units := token.UnitsUp(amount)
		over := new(big.Rat).Sub(token.Amount(units).Decimal().Rat(), amount.Decimal().Rat())
		if over.Sign() < 0 || over.Cmp(token.one()) >= 0 {
			t.Fatalf("%s with %d decimals is %s units, which is %s off", text, token.Decimals, units, over.FloatString(40))
		}
	})
}

func TestUnitsAreAnAmountExactly(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		token := anyToken.Draw(t, "token")
		units := money.MustUnits(rapid.StringMatching(`-?[0-9]{1,38}`).Draw(t, "units"))
		amount := token.Amount(units)
		want := new(big.Rat).Mul(new(big.Rat).SetInt(units.Big()), token.one())
		if amount.Decimal().Rat().Cmp(want) != 0 || !token.UnitsUp(amount).Equal(units) {
			t.Fatalf("%s units with %d decimals are %s, which is %s units", units, token.Decimals, amount, token.UnitsUp(amount))
		}
	})
}
