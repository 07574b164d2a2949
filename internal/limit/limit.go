// Package limit holds what somebody sends against what the tags of its type
// say: how long a text may be, which values there are, how many items. A limit
// is stated once, in such a tag. The HTTP layer makes the API's document of
// it, and checks by it; services check by it again, so that they refuse the
// same to whoever calls.
//
// The tags are those that the document is made of, with their meaning there:
//
//	minLength, maxLength          characters of a text; one of blanks alone has none
//	pattern, patternDescription   a regular expression, and what to call it
//	enum                          the values that there are, with commas
//	minimum, maximum              of a number
//	exclusiveMinimum:"0"          also of an amount of money
//	minItems, maxItems            of a list
//	format:"lines"                a text that may have line breaks and tabs
//	format:"link"                 an http or https address
//	format:"email"                an e-mail address, and nothing around it
//
// On a list of texts, those about a text are about each of them. A field that
// may be left out (omitempty, omitzero, required:"false", a query parameter,
// a pointer) is not checked while it has its zero value. Every text is held to
// be one, tag or not: see IsText.
package limit

import (
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/amanat-dev/amanat/cutover/fault"
)

// Check holds v, a struct, against the tags of its type. Errors: fault.Invalid
// that names every field which is not as it must be, such as "items[2].key".
func Check(v any) error { return Of(v).Err() }

// Of is Check for a caller who has more to say about fields: it adds to the
// Findings, and returns their Err.
func Of(v any) Findings {
	found := Findings{}
	value := reflect.ValueOf(v)
	for value.Kind() == reflect.Pointer {
		value = value.Elem()
	}
	planOf(value.Type()).check(found, "", value)
	return found
}

// Findings say what is wrong with which field. The first about a field stays.
type Findings map[string]string

// Fail notes what is wrong with a field.
func (f Findings) Fail(field, format string, args ...any) {
	if _, told := f[field]; !told {
		f[field] = fmt.Sprintf(format, args...)
	}
}

// Want fails unless something holds.
func (f Findings) Want(holds bool, field, format string, args ...any) {
	if !holds {
		f.Fail(field, format, args...)
	}
}

// Err returns a fault.Invalid that names all fields, or nil when all is well.
func (f Findings) Err() error {
	if len(f) == 0 {
		return nil
	}
	first := slices.Sorted(maps.Keys(f))[0]
	err := fault.Field(first, "%s", f[first])
	err.Fields = f
	return err
}
