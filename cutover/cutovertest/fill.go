package cutovertest

import (
	"crypto/sha256"
	"encoding"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/shape"
)

// Fill sets every stored field of a record to something that is neither zero
// nor equal in two fields, or for two seeds: so no field can be forgotten, and
// no two can be mixed up. Lists get two elements, numbers have all their digits,
// times have milliseconds. Only the revision stays 0, as of a new record.
func Fill(rec cutover.Record, seed int) {
	f := filler{seed}
	f.group(reflect.ValueOf(rec).Elem(), shape.Of(reflect.TypeOf(rec)), "")
	rec.RecordMeta().Rev = 0
}

type filler struct{ seed int }

func (f filler) group(v reflect.Value, fields []shape.Field, path string) {
	for _, field := range fields {
		f.value(v.FieldByIndex(field.Index), field, path+"."+field.Name)
	}
}

func (f filler) value(v reflect.Value, field shape.Field, path string) {
	if field.Pointer {
		v.Set(reflect.New(field.Type))
		v = v.Elem()
	}
	switch field.Class {
	case shape.Str:
		v.SetString(fmt.Sprintf("%s-%d", strings.Trim(path, "."), f.seed))
	case shape.Bool:
		v.SetBool(true)
	case shape.Int:
		v.SetInt(1 + int64(f.hash(path)[0]) + int64(f.seed)*256)
	case shape.Bytes:
		h := f.hash(path)
		v.SetBytes(h[:])
	case shape.Time:
		v.Set(reflect.ValueOf(f.time(path)))
	case shape.Text:
		f.text(v, field, path)
	case shape.Group:
		f.group(v, field.Fields, path)
	case shape.List:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			f.value(v.Index(i), *field.Elem, fmt.Sprintf("%s[%d]", path, i))
		}
	case shape.Map:
		v.Set(reflect.ValueOf(map[string]string{"a b": path, "é\"": fmt.Sprint(f.seed)}).Convert(v.Type()))
	case shape.Extra:
		v.SetBytes([]byte(fmt.Sprintf(`{"__v":{"$numberInt":"%d"},"zzLegacy":{"b":[{"$numberDouble":"1.5"},"<é>"],"list":null}}`, f.seed)))
	}
}

// text reads a text that the type's own rules take: an ID, or a number with all
// its digits.
func (f filler) text(v reflect.Value, field shape.Field, path string) {
	h := f.hash(path)
	text := cutover.ID(h[:12]).String()
	switch digits := min(field.Number.Digits, 38); {
	case field.Number.Integer:
		text = "9" + f.digits(path, digits-1)
	case digits > 3:
		text = "9" + f.digits(path, digits/2) + "." + f.digits(path+".", digits-digits/2-2) + "1"
	case digits > 0:
		text = "9"
	}
	if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text)); err != nil {
		panic(fmt.Sprintf("cutovertest: cannot fill %s, a %s: %v", path, v.Type(), err))
	}
}

func (f filler) hash(path string) [32]byte {
	return sha256.Sum256([]byte(fmt.Sprint(f.seed, path)))
}

// digits returns n decimal digits, n at most 38.
func (f filler) digits(path string, n int) string {
	var b strings.Builder
	h := f.hash(path)
	h2 := f.hash(path + "!")
	for _, c := range append(h[:], h2[:]...)[:n] {
		b.WriteByte('0' + c%10)
	}
	return b.String()
}

// time returns some millisecond of 2024 that is not a whole second.
func (f filler) time(path string) time.Time {
	h := f.hash(path)
	start := time.Date(2024, 1, 1, 0, 0, 0, int(1+int(h[0])*3)*int(time.Millisecond), time.UTC)
	return start.Add(time.Duration(int(h[1])<<8+int(h[2])) * time.Minute)
}

// hollow makes every list, map and optional group of a record be there with
// nothing in it, which is the same as not there at all.
func hollow(rec cutover.Record) {
	hollowGroup(reflect.ValueOf(rec).Elem(), shape.Of(reflect.TypeOf(rec)))
}

func hollowGroup(v reflect.Value, fields []shape.Field) {
	for _, f := range fields {
		sv := v.FieldByIndex(f.Index)
		switch {
		case !f.Empty(sv): // a fix has set it
		case f.Class == shape.Group && f.Pointer:
			sv.Set(reflect.New(f.Type))
			hollowGroup(sv.Elem(), f.Fields)
		case f.Class == shape.Group:
			hollowGroup(sv, f.Fields)
		case f.Class == shape.List && !f.Pointer:
			sv.Set(reflect.MakeSlice(sv.Type(), 0, 0))
		case f.Class == shape.Map && !f.Pointer:
			sv.Set(reflect.MakeMap(sv.Type()))
		}
	}
}

// abnormal names the fields of a record that are absent in another way than by
// nil or zero.
func abnormal(rec cutover.Record) []string {
	return abnormalFields(reflect.ValueOf(rec).Elem(), shape.Of(reflect.TypeOf(rec)), "")
}

func abnormalFields(v reflect.Value, fields []shape.Field, path string) []string {
	var out []string
	for _, f := range fields {
		sv, name := v.FieldByIndex(f.Index), path+f.Name
		if f.Class == shape.Bool || f.Class == shape.Int {
			continue
		}
		if f.Empty(sv) {
			if !sv.IsZero() {
				out = append(out, name)
			}
			continue
		}
		if f.Pointer {
			sv = sv.Elem()
		}
		switch {
		case f.Class == shape.Group:
			out = append(out, abnormalFields(sv, f.Fields, name+".")...)
		case f.Class == shape.List && f.Elem.Class == shape.Group && !f.Elem.Pointer:
			for i := range sv.Len() {
				out = append(out, abnormalFields(sv.Index(i), f.Elem.Fields, fmt.Sprintf("%s[%d].", name, i))...)
			}
		}
	}
	return out
}

// shorten leaves the first element of each list.
func shorten(rec cutover.Record) {
	v := reflect.ValueOf(rec).Elem()
	for _, f := range shape.Of(v.Type()) {
		if sv := v.FieldByIndex(f.Index); f.Class == shape.List && !f.Pointer && sv.Len() > 1 {
			sv.Set(sv.Slice(0, 1))
		}
	}
}

// drop sets every ID in a record's fields that is id to zero.
func drop(rec cutover.Record, id cutover.ID) {
	v := reflect.ValueOf(rec).Elem()
	for _, f := range shape.Of(v.Type()) {
		sv := v.FieldByIndex(f.Index)
		if got, ok := sv.Interface().(cutover.ID); ok && got == id {
			sv.SetZero()
		}
	}
}
