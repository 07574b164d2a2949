package shape_test

import (
	"math/big"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/amanat-dev/amanat/cutover/shape"
)

// Hours is a number as a stranger would write one.
type Hours struct{ text string }

func (h Hours) MarshalText() ([]byte, error)  { return []byte(h.text), nil }
func (h *Hours) UnmarshalText(b []byte) error { h.text = string(b); return nil }
func (h Hours) Numeric() shape.Number         { return shape.Number{Digits: 9} }
func (h Hours) IsZero() bool                  { return h.text == "" || h.text == "0" }

// Word marshals as text and is no number.
type Word struct{ text string }

func (w Word) MarshalText() ([]byte, error)  { return []byte(w.text), nil }
func (w *Word) UnmarshalText(b []byte) error { w.text = string(b); return nil }

// Mute cannot be read again.
type Mute struct{}

func (Mute) MarshalText() ([]byte, error) { return nil, nil }
func (Mute) Numeric() shape.Number        { return shape.Number{Digits: 1} }

// Vague is a number of no digits.
type Vague struct{ Word }

func (Vague) Numeric() shape.Number { return shape.Number{} }

func TestANumberSaysSoByItself(t *testing.T) {
	t.Parallel()
	fields := shape.Of(reflect.TypeFor[struct {
		Spent  Hours   `json:"spent"`
		Maybe  *Hours  `json:"maybe"`
		Each   []Hours `json:"each"`
		Spoken Word    `json:"spoken"`
	}]())
	for i, got := range []shape.Number{fields[0].Number, fields[1].Number, fields[2].Elem.Number} {
		if got.Digits != 9 || got.Integer {
			t.Errorf("field %d: %+v, want a decimal of nine digits", i, got)
		}
	}
	if n := fields[3].Number; n.Digits != 0 {
		t.Errorf("a word is the number %+v", n)
	}
}

func TestWhatCannotBeANumberPanics(t *testing.T) {
	t.Parallel()
	for want, typ := range map[string]reflect.Type{
		"cannot be read again": reflect.TypeFor[struct {
			V Mute `json:"v"`
		}](),
		"a number without digits": reflect.TypeFor[struct {
			V Vague `json:"v"`
		}](),
	} {
		func() {
			defer func() {
				if text, _ := recover().(string); !strings.Contains(text, want) {
					t.Errorf("panicked with %q, want %q", text, want)
				}
			}()
			shape.Of(typ)
		}()
	}
}

func TestNumbersComeBackFromTheirText(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n, _ := new(big.Int).SetString(rapid.StringMatching(`-?[0-9]{1,40}`).Draw(t, "digits"), 10)
		exp := rapid.Int32Range(-60, 60).Draw(t, "exponent")
		text := shape.PlainNumber(n, exp)
		m, e, err := shape.ReadNumber(text)
		if err != nil || shape.PlainNumber(m, e) != text {
			t.Fatalf("%d × 10^%d is %q, read as %d × 10^%d: %v", n, exp, text, m, e, err)
		}
		value := func(n *big.Int, exp int32) *big.Rat {
			power := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(exp, -exp))), nil)
			if exp < 0 {
				return new(big.Rat).SetFrac(n, power)
			}
			return new(big.Rat).SetInt(power.Mul(power, n))
		}
		if value(n, exp).Cmp(value(m, e)) != 0 {
			t.Fatalf("%d × 10^%d is read as %d × 10^%d", n, exp, m, e)
		}
	})
	for _, text := range []string{"", "1e3", "1E400000000", "x", "NaN", "1.2.3"} {
		if n, _, err := shape.ReadNumber(text); err == nil {
			t.Errorf("%q is read as %d", text, n)
		}
	}
}
