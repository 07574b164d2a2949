// Package shape describes, once, how a record's Go type is stored: the codecs
// of both databases and the comparison between them all read the same
// description, so none of them can forget a field.
//
// A field is named by its `field` tag, else by its `json` tag; that name is
// the one in MongoDB documents, and in snake_case the one in PostgreSQL.
// Fields tagged field:"-" are not stored. An embedded struct without a tag
// contributes its fields. Further words in the field tag, separated by
// commas:
//
//	table=NAME    a list of structs (or of scalars) in a PostgreSQL child table
//	jsonb         kept as one jsonb column in PostgreSQL
//	null          a text of which absence is NULL in PostgreSQL, not the empty
//	              text, so that a unique rule ignores it
//	ref=KIND      an ID, or a list of them: of a record of that kind
//	secret        never shown in reports of differences (also implied by json:"-")
//	default=TEXT  what a reader sees where there is none
//	was=OLD:TEXT  what a reader sees where an older name of it is stored
//
// Any other word, and words that contradict each other, panic. An enum tag (of
// JSON schema) says which texts a field may have.
//
// What a field may be: string, bool, int, int64 and types based on them,
// []byte, time.Time, cutover.ID, any other type that marshals as text and reads
// it (as a number, where it is Numeric), a pointer to one of those, a struct (a
// group), a pointer to a struct (an optional group), a list of any of them,
// map[string]string.
//
// Nothing is nothing: an empty list, an empty map, an empty string, a zero
// time, a zero ID and an optional group in which everything is zero are the
// same as absent; stores give back nil. A pointer to a scalar tells zero from
// absent.
package shape

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
)

// Class sorts the Go types that a field may have.
type Class int

// The classes.
const (
	Text  Class = iota // marshals as text: IDs, numbers of any size, others
	Str                // string and types based on it
	Bool               //
	Int                // any signed integer
	Bytes              // []byte
	Time               // time.Time
	Group              // struct; with Pointer an optional group
	List               // slice; Elem says of what
	Map                // map[string]string
	Extra              // cutover.Extra: unknown fields
)

// Field is one stored field.
type Field struct {
	Name    string // camelCase: JSON, MongoDB
	Column  string // snake_case: PostgreSQL
	Index   []int  // for reflect.Value.FieldByIndex
	Class   Class
	Pointer bool         // *T: nil is absent
	Type    reflect.Type // without the pointer
	Number  Number       // of a Text that is Numeric
	Fields  []Field      // of a Group
	Elem    *Field       // of a List: its element, without name
	Table   string       // child table in PostgreSQL, for a List
	JSONB   bool
	Null    bool // absence of a text is NULL
	Secret  bool
	Ref     string            // kind of the record that an ID names; a list's element has it too
	Default string            // of a text
	Enum    []string          // the texts that it may have, by its enum tag; nil: any
	Was     map[string]string // older names of a text's values → what they are now
}

// OldNames lists the older names of a text's value.
func (f Field) OldNames(value string) []string {
	var out []string
	for old, now := range f.Was {
		if now == value {
			out = append(out, old)
		}
	}
	slices.Sort(out)
	return out
}

var (
	timeType  = reflect.TypeFor[time.Time]()
	bytesType = reflect.TypeFor[[]byte]()
	textType  = reflect.TypeFor[encoding.TextMarshaler]()
	cache     sync.Map // reflect.Type → []Field
)

// Of returns the stored fields of a struct type (or of a pointer to one) in the
// order of declaration. It panics on a type that cannot be stored: that is a
// mistake in the program, found by its first test.
func Of(t reflect.Type) []Field {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if f, ok := cache.Load(t); ok {
		return f.([]Field)
	}
	f := fieldsOf(t)
	cache.Store(t, f)
	return f
}

func fieldsOf(t reflect.Type) []Field {
	var out []Field
	for i := range t.NumField() {
		sf := t.Field(i)
		if sf.Anonymous && sf.Tag.Get("field") == "" && sf.Type.Kind() == reflect.Struct {
			for _, f := range fieldsOf(sf.Type) {
				f.Index = append([]int{i}, f.Index...)
				out = append(out, f)
			}
			continue
		}
		if !sf.IsExported() {
			continue
		}
		if f, stored := fieldOf(t, sf); stored {
			f.Index = []int{i}
			out = append(out, f)
		}
	}
	return out
}

