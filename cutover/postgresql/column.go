package postgresql

import (
	"encoding"
	"fmt"
	"reflect"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/shape"
)

// column is one column and the field that it holds.
type column struct {
	name     string
	sqlType  string // as in a migration, such as "timestamptz(3)"
	nullable bool
	at       place
	codec    codec
}

// codec carries one Go type to a parameter and back. Neither direction sees a
// pointer or an absent value: column deals with those.
type codec struct {
	sqlType string
	// absent says that a zero value is NULL even in a plain field.
	absent bool
	encode func(reflect.Value) (any, error)
	// holder makes what a row is scanned into; decode takes its value over,
	// unless it is NULL.
	holder func() holder
}

// holder receives one column of one row.
type holder interface {
	target() any                // for Scan
	null() bool                 //
	decode(reflect.Value) error // into a settable value
}

func newColumn(name string, at place, optional bool) column {
	c := codecOf(at.field)
	f := at.field
	return column{
		name: name, at: at, codec: c, sqlType: c.sqlType,
		nullable: (c.absent || optional || f.Pointer || f.Null) && !isKey(f),
	}
}

// isKey says that the field is the record's own identity.
func isKey(f shape.Field) bool { return f.Name == "_id" }

// encode returns the column's parameter; nil is NULL.
func (c *column) encode(root reflect.Value) (any, error) {
	v, ok := c.at.value(root)
	f := c.at.field
	if !ok || f.Pointer && v.IsNil() {
		return nil, nil
	}
	if f.Pointer {
		v = v.Elem()
	}
	// Only a pointer tells an empty text from an absent one.
	text := f.Class == shape.Str || f.Class == shape.Text && c.sqlType == "text"
	if c.codec.absent && isAbsent(f, v) || c.nullable && text && !f.Pointer && isAbsent(f, v) {
		return nil, nil
	}
	p, err := c.codec.encode(v)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.name, err)
	}
	return p, nil
}

// isAbsent is Field.Empty of a value without the field's pointer.
func isAbsent(f shape.Field, v reflect.Value) bool {
	f.Pointer = false
	return f.Empty(v)
}

// decode puts a scanned value in its place in root.
func (c *column) decode(h holder, root reflect.Value) error {
	if h.null() {
		return nil
	}
	v := c.at.slot(root)
	if c.at.field.Pointer {
		v.Set(reflect.New(c.at.field.Type))
		v = v.Elem()
	}
	if err := h.decode(v); err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	return nil
}

var idType = reflect.TypeFor[cutover.ID]()

// codecOf picks the codec of a field.
func codecOf(f shape.Field) codec {
	switch {
	case f.JSONB || f.Class == shape.Map || f.Class == shape.Extra:
		return jsonbCodec(f)
	case f.Class == shape.List:
		return arrayCodec(*f.Elem)
	case f.Class == shape.Text:
		return textCodec(f)
	}
	switch f.Class {
	case shape.Str:
		return codec{"text", false,
			func(v reflect.Value) (any, error) { return v.String(), nil },
			func() holder { return new(stringHolder) }}
	case shape.Bool:
		return codec{"boolean", false,
			func(v reflect.Value) (any, error) { return v.Bool(), nil },
			func() holder { return new(boolHolder) }}
	case shape.Int:
		return codec{"bigint", false,
			func(v reflect.Value) (any, error) { return v.Int(), nil },
			func() holder { return new(intHolder) }}
	case shape.Bytes:
		return codec{"bytea", true,
			func(v reflect.Value) (any, error) { return v.Bytes(), nil },
			func() holder { return new(bytesHolder) }}
	case shape.Time:
		return codec{"timestamptz(3)", true,
			func(v reflect.Value) (any, error) { return instant(v), nil },
			func() holder { return new(timeHolder) }}
	}
	panic(fmt.Sprintf("postgres: field %s: a %s cannot be a column", f.Name, f.Type))
}

