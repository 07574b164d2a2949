package mongosim

import (
	"bytes"
	"math"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// filter is a parsed query filter.
type filter interface {
	match(doc bson.Raw) bool
}

type (
	and []filter
	or  []filter
	not struct{ filter }
)

func (f and) match(doc bson.Raw) bool {
	for _, sub := range f {
		if !sub.match(doc) {
			return false
		}
	}
	return true
}

func (f or) match(doc bson.Raw) bool {
	for _, sub := range f {
		if sub.match(doc) {
			return true
		}
	}
	return false
}

func (f not) match(doc bson.Raw) bool { return !f.filter.match(doc) }

// operator is what a test asks of a value.
type operator string

const (
	opEqual   operator = "$eq"
	opIn      operator = "$in"
	opBelow   operator = "$lt"
	opUpTo    operator = "$lte"
	opAbove   operator = "$gt"
	opFrom    operator = "$gte"
	opExists  operator = "$exists"
	opType    operator = "$type"
	opUnequal operator = "$ne"
	opNotIn   operator = "$nin"
	opNot     operator = "$not"
)

// test holds when some value at a path does.
type test struct {
	path  path
	op    operator
	value bson.RawValue   // of a comparison
	key   string          // value's
	list  []bson.RawValue // of $in
	types []bson.Type     // of $type
}

func (t *test) match(doc bson.Raw) bool { return t.path.visit(doc, t.holds) }

// holds says it of one value, which may be missing.
func (t *test) holds(v bson.RawValue) bool {
	switch t.op {
	case opEqual:
		return same(v, t.value, t.key)
	case opIn:
		for _, x := range t.list {
			if same(v, x, "") {
				return true
			}
		}
		return false
	case opExists:
		return v.Type != 0
	case opType:
		for _, want := range t.types {
			if v.Type == want && v.Type != 0 {
				return true
			}
		}
		return false
	}
	return t.compares(v)
}

// compares holds a value against a bound, which is about values of its own
// type alone. Null is neither less nor more, and equal to nothing at all; NaN is
// equal to itself alone.
func (t *test) compares(v bson.RawValue) bool {
	if rankOf(v) != rankOf(t.value) {
		return false
	}
	orEqual := t.op == opUpTo || t.op == opFrom
	if isNaN(v) || isNaN(t.value) {
		return orEqual && isNaN(v) && isNaN(t.value)
	}
	c := strings.Compare(keyOf(v), t.key)
	switch {
	case c == 0:
		return orEqual
	case c < 0:
		return t.op == opBelow || t.op == opUpTo
	}
	return t.op == opAbove || t.op == opFrom
}

func isNaN(v bson.RawValue) bool {
	switch v.Type {
	case bson.TypeDouble:
		return math.IsNaN(v.Double())
	case bson.TypeDecimal128:
		return v.Decimal128().IsNaN()
	}
	return false
}

// same says that v equals x, whose key may be given: null is also what is not
// there.
func same(v, x bson.RawValue, key string) bool {
	if rankOf(v) != rankOf(x) {
		return false
	}
	if v.Type == x.Type && bytes.Equal(v.Value, x.Value) {
		return true
	}
	switch x.Type {
	case bson.TypeNull:
		return true
	case bson.TypeString, bson.TypeObjectID, bson.TypeBoolean, bson.TypeDateTime:
		return false // the bytes would be the same
	}
	if key == "" {
		key = keyOf(x)
	}
	return keyOf(v) == key
}

// parseFilter reads a query filter.
func parseFilter(doc bson.Raw) (filter, error) {
	var all and
	for e := range elements(doc) {
		f, err := parseCondition(e.Key(), e.Value())
		if err != nil {
			return nil, err
		}
		all = append(all, f)
	}
	return all, nil
}

func parseCondition(name string, v bson.RawValue) (filter, error) {
	switch name {
	case "$and", "$or":
		subs, err := parseFilters(name, v)
		if name == "$or" {
			return or(subs), err
		}
		return and(subs), err
	case "$comment":
		return and(nil), nil
	}
	if strings.HasPrefix(name, "$") {
		return nil, refuse(codeBadValue, "unknown top level operator: %s", name)
	}
	p := parsePath(name)
	if isOperators(v) {
		return parseOperators(p, v.Document())
	}
	return newTest(p, opEqual, v)
}

func parseFilters(name string, v bson.RawValue) ([]filter, error) {
	if !isArray(v) {
		return nil, refuse(codeBadValue, "%s must be an array", name)
	}
	var subs []filter
	for e := range elements(v.Value) {
		if !isDocument(e.Value()) {
			return nil, refuse(codeBadValue, "$or/$and/$nor entries need to be full objects")
		}
		sub, err := parseFilter(e.Value().Document())
		if err != nil {
			return nil, err
		}
		subs = append(subs, sub)
	}
	if len(subs) == 0 {
		return nil, refuse(codeBadValue, "$and/$or/$nor must be a nonempty array")
	}
	return subs, nil
}

// isOperators tells {$gt: 1} from a document to compare with.
func isOperators(v bson.RawValue) bool {
	if !isDocument(v) {
		return false
	}
	for e := range elements(v.Value) {
		return strings.HasPrefix(e.Key(), "$")
	}
	return false
}

// parseOperators reads what a field is to be.
func parseOperators(p path, doc bson.Raw) (filter, error) {
	var all and
	for e := range elements(doc) {
		f, err := parseOperator(p, operator(e.Key()), e.Value())
		if err != nil {
			return nil, err
		}
		all = append(all, f)
	}
	if len(all) == 1 {
		return all[0], nil
	}
	return all, nil
}

func parseOperator(p path, op operator, v bson.RawValue) (filter, error) {
	switch op {
	case opEqual, opBelow, opUpTo, opAbove, opFrom:
		return newTest(p, op, v)
	case opUnequal:
		return negated(newTest(p, opEqual, v))
	case opIn:
		return newIn(p, v)
	case opNotIn:
		return negated(newIn(p, v))
	case opExists:
		t := &test{path: p, op: op}
		if truthy(v) {
			return t, nil
		}
		return not{t}, nil
	case opType:
		types, err := parseTypes(v)
		return &test{path: p, op: op, types: types}, err
	case opNot:
		if !isOperators(v) {
			return nil, refuse(codeBadValue, "$not needs a document of operators; mongosim knows no regular expressions")
		}
		sub, err := parseOperators(p, v.Document())
		return not{sub}, err
	}
	return nil, refuse(codeBadValue, "unknown operator: %s", op)
}

func negated(f filter, err error) (filter, error) { return not{f}, err }

func newTest(p path, op operator, v bson.RawValue) (filter, error) {
	if err := plain(v); err != nil {
		return nil, err
	}
	return &test{path: p, op: op, value: v, key: keyOf(v)}, nil
}

func newIn(p path, v bson.RawValue) (filter, error) {
	if !isArray(v) {
		return nil, refuse(codeBadValue, "$in needs an array")
	}
	t := &test{path: p, op: opIn}
	for e := range elements(v.Value) {
		if isOperators(e.Value()) {
			return nil, refuse(codeBadValue, "cannot nest $ under $in")
		}
		if err := plain(e.Value()); err != nil {
			return nil, err
		}
		t.list = append(t.list, e.Value())
	}
	return t, nil
}

// plain refuses what would not be a plain comparison.
func plain(v bson.RawValue) error {
	switch v.Type {
	case bson.TypeRegex, bson.TypeMinKey, bson.TypeMaxKey:
		return refuse(codeNotImplemented, "mongosim: conditions on values of type %s are not implemented", v.Type)
	}
	return nil
}

var typeNames = map[string][]bson.Type{
	"double": {bson.TypeDouble}, "string": {bson.TypeString}, "object": {bson.TypeEmbeddedDocument},
	"array": {bson.TypeArray}, "binData": {bson.TypeBinary}, "objectId": {bson.TypeObjectID},
	"bool": {bson.TypeBoolean}, "date": {bson.TypeDateTime}, "null": {bson.TypeNull},
	"int": {bson.TypeInt32}, "long": {bson.TypeInt64}, "decimal": {bson.TypeDecimal128},
	"timestamp": {bson.TypeTimestamp},
	"number":    {bson.TypeDouble, bson.TypeInt32, bson.TypeInt64, bson.TypeDecimal128},
}

func parseTypes(v bson.RawValue) ([]bson.Type, error) {
	name, ok := v.StringValueOK()
	if !ok {
		return nil, refuse(codeNotImplemented, "mongosim: $type takes the name of one type")
	}
	types := typeNames[name]
	if types == nil {
		return nil, refuse(codeBadValue, "Unknown type name alias: %s", name)
	}
	return types, nil
}
