package mongodb

import (
	"encoding"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/shape"
)

var idType = reflect.TypeFor[cutover.ID]()

// firstNumber finds the number (shape.Numeric) that must be there in a field, if
// there is any: it is written even when it is zero, and its absence is an error,
// never zero.
func firstNumber(f *shape.Field) (path string, found bool) {
	if f.Pointer {
		return "", false
	}
	if f.Number.Digits > 0 {
		return f.Name, true
	}
	for i := range f.Fields {
		if path, found := firstNumber(&f.Fields[i]); found {
			return f.Name + "." + path, true
		}
	}
	return "", false
}

// encode returns a record as a document.
func (c *collection) encode(r cutover.Record) (bson.D, error) {
	v := reflect.ValueOf(r).Elem()
	doc, err := encodeGroup(v, c.fields)
	if err != nil {
		return nil, err
	}
	if doc, err = addExtra(doc, c.fields, r.RecordMeta().Extra); err != nil {
		return nil, err
	}
	for _, rule := range c.derived {
		if key := rule.Value(r); key != "" {
			doc = append(doc, bson.E{Key: keyField(rule), Value: key})
		}
	}
	return doc, nil
}

func encodeGroup(v reflect.Value, fields []shape.Field) (bson.D, error) {
	doc := make(bson.D, 0, len(fields)+4)
	for i := range fields {
		f := &fields[i]
		fv := v.FieldByIndex(f.Index)
		if f.Class == shape.Extra {
			continue
		}
		if _, must := firstNumber(f); f.Empty(fv) && !must {
			continue
		}
		x, err := encodeValue(fv, f)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		doc = append(doc, bson.E{Key: f.Name, Value: x})
	}
	return doc, nil
}

