package money

import (
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// amounts have up to 38 digits, with the point anywhere among them.
var amounts = rapid.Custom(func(t *rapid.T) Amount {
	digits := rapid.StringMatching(`[0-9]{1,38}`).Draw(t, "digits")
	point := rapid.IntRange(1, len(digits)).Draw(t, "point")
	text := digits[:point]
	if point < len(digits) {
		text += "." + digits[point:]
	}
	if rapid.Bool().Draw(t, "negative") {
		text = "-" + text
	}
	return MustAmount(text)
})

var units = rapid.Custom(func(t *rapid.T) Units {
	return MustUnits(rapid.StringMatching(`-?[0-9]{1,38}`).Draw(t, "units"))
})

func TestAmountsComputeAsFractionsDo(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := amounts.Draw(t, "a"), amounts.Draw(t, "b"), amounts.Draw(t, "c")
		x, y := exact(a.String()), exact(b.String())
		if got, want := exact(a.Add(b).String()), new(big.Rat).Add(x, y); got.Cmp(want) != 0 {
			t.Fatalf("%s + %s = %s, want %s", a, b, a.Add(b), want)
		}
		if got, want := exact(a.Sub(b).String()), new(big.Rat).Sub(x, y); got.Cmp(want) != 0 {
			t.Fatalf("%s - %s = %s, want %s", a, b, a.Sub(b), want)
		}
		if left, right := a.Add(b).Add(c), a.Add(b.Add(c)); !left.Equal(right) || left.String() != right.String() {
			t.Fatalf("(a+b)+c is %s, a+(b+c) is %s", left, right)
		}
		if left, right := a.Add(b), b.Add(a); left.String() != right.String() {
			t.Fatalf("a+b is %s, b+a is %s", left, right)
		}
		if a.Cmp(b) != x.Cmp(y) || a.Equal(b) != (x.Cmp(y) == 0) || a.Sign() != x.Sign() || a.IsZero() != (x.Sign() == 0) {
			t.Fatalf("%s and %s compare other than as fractions", a, b)
		}
		if same := a.String() == b.String(); same != a.Equal(b) {
			t.Fatalf("%s and %s: equal %v, the same text %v", a, b, a.Equal(b), same)
		}
	})
}

func TestTrailingAndLeadingZerosMeanNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a := amounts.Draw(t, "a")
		text, minus := strings.CutPrefix(a.String(), "-")
		if !strings.Contains(text, ".") {
			text += ".0"
		}
		longer := strings.Repeat("0", rapid.IntRange(0, 10).Draw(t, "leading")) + text
		if significant(text) < MaxDigits {
			longer += "0"
		}
		if minus {
			longer = "-" + longer
		}
		if significant(longer) > MaxDigits {
			t.Skip("the zeros make it too long")
		}
		b, err := ParseAmount(longer)
		if err != nil || !a.Equal(b) || a.String() != b.String() {
			t.Fatalf("%s is read as %s, %v; want %s", longer, b, err, a)
		}
	})
}

func TestUnitsComputeAsIntegersDoAndChangeNothingElse(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		u, v, w := units.Draw(t, "u"), units.Draw(t, "v"), units.Draw(t, "w")
		before := u.String() + " " + v.String()
		if got, want := u.Add(v).Big(), new(big.Int).Add(u.Big(), v.Big()); got.Cmp(want) != 0 {
			t.Fatalf("%s + %s = %s", u, v, got)
		}
		if !u.Add(v).Add(w).Equal(u.Add(v.Add(w))) || !u.Sub(v).Equal(u.Add(v.Neg())) || !u.Sub(u).IsZero() || !u.Neg().Neg().Equal(u) {
			t.Fatalf("%s, %s and %s break a law of sums", u, v, w)
		}
		if u.Cmp(v) != u.Big().Cmp(v.Big()) || u.Cmp(v) != -v.Cmp(u) || u.Sign() != u.Big().Sign() {
			t.Fatalf("%s and %s compare other than as integers", u, v)
		}
		big := u.Big()
		copied := UnitsOfBig(big)
		big.SetInt64(17)
		if !copied.Equal(u) || u.String()+" "+v.String() != before {
			t.Fatalf("computing has changed %s to %s and %s, and the copy to %s", before, u, v, copied)
		}
	})
}
