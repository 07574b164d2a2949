package postgresql

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/amanat-dev/amanat/cutover/shape"
)

// jsonTime is how a time is written within jsonb.
const jsonTime = "2006-01-02T15:04:05.000Z07:00"

// jsonbCodec keeps a field as one jsonb column. It writes by shape, not with
// encoding/json: a secret field has no json name and must be kept all the
// same. Numbers of any size and identities are strings in it.
func jsonbCodec(f shape.Field) codec {
	plain := f
	plain.Pointer = false
	return codec{"jsonb", true,
		func(v reflect.Value) (any, error) {
			if f.Class == shape.Extra {
				return json.RawMessage(v.Bytes()), nil
			}
			x, err := toJSON(v, plain)
			if err != nil {
				return nil, err
			}
			b, err := compact(x)
			return json.RawMessage(b), err
		},
		func() holder { return &jsonHolder{field: plain} },
	}
}

type jsonHolder struct {
	bytesHolder
	field shape.Field
}

func (h *jsonHolder) decode(v reflect.Value) error {
	x, err := parse(h.b)
	if err != nil {
		return err
	}
	return fromJSON(x, v, h.field)
}

// compact writes JSON with sorted keys and no escapes that JSON does not ask
// for.
func compact(x any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(x); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// parse reads JSON and leaves numbers as they are written.
func parse(b []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	var x any
	err := dec.Decode(&x)
	return x, err
}

func toJSON(v reflect.Value, f shape.Field) (any, error) {
	if f.Pointer {
		if v.IsNil() {
			return nil, nil
		}
		v = v.Elem()
	}
	switch f.Class {
	case shape.Str:
		return v.String(), nil
	case shape.Bool:
		return v.Bool(), nil
	case shape.Int:
		return v.Int(), nil
	case shape.Bytes:
		return base64.StdEncoding.EncodeToString(v.Bytes()), nil
	case shape.Time:
		if v.Interface().(time.Time).IsZero() {
			return nil, nil
		}
		return instant(v).Format(jsonTime), nil
	case shape.Text:
		return marshalled(v)
	case shape.Group:
		return groupToJSON(v, f)
	case shape.List:
		return listToJSON(v, *f.Elem)
	case shape.Extra:
		return json.RawMessage(v.Bytes()), nil
	}
	return v.Interface(), nil // a map of strings
}

func groupToJSON(v reflect.Value, f shape.Field) (any, error) {
	out := map[string]any{}
	for _, sub := range f.Fields {
		sv := v.FieldByIndex(sub.Index)
		if sub.Empty(sv) {
			continue
		}
		x, err := toJSON(sv, sub)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", sub.Name, err)
		}
		out[sub.Name] = x
	}
	return out, nil
}

func listToJSON(v reflect.Value, elem shape.Field) (any, error) {
	out := make([]any, v.Len())
	for i := range out {
		x, err := toJSON(v.Index(i), elem)
		if err != nil {
			return nil, fmt.Errorf("[%d]: %w", i, err)
		}
		out[i] = x
	}
	return out, nil
}

var errJSONType = errors.New("a value of another type than expected")

// fromJSON puts what toJSON made into v. null is the zero value.
func fromJSON(x any, v reflect.Value, f shape.Field) error {
	if x == nil {
		return nil
	}
	if f.Pointer {
		v.Set(reflect.New(f.Type))
		v = v.Elem()
	}
	switch x := x.(type) {
	case string:
		return stringFromJSON(x, v, f)
	case bool:
		if f.Class == shape.Bool {
			v.SetBool(x)
			return nil
		}
	case json.Number:
		if n, err := x.Int64(); err == nil && f.Class == shape.Int && !v.OverflowInt(n) {
			v.SetInt(n)
			return nil
		}
	case map[string]any:
		return objectFromJSON(x, v, f)
	case []any:
		return listFromJSON(x, v, f)
	}
	return errJSONType
}

func stringFromJSON(s string, v reflect.Value, f shape.Field) error {
	switch f.Class {
	case shape.Str:
		v.SetString(s)
	case shape.Text:
		return unmarshal(s, v)
	case shape.Bytes:
		b, err := base64.StdEncoding.DecodeString(s)
		v.SetBytes(b)
		return err
	case shape.Time:
		t, err := time.Parse(jsonTime, s)
		v.Set(reflect.ValueOf(t.UTC()))
		return err
	default:
		return errJSONType
	}
	return nil
}

func objectFromJSON(x map[string]any, v reflect.Value, f shape.Field) error {
	switch f.Class {
	case shape.Map:
		return mapFromJSON(x, v)
	case shape.Extra:
		b, err := compact(x)
		v.SetBytes(b)
		return err
	case shape.Group:
		for _, sub := range f.Fields {
			if err := fromJSON(x[sub.Name], v.FieldByIndex(sub.Index), sub); err != nil {
				return fmt.Errorf("%s: %w", sub.Name, err)
			}
		}
		return nil
	}
	return errJSONType
}

func mapFromJSON(x map[string]any, v reflect.Value) error {
	out := reflect.MakeMapWithSize(v.Type(), len(x))
	for k, val := range x {
		s, ok := val.(string)
		if !ok {
			return fmt.Errorf("%s: %w", k, errJSONType)
		}
		out.SetMapIndex(reflect.ValueOf(k).Convert(v.Type().Key()), reflect.ValueOf(s).Convert(v.Type().Elem()))
	}
	v.Set(out)
	return nil
}

func listFromJSON(x []any, v reflect.Value, f shape.Field) error {
	if f.Class != shape.List {
		return errJSONType
	}
	out := reflect.MakeSlice(v.Type(), len(x), len(x))
	for i, e := range x {
		if err := fromJSON(e, out.Index(i), *f.Elem); err != nil {
			return fmt.Errorf("[%d]: %w", i, err)
		}
	}
	v.Set(out)
	return nil
}
