// Package money holds the two shapes in which Amanat keeps money: Amount, a
// decimal of a currency, and Units, an integer of a token's smallest unit.
// Neither is ever a float, and neither reads an unreadable text as zero.
package money

import (
	"database/sql/driver"
	"fmt"
	"math/big"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/amanat-dev/amanat/cutover/shape"
)

// MaxDigits is how many significant digits an Amount or Units may have. Both
// databases keep that many exactly.
const MaxDigits = 38

// Amount is a decimal of up to 38 significant digits. The zero Amount is 0.
type Amount struct{ d decimal.Decimal }

// ParseAmount reads plain decimal notation such as "12.50" or "-0.1"; an
// exponent is not accepted. It fails on anything else and past MaxDigits.
func ParseAmount(s string) (Amount, error) {
	if err := checkPlain(s, true); err != nil {
		return Amount{}, fmt.Errorf("amount %q: %w", clip(s), err)
	}
	d, err := decimal.NewFromString(s)
	if err != nil {
		return Amount{}, fmt.Errorf("amount %q: not a decimal number", clip(s))
	}
	return Amount{d}, nil
}

// MustAmount is ParseAmount for constants; it panics on an error.
func MustAmount(s string) Amount {
	a, err := ParseAmount(s)
	if err != nil {
		panic(err)
	}
	return a
}

// AmountOf wraps a decimal that a computation gave.
func AmountOf(d decimal.Decimal) Amount { return Amount{d} }

// Decimal returns the value for computing.
func (a Amount) Decimal() decimal.Decimal { return a.d }

// String returns the shortest plain notation: no exponent, no trailing zeros.
func (a Amount) String() string {
	s := a.d.String()
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	if s == "-0" {
		return "0"
	}
	return s
}

func (a Amount) Add(b Amount) Amount { return Amount{a.d.Add(b.d)} }
func (a Amount) Sub(b Amount) Amount { return Amount{a.d.Sub(b.d)} }
func (a Amount) Cmp(b Amount) int    { return a.d.Cmp(b.d) }
func (a Amount) Sign() int           { return a.d.Sign() }
func (a Amount) IsZero() bool        { return a.d.IsZero() }

// Equal compares values: 1.0 equals 1.
func (a Amount) Equal(b Amount) bool { return a.d.Equal(b.d) }

// MarshalText and UnmarshalText are how an Amount is stored and sent.
func (a Amount) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

func (a *Amount) UnmarshalText(b []byte) error {
	v, err := ParseAmount(string(b))
	if err != nil {
		return err
	}
	*a = v
	return nil
}

// UnmarshalJSON takes a JSON string or number; both are read as text.
func (a *Amount) UnmarshalJSON(b []byte) error {
	return a.UnmarshalText([]byte(strings.Trim(string(b), `"`)))
}

// Numeric tells stores to keep the decimal as a number.
func (a Amount) Numeric() shape.Number { return shape.Number{Digits: MaxDigits} }

// Value returns the decimal as text to database/sql.
func (a Amount) Value() (driver.Value, error) { return a.String(), nil }

// Units is an integer of a token's smallest unit, of up to 38 digits. The
// zero Units is 0.
type Units struct{ i *big.Int }

// ParseUnits reads an integer in base 10 with an optional minus.
func ParseUnits(s string) (Units, error) {
	if err := checkPlain(s, false); err != nil {
		return Units{}, fmt.Errorf("units %q: %w", clip(s), err)
	}
	i, ok := new(big.Int).SetString(s, 10)
	if !ok {
		return Units{}, fmt.Errorf("units %q: not an integer", clip(s))
	}
	return Units{i}, nil
}

// MustUnits is ParseUnits for constants; it panics on an error.
func MustUnits(s string) Units {
	u, err := ParseUnits(s)
	if err != nil {
		panic(err)
	}
	return u
}

// UnitsOf returns n units.
func UnitsOf(n int64) Units { return Units{big.NewInt(n)} }

// UnitsOfBig copies i.
func UnitsOfBig(i *big.Int) Units { return Units{new(big.Int).Set(i)} }

// Big returns a copy for computing.
func (u Units) Big() *big.Int { return new(big.Int).Set(u.int()) }

func (u Units) int() *big.Int {
	if u.i == nil {
		return new(big.Int)
	}
	return u.i
}

func (u Units) String() string    { return u.int().String() }
func (u Units) Add(v Units) Units { return Units{new(big.Int).Add(u.int(), v.int())} }
func (u Units) Sub(v Units) Units { return Units{new(big.Int).Sub(u.int(), v.int())} }
func (u Units) Neg() Units        { return Units{new(big.Int).Neg(u.int())} }
func (u Units) Cmp(v Units) int   { return u.int().Cmp(v.int()) }
func (u Units) Equal(v Units) bool {
	return u.Cmp(v) == 0
}
func (u Units) Sign() int    { return u.int().Sign() }
func (u Units) IsZero() bool { return u.Sign() == 0 }

// MarshalText and UnmarshalText are how Units are stored and sent.
func (u Units) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

func (u *Units) UnmarshalText(b []byte) error {
	v, err := ParseUnits(string(b))
	if err != nil {
		return err
	}
	*u = v
	return nil
}

// UnmarshalJSON takes a JSON string or number; both are read as text.
func (u *Units) UnmarshalJSON(b []byte) error {
	return u.UnmarshalText([]byte(strings.Trim(string(b), `"`)))
}

// Numeric tells stores to keep the integer as a number.
func (u Units) Numeric() shape.Number { return shape.Number{Digits: MaxDigits, Integer: true} }

// Value returns the integer as text to database/sql.
func (u Units) Value() (driver.Value, error) { return u.String(), nil }

// checkPlain accepts an optional minus, digits, and (for amounts) one point
// with digits on both sides, of at most MaxDigits digits in all.
func checkPlain(s string, point bool) error {
	digits := strings.TrimPrefix(s, "-")
	whole, frac, hasPoint := strings.Cut(digits, ".")
	switch {
	case whole == "" || (hasPoint && frac == ""):
		return fmt.Errorf("not a number")
	case hasPoint && !point:
		return fmt.Errorf("not an integer")
	case strings.Trim(whole+frac, "0123456789") != "":
		return fmt.Errorf("not a plain number")
	case len(strings.TrimLeft(whole+frac, "0")) > MaxDigits || len(s) > 3*MaxDigits:
		return fmt.Errorf("more than %d digits", MaxDigits)
	}
	return nil
}

func clip(s string) string {
	if len(s) > 60 {
		return s[:60] + "…"
	}
	return s
}