func encodeValue(v reflect.Value, f *shape.Field) (any, error) {
	if f.Pointer {
		if v.IsNil() {
			return nil, nil // in a list
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
		return bson.Binary{Data: v.Bytes()}, nil
	case shape.Time:
		return encodeTime(v.Interface().(time.Time)), nil
	case shape.Group:
		return encodeGroup(v, f.Fields)
	case shape.List:
		return encodeList(v, f.Elem)
	case shape.Map:
		return encodeMap(v), nil
	}
	return encodeText(v)
}

func encodeTime(t time.Time) any {
	if t.IsZero() {
		return nil // in a list
	}
	return bson.NewDateTimeFromTime(t)
}

func encodeText(v reflect.Value) (any, error) {
	if v.Type() == idType {
		id := v.Interface().(cutover.ID)
		if id.IsZero() {
			return nil, nil // in a list
		}
		return oid(id), nil
	}
	text, err := v.Interface().(encoding.TextMarshaler).MarshalText()
	return string(text), err
}

func encodeList(v reflect.Value, elem *shape.Field) (bson.A, error) {
	out := make(bson.A, v.Len())
	for i := range out {
		x, err := encodeValue(v.Index(i), elem)
		if err != nil {
			return nil, fmt.Errorf("%d: %w", i, err)
		}
		out[i] = x
	}
	return out, nil
}

// A map's keys are free text, but servers treat "." and "$" in names as their
// own: they are written as %2E and %24.
var (
	escapeKey   = strings.NewReplacer(".", "%2E", "$", "%24", "%2E", "%252E", "%24", "%2524", "%25", "%2525")
	unescapeKey = strings.NewReplacer("%2E", ".", "%24", "$", "%25", "%")
)

func encodeMap(v reflect.Value) bson.D {
	doc := make(bson.D, 0, v.Len())
	for _, k := range v.MapKeys() {
		doc = append(doc, bson.E{Key: escapeKey.Replace(k.String()), Value: v.MapIndex(k).String()})
	}
	return doc
}

// decode reads a document into a new record. Its error names the first field
// that is not readable, which makes the whole record so: reading never
// guesses.
func (c *collection) decode(doc bson.Raw) (cutover.Record, error) { return c.decodeKnowing(doc, nil) }

// decodeKnowing is decode with help for identities that are no IDs: see
// cutover.Adopter.
func (c *collection) decodeKnowing(doc bson.Raw, resolve cutover.Resolve) (cutover.Record, error) {
	r := c.kind.New()
	v := reflect.ValueOf(r).Elem()
	doc, err := adapted(r, doc)
	if err != nil {
		return nil, err
	}
	d := decoder{internal: isInternal, resolve: resolve}
	extra, err := d.group(doc, v, c.fields, "")
	if err != nil {
		return nil, err
	}
	if r.RecordMeta().Extra, err = joinExtra(extra, doc); err != nil {
		return nil, err
	}
	shape.Settle(v, c.fields)
	if n, ok := r.(interface{ Normalize() error }); ok {
		if err := n.Normalize(); err != nil {
			return nil, err
		}
	}
	return r, nil
}

type decoder struct {
	internal func(name string) bool
	resolve  cutover.Resolve // nil: no identity is known but IDs
}

// group decodes a document into the struct v and returns its unknown fields.
func (d decoder) group(doc bson.Raw, v reflect.Value, fields []shape.Field, path string) (map[string]any, error) {
	elements, err := doc.Elements()
	if err != nil {
		return nil, fmt.Errorf("%sa damaged document", path)
	}
	var extra map[string]any
	there := make([]bool, len(fields))
	for _, e := range elements {
		name, x := e.Key(), e.Value()
		i := fieldIndex(fields, name)
		if i >= 0 && there[i] || path == "" && d.internal(name) {
			continue
		}
		var unknown any
		switch {
		case i < 0:
			unknown, err = unknownField(name, x, path)
		case !isNull(x):
			there[i] = true
			unknown, err = subtree(d.value(x, v.FieldByIndex(fields[i].Index), &fields[i], path+name))
		default:
			continue
		}
		if err != nil {
			return nil, err
		}
		if unknown == nil && i >= 0 {
			continue
		}
		if extra == nil {
			extra = map[string]any{}
		}
		extra[name] = unknown
	}
	return extra, d.complete(v, fields, there, path)
}

// subtree makes nothing of an empty tree.
func subtree(tree map[string]any, err error) (any, error) {
	if len(tree) == 0 {
		return nil, err
	}
	return tree, err
}

func unknownField(name string, x bson.RawValue, path string) (any, error) {
	if !utf8.ValidString(name) {
		return nil, fmt.Errorf("%s%q: a name that is no text", path, name)
	}
	tree, err := extendedJSON(x)
	if err != nil {
		return nil, fmt.Errorf("%s%s: %w", path, name, err)
	}
	return tree, nil
}

// complete brings a decoded struct into normal form: nothing is nothing. A
// number of any size that is missing is an error.
func (d decoder) complete(v reflect.Value, fields []shape.Field, there []bool, path string) error {
	for i := range fields {
		f := &fields[i]
		if !there[i] {
			if number, must := firstNumber(f); must {
				return fmt.Errorf("%s%s: missing", path, number)
			}
			continue // as it was made
		}
		fv := v.FieldByIndex(f.Index)
		switch {
		case f.Class == shape.Bool, f.Class == shape.Int:
		case f.Empty(fv), f.Class == shape.Text && !f.Pointer && isZero(fv):
			fv.SetZero()
		}
	}
	return nil
}

// isZero asks the value itself: a parsed 0 is not the zero value of its type.
func isZero(v reflect.Value) bool {
	z, ok := v.Interface().(interface{ IsZero() bool })
	return ok && z.IsZero()
}

// fieldIndex finds the field of a name; -1 for none.
func fieldIndex(fields []shape.Field, name string) int {
	for i := range fields {
		if fields[i].Name == name && fields[i].Class != shape.Extra {
			return i
		}
	}
	return -1
}

func fieldNamed(fields []shape.Field, name string) (shape.Field, bool) {
	if i := fieldIndex(fields, name); i >= 0 {
		return fields[i], true
	}
	return shape.Field{}, false
}

func isNull(v bson.RawValue) bool { return v.Type == bson.TypeNull || v.Type == bson.TypeUndefined }

// value decodes one value that is not null, and returns its unknown fields.
func (d decoder) value(x bson.RawValue, v reflect.Value, f *shape.Field, path string) (map[string]any, error) {
	if f.Pointer {
		v.Set(reflect.New(f.Type))
		v = v.Elem()
	}
	switch f.Class {
	case shape.Group:
		doc, ok := x.DocumentOK()
		if !ok {
			return nil, unlike(path, x, "a document")
		}
		return d.group(doc, v, f.Fields, path+".")
	case shape.List:
		return d.list(x, v, f.Elem, path)
	}
	if d.resolve != nil && f.Ref != "" {
		if id, ok := d.resolve(f.Ref, identityText(x)); ok {
			v.Set(reflect.ValueOf(id))
			return nil, nil
		}
	}
	if err := decodeScalar(x, v, f); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return nil, nil
}

func (d decoder) list(x bson.RawValue, v reflect.Value, elem *shape.Field, path string) (map[string]any, error) {
	array, ok := x.ArrayOK()
	if !ok {
		return nil, unlike(path, x, "a list")
	}
	values, err := array.Values()
	if err != nil {
		return nil, fmt.Errorf("%s: a damaged list", path)
	}
	extra := map[string]any{}
	list := reflect.MakeSlice(v.Type(), len(values), len(values))
	for i, x := range values {
		at := fmt.Sprintf("%s.%d", path, i)
		if isNull(x) {
			if !nullable(elem) {
				return nil, fmt.Errorf("%s: null", at)
			}
			continue
		}
		unknown, err := d.value(x, list.Index(i), elem, at)
		if err != nil {
			return nil, err
		}
		if len(unknown) > 0 {
			extra[strconv.Itoa(i)] = unknown
		}
	}
	v.Set(list)
	return extra, nil
}

// nullable says that null in a list is what encode made of an empty element.
func nullable(elem *shape.Field) bool {
	return elem.Pointer || elem.Type == idType || elem.Class == shape.Time
}

func decodeScalar(x bson.RawValue, v reflect.Value, f *shape.Field) error {
	switch f.Class {
	case shape.Str:
		s, ok := x.StringValueOK()
		if !ok {
			return unlike("", x, "a string")
		}
		v.SetString(s)
	case shape.Bool:
		b, ok := x.BooleanOK()
		if !ok {
			return unlike("", x, "true or false")
		}
		v.SetBool(b)
	case shape.Int:
		return decodeInt(x, v)
	case shape.Bytes:
		_, b, ok := x.BinaryOK()
		if !ok {
			return unlike("", x, "binary data")
		}
		v.SetBytes(append([]byte(nil), b...))
	case shape.Time:
		t, err := instant(x)
		v.Set(reflect.ValueOf(t))
		return err
	case shape.Map:
		return decodeMap(x, v)
	default:
		return decodeText(x, v, f)
	}
	return nil
}

func decodeInt(x bson.RawValue, v reflect.Value) error {
	n, err := integer(x)
	if err != nil {
		return err
	}
	if v.OverflowInt(n) {
		return fmt.Errorf("%d is out of range", n)
	}
	v.SetInt(n)
	return nil
}

const (
	maxExact  = 1 << 53 // the first integer from which on a double has gaps
	intDigits = 19      // of the longest int64
)

// integer reads a whole number of any numeric type.
func integer(x bson.RawValue) (int64, error) {
	switch x.Type {
	case bson.TypeInt32:
		return int64(x.Int32()), nil
	case bson.TypeInt64:
		return x.Int64(), nil
	case bson.TypeDouble:
		f := x.Double()
		if f != math.Trunc(f) || math.Abs(f) > maxExact {
			return 0, fmt.Errorf("%v is no whole number", f)
		}
		return int64(f), nil
	case bson.TypeDecimal128:
		text, err := decimalText(x, intDigits)
		if err != nil {
			return 0, err
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s is no whole number", text)
		}
		return n, nil
	}
	return 0, unlike("", x, "a number")
}

// instant reads a date, a text of RFC 3339, or milliseconds since 1970. Years
// that JSON cannot name are refused.
func instant(x bson.RawValue) (time.Time, error) {
	ms, err := millis(x)
	t := time.UnixMilli(ms).UTC()
	if err == nil && (t.Year() < 0 || t.Year() > 9999) {
		err = errors.New("a date out of range")
	}
	return t, err
}

func millis(x bson.RawValue) (int64, error) {
	switch x.Type {
	case bson.TypeDateTime:
		return x.DateTime(), nil
	case bson.TypeString:
		t, err := time.Parse(time.RFC3339, x.StringValue())
		if err != nil {
			return 0, errors.New("not a date")
		}
		return t.UnixMilli(), nil
	case bson.TypeInt64, bson.TypeDouble:
		return integer(x)
	}
	return 0, unlike("", x, "a date")
}

func decodeMap(x bson.RawValue, v reflect.Value) error {
	doc, ok := x.DocumentOK()
	if !ok {
		return unlike("", x, "a document")
	}
	elements, err := doc.Elements()
	if err != nil {
		return errors.New("a damaged document")
	}
	out := reflect.MakeMapWithSize(v.Type(), len(elements))
	for _, e := range elements {
		s, ok := e.Value().StringValueOK()
		if !ok {
			return unlike(e.Key(), e.Value(), "a string")
		}
		key := reflect.ValueOf(unescapeKey.Replace(e.Key())).Convert(v.Type().Key())
		out.SetMapIndex(key, reflect.ValueOf(s).Convert(v.Type().Elem()))
	}
	v.Set(out)
	return nil
}

// decodeText reads what is kept as text: identities also from ObjectIDs, numbers
// of any size also from those of BSON.
func decodeText(x bson.RawValue, v reflect.Value, f *shape.Field) error {
	text, err := textOf(x, f)
	if err != nil {
		return err
	}
	return v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text))
}

