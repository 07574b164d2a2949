package cutover

import (
	"bytes"
	"encoding"
	"reflect"
	"time"

	"github.com/amanat-dev/amanat/cutover/shape"
)

// alike says that two records of one kind have the same canonical form, without
// writing it down: nearly all records that a verify compares are alike.
func alike(a, b Record) bool {
	return alikeGroup(reflect.ValueOf(a).Elem(), reflect.ValueOf(b).Elem(), shape.Of(reflect.TypeOf(a)))
}

func alikeGroup(a, b reflect.Value, fields []shape.Field) bool {
	for i := range fields {
		f := &fields[i]
		if !alikeValue(a.FieldByIndex(f.Index), b.FieldByIndex(f.Index), f) {
			return false
		}
	}
	return true
}

// alikeValue is right for a list's elements too: an empty one has a place, and
// is like no other.
func alikeValue(a, b reflect.Value, f *shape.Field) bool {
	if none := f.Empty(a); none || f.Empty(b) {
		return none && f.Empty(b)
	}
	if f.Pointer {
		a, b = a.Elem(), b.Elem()
	}
	switch f.Class {
	case shape.Group:
		return alikeGroup(a, b, f.Fields)
	case shape.List:
		return alikeList(a, b, f.Elem)
	case shape.Map:
		return alikeMap(a, b)
	}
	return alikeLeaf(a, b, f)
}

func alikeList(a, b reflect.Value, elem *shape.Field) bool {
	if a.Len() != b.Len() {
		return false
	}
	for i := range a.Len() {
		if !alikeValue(a.Index(i), b.Index(i), elem) {
			return false
		}
	}
	return true
}

func alikeMap(a, b reflect.Value) bool {
	if a.Len() != b.Len() {
		return false
	}
	for _, k := range a.MapKeys() {
		if v := b.MapIndex(k); !v.IsValid() || v.String() != a.MapIndex(k).String() {
			return false
		}
	}
	return true
}

func alikeLeaf(a, b reflect.Value, f *shape.Field) bool {
	switch f.Class {
	case shape.Str:
		return a.String() == b.String()
	case shape.Bool:
		return a.Bool() == b.Bool()
	case shape.Int:
		return a.Int() == b.Int()
	case shape.Bytes, shape.Extra:
		return bytes.Equal(a.Bytes(), b.Bytes())
	case shape.Time:
		return a.Interface().(time.Time).UnixMilli() == b.Interface().(time.Time).UnixMilli()
	}
	if x, ok := a.Interface().(ID); ok {
		return x == b.Interface().(ID)
	}
	return alikeText(a.Interface().(encoding.TextMarshaler), b.Interface().(encoding.TextMarshaler))
}

// alikeText goes by what is stored: what cannot be written is like nothing that
// can.
func alikeText(a, b encoding.TextMarshaler) bool {
	x, errX := a.MarshalText()
	y, errY := b.MarshalText()
	if errX != nil || errY != nil {
		return errX != nil && errY != nil && errX.Error() == errY.Error()
	}
	return bytes.Equal(x, y)
}