// textCodec is for types that marshal as text: identities, numbers, others.
func textCodec(f shape.Field) codec {
	switch {
	case f.Type == idType:
		return codec{"object_id", true, marshalled, func() holder { return new(textHolder) }}
	case f.Number.Digits > 0:
		return codec{"numeric", false, numeric, func() holder { return new(numericHolder) }}
	}
	return codec{"text", false, marshalled, func() holder { return new(textHolder) }}
}

func marshalled(v reflect.Value) (any, error) {
	b, err := v.Interface().(encoding.TextMarshaler).MarshalText()
	return string(b), err
}

// unmarshal spares identities, of which every record has several, the way over
// bytes.
func unmarshal(text string, v reflect.Value) (err error) {
	switch to := v.Addr().Interface().(type) {
	case *cutover.ID:
		if text != "" {
			*to, err = cutover.ParseID(text)
		}
		return err
	default:
		return to.(encoding.TextUnmarshaler).UnmarshalText([]byte(text))
	}
}

// numeric returns a number exactly: digits and exponent, never a float.
func numeric(v reflect.Value) (any, error) {
	text, err := v.Interface().(encoding.TextMarshaler).MarshalText()
	if err != nil {
		return pgtype.Numeric{}, err
	}
	n, exp, err := shape.ReadNumber(string(text))
	return pgtype.Numeric{Int: n, Exp: exp, Valid: true}, err
}

// instant cuts what the column would round.
func instant(v reflect.Value) time.Time {
	return v.Interface().(time.Time).UTC().Truncate(time.Millisecond)
}

type stringHolder struct{ pgtype.Text }

func (h *stringHolder) target() any                  { return &h.Text }
func (h *stringHolder) null() bool                   { return !h.Valid }
func (h *stringHolder) decode(v reflect.Value) error { v.SetString(h.String); return nil }

type textHolder struct{ pgtype.Text }

func (h *textHolder) target() any                  { return &h.Text }
func (h *textHolder) null() bool                   { return !h.Valid || h.String == "" }
func (h *textHolder) decode(v reflect.Value) error { return unmarshal(h.String, v) }

type boolHolder struct{ pgtype.Bool }

func (h *boolHolder) target() any                  { return &h.Bool }
func (h *boolHolder) null() bool                   { return !h.Valid }
func (h *boolHolder) decode(v reflect.Value) error { v.SetBool(h.Bool.Bool); return nil }

type intHolder struct{ pgtype.Int8 }

func (h *intHolder) target() any { return &h.Int8 }
func (h *intHolder) null() bool  { return !h.Valid }
func (h *intHolder) decode(v reflect.Value) error {
	if v.OverflowInt(h.Int64) {
		return fmt.Errorf("%d is out of range", h.Int64)
	}
	v.SetInt(h.Int64)
	return nil
}

type bytesHolder struct{ b []byte }

func (h *bytesHolder) target() any                  { return &h.b }
func (h *bytesHolder) null() bool                   { return h.b == nil }
func (h *bytesHolder) decode(v reflect.Value) error { v.SetBytes(h.b); return nil }

type timeHolder struct{ pgtype.Timestamptz }

func (h *timeHolder) target() any { return &h.Timestamptz }
func (h *timeHolder) null() bool  { return !h.Valid }
func (h *timeHolder) decode(v reflect.Value) error {
	if h.InfinityModifier != pgtype.Finite {
		return fmt.Errorf("an infinite time")
	}
	*v.Addr().Interface().(*time.Time) = h.Time.UTC()
	return nil
}

type numericHolder struct{ pgtype.Numeric }

func (h *numericHolder) target() any { return &h.Numeric }
func (h *numericHolder) null() bool  { return !h.Valid }
func (h *numericHolder) decode(v reflect.Value) error {
	if h.NaN || h.InfinityModifier != pgtype.Finite {
		return fmt.Errorf("not a number")
	}
	// Through text, so that the type's own rules on digits and integers hold.
	return unmarshal(shape.PlainNumber(h.Int, h.Exp), v)
}
