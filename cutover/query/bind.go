package query

import (
	"cmp"
	"encoding"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/amanat-dev/amanat/cutover/shape"
)

// Bound is a query against the fields of a record's type.
type Bound struct {
	Branches []Branch // a record is asked for when one of them holds; none: no record is
	Order    Path
	Desc     bool
	Limit    int  // 0: none
	Whole    bool // see Query.Whole
	id       Path
}

// Branch is a list of terms that must all hold.
type Branch []Term

// Term is a Condition whose field is known. Values are strings (also of what
// marshals as text), int64s, bools and times in UTC and milliseconds.
type Term struct {
	Path   Path
	Op     Op
	Values []any
	From   *Source // of IsAmong, in place of Values
}

// Path leads to a field: through groups, from the outside in.
type Path []shape.Field

// Last is the field itself.
func (p Path) Last() shape.Field { return p[len(p)-1] }

// IsID says that the path leads to the record's identity.
func (p Path) IsID() bool { return len(p) == 1 && p[0].Name == idName }

// String returns the path as it is written in a query.
func (p Path) String() string {
	if p.IsID() {
		return ID
	}
	names := make([]string, len(p))
	for i, f := range p {
		names[i] = f.Name
	}
	return strings.Join(names, ".")
}

// Optional says that a group on the way may be absent, and the field with it.
func (p Path) Optional() bool {
	for _, f := range p[:len(p)-1] {
		if f.Pointer {
			return true
		}
	}
	return false
}

// Scalar is what a condition compares with: the field, or a list's element.
func (p Path) Scalar() shape.Field {
	if f := p.Last(); f.Class != shape.List {
		return f
	}
	return *p.Last().Elem
}

// Always says that the field is a number or a truth value that cannot be
// absent: where nothing is stored, a reader sees zero or false.
func (p Path) Always() bool {
	f := p.Last()
	return (f.Class == shape.Int || f.Class == shape.Bool) && !f.Pointer && !p.Optional()
}

// idName is how shape calls the identity.
const idName = "_id"

// maxBranches bounds how many alternatives a query may come to.
const maxBranches = 64

// Bind looks a query's fields up. Errors name the field that there is not, or
// that cannot be asked for in this way: a mistake in the program.
func Bind(fields []shape.Field, q Query) (Bound, error) {
	order, err := Lookup(fields, q.orderField())
	if err != nil {
		return Bound{}, err
	}
	if err := sortable(order); err != nil {
		return Bound{}, err
	}
	id, err := Lookup(fields, ID)
	if err != nil {
		return Bound{}, err
	}
	branches, err := expand(fields, q)
	return Bound{Branches: branches, Order: order, Desc: q.desc, Limit: q.limit, Whole: q.whole, id: id}, err
}

// Lookup finds a field by the name that it has in a query.
func Lookup(fields []shape.Field, name string) (Path, error) {
	if name == ID {
		name = idName
	}
	var path Path
	for _, part := range strings.Split(name, ".") {
		f, ok := named(fields, part)
		if !ok {
			return nil, fmt.Errorf("query: there is no field %q", name)
		}
		path, fields = append(path, f), f.Fields
	}
	switch f := path.Scalar(); {
	case f.Class == shape.Group, f.Class == shape.List, f.Class == shape.Map, f.Class == shape.Bytes, f.Class == shape.Extra:
		return nil, fmt.Errorf("query: %q cannot be asked for", name)
	}
	return path, nil
}

func named(fields []shape.Field, name string) (shape.Field, bool) {
	for i := range fields {
		if fields[i].Name == name {
			return fields[i], true
		}
	}
	return shape.Field{}, false
}

// sortable says whether both databases and Go sort a field alike. Text they do
// not: its order is a matter of the server's locale.
func sortable(p Path) error {
	f := p.Last()
	if f.Class == shape.Int || f.Class == shape.Time || f.Class == shape.Text && isID(f) {
		return nil
	}
	return fmt.Errorf("query: %s is no integer, time or identity: it has no order", p)
}

