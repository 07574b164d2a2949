package cutover

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/cutover/query"
	"github.com/amanat-dev/amanat/cutover/shape"
)

// Kind is one sort of record of a domain, and all that a store must know of it.
type Kind struct {
	Name       string       // in snake_case and singular, such as "purchase_request"
	Type       reflect.Type // of the struct
	Table      string       // where PostgreSQL keeps it, such as "purchase_requests"
	Collection string       // where MongoDB keeps it, such as "purchaserequests"
	Unique     []Unique
	Indexes    []query.Index // for queries; each unique rule over fields is one as well
}

// Unique is a rule that no two records of a kind have the same value. What is
// absent does not count.
type Unique struct {
	Fields query.Index
	// Key, when set, derives the value from a record in place of Fields; "" is
	// not subject to the rule. Name then says what it is: "Live".
	Key  func(Record) string
	Name string
}

// UniqueKey is a rule on a value that is derived from records of type T.
func UniqueKey[T any](name string, key func(*T) string) Unique {
	return Unique{Name: name, Key: func(r Record) string { return key(any(r).(*T)) }}
}

// New makes an empty record to decode into.
func (k Kind) New() Record { return reflect.New(k.Type).Interface().(Record) }

func (k Kind) fields() []shape.Field { return shape.Of(k.Type) }

// indexes are those that a query may use.
func (k Kind) indexes() []query.Index {
	out := slices.Clip(k.Indexes)
	for _, u := range k.Unique {
		if u.Key == nil {
			out = append(out, u.Fields)
		}
	}
	return out
}

// Kinds are a domain's kinds in dependency order: parents first.
type Kinds []Kind

// Named finds a kind by its name.
func (ks Kinds) Named(name string) (Kind, bool) {
	for _, k := range ks {
		if k.Name == name {
			return k, true
		}
	}
	return Kind{}, false
}

// Of finds the kind of a record by its Go type.
func (ks Kinds) Of(r Record) (Kind, bool) { return ks.ofType(reflect.TypeOf(r).Elem()) }

func (ks Kinds) ofType(t reflect.Type) (Kind, bool) {
	for _, k := range ks {
		if k.Type == t {
			return k, true
		}
	}
	return Kind{}, false
}

// Parents lists the records of the same domain that must be there before this
// one: those that its references name, as far as their kind comes no later than
// its own.
func (ks Kinds) Parents(r Record) []Key {
	own, ok := ks.Of(r)
	if !ok {
		return nil
	}
	var out []Key
	v := reflect.ValueOf(r).Elem()
	for _, f := range own.fields() {
		if f.Ref == "" || f.Class != shape.Text || !ks.before(f.Ref, own.Name) {
			continue
		}
		if id := v.FieldByIndex(f.Index).Interface().(ID); !id.IsZero() {
			out = append(out, Key{f.Ref, id})
		}
	}
	return out
}

// before says that there is such a kind and that it comes no later than another.
func (ks Kinds) before(kind, other string) bool {
	for _, k := range ks {
		if k.Name == kind {
			return true
		}
		if k.Name == other {
			return false
		}
	}
	return false
}

// Broken says that two records have the same unique value.
func (u Unique) Broken(a, b Record) bool {
	x, y := u.value(a), u.value(b)
	return x != "" && x == y
}

// value gives what must be unique as text; "" when the rule is not about the
// record.
func (u Unique) value(r Record) string {
	if u.Key != nil {
		return u.Key(r)
	}
	text := ""
	for _, name := range u.Fields {
		path, err := query.Lookup(shape.Of(reflect.TypeOf(r)), name)
		if err != nil {
			return ""
		}
		values := path.Values(reflect.ValueOf(r).Elem())
		if len(values) == 0 {
			return ""
		}
		text += fmt.Sprintf("%v\x00", values[0])
	}
	return text
}

// Rule names what must be unique, in words.
func (u Unique) Rule() string {
	if u.Key != nil {
		return shape.Words(u.Name)
	}
	names := make([]string, len(u.Fields))
	for i, f := range u.Fields {
		names[i] = shape.Words(f)
	}
	return strings.Join(names, " and ")
}

// Conflict is the fault of a write that breaks the rule.
func (u Unique) Conflict(k Kind) error {
	return fault.New(fault.Conflict, "another %s has the same %s", shape.Words(k.Name), u.Rule())
}
