package cutover

import (
	"crypto/sha256"
	"encoding"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/amanat-dev/amanat/cutover/shape"
)

// FieldValue is one leaf of a record in canonical form: its path, such as
// "budget.min" or "passkeys[0].deviceName", and its value as text.
type FieldValue struct {
	Path   string
	Value  string
	Secret bool
}

// Canonical returns a record's leaves in canonical form, sorted by path. Two
// records are equal when their canonical forms are; absent values have no
// leaf. Values are typed text, never a database's own: times in milliseconds,
// decimals without trailing zeros.
func Canonical(r Record) []FieldValue {
	var out []FieldValue
	canonicalGroup(reflect.ValueOf(r).Elem(), shape.Of(reflect.TypeOf(r)), "", false, &out)
	slices.SortFunc(out, func(a, b FieldValue) int { return strings.Compare(a.Path, b.Path) })
	return out
}

func canonicalGroup(v reflect.Value, fields []shape.Field, prefix string, secret bool, out *[]FieldValue) {
	for _, f := range fields {
		canonicalValue(v.FieldByIndex(f.Index), f, prefix+f.Name, secret || f.Secret, out)
	}
}

func canonicalValue(v reflect.Value, f shape.Field, path string, secret bool, out *[]FieldValue) {
	if f.Empty(v) {
		return
	}
	if f.Pointer {
		v = v.Elem()
	}
	switch f.Class {
	case shape.Group:
		canonicalGroup(v, f.Fields, path+".", secret, out)
	case shape.List:
		for i := range v.Len() {
			canonicalElem(v.Index(i), *f.Elem, fmt.Sprintf("%s[%d]", path, i), secret, out)
		}
	case shape.Map:
		for _, k := range v.MapKeys() {
			*out = append(*out, FieldValue{path + "." + k.String(), strconv.Quote(v.MapIndex(k).String()), secret})
		}
	default:
		*out = append(*out, FieldValue{path, leaf(v, f), secret})
	}
}

// canonicalElem is canonicalValue for a list's element, which counts even
// when it is empty: it has a place.
func canonicalElem(v reflect.Value, f shape.Field, path string, secret bool, out *[]FieldValue) {
	before := len(*out)
	canonicalValue(v, f, path, secret, out)
	if len(*out) == before {
		*out = append(*out, FieldValue{path, "empty", secret})
	}
}

func leaf(v reflect.Value, f shape.Field) string {
	switch f.Class {
	case shape.Str:
		return strconv.Quote(v.String())
	case shape.Bool:
		return strconv.FormatBool(v.Bool())
	case shape.Int:
		return strconv.FormatInt(v.Int(), 10)
	case shape.Bytes:
		return hex.EncodeToString(v.Bytes())
	case shape.Extra:
		return string(v.Bytes())
	case shape.Time:
		return v.Interface().(time.Time).UTC().Format("2006-01-02T15:04:05.000Z07:00")
	}
	text, err := v.Interface().(encoding.TextMarshaler).MarshalText()
	if err != nil {
		return "unreadable: " + err.Error()
	}
	return string(text)
}

// Sum is an order-independent checksum of many records: the sum of their
// hashes modulo 2^128.
type Sum struct{ hi, lo uint64 }

// Add takes one record into the sum.
func (s *Sum) Add(canonical []FieldValue) { s.add(digestOf(canonical)) }

func (s *Sum) add(d digest128) {
	lo := s.lo + d.lo
	if lo < s.lo {
		s.hi++
	}
	s.lo = lo
	s.hi += d.hi
}

// digest128 is the hash of one record.
type digest128 struct{ hi, lo uint64 }

func digestOf(canonical []FieldValue) digest128 {
	var text []byte
	for _, f := range canonical {
		text = append(append(strconv.AppendInt(text, int64(len(f.Path)), 10), ':'), f.Path...)
		text = append(append(strconv.AppendInt(append(text, '='), int64(len(f.Value)), 10), ':'), f.Value...)
		text = append(text, ';')
	}
	d := sha256.Sum256(text)
	return digest128{binary.BigEndian.Uint64(d[:8]), binary.BigEndian.Uint64(d[8:16])}
}

// String returns 32 hex digits.
func (s Sum) String() string { return fmt.Sprintf("%016x%016x", s.hi, s.lo) }

// FieldDiff is one field in which two copies of a record differ. A secret
// field's values are not shown.
type FieldDiff struct {
	Path   string `json:"path"`
	Source string `json:"source"`
	Target string `json:"target"`
}

// DiffRecords lists the fields in which two canonical records differ.
func DiffRecords(source, target []FieldValue) []FieldDiff {
	var out []FieldDiff
	i, j := 0, 0
	for i < len(source) || j < len(target) {
		switch {
		case j == len(target) || (i < len(source) && source[i].Path < target[j].Path):
			out = append(out, FieldDiff{source[i].Path, shown(source[i]), "absent"})
			i++
		case i == len(source) || target[j].Path < source[i].Path:
			out = append(out, FieldDiff{target[j].Path, "absent", shown(target[j])})
			j++
		default:
			if source[i].Value != target[j].Value {
				out = append(out, FieldDiff{source[i].Path, shown(source[i]), shown(target[j])})
			}
			i, j = i+1, j+1
		}
	}
	return out
}

func shown(f FieldValue) string {
	if f.Secret {
		return "(secret)"
	}
	if len(f.Value) > 200 {
		return f.Value[:200] + "…"
	}
	return f.Value
}

// digest returns a short fingerprint of a text.
func digest(s string) string {
	d := sha256.Sum256([]byte(s))
	return hex.EncodeToString(d[:])
}
