package limit

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2/validation"
)

// plan is what the tags of a struct type say, read once.
type plan struct {
	once   sync.Once
	fields []field
}

var plans sync.Map // reflect.Type → *plan

// planOf panics on a tag that cannot be meant: the first call with a type
// finds it, and a test makes that for every route.
func planOf(t reflect.Type) *plan {
	kept, _ := plans.LoadOrStore(t, &plan{})
	p := kept.(*plan)
	p.once.Do(func() {
		for i := range t.NumField() {
			p.add(t, t.Field(i))
		}
	})
	return p
}

func (p *plan) check(found Findings, at string, v reflect.Value) {
	for _, f := range p.fields {
		f.check(found, at, v.Field(f.index))
	}
}

// field is what is said of one field.
type field struct {
	index    int
	name     string // "" for an embedded struct and the body: its fields stand in its place
	optional bool
	limits   limits
	items    *limits // of the items of a list
}

func (p *plan) add(t reflect.Type, f reflect.StructField) {
	name, optional, sent := nameOf(f)
	if !sent {
		return
	}
	value := tagged{t, f, base(f.Type)}
	out := field{index: f.Index[0], name: name, optional: optional}
	if value.is.Kind() == reflect.Slice && value.is.Elem().Kind() != reflect.Uint8 {
		out.limits = value.limits(listTags)
		value.is = base(value.is.Elem())
		out.items = new(value.limits(itemTags))
	} else {
		out.limits = value.limits(slices.Concat(itemTags, listTags))
	}
	p.fields = append(p.fields, out)
}

// nameOf returns what a field is called by whoever sends it.
func nameOf(f reflect.StructField) (name string, optional, sent bool) {
	for _, where := range []string{"path", "query", "header"} {
		if name, _, _ := strings.Cut(f.Tag.Get(where), ","); name != "" {
			return name, where != "path", f.IsExported() && where != "header" // headers: see Clip
		}
	}
	name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
	optional = strings.Contains(options, "omit") || f.Tag.Get("required") == "false"
	switch {
	case name == "-" || !f.IsExported() && !f.Anonymous || f.Name == "RawBody":
		return "", false, false
	case name == "" && (f.Anonymous || f.Name == "Body"):
		return "", true, true
	case name == "":
		name = f.Name
	}
	return name, optional, true
}

func base(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}

func (f field) check(found Findings, at string, v reflect.Value) {
	switch {
	case f.name == "":
	case at == "":
		at = f.name
	default:
		at += "." + f.name
	}
	named := false // by a pointer: even a zero value is meant then
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return
		}
		v, named = v.Elem(), true
	}
	if f.optional && !named && v.IsZero() {
		return
	}
	f.limits.check(found, at, v)
	if f.items == nil {
		return
	}
	for i := range v.Len() {
		item := v.Index(i)
		for item.Kind() == reflect.Pointer && !item.IsNil() {
			item = item.Elem()
		}
		f.items.check(found, at+"["+strconv.Itoa(i)+"]", item)
	}
}

// limits are those of one value.
type limits struct {
	checks []func(reflect.Value) (problem string)
	nested *plan
}

func (l limits) check(found Findings, at string, v reflect.Value) {
	for _, check := range l.checks {
		if problem := check(v); problem != "" {
			found.Fail(at, "%s", problem)
		}
	}
	if l.nested != nil {
		l.nested.check(found, at, v)
	}
}

// The tags that are about a value or an item, and about a list.
var (
	itemTags = []string{"minLength", "maxLength", "pattern", "enum", "minimum", "maximum", "exclusiveMinimum"}
	listTags = []string{"minItems", "maxItems"}
)

// signed are amounts of money, which nothing here knows more of.
type signed interface{ Sign() int }

var signedType = reflect.TypeFor[signed]()

// plain says that a type is its own scalar, such as an identity or a time.
func plain(t reflect.Type) bool {
	_, text := reflect.PointerTo(t).MethodByName("UnmarshalText")
	return text || t.Implements(signedType)
}

// tagged is a field's type, or that of its items, with the tags that say what
// it may be.
type tagged struct {
	owner reflect.Type
	field reflect.StructField
	is    reflect.Type
}

// cannot panics about a tag that cannot be meant.
func (t tagged) cannot(format string, args ...any) {
	panic(fmt.Sprintf("limit: %s.%s: ", t.owner, t.field.Name) + fmt.Sprintf(format, args...))
}

func (t tagged) number(tag string) float64 {
	n, err := strconv.ParseFloat(t.field.Tag.Get(tag), 64)
	if err != nil {
		t.cannot("%s: %v", tag, err)
	}
	return n
}