func fieldOf(owner reflect.Type, sf reflect.StructField) (Field, bool) {
	jsonName, _, _ := strings.Cut(sf.Tag.Get("json"), ",")
	name, words, _ := strings.Cut(sf.Tag.Get("field"), ",")
	if name == "-" {
		return Field{}, false
	}
	if name == "" {
		name = jsonName
	}
	if name == "" || name == "-" {
		panic(fmt.Sprintf("shape: %s.%s has neither a json nor a field tag", owner, sf.Name))
	}
	f := describe(sf.Type, owner.String()+"."+sf.Name)
	f.Name, f.Column, f.Secret = name, Snake(name), jsonName == "-" && f.Class != Extra
	if enum := sf.Tag.Get("enum"); enum != "" && f.Class == Str {
		f.Enum = strings.Split(enum, ",")
	}
	where := owner.String() + "." + sf.Name
	for _, w := range strings.Split(words, ",") {
		f.option(w, where)
	}
	f.check(where)
	return f, true
}

// option takes a word of the field tag in. where is for those who got it wrong.
func (f *Field) option(word, where string) {
	key, value, _ := strings.Cut(word, "=")
	switch key {
	case "":
	case "table":
		f.Table = value
	case "ref":
		f.Ref = value
		if f.Elem != nil {
			f.Elem.Ref = value
		}
	case "jsonb":
		f.JSONB = true
	case "null":
		f.Null = true
	case "secret":
		f.Secret = true
	case "default":
		f.Default = value
	case "was":
		old, now, _ := strings.Cut(value, ":")
		if f.Was == nil {
			f.Was = map[string]string{}
		}
		f.Was[old] = now
	default:
		panic(fmt.Sprintf("shape: %s: there is no word %q", where, word))
	}
}

// check panics when the words of a tag do not go together, or with the type.
func (f Field) check(where string) {
	scalar := f
	if f.Elem != nil {
		scalar = *f.Elem
	}
	for what, wrong := range map[string]bool{
		"table= is for lists":                    f.Table != "" && f.Class != List,
		"a list is in a table or in jsonb":       f.Table != "" && f.JSONB,
		"jsonb is for groups, lists and maps":    f.JSONB && f.Class != Group && f.Class != List && f.Class != Map,
		"null, default= and was= are for texts":  (f.Null || f.Default != "" || f.Was != nil) && f.Class != Str,
		"a text with a default is never absent":  f.Default != "" && (f.Null || f.Pointer),
		"ref= is for identities":                 f.Ref != "" && scalar.Class != Text,
		"a value that was= leads to is its name": f.Was[f.Default] != "" || f.Was[""] != "",
	} {
		if wrong {
			panic(fmt.Sprintf("shape: %s: %s", where, what))
		}
	}
}

// Settle puts defaults and present names in place of what is absent or has an
// older name. v is a struct with those fields.
func Settle(v reflect.Value, fields []Field) {
	for i := range fields {
		f := &fields[i]
		if f.Class != Group && (f.Class != Str || f.Default == "" && f.Was == nil) {
			continue
		}
		sv := v.FieldByIndex(f.Index)
		switch {
		case f.Class == Group && !f.Pointer:
			Settle(sv, f.Fields)
		case f.Class == Group && !sv.IsNil():
			Settle(sv.Elem(), f.Fields)
		case f.Class == Str && !f.Pointer:
			f.settle(sv)
		}
	}
}

// Normalise makes what counts as absent nil or zero: see the package's opening.
func Normalise(v reflect.Value, fields []Field) {
	for i := range fields {
		f := &fields[i]
		if !f.Pointer && (f.Class == Str || f.Class == Bool || f.Class == Int) {
			continue // such a zero is nil already
		}
		sv := v.FieldByIndex(f.Index)
		if sv.IsZero() {
			continue
		}
		switch {
		case f.Class == Group && f.Pointer:
			Normalise(sv.Elem(), f.Fields)
		case f.Class == Group:
			Normalise(sv, f.Fields)
		case f.Class == List && f.Elem.Class == Group && !f.Elem.Pointer:
			for i := range sv.Len() {
				Normalise(sv.Index(i), f.Elem.Fields)
			}
		}
		if f.Class != Bool && f.Class != Int && f.empty(sv) {
			sv.SetZero()
		}
	}
}

