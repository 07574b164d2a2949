package web

import (
	"encoding/json"
	"fmt"
	"path"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/internal/money"
)

// newRegistry makes schemas for our own scalar types: they read from text, but
// that is too little to say about them.
func newRegistry() huma.Registry {
	n := namer{names: map[reflect.Type]string{}, taken: map[string]bool{}}
	r := huma.NewMapRegistry("#/components/schemas/", n.name)
	r.RegisterTypeAlias(reflect.TypeFor[cutover.ID](), reflect.TypeFor[idSchema]())
	r.RegisterTypeAlias(reflect.TypeFor[money.Amount](), reflect.TypeFor[amountSchema]())
	r.RegisterTypeAlias(reflect.TypeFor[money.Units](), reflect.TypeFor[unitsSchema]())
	return r
}

type (
	idSchema     struct{}
	amountSchema struct{}
	unitsSchema  struct{}
)

func (idSchema) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{
		Type: huma.TypeString, Pattern: "^[0-9a-fA-F]{24}$", PatternDescription: "24 hex digits",
		Examples: []any{"65f1c0ffee0123456789abcd"},
	}
}

func (amountSchema) Schema(huma.Registry) *huma.Schema {
	return textOrNumber(&huma.Schema{
		Description: "A decimal of at most 38 digits. Sent as a string or a number, answered as a string.",
		Examples:    []any{"12.50"},
	}, `^-?[0-9]{1,38}(\.[0-9]{1,38})?$`, huma.TypeNumber)
}

func (unitsSchema) Schema(huma.Registry) *huma.Schema {
	return textOrNumber(&huma.Schema{
		Description: "An integer of a token's smallest unit. Sent as a string or a number, answered as a string.",
		Examples:    []any{"12500000"},
	}, `^-?[0-9]{1,38}$`, huma.TypeInteger)
}

// textOrNumber lets s be a string of that pattern or a number of that type.
// The number is only looked at here; it is decoded from its own text.
func textOrNumber(s *huma.Schema, pattern, number string) *huma.Schema {
	text, num := &huma.Schema{Type: huma.TypeString, Pattern: pattern}, &huma.Schema{Type: number}
	text.PrecomputeMessages()
	num.PrecomputeMessages()
	s.AnyOf = []*huma.Schema{text, num}
	return s
}

// namer names schemas after their types, and tells types of the same name in
// different packages apart.
type namer struct {
	names map[reflect.Type]string
	taken map[string]bool
}

func (n namer) name(t reflect.Type, hint string) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return huma.DefaultSchemaNamer(t, hint)
	}
	name, known := n.names[t]
	if !known {
		name = n.free(t, huma.DefaultSchemaNamer(t, hint))
		n.names[t], n.taken[name] = name, true
	}
	return name
}

func (n namer) free(t reflect.Type, base string) string {
	if !n.taken[base] {
		return base
	}
	if pkg := path.Base(t.PkgPath()); pkg != "." {
		base = strings.ToUpper(pkg[:1]) + pkg[1:] + base
	}
	name := base
	for i := 2; n.taken[name]; i++ {
		name = fmt.Sprintf("%s%d", base, i)
	}
	return name
}

// strictJSON is the one format of the API.
var strictJSON = huma.Format{Marshal: huma.DefaultJSONFormat.Marshal, Unmarshal: unmarshalStrict}

// unmarshalStrict decodes one JSON value. huma calls it twice: first into an
// any, to validate, then into the input. For validating, a number becomes a
// float64 only when it is in plain notation and short enough that every type
// of ours can read it; any other stays a json.Number, which fits no schema.
func unmarshalStrict(data []byte, into any) error {
	loose, validating := into.(*any)
	if !validating {
		return json.Unmarshal(data, into)
	}
	v, err := readStrict(data)
	*loose = v
	return err
}

func plainNumber(n json.Number) any {
	if _, err := money.ParseAmount(n.String()); err != nil {
		return n
	}
	f, err := n.Float64()
	if err != nil {
		return n
	}
	return f
}
