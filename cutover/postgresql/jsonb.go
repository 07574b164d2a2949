package postgresql

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"

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
	r := readers.Get().(*jsonReader)
	defer readers.Put(r)
	r.bytes.Reset(h.b)
	r.Reset(&r.bytes)
	return r.read(v, &h.field)
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

// jsonReader puts what toJSON made, and jsonb has kept, into values of Go, as it
// reads: a list has no form in between.
type jsonReader struct {
	jsontext.Decoder
	bytes bytes.Reader
}

var readers = sync.Pool{New: func() any { return new(jsonReader) }}

// read puts the next value into v. null is the zero value.
func (r *jsonReader) read(v reflect.Value, f *shape.Field) error {
	kind := r.PeekKind()
	if kind == 'n' {
		return r.SkipValue()
	}
	if f.Pointer {
		v.Set(reflect.New(f.Type))
		v = v.Elem()
	}
	switch {
	case kind == '{' && f.Class == shape.Extra:
		return r.extra(v)
	case kind == '{' && f.Class == shape.Map:
		return r.stringMap(v)
	case kind == '{' && f.Class == shape.Group:
		return r.group(v, f.Fields)
	case kind == '[' && f.Class == shape.List:
		return r.list(v, f.Elem)
	}
	t, err := r.ReadToken()
	if err != nil {
		return err
	}
	return scalarFromJSON(t, v, f)
}

func scalarFromJSON(t jsontext.Token, v reflect.Value, f *shape.Field) error {
	switch kind := t.Kind(); {
	case kind == '"':
		return stringFromJSON(t.String(), v, f)
	case (kind == 't' || kind == 'f') && f.Class == shape.Bool:
		v.SetBool(t.Bool())
		return nil
	case kind == '0' && f.Class == shape.Int:
		n, err := strconv.ParseInt(t.String(), 10, 64)
		if err == nil && !v.OverflowInt(n) {
			v.SetInt(n)
			return nil
		}
	}
	return errJSONType
}

func stringFromJSON(s string, v reflect.Value, f *shape.Field) error {
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

// members calls do for each member of the object that comes next, which reads
// its value. The name is good until then.
func (r *jsonReader) members(do func(name []byte) error) error {
	if _, err := r.ReadToken(); err != nil {
		return err
	}
	for r.PeekKind() == '"' {
		name, err := r.ReadValue()
		if err != nil {
			return err
		}
		if err := do(name[1 : len(name)-1]); err != nil {
			return err
		}
	}
	_, err := r.ReadToken()
	return err
}

// group leaves out what it does not know.
func (r *jsonReader) group(v reflect.Value, fields []shape.Field) error {
	return r.members(func(name []byte) error {
		for i := range fields {
			if f := &fields[i]; f.Name == string(name) {
				if err := r.read(v.FieldByIndex(f.Index), f); err != nil {
					return fmt.Errorf("%s: %w", f.Name, err)
				}
				return nil
			}
		}
		return r.SkipValue()
	})
}

func (r *jsonReader) list(v reflect.Value, elem *shape.Field) error {
	if _, err := r.ReadToken(); err != nil {
		return err
	}
	out := reflect.New(v.Type()).Elem()
	for i := 0; r.PeekKind() != ']'; i++ {
		out.Grow(1)
		out.SetLen(i + 1)
		if err := r.read(out.Index(i), elem); err != nil {
			return fmt.Errorf("[%d]: %w", i, err)
		}
	}
	v.Set(out)
	_, err := r.ReadToken()
	return err
}

func (r *jsonReader) stringMap(v reflect.Value) error {
	out := reflect.MakeMap(v.Type())
	err := r.members(func(quoted []byte) error {
		name, err := jsontext.AppendUnquote(nil, `"`+string(quoted)+`"`)
		if err != nil {
			return err
		}
		t, err := r.ReadToken()
		if err != nil {
			return err
		}
		if t.Kind() != '"' {
			return fmt.Errorf("%s: %w", name, errJSONType)
		}
		out.SetMapIndex(reflect.ValueOf(string(name)).Convert(v.Type().Key()), reflect.ValueOf(t.String()).Convert(v.Type().Elem()))
		return nil
	})
	v.Set(out)
	return err
}

// extra brings an object into the form of cutover.Extra: jsonb has an order of
// keys of its own.
func (r *jsonReader) extra(v reflect.Value) error {
	raw, err := r.ReadValue()
	if err != nil {
		return err
	}
	x, err := parse(raw)
	if err != nil {
		return err
	}
	b, err := compact(x)
	v.SetBytes(b)
	return err
}