func (f *Field) settle(v reflect.Value) {
	if now, ok := f.Was[v.String()]; ok {
		v.SetString(now)
	}
	if v.Len() == 0 && f.Default != "" {
		v.SetString(f.Default)
	}
}

func describe(t reflect.Type, where string) Field {
	if t.Kind() == reflect.Pointer {
		f := describe(t.Elem(), where)
		f.Pointer = true
		return f
	}
	f := Field{Type: t}
	switch {
	case t == timeType:
		f.Class = Time
	case t.Name() == "Extra" && t.Kind() == reflect.Slice:
		f.Class = Extra
	case t.Implements(textType):
		f.Class, f.Number = Text, numberOf(t, where)
	case t == bytesType:
		f.Class = Bytes
	case t.Kind() == reflect.String:
		f.Class = Str
	case t.Kind() == reflect.Bool:
		f.Class = Bool
	case t.Kind() == reflect.Int, t.Kind() == reflect.Int64, t.Kind() == reflect.Int32:
		f.Class = Int
	case t.Kind() == reflect.Struct:
		f.Class, f.Fields = Group, Of(t)
	case t.Kind() == reflect.Slice:
		elem := describe(t.Elem(), where+"[]")
		f.Class, f.Elem = List, &elem
	case t.Kind() == reflect.Map && t.Key().Kind() == reflect.String && t.Elem().Kind() == reflect.String:
		f.Class = Map
	default:
		panic(fmt.Sprintf("shape: %s: a %s cannot be stored", where, t))
	}
	return f
}

// Empty says that v holds what counts as absent; v is a value of the field's
// type, pointer included.
func (f Field) Empty(v reflect.Value) bool { return f.empty(v) }

func (f *Field) empty(v reflect.Value) bool {
	if f.Pointer {
		if v.IsNil() {
			return true
		}
		return f.Class == Group && groupEmpty(f, v.Elem())
	}
	switch f.Class {
	case Str, List, Map, Bytes, Extra:
		return v.Len() == 0
	case Time:
		return inPlace(v).(interface{ IsZero() bool }).IsZero()
	case Group:
		return groupEmpty(f, v)
	case Text:
		return textEmpty(v)
	}
	return false
}

// textEmpty asks the value itself, if it can tell: an amount that was read as
// "0" is as zero as one that was never set, though not in its Go fields.
func textEmpty(v reflect.Value) bool {
	if z, ok := inPlace(v).(interface{ IsZero() bool }); ok {
		return z.IsZero()
	}
	return v.IsZero()
}

// inPlace is a value for its methods to be called, without a copy where it can
// be had.
func inPlace(v reflect.Value) any {
	if v.CanAddr() {
		return v.Addr().Interface()
	}
	return v.Interface()
}

// groupEmpty says that everything in a group is zero.
func groupEmpty(f *Field, v reflect.Value) bool {
	for i := range f.Fields {
		sub := &f.Fields[i]
		sv := v.FieldByIndex(sub.Index)
		if !sub.empty(sv) && !sv.IsZero() {
			return false
		}
	}
	return true
}

// Snake turns camelCase into snake_case, "_id" into "id".
func Snake(name string) string {
	var b strings.Builder
	for i, r := range strings.TrimPrefix(name, "_") {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// Words makes a name readable: "purchase_request" and "purchaseRequest" are a
// "purchase request".
func Words(name string) string {
	var b strings.Builder
	for i, r := range name {
		switch {
		case r == '_', r == '.':
			b.WriteByte(' ')
		case unicode.IsUpper(r):
			if i > 0 {
				b.WriteByte(' ')
			}
			b.WriteRune(unicode.ToLower(r))
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
