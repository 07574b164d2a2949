package shape

import (
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestColumnsAreAsDifferentAsNames: two names in camelCase never share a
// column.
func TestColumnsAreAsDifferentAsNames(t *testing.T) {
	t.Parallel()
	name := rapid.StringMatching(`[a-z][a-zA-Z0-9]{0,8}`)
	rapid.Check(t, func(t *rapid.T) {
		a := name.Draw(t, "a")
		b := rapid.OneOf(name, rapid.Just(strings.ToLower(a)), rapid.Just(a)).Draw(t, "b")
		if (Snake(a) == Snake(b)) != (a == b) {
			t.Fatalf("%s and %s are the columns %s and %s", a, b, Snake(a), Snake(b))
		}
		if strings.ToLower(Snake(a)) != Snake(a) || strings.ReplaceAll(Snake(a), "_", "") != strings.ToLower(a) {
			t.Fatalf("%s is the column %s", a, Snake(a))
		}
	})
}

// TestAStructsFieldsAreDescribedOneByOne makes structs at random and finds
// each of their fields in the shape, once, where it is.
func TestAStructsFieldsAreDescribedOneByOne(t *testing.T) {
	t.Parallel()
	types := []reflect.Type{
		reflect.TypeFor[string](), reflect.TypeFor[bool](), reflect.TypeFor[int64](), bytesType, timeType,
		reflect.TypeFor[*string](), reflect.TypeFor[[]string](), reflect.TypeFor[map[string]string](),
		reflect.TypeFor[struct {
			A string `json:"a"`
		}](),
	}
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z][a-zA-Z0-9]{0,6}`), 1, 6, strings.ToLower).Draw(t, "names")
		var fields []reflect.StructField
		for _, n := range names {
			fields = append(fields, reflect.StructField{
				Name: strings.ToUpper(n[:1]) + n[1:], Type: rapid.SampledFrom(types).Draw(t, "type"), Tag: reflect.StructTag(`json:"` + n + `,omitempty"`),
			})
		}
		typ := reflect.StructOf(fields)
		got := Of(typ)
		if len(got) != len(fields) {
			t.Fatalf("%s has %d fields in its shape", typ, len(got))
		}
		zero := reflect.New(typ).Elem()
		for i, f := range got {
			if f.Name != names[i] || typ.FieldByIndex(f.Index).Name != fields[i].Name || f.Secret {
				t.Fatalf("%s is described as %+v", fields[i].Name, f)
			}
			if v := zero.FieldByIndex(f.Index); f.Class != Bool && f.Class != Int && !f.Empty(v) {
				t.Fatalf("the zero %s does not count as absent", f.Name)
			}
		}
	})
}
