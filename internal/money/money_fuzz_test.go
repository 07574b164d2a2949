package money

import (
	"encoding/json"
	"math/big"
	"strings"
	"testing"
	"unicode/utf8"
)

// numberSeeds are texts that some parser of numbers somewhere accepts.
var numberSeeds = []string{
	"0", "-0", "00", "007", "1", "-1", "+1", "12.50", "-0.1", ".5", "5.", "-.5", "-", "", ".", "--1", "-+1", "1-", "1 ", " 1", "1\n", "1\x00",
	"1e3", "1E3", "1e-3", "1e99999999", "0x1F", "0X1p-2", "0b1", "0o7", "1_000", "1,000", "1.0.0", "1/3", "1..2",
	"NaN", "nan", "Inf", "-Infinity", "null", "true", `"1"`, `\u0031`, "١٢٣", "１２", "²", "½", "1\u00a0", "−1", "\xff1",
	strings.Repeat("9", MaxDigits), "-" + strings.Repeat("9", MaxDigits), strings.Repeat("9", MaxDigits+1),
	strings.Repeat("9", 19) + "." + strings.Repeat("9", 19), strings.Repeat("9", 20) + "." + strings.Repeat("9", 19),
	"0." + strings.Repeat("0", 37) + "1", "0." + strings.Repeat("0", 111) + "1", "0." + strings.Repeat("0", 120) + "1",
	strings.Repeat("0", 75) + strings.Repeat("9", MaxDigits), strings.Repeat("0", 200), "0.30000000000000004", "9007199254740993",
}

// plain says what both parsers may accept, written in another way than they
// are.
func plain(s string, point bool) bool {
	s = strings.TrimPrefix(s, "-")
	digits, points := 0, 0
	for i, c := range []byte(s) {
		switch {
		case c >= '0' && c <= '9':
			digits++
		case c == '.' && point && i > 0 && i < len(s)-1:
			points++
		default:
			return false
		}
	}
	return digits > 0 && points <= 1
}

// exact reads plain notation with big integers alone.
func exact(s string) *big.Rat {
	whole, frac, _ := strings.Cut(s, ".")
	n, _ := new(big.Int).SetString(whole+frac, 10)
	return new(big.Rat).SetFrac(n, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(len(frac))), nil))
}

func significant(s string) int {
	return len(strings.TrimLeft(strings.NewReplacer("-", "", ".", "").Replace(s), "0"))
}

func FuzzParseAmount(f *testing.F) {
	for _, s := range numberSeeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseAmount(s)
		if err != nil {
			if plain(s, true) && significant(s) <= MaxDigits && len(s) <= 2*MaxDigits {
				t.Fatalf("%q is a plain decimal, but: %v", s, err)
			}
			if !a.IsZero() || !utf8.ValidString(err.Error()) {
				t.Fatalf("%q: a refusal gave %s and %q", s, a, err)
			}
			return
		}
		if !plain(s, true) || significant(s) > MaxDigits {
			t.Fatalf("%q was read, as %s", s, a)
		}
		if got, want := exact(a.String()), exact(s); got.Cmp(want) != 0 || a.Decimal().Rat().Cmp(want) != 0 {
			t.Fatalf("%q is read as %s", s, a)
		}
		again, err := ParseAmount(a.String())
		if err != nil || !again.Equal(a) || again.String() != a.String() {
			t.Fatalf("%q: %s is read again as %s, %v", s, a, again, err)
		}
		if text := a.String(); strings.Contains(text, ".") && strings.HasSuffix(text, "0") || text == "-0" {
			t.Fatalf("%q is written as %s", s, text)
		}
		wantThroughJSON(t, a, func(b Amount) bool { return b.String() == a.String() })
	})
}

func FuzzParseUnits(f *testing.F) {
	for _, s := range numberSeeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := ParseUnits(s)
		if err != nil {
			if plain(s, false) && significant(s) <= MaxDigits && len(s) <= 2*MaxDigits {
				t.Fatalf("%q is a plain integer, but: %v", s, err)
			}
			if !u.IsZero() || !utf8.ValidString(err.Error()) {
				t.Fatalf("%q: a refusal gave %s and %q", s, u, err)
			}
			return
		}
		if !plain(s, false) || significant(s) > MaxDigits {
			t.Fatalf("%q was read, as %s", s, u)
		}
		if exact(s).Cmp(new(big.Rat).SetInt(u.Big())) != 0 {
			t.Fatalf("%q is read as %s", s, u)
		}
		if again, err := ParseUnits(u.String()); err != nil || !again.Equal(u) || again.String() != u.String() {
			t.Fatalf("%q: %s is read again as %s, %v", s, u, again, err)
		}
		wantThroughJSON(t, u, func(v Units) bool { return v.String() == u.String() })
	})
}

func wantThroughJSON[T any](t *testing.T, in T, same func(T) bool) {
	t.Helper()
	var out T
	text, err := json.Marshal(in)
	if err == nil {
		err = json.Unmarshal(text, &out)
	}
	if err != nil || !same(out) || text[0] != '"' {
		t.Fatalf("%v became %s and %v: %v", in, text, out, err)
	}
}

// FuzzMoneyInJSON returns whole JSON values: a number and a text mean the same,
// and nothing else is money.
func FuzzMoneyInJSON(f *testing.F) {
	for _, s := range numberSeeds {
		f.Add(s)
		f.Add(`"` + s + `"`)
	}
	for _, s := range []string{"[1]", "{}", `"\"1"`, `"1\""`, "1.", `""`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var a Amount
		var u Units
		amountErr, unitsErr := json.Unmarshal([]byte(text), &a), json.Unmarshal([]byte(text), &u)
		inner := strings.TrimSpace(text)
		var s string
		if json.Unmarshal([]byte(inner), &s) == nil && inner != "null" {
			inner = s
		}
		if amountErr == nil && (!plain(inner, true) || exact(inner).Cmp(a.Decimal().Rat()) != 0) {
			t.Fatalf("%q was read as the amount %s", text, a)
		}
		if unitsErr == nil && (!plain(inner, false) || exact(inner).Cmp(new(big.Rat).SetInt(u.Big())) != 0) {
			t.Fatalf("%q was read as the units %s", text, u)
		}
	})
}
