package postgresql

import (
	"fmt"
	"reflect"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/amanat-dev/amanat/cutover/shape"
)

// arrayCodec is for a list of scalars in a column of its own. An element
// counts even when it is empty: it has a place.
func arrayCodec(elem shape.Field) codec {
	if elem.Pointer {
		panic("postgres: a list of pointers cannot be an array")
	}
	switch {
	case elem.Class == shape.Str:
		return arrayOf("text[]",
			func(v reflect.Value) (string, error) { return v.String(), nil },
			func(s string, v reflect.Value) error { v.SetString(s); return nil })
	case elem.Class == shape.Int:
		return arrayOf("bigint[]",
			func(v reflect.Value) (int64, error) { return v.Int(), nil },
			func(n int64, v reflect.Value) error { v.SetInt(n); return nil })
	case elem.Number.Digits > 0:
		return arrayOf("numeric[]",
			func(v reflect.Value) (pgtype.Numeric, error) {
				n, err := numeric(v)
				return n.(pgtype.Numeric), err
			},
			func(n pgtype.Numeric, v reflect.Value) error {
				return (&numericHolder{n}).decode(v)
			})
	case elem.Class == shape.Text:
		return arrayOf("text[]",
			func(v reflect.Value) (string, error) { s, err := marshalled(v); return s.(string), err },
			func(s string, v reflect.Value) error { return unmarshal(s, v) })
	}
	panic(fmt.Sprintf("postgres: a list of %s needs table= or jsonb in its field tag", elem.Type))
}

func arrayOf[E any](sqlType string, encode func(reflect.Value) (E, error), decode func(E, reflect.Value) error) codec {
	return codec{sqlType, true,
		func(v reflect.Value) (any, error) {
			out := make([]E, v.Len())
			for i := range out {
				e, err := encode(v.Index(i))
				if err != nil {
					return nil, fmt.Errorf("[%d]: %w", i, err)
				}
				out[i] = e
			}
			return out, nil
		},
		func() holder { return &arrayHolder[E]{set: decode} },
	}
}

type arrayHolder[E any] struct {
	list []E
	set  func(E, reflect.Value) error
}

func (h *arrayHolder[E]) target() any { return &h.list }
func (h *arrayHolder[E]) null() bool  { return len(h.list) == 0 }
func (h *arrayHolder[E]) decode(v reflect.Value) error {
	out := reflect.MakeSlice(v.Type(), len(h.list), len(h.list))
	for i, e := range h.list {
		if err := h.set(e, out.Index(i)); err != nil {
			return fmt.Errorf("[%d]: %w", i, err)
		}
	}
	v.Set(out)
	return nil
}
