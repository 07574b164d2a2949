package cutovertest

import (
	"encoding"
	"reflect"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/shape"
)

// Random fills a record with anything that its shape allows.
func Random(t *rapid.T, r cutover.Record) {
	random(t, reflect.ValueOf(r).Elem(), shape.Of(reflect.TypeOf(r)))
}

// random fills a group with anything that its shape allows.
func random(t *rapid.T, v reflect.Value, fields []shape.Field) {
	for _, f := range fields {
		randomValue(t, v.FieldByIndex(f.Index), f)
	}
}

func randomValue(t *rapid.T, v reflect.Value, f shape.Field) {
	if f.Pointer {
		if rapid.Bool().Draw(t, "absent") {
			return
		}
		v.Set(reflect.New(f.Type))
		v = v.Elem()
	}
	switch f.Class {
	case shape.Str:
		v.SetString(randomText(t))
	case shape.Bool:
		v.SetBool(rapid.Bool().Draw(t, "bool"))
	case shape.Int:
		v.SetInt(rapid.Int64().Draw(t, "int"))
	case shape.Bytes:
		v.SetBytes(rapid.SliceOfN(rapid.Byte(), 0, 4).Draw(t, "bytes"))
	case shape.Time:
		v.Set(reflect.ValueOf(randomTime(t)))
	case shape.Group:
		random(t, v, f.Fields)
	case shape.List:
		n := rapid.IntRange(0, 2).Draw(t, "length")
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			randomValue(t, v.Index(i), *f.Elem)
		}
	case shape.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range rapid.IntRange(0, 2).Draw(t, "size") {
			v.SetMapIndex(reflect.ValueOf(randomText(t)), reflect.ValueOf(randomText(t)))
		}
	case shape.Extra:
		v.SetBytes([]byte(rapid.SampledFrom([]string{"", `{"__v":{"$numberInt":"3"}}`, `{"zz":{"a":[null,"<é>",{"$numberDouble":"1.5"}]}}`}).Draw(t, "extra")))
	case shape.Text:
		text := rapid.SampledFrom(randomTexts(f)).Draw(t, "text")
		if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
}

func randomText(t *rapid.T) string {
	return strings.ReplaceAll(rapid.StringN(0, 6, -1).Draw(t, "text"), "\x00", "")
}

// randomTime returns a millisecond of the years that JSON can name, or none.
func randomTime(t *rapid.T) time.Time {
	ms := rapid.Int64Range(-62135596800000, 253402300799999).Draw(t, "ms")
	return time.UnixMilli(ms).UTC()
}

func randomTexts(f shape.Field) []string {
	switch {
	case f.Type == reflect.TypeFor[cutover.ID]():
		return []string{"", "0123456789abcdef01234567", "ffffffffffffffffffffffff"}
	case f.Number.Integer:
		return []string{"0", "-1", "99999999999999999999999999999999999999"}
	}
	return []string{"0", "-0.5", "12.50", "99999999999999999999999999999999999999", "0.00000000000000000000000000000000000001", "1234567890123456789.0123456789012345678"}
}
