package mongosim

import (
	"encoding/binary"
	"math"
	"math/big"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// A key is a value written so that the order of bytes is MongoDB's order of
// values: what sorts, compares, counts as equal or stands in an index goes by
// it. It begins with the value's place in the order of types.
// https://www.mongodb.com/docs/v7.0/reference/bson-type-comparison-order/

// The order of types. An empty list stands in an index as undefined.
const (
	rankMin       = 1
	rankUndefined = 4
	rankNull      = 5
	rankNumber    = 10
	rankString    = 15
	rankDocument  = 20
	rankArray     = 25
	rankBinary    = 30
	rankObjectID  = 35
	rankBool      = 40
	rankDate      = 45
	rankTimestamp = 47
	rankRegex     = 50
	rankCode      = 60
	rankMax       = 127
)

// keyEnd ends a document or a list within a key: it is less than any type.
const keyEnd = 0

// missing is the value of a field that is not there.
var missing = bson.RawValue{}

// rankOf is a value's place in the order of types; a missing one counts as
// null.
func rankOf(v bson.RawValue) byte {
	switch v.Type {
	case 0, bson.TypeNull:
		return rankNull
	case bson.TypeUndefined:
		return rankUndefined
	case bson.TypeInt32, bson.TypeInt64, bson.TypeDouble, bson.TypeDecimal128:
		return rankNumber
	case bson.TypeString:
		return rankString
	case bson.TypeEmbeddedDocument:
		return rankDocument
	case bson.TypeArray:
		return rankArray
	case bson.TypeBinary:
		return rankBinary
	case bson.TypeObjectID:
		return rankObjectID
	case bson.TypeBoolean:
		return rankBool
	case bson.TypeDateTime:
		return rankDate
	case bson.TypeTimestamp:
		return rankTimestamp
	case bson.TypeRegex:
		return rankRegex
	case bson.TypeJavaScript:
		return rankCode
	case bson.TypeMinKey:
		return rankMin
	}
	return rankMax
}

// keyOf returns a value's key.
func keyOf(v bson.RawValue) string { return string(appendKey(nil, v)) }

// appendKey adds a value's key.
func appendKey(b []byte, v bson.RawValue) []byte {
	b = append(b, rankOf(v))
	switch v.Type {
	case bson.TypeInt32, bson.TypeInt64, bson.TypeDouble, bson.TypeDecimal128:
		return appendNumber(b, v)
	case bson.TypeString:
		return appendText(b, v.StringValue())
	case bson.TypeEmbeddedDocument, bson.TypeArray:
		return appendElements(b, v)
	case bson.TypeBinary:
		subtype, data := v.Binary()
		return append(append(binary.BigEndian.AppendUint32(b, uint32(len(data))), subtype), data...)
	case bson.TypeObjectID, bson.TypeBoolean:
		return append(b, v.Value...)
	case bson.TypeDateTime:
		return binary.BigEndian.AppendUint64(b, uint64(v.DateTime())^1<<63)
	case bson.TypeTimestamp:
		t, i := v.Timestamp()
		return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, t), i)
	case bson.TypeRegex:
		pattern, options := v.Regex()
		return appendText(appendText(b, pattern), options)
	case bson.TypeJavaScript:
		return appendText(b, v.JavaScript())
	}
	return b
}

// appendText ends with a zero; a zero within is told apart by what follows.
func appendText(b []byte, s string) []byte {
	if strings.IndexByte(s, 0) >= 0 {
		s = strings.ReplaceAll(s, "\x00", "\x00\xff")
	}
	return append(append(b, s...), 0)
}

// appendElements writes each element's type, name and value: documents compare
// in this order. The names of a list's elements are all alike.
func appendElements(b []byte, v bson.RawValue) []byte {
	for e := range elements(v.Value) {
		x := e.Value()
		b = append(b, rankOf(x))
		if v.Type == bson.TypeEmbeddedDocument {
			b = appendText(b, e.Key())
		}
		b = appendKey(b, x)
	}
	return append(b, keyEnd)
}

// appendNumber writes the double at or below a number, and what is between
// the two, if anything: so numbers of all types compare exactly.
func appendNumber(b []byte, v bson.RawValue) []byte {
	switch v.Type {
	case bson.TypeDouble:
		return append(appendFloat(b, v.Double()), 0)
	case bson.TypeDecimal128:
		return appendDecimal(b, v.Decimal128())
	}
	n, _ := v.AsInt64OK()
	if f := float64(n); math.Abs(f) < 1<<53 {
		return append(appendFloat(b, f), 0)
	}
	return appendRat(b, new(big.Rat).SetInt64(n))
}

// appendFloat puts NaN before all else, as MongoDB does.
func appendFloat(b []byte, f float64) []byte {
	if math.IsNaN(f) {
		return binary.BigEndian.AppendUint64(b, 0)
	}
	if f == 0 {
		f = 0 // minus zero is zero
		return binary.BigEndian.AppendUint64(b, 1<<63)
	}
	bits := math.Float64bits(f)
	if f < 0 {
		bits = ^bits
	} else {
		bits |= 1 << 63
	}
	return binary.BigEndian.AppendUint64(b, bits)
}

func appendDecimal(b []byte, d bson.Decimal128) []byte {
	switch {
	case d.IsNaN():
		return append(appendFloat(b, math.NaN()), 0)
	case d.IsInf() != 0:
		return append(appendFloat(b, math.Inf(d.IsInf())), 0)
	}
	return appendRat(b, ratOf(d))
}

// ratOf is a decimal's value.
func ratOf(d bson.Decimal128) *big.Rat {
	n, exponent, err := d.BigInt()
	if err != nil {
		return new(big.Rat)
	}
	power := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(exponent, -exponent))), nil)
	if exponent < 0 {
		return new(big.Rat).SetFrac(n, power)
	}
	return new(big.Rat).SetInt(n.Mul(n, power))
}

// appendRat writes the part between two doubles to 64 bits, and whether there
// is more. Two decimals of 34 digits differ before that.
func appendRat(b []byte, r *big.Rat) []byte {
	f, exact := r.Float64()
	if exact {
		return append(appendFloat(b, f), 0)
	}
	if below := new(big.Rat).SetFloat64(f); below.Cmp(r) > 0 {
		f = math.Nextafter(f, math.Inf(-1))
	}
	low, high := new(big.Rat).SetFloat64(f), new(big.Rat).SetFloat64(math.Nextafter(f, math.Inf(1)))
	part := new(big.Rat).Quo(new(big.Rat).Sub(r, low), high.Sub(high, low))
	num := new(big.Int).Lsh(part.Num(), 64)
	bits, rest := num.QuoRem(num, part.Denom(), new(big.Int))
	b = append(appendFloat(b, f), 1)
	return append(binary.BigEndian.AppendUint64(b, bits.Uint64()), byte(min(rest.BitLen(), 1)))
}

// equal says that two values are the same to MongoDB: 1, 1L and 1.0 are.
func equal(a, b bson.RawValue) bool { return keyOf(a) == keyOf(b) }
