package audit

import (
	"encoding/json"
	"fmt"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// record is one record, flat: each scalar by its path in snake_case, joined
// with underscores; elements of lists by their position.
type record map[string]value

// value is a scalar as text, and what it was.
type value struct {
	text   string
	number bool // a number in its database, not a text
	time   bool
}

// flatten adds everything below v to r. Absent, null and "" are left out.
func (r record) flatten(path string, v any) {
	switch v := v.(type) {
	case nil:
	case bson.D:
		for _, e := range v {
			r.flatten(join(path, e.Key), e.Value)
		}
	case map[string]any:
		r.flattenObject(path, v)
	case bson.A:
		r.flattenList(path, v)
	case []any:
		r.flattenList(path, v)
	default:
		if s := scalar(v); s.text != "" {
			r[path] = s
		}
	}
}

// flattenObject adds an object. One with nothing but a value is a row of a
// child table for a list of scalars.
func (r record) flattenObject(path string, object map[string]any) {
	if v, scalar := object["value"]; scalar && len(object) == 1 {
		r.flatten(path, v)
		return
	}
	for k, v := range object {
		r.flatten(join(path, k), v)
	}
}

func (r record) flattenList(path string, list []any) {
	for i, v := range list {
		r.flatten(join(path, strconv.Itoa(i)), v)
	}
}

// join adds a name to a path. Both databases call the identity something else.
func join(path, name string) string {
	name = snake(strings.TrimPrefix(name, "_"))
	if path == "" {
		return name
	}
	return path + "_" + name
}

func snake(name string) string {
	var b strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

func scalar(v any) value {
	switch v := v.(type) {
	case string:
		return value{text: v}
	case bool:
		return value{text: strconv.FormatBool(v)}
	case json.Number:
		return value{text: v.String(), number: true}
	case int32:
		return value{text: strconv.FormatInt(int64(v), 10), number: true}
	case int64:
		return value{text: strconv.FormatInt(v, 10), number: true}
	case float64:
		return value{text: strconv.FormatFloat(v, 'f', -1, 64), number: true}
	case bson.Decimal128:
		return value{text: v.String(), number: true}
	case bson.ObjectID:
		return value{text: v.Hex()}
	case bson.DateTime:
		return value{text: v.Time().UTC().Format(time.RFC3339Nano), time: true}
	case bson.Binary:
		return value{text: fmt.Sprintf("\\x%x", v.Data)}
	}
	return value{text: fmt.Sprintf("%T", v)}
}

// differing lists the fields in which a document and a row differ.
func differing(m, p record) []string {
	var out []string
	for path, mv := range m {
		if !same(path, mv, p[path]) {
			out = append(out, fmt.Sprintf("%s: %s in MongoDB, %s in PostgreSQL", path, show(path, mv), show(path, p[path])))
		}
	}
	for path, pv := range p {
		if _, both := m[path]; !both && !same(path, value{}, pv) {
			out = append(out, fmt.Sprintf("%s: absent in MongoDB, %s in PostgreSQL", path, show(path, pv)))
		}
	}
	return out
}

var (
	moneyPath  = regexp.MustCompile(`(^|_)(amount|units|price)(_amount)?$`)
	secretPath = regexp.MustCompile(`hash|secret|public_key`)
)

// same compares a field of both databases: as numbers when one of them is a
// number, as instants when one is, else as text. Nothing is the same as false
// and, unless it is money, as 0.
func same(path string, m, p value) bool {
	switch {
	case m.text == p.text:
		return true
	case m.text == "" || p.text == "":
		return nothing(path, m) && nothing(path, p)
	case m.number || p.number:
		a, ok1 := new(big.Rat).SetString(m.text)
		b, ok2 := new(big.Rat).SetString(p.text)
		return ok1 && ok2 && a.Cmp(b) == 0
	}
	a, err1 := time.Parse(time.RFC3339Nano, m.text)
	b, err2 := time.Parse(time.RFC3339Nano, p.text)
	return err1 == nil && err2 == nil && a.Equal(b)
}

func nothing(path string, v value) bool {
	return v.text == "" || v.text == "false" || v.number && v.text == "0" && !moneyPath.MatchString(path)
}

// show writes a value for a report. Secrets stay what they are.
func show(path string, v value) string {
	switch {
	case v.text == "":
		return "absent"
	case secretPath.MatchString(path):
		return "(secret)"
	}
	return strconv.Quote(v.text)
}