func (t tagged) limits(tags []string) limits {
	var l limits
	switch kind := t.is.Kind(); {
	case kind == reflect.String:
		l.checks = append(l.checks, t.text())
	case kind == reflect.Struct && !plain(t.is):
		l.nested = planOf(t.is)
	case kind == reflect.Interface, kind == reflect.Map:
		t.cannot("what a %s may be cannot be said", t.is)
	}
	for _, tag := range tags {
		if _, there := t.field.Tag.Lookup(tag); !there {
			continue
		}
		check := t.check(tag)
		if check == nil {
			t.cannot("%s says nothing of a %s", tag, t.is)
		}
		l.checks = append(l.checks, check)
	}
	return l
}

// formats are the sorts of text, each with what it must be besides.
var formats = map[string]struct {
	is      func(string) bool
	problem string
}{"": {}, "lines": {}, "link": {isLink, notLink}, "email": {isMail, notMail}}

func (t tagged) text() func(reflect.Value) string {
	name := t.field.Tag.Get("format")
	format, known := formats[name]
	if !known {
		t.cannot("there is no format %q", name)
	}
	return func(v reflect.Value) string {
		if problem := textProblem(v.String(), name == "lines"); problem != "" {
			return problem
		}
		if format.is != nil && !format.is(v.String()) {
			return format.problem
		}
		return ""
	}
}

// check makes the check of a tag, in the words that the HTTP layer has for the
// same finding; nil when the tag says nothing of such a type.
func (t tagged) check(tag string) func(reflect.Value) string {
	switch kind := t.is.Kind(); {
	case kind == reflect.String:
		return t.textCheck(tag)
	case kind == reflect.Slice:
		return t.listCheck(tag)
	case kind >= reflect.Int && kind <= reflect.Float64:
		return t.numberCheck(tag)
	case tag == "exclusiveMinimum" && t.is.Implements(signedType) && t.number(tag) == 0:
		return want(func(v reflect.Value) bool { return v.Interface().(signed).Sign() > 0 }, validation.MsgExpectedExclusiveMinimumNumber, 0)
	}
	return nil
}

// want makes a check whose problem is the same for all values.
func want(ok func(reflect.Value) bool, format string, arg any) func(reflect.Value) string {
	problem := fmt.Sprintf(format, arg)
	return func(v reflect.Value) string {
		if ok(v) {
			return ""
		}
		return problem
	}
}

func (t tagged) textCheck(tag string) func(reflect.Value) string {
	switch tag {
	case "minLength":
		min := int(t.number(tag))
		return want(func(v reflect.Value) bool { return characters(v.String()) >= min }, validation.MsgExpectedMinLength, min)
	case "maxLength":
		max := int(t.number(tag))
		return want(func(v reflect.Value) bool { return utf8.RuneCountInString(v.String()) <= max }, validation.MsgExpectedMaxLength, max)
	case "pattern":
		form := regexp.MustCompile(t.field.Tag.Get(tag))
		matches := func(v reflect.Value) bool { return form.MatchString(v.String()) }
		if what := t.field.Tag.Get("patternDescription"); what != "" {
			return want(matches, validation.MsgExpectedBePattern, what)
		}
		return want(matches, validation.MsgExpectedMatchPattern, form)
	case "enum":
		words := strings.Split(t.field.Tag.Get(tag), ",")
		return want(func(v reflect.Value) bool { return slices.Contains(words, v.String()) }, validation.MsgExpectedOneOf, strings.Join(words, ", "))
	}
	return nil
}

func (t tagged) listCheck(tag string) func(reflect.Value) string {
	switch tag {
	case "minItems":
		min := int(t.number(tag))
		return want(func(v reflect.Value) bool { return v.Len() >= min }, validation.MsgExpectedMinItems, min)
	case "maxItems":
		max := int(t.number(tag))
		return want(func(v reflect.Value) bool { return v.Len() <= max }, validation.MsgExpectedMaxItems, max)
	}
	return nil
}

func (t tagged) numberCheck(tag string) func(reflect.Value) string {
	switch tag {
	case "minimum":
		min := t.number(tag)
		return want(func(v reflect.Value) bool { return float(v) >= min }, validation.MsgExpectedMinimumNumber, min)
	case "maximum":
		max := t.number(tag)
		return want(func(v reflect.Value) bool { return float(v) <= max }, validation.MsgExpectedMaximumNumber, max)
	}
	return nil
}

// characters counts none in a text of blanks alone: who must say something says
// more than that.
func characters(s string) int {
	if strings.TrimSpace(s) == "" {
		return 0
	}
	return utf8.RuneCountInString(s)
}

func float(v reflect.Value) float64 {
	switch {
	case v.CanInt():
		return float64(v.Int())
	case v.CanUint():
		return float64(v.Uint())
	}
	return v.Float()
}
