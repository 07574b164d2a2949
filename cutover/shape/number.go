package shape

import (
	"encoding"
	"fmt"
	"math/big"
	"reflect"
	"strconv"
	"strings"

	"github.com/shopspring/decimal"
)

// Numeric is a type of which each value marshals as the text of a number in
// plain notation, such as "-12.5": no exponent. Stores keep it exactly, as text
// or in a column of type numeric, never as a float, and read it from numbers of
// any type. A plain field of it must be there: one that is missing is an error
// of its record and never zero. A pointer says that it may be absent.
//
// The type also unmarshals from text; what it accepts is up to it.
type Numeric interface {
	encoding.TextMarshaler
	// Numeric says which numbers there are. It is asked once, of the zero value.
	Numeric() Number
}

// Number says which numbers a type holds.
type Number struct {
	Digits  int  // how many significant digits it has at most; 0 is no number at all
	Integer bool // without a fraction
}

var (
	numericType = reflect.TypeFor[Numeric]()
	readerType  = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// numberOf asks a type that marshals as text whether it is a number.
func numberOf(t reflect.Type, where string) Number {
	if !t.Implements(numericType) {
		return Number{}
	}
	if !reflect.PointerTo(t).Implements(readerType) {
		panic(fmt.Sprintf("shape: %s: a %s is written as a number and cannot be read again", where, t))
	}
	n := reflect.Zero(t).Interface().(Numeric).Numeric()
	if n.Digits <= 0 {
		panic(fmt.Sprintf("shape: %s: a %s is a number without digits", where, t))
	}
	return n
}

// PlainNumber writes coefficient × 10^exponent in the shortest plain notation:
// no exponent, no zeros at the end of a fraction.
func PlainNumber(coefficient *big.Int, exponent int32) string {
	if coefficient.IsInt64() && exponent <= 0 && exponent >= -smallDigits {
		return plainSmall(coefficient.Int64(), exponent)
	}
	s := decimal.NewFromBigInt(coefficient, exponent).String()
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}

// smallDigits is how many digits any int64 can have. Nearly all numbers are
// small ones, which need not go by way of big integers.
const smallDigits = 18

func plainSmall(n int64, exp int32) string {
	for ; exp < 0 && n%10 == 0; exp++ {
		n /= 10
	}
	if exp == 0 {
		return strconv.FormatInt(n, 10)
	}
	scale := int64(1)
	for range -exp {
		scale *= 10
	}
	sign, fraction := "", strconv.FormatInt(max(n%scale, -(n%scale)), 10)
	if n < 0 {
		sign = "-"
	}
	zeros := strings.Repeat("0", int(-exp)-len(fraction))
	return sign + strconv.FormatInt(max(n/scale, -(n/scale)), 10) + "." + zeros + fraction
}

// ReadNumber reads plain notation as coefficient × 10^exponent.
func ReadNumber(text string) (coefficient *big.Int, exponent int32, err error) {
	if n, exp, ok := readSmall(text); ok {
		return big.NewInt(n), exp, nil
	}
	if strings.ContainsAny(text, "eE") {
		return nil, 0, fmt.Errorf("a number with an exponent")
	}
	d, err := decimal.NewFromString(text)
	if err != nil {
		return nil, 0, fmt.Errorf("not a number")
	}
	return d.Coefficient(), d.Exponent(), nil
}

func readSmall(text string) (n int64, exp int32, ok bool) {
	digits, negative := strings.CutPrefix(text, "-")
	whole, fraction, point := strings.Cut(digits, ".")
	if whole == "" || point && fraction == "" || len(whole)+len(fraction) > smallDigits {
		return 0, 0, false
	}
	n, err := strconv.ParseInt(whole+fraction, 10, 64)
	if err != nil || whole[0] < '0' {
		return 0, 0, false
	}
	if negative {
		n = -n
	}
	return n, -int32(len(fraction)), true
}
