package shape_test

import (
	"math"
	"math/big"
	"testing"

	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"github.com/amanat-dev/amanat/cutover/shape"
	"github.com/amanat-dev/amanat/internal/money"
)

func TestPlainNumber_WritesAsMoneyDoes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.OneOf(rapid.Int64(), rapid.Int64Range(-1000, 1000), rapid.Just(int64(math.MinInt64))).Draw(t, "n")
		exp := int32(rapid.IntRange(-20, 4).Draw(t, "exp"))
		want := money.AmountOf(decimal.New(n, exp)).String()
		if got := shape.PlainNumber(big.NewInt(n), exp); got != want {
			t.Fatalf("%d·10^%d is written %s, want %s", n, exp, got, want)
		}
	})
}