// expand multiplies conditions out: into alternatives, each of which is a plain
// list of terms.
func expand(fields []shape.Field, q Query) ([]Branch, error) {
	base, possible, err := terms(fields, q.all)
	if err != nil || !possible {
		return nil, err
	}
	branches := []Branch{base}
	for _, list := range q.any {
		var alternatives []Branch
		for _, a := range list {
			more, err := expand(fields, a)
			if err != nil {
				return nil, err
			}
			alternatives = append(alternatives, more...)
		}
		branches = product(branches, alternatives)
		if len(branches) > maxBranches {
			return nil, fmt.Errorf("query: more than %d alternatives", maxBranches)
		}
	}
	return branches, nil
}

func product(as, bs []Branch) []Branch {
	var out []Branch
	for _, a := range as {
		for _, b := range bs {
			out = append(out, append(a[:len(a):len(a)], b...))
		}
	}
	return out
}

// terms binds conditions; false when they cannot hold of any record.
func terms(fields []shape.Field, conditions []Condition) (Branch, bool, error) {
	out := make(Branch, 0, len(conditions))
	for _, c := range conditions {
		path, err := Lookup(fields, c.Field)
		if err != nil {
			return nil, false, err
		}
		t := Term{Path: path, Op: c.Op, From: c.From}
		if err := t.check(); err != nil {
			return nil, false, err
		}
		if t.Values, err = c.values(path.Scalar()); err != nil {
			return nil, false, err
		}
		if !t.certain() {
			return nil, false, nil // nothing equals nothing
		}
		out = append(out, t)
	}
	return out, true, nil
}

func (t Term) check() error {
	switch t.Op {
	case IsAbsent, IsPresent:
		if t.Path.Always() || t.Path.IsID() || t.Path.Last().Default != "" {
			return fmt.Errorf("query: %s is never absent", t.Path)
		}
	case Below, UpTo, Above, From:
		return sortable(t.Path)
	case IsAmong:
		if t.Path.Last().Class == shape.List {
			return fmt.Errorf("query: %s is a list: its elements are not asked for among others", t.Path)
		}
	}
	if f := t.Path.Scalar(); f.Class == shape.Text && !isID(f) {
		return fmt.Errorf("query: %s has several texts for one value", t.Path)
	}
	return nil
}

// isID says that a field that marshals as text is an identity: the others are
// amounts.
func isID(f shape.Field) bool { return f.Type.Kind() == reflect.Array }

// valueOf brings a value into the form that Term has; false when it is absent.
// v is of the field's type, or of one that it is based on.
func valueOf(f shape.Field, v reflect.Value) (any, bool, error) {
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return nil, false, nil
		}
		v = v.Elem()
	}
	if !v.IsValid() {
		return nil, false, nil
	}
	switch f.Class {
	case shape.Str:
		if v.Kind() == reflect.String {
			return v.String(), v.Len() > 0 || f.Pointer, nil
		}
	case shape.Int:
		if v.CanInt() {
			return v.Int(), true, nil
		}
	case shape.Bool:
		if v.Kind() == reflect.Bool {
			return v.Bool(), true, nil
		}
	case shape.Time:
		if t, ok := v.Interface().(time.Time); ok {
			return t.UTC().Truncate(time.Millisecond), !t.IsZero(), nil
		}
	case shape.Text:
		if v.Type() == f.Type {
			return textOf(f, v)
		}
	}
	return nil, false, fmt.Errorf("a %s is no %s", v.Type(), f.Type)
}

func textOf(f shape.Field, v reflect.Value) (any, bool, error) {
	plain := f
	plain.Pointer = false
	if !f.Pointer && plain.Empty(v) {
		return nil, false, nil
	}
	text, err := v.Interface().(encoding.TextMarshaler).MarshalText()
	return string(text), true, err
}

// compare compares two values of the same field.
func compare(a, b any) int {
	switch x := a.(type) {
	case string:
		return cmp.Compare(x, b.(string))
	case int64:
		return cmp.Compare(x, b.(int64))
	case time.Time:
		return x.Compare(b.(time.Time))
	case bool:
		y := b.(bool)
		switch {
		case x == y:
			return 0
		case y:
			return -1
		}
		return 1
	}
	panic(fmt.Sprintf("query: a %T has no order", a))
}
