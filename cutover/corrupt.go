package cutover

import (
	"encoding"
	"math/big"
	"reflect"
	"regexp"
	"strings"
	"time"

	"github.com/amanat-dev/amanat/cutover/shape"
)

// Classes of corruption that a self-test plants.
const (
	ClassDropped = "dropped row"
	ClassStray   = "stray row"
	ClassUnit    = "one unit more"
	ClassAbsent  = "null for missing"
	ClassMilli   = "cut millisecond"
	ClassChild   = "swapped child"
	ClassStale   = "stale revision"
)

var classes = []string{ClassDropped, ClassStray, ClassUnit, ClassAbsent, ClassMilli, ClassChild, ClassStale}

// site is a place in a record at which a class of corruption can be planted.
type site struct {
	class, path string
}

// corruption is a corrupted copy of a record.
type corruption struct {
	site
	record Record
}

// corruptions returns every way in which r's values can be corrupted, each on a
// copy of its own. donor is another record of the kind, whose children r gets in
// exchange; nil when there is none.
func corruptions(r, donor Record) []corruption {
	c := corrupter{record: r}
	if donor != nil {
		c.donor = reflect.ValueOf(donor).Elem()
	}
	c.group(reflect.ValueOf(r).Elem(), shape.Of(reflect.TypeOf(r)), "", func(root reflect.Value) reflect.Value { return root })
	if m := r.RecordMeta(); m.Rev > 0 {
		c.plant(ClassStale, "rev", func(root reflect.Value) { root.Addr().Interface().(Record).RecordMeta().Rev-- })
	}
	return c.out
}

type corrupter struct {
	record Record
	donor  reflect.Value // zero: none
	out    []corruption
}

// way finds a value in a copy of the record, or in the donor: the zero Value
// where that has none.
type way func(root reflect.Value) reflect.Value

func (w way) field(index []int) way {
	return func(root reflect.Value) reflect.Value {
		v := w(root)
		if !v.IsValid() {
			return v
		}
		return v.FieldByIndex(index)
	}
}

// behind follows a pointer.
func (w way) behind() way {
	return func(root reflect.Value) reflect.Value {
		v := w(root)
		if !v.IsValid() || v.IsNil() {
			return reflect.Value{}
		}
		return v.Elem()
	}
}

// first goes to a list's first element.
func (w way) first() way {
	return func(root reflect.Value) reflect.Value {
		v := w(root)
		if !v.IsValid() || v.Len() == 0 {
			return reflect.Value{}
		}
		return v.Index(0)
	}
}

func (c *corrupter) plant(class, path string, change func(root reflect.Value)) {
	copied := deepCopy(reflect.ValueOf(c.record))
	change(copied.Elem())
	r := copied.Interface().(Record)
	if reflect.DeepEqual(c.record, r) { // asked of Go: what a verify compares by is what is tested
		return
	}
	c.out = append(c.out, corruption{site{class, path}, r})
}

func (c *corrupter) group(v reflect.Value, fields []shape.Field, prefix string, to way) {
	for _, f := range fields {
		if prefix == "" && (f.Name == "_id" || f.Name == "rev") {
			continue // identity; and the revision is a class by itself
		}
		c.field(v.FieldByIndex(f.Index), f, prefix+f.Name, to.field(f.Index))
	}
}

func (c *corrupter) field(v reflect.Value, f shape.Field, path string, to way) {
	if f.Empty(v) {
		return
	}
	if f.Pointer || f.Class != shape.Int && f.Class != shape.Bool && f.Class != shape.Group {
		c.plant(ClassAbsent, path, func(root reflect.Value) { to(root).SetZero() })
	}
	if f.Pointer {
		v, to = v.Elem(), to.behind()
	}
	switch f.Class {
	case shape.Group:
		c.group(v, f.Fields, path+".", to)
	case shape.List:
		c.list(v, f, path, to)
	case shape.Int:
		c.plant(ClassUnit, path, func(root reflect.Value) { to(root).SetInt(v.Int() + 1) })
	case shape.Text:
		if more, ok := oneMore(v); ok {
			c.plant(ClassUnit, path, func(root reflect.Value) { to(root).Set(more) })
		}
	case shape.Time:
		c.plant(ClassMilli, path, func(root reflect.Value) { to(root).Set(reflect.ValueOf(cut(v.Interface().(time.Time)))) })
	}
}

// list exchanges the first two elements that are unlike, or the first for that
// of another parent, and goes on inside the first.
func (c *corrupter) list(v reflect.Value, f shape.Field, path string, to way) {
	for i := 1; i < v.Len(); i++ {
		if !reflect.DeepEqual(v.Index(i-1).Interface(), v.Index(i).Interface()) {
			c.plant(ClassChild, path, func(root reflect.Value) { reflect.Swapper(to(root).Interface())(i-1, i) })
			break
		}
	}
	if other := c.fromDonor(to.first()); other.IsValid() {
		c.plant(ClassChild, path+" of another", func(root reflect.Value) { to(root).Index(0).Set(deepCopy(other)) })
	}
	if f.Elem.Class == shape.Group && !f.Elem.Pointer {
		c.group(v.Index(0), f.Elem.Fields, path+"[].", to.first())
	}
}

// fromDonor returns what the donor has there.
func (c *corrupter) fromDonor(to way) reflect.Value {
	if !c.donor.IsValid() {
		return c.donor
	}
	return to(c.donor)
}

// cut takes the milliseconds off, or one where there are none.
func cut(t time.Time) time.Time {
	if whole := t.Truncate(time.Second); !whole.Equal(t) {
		return whole
	}
	return t.Add(-time.Millisecond)
}

var decimal = regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?$`)

// oneMore returns a decimal that is more by one in its last digit; false for what
// is no decimal.
func oneMore(v reflect.Value) (reflect.Value, bool) {
	if v.Type() == reflect.TypeFor[ID]() {
		return v, false
	}
	text, err := v.Interface().(encoding.TextMarshaler).MarshalText()
	if err != nil || !decimal.Match(text) {
		return v, false
	}
	more := reflect.New(v.Type())
	reader, ok := more.Interface().(encoding.TextUnmarshaler)
	if !ok || reader.UnmarshalText([]byte(plusOne(string(text)))) != nil {
		return v, false
	}
	return more.Elem(), true
}

func plusOne(decimal string) string {
	whole, fraction, _ := strings.Cut(decimal, ".")
	n, _ := new(big.Int).SetString(whole+fraction, 10)
	text := n.Add(n, big.NewInt(1)).String()
	if fraction == "" {
		return text
	}
	sign := ""
	if text[0] == '-' {
		sign, text = "-", text[1:]
	}
	if missing := len(fraction) + 1 - len(text); missing > 0 {
		text = strings.Repeat("0", missing) + text
	}
	at := len(text) - len(fraction)
	return sign + text[:at] + "." + text[at:]
}
