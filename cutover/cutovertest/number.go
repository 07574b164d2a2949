package cutovertest

import (
	"errors"
	"regexp"
	"strings"

	"github.com/amanat-dev/amanat/cutover/shape"
)

// Digits is how many significant digits a Decimal and a Whole have at most.
const Digits = 38

// Decimal is a number as an application may have one for money: a plain decimal
// of up to 38 digits. The zero Decimal is 0.
type Decimal struct{ text string } // the shortest; "" is 0

// Whole is an integer of up to 38 digits. The zero Whole is 0.
type Whole struct{ text string }

var (
	plainDecimal = regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?$`)
	plainWhole   = regexp.MustCompile(`^-?[0-9]+$`)
)

// shortest checks a number's text and leaves out what means nothing.
func shortest(text string, form *regexp.Regexp) (string, error) {
	if !form.MatchString(text) {
		return "", errors.New("not a plain number")
	}
	digits, negative := strings.CutPrefix(text, "-")
	whole, fraction, _ := strings.Cut(digits, ".")
	if len(strings.TrimLeft(whole+fraction, "0")) > Digits || len(text) > 3*Digits {
		return "", errors.New("more than 38 digits")
	}
	whole, fraction = strings.TrimLeft(whole, "0"), strings.TrimRight(fraction, "0")
	if whole+fraction == "" {
		return "", nil
	}
	if whole == "" {
		whole = "0"
	}
	if fraction != "" {
		whole += "." + fraction
	}
	if negative {
		whole = "-" + whole
	}
	return whole, nil
}

// must is for constants.
func must(text string, err error) string {
	if err != nil {
		panic("cutovertest: " + text + ": " + err.Error())
	}
	return text
}

func orZero(text string) string {
	if text == "" {
		return "0"
	}
	return text
}

// MustDecimal reads a plain decimal such as "-12.5"; it panics on another text.
func MustDecimal(text string) Decimal { return Decimal{must(shortest(text, plainDecimal))} }

// MustWhole reads an integer; it panics on another text.
func MustWhole(text string) Whole { return Whole{must(shortest(text, plainWhole))} }

// String is the shortest plain notation.
func (d Decimal) String() string { return orZero(d.text) }

// IsZero says that it is 0.
func (d Decimal) IsZero() bool { return d.text == "" }

// MarshalText is how it is stored.
func (d Decimal) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText refuses what is no plain decimal of up to 38 digits.
func (d *Decimal) UnmarshalText(b []byte) (err error) {
	d.text, err = shortest(string(b), plainDecimal)
	return err
}

// Numeric makes it a number for stores.
func (d Decimal) Numeric() shape.Number { return shape.Number{Digits: Digits} }

// String is the shortest plain notation.
func (w Whole) String() string { return orZero(w.text) }

// IsZero says that it is 0.
func (w Whole) IsZero() bool { return w.text == "" }

// MarshalText is how it is stored.
func (w Whole) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

// UnmarshalText refuses what is no plain integer of up to 38 digits.
func (w *Whole) UnmarshalText(b []byte) (err error) {
	w.text, err = shortest(string(b), plainWhole)
	return err
}

// Numeric makes it a number for stores.
func (w Whole) Numeric() shape.Number { return shape.Number{Digits: Digits, Integer: true} }
