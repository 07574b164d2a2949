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

// Unique is a rule that no two records of a kind have the same value: what is in
// its fields, or what Key derives. What is absent does not count.
type Unique struct {
	Fields query.Index
	// Key, when set, derives the value from a record in place of Fields; "" is
	// not subject to the rule. It may lean on nothing but the record. Both
	// databases keep what it derives with the record, so that neither has to
	// know of upper case and blanks what Go does.
	Key func(Record) string
	// Name says what Key derives: "Live". A rule whose Key is changed needs
	// another name, since the old values are kept.
	Name string
}

// UniqueKey is a rule on a value that is derived from records of type T.
func UniqueKey[T any](name string, key func(*T) string) Unique {
	return Unique{Name: name, Key: func(r Record) string { return key(any(r).(*T)) }}
}

// Index is what a store makes for a kind: of a unique rule, or for queries.
type Index struct {
	Fields query.Index
	Rule   *Unique // nil: it is for queries. Without Fields it is on what Key derives
}

// Made lists the indexes that a store makes for the kind.
func (k Kind) Made() []Index {
	var out []Index
	for _, u := range k.Unique {
		out = append(out, Index{u.Fields, &u})
	}
	for _, fields := range k.Indexes {
		out = append(out, Index{Fields: fields})
	}
	return out
}

// Derived lists the unique rules whose value a store keeps with the record.
func (k Kind) Derived() []Unique {
	return slices.DeleteFunc(slices.Clone(k.Unique), func(u Unique) bool { return u.Key == nil })
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
		if _, is := ks.Parent(f.Ref, own.Name); !is || f.Class != shape.Text {
			continue
		}
		if id := v.FieldByIndex(f.Index).Interface().(ID); !id.IsZero() {
			out = append(out, Key{f.Ref, id})
		}
	}
	return out
}

// Parent finds the kind that a reference of the kind of names, if it is of the
// same domain and comes no later.
func (ks Kinds) Parent(ref, of string) (Kind, bool) {
	for _, k := range ks {
		if k.Name == ref {
			return k, true
		}
		if k.Name == of {
			break
		}
	}
	return Kind{}, false
}

// Broken says that two records have the same unique value.
func (u Unique) Broken(a, b Record) bool {
	x, y := u.Value(a), u.Value(b)
	return x != "" && x == y
}

// maxKey bounds what an index has to hold of a derived value, in bytes.
const maxKey = 500

// Value returns what must be unique as text, of a bounded length; "" when the
// rule is not about the record.
func (u Unique) Value(r Record) string {
	if u.Key != nil {
		key := u.Key(r)
		if len(key) > maxKey {
			key = "sha256:" + digest(key)
		}
		return key
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

// RuleNames returns the names of rules, nil for none.
func RuleNames(rules []Unique) (names []string) {
	for _, u := range rules {
		names = append(names, u.Name)
	}
	return names
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