func textOf(x bson.RawValue, f *shape.Field) (string, error) {
	if s, ok := x.StringValueOK(); ok {
		if s == "" && f.Type != idType {
			return "", errors.New("empty")
		}
		return s, nil
	}
	switch {
	case f.Type == idType && x.Type == bson.TypeObjectID:
		return cutover.ID(x.ObjectID()).String(), nil
	case f.Number.Digits > 0:
		return numberText(x, f.Number)
	}
	return "", unlike("", x, "text")
}

// numberText returns a number in plain notation: of a double the shortest text
// that means it.
func numberText(x bson.RawValue, n shape.Number) (string, error) {
	switch x.Type {
	case bson.TypeInt32:
		return strconv.FormatInt(int64(x.Int32()), 10), nil
	case bson.TypeInt64:
		return strconv.FormatInt(x.Int64(), 10), nil
	case bson.TypeDecimal128:
		return decimalText(x, n.Digits)
	case bson.TypeDouble:
		f := x.Double()
		switch {
		case math.IsNaN(f) || math.IsInf(f, 0):
			return "", errors.New("not a number")
		case n.Integer && math.Abs(f) > maxExact:
			return "", fmt.Errorf("the double %v does not say which integer is meant", f)
		}
		return strconv.FormatFloat(f, 'f', -1, 64), nil
	}
	return "", unlike("", x, "a number or its text")
}

// decimalText returns a decimal in plain notation. The exponent of one that a
// number of so many digits cannot be is refused before it is written out.
func decimalText(x bson.RawValue, digits int) (string, error) {
	d := x.Decimal128()
	if d.IsNaN() || d.IsInf() != 0 {
		return "", errors.New("not a number")
	}
	i, exp, err := d.BigInt()
	if err != nil || exp > 2*digits || exp < -2*digits {
		return "", errors.New("a decimal out of range")
	}
	return shape.PlainNumber(i, int32(exp)), nil
}

// unlike is the error of a value of the wrong type. It does not repeat the
// value, which may be secret.
func unlike(path string, x bson.RawValue, want string) error {
	if path != "" {
		path += ": "
	}
	return fmt.Errorf("%sa %s, want %s", path, x.Type, want)
}
