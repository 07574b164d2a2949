package mongo

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/amanat-dev/amanat/fault"
)

// matcher applies a filter as the server does. It knows equality, $eq, $ne,
// $gt, $gte, $lt, $lte, $in, $nin, $exists, $not, $regex, $and, $or and $nor, dotted
// names and lists; a query with anything else is refused at once, so that it
// does not fail on the one day when a commit is under way.
type matcher func(doc bson.Raw) bool

func (m matcher) matches(doc bson.Raw) bool { return m(doc) }

func compile(filter bson.D) (matcher, error) {
	if len(filter) == 0 {
		return func(bson.Raw) bool { return true }, nil
	}
	raw, err := bson.Marshal(filter)
	if err != nil {
		return nil, fault.Wrap(err, fault.Internal, "a filter that cannot be sent")
	}
	m, err := compileDoc(raw)
	if err != nil {
		return nil, fault.Wrap(err, fault.Internal, "a filter of a sort that is not known here")
	}
	return m, nil
}

func compileDoc(filter bson.Raw) (matcher, error) {
	elements, err := filter.Elements()
	if err != nil {
		return nil, err
	}
	all := make([]matcher, len(elements))
	for i, e := range elements {
		if all[i], err = compileElement(e.Key(), e.Value()); err != nil {
			return nil, err
		}
	}
	return every(all), nil
}

func every(all []matcher) matcher {
	return func(doc bson.Raw) bool {
		for _, m := range all {
			if !m(doc) {
				return false
			}
		}
		return true
	}
}

func some(any []matcher) matcher {
	return func(doc bson.Raw) bool {
		return slices.ContainsFunc(any, func(m matcher) bool { return m(doc) })
	}
}

func not(m matcher) matcher { return func(doc bson.Raw) bool { return !m(doc) } }

func compileElement(name string, value bson.RawValue) (matcher, error) {
	switch name {
	case "$and", "$or", "$nor":
		return compileLogic(name, value)
	}
	if strings.HasPrefix(name, "$") {
		return nil, fmt.Errorf("operator %s", name)
	}
	path := strings.Split(name, ".")
	if operators, ok := operatorsOf(value); ok {
		return compileOperators(path, operators)
	}
	return compileOperator(path, "$eq", value)
}

func compileLogic(name string, value bson.RawValue) (matcher, error) {
	array, ok := value.ArrayOK()
	if !ok {
		return nil, fmt.Errorf("%s wants a list", name)
	}
	values, err := array.Values()
	if err != nil {
		return nil, err
	}
	parts := make([]matcher, len(values))
	for i, v := range values {
		doc, ok := v.DocumentOK()
		if !ok {
			return nil, fmt.Errorf("%s wants documents", name)
		}
		if parts[i], err = compileDoc(doc); err != nil {
			return nil, err
		}
	}
	switch name {
	case "$and":
		return every(parts), nil
	case "$or":
		return some(parts), nil
	}
	return not(some(parts)), nil
}

// operatorsOf gives the operators of {field: {$gt: …, …}}.
func operatorsOf(value bson.RawValue) ([]bson.RawElement, bool) {
	doc, ok := value.DocumentOK()
	if !ok {
		return nil, false
	}
	elements, err := doc.Elements()
	if err != nil || len(elements) == 0 || !strings.HasPrefix(elements[0].Key(), "$") {
		return nil, false
	}
	return elements, true
}

func compileOperators(path []string, operators []bson.RawElement) (matcher, error) {
	all := make([]matcher, 0, len(operators))
	for _, e := range operators {
		if e.Key() == "$options" {
			continue // read with $regex
		}
		value := e.Value()
		if e.Key() == "$regex" {
			value = regexOf(value, operators)
		}
		m, err := compileOperator(path, e.Key(), value)
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return every(all), nil
}

func compileOperator(path []string, op string, want bson.RawValue) (matcher, error) {
	switch op {
	case "$eq":
		if want.Type == bson.TypeRegex {
			return compileOperator(path, "$regex", want)
		}
		return equals(path, want), nil
	case "$ne":
		return not(equals(path, want)), nil
	case "$gt", "$gte", "$lt", "$lte":
		return compares(path, op, want), nil
	case "$in", "$nin":
		return compileIn(path, op, want)
	case "$exists":
		return func(doc bson.Raw) bool { return (len(lookup(doc, path)) > 0) == truthy(want) }, nil
	case "$not":
		operators, ok := operatorsOf(want)
		if !ok {
			return nil, fmt.Errorf("$not wants operators")
		}
		m, err := compileOperators(path, operators)
		if err != nil {
			return nil, err
		}
		return not(m), nil
	case "$regex":
		return compileRegex(path, want)
	}
	return nil, fmt.Errorf("operator %s", op)
}

func compileIn(path []string, op string, want bson.RawValue) (matcher, error) {
	array, ok := want.ArrayOK()
	if !ok {
		return nil, fmt.Errorf("%s wants a list", op)
	}
	values, err := array.Values()
	if err != nil {
		return nil, err
	}
	parts := make([]matcher, len(values))
	for i, v := range values {
		parts[i] = equals(path, v)
	}
	if op == "$in" {
		return some(parts), nil
	}
	return not(some(parts)), nil
}

func regexOf(value bson.RawValue, operators []bson.RawElement) bson.RawValue {
	pattern, ok := value.StringValueOK()
	if !ok {
		return value
	}
	flags := ""
	for _, e := range operators {
		if e.Key() == "$options" {
			flags, _ = e.Value().StringValueOK()
		}
	}
	t, data, err := bson.MarshalValue(bson.Regex{Pattern: pattern, Options: flags})
	if err != nil {
		return value
	}
	return bson.RawValue{Type: t, Value: data}
}

func compileRegex(path []string, want bson.RawValue) (matcher, error) {
	pattern, flags, ok := want.RegexOK()
	if !ok || strings.Trim(flags, "ims") != "" {
		return nil, fmt.Errorf("this $regex")
	}
	if flags != "" {
		pattern = "(?" + flags + ")" + pattern
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, err
	}
	return func(doc bson.Raw) bool {
		return slices.ContainsFunc(candidates(doc, path), func(v bson.RawValue) bool {
			s, ok := v.StringValueOK()
			return ok && re.MatchString(s)
		})
	}, nil
}

func truthy(v bson.RawValue) bool {
	if b, ok := v.BooleanOK(); ok {
		return b
	}
	n, err := integer(v)
	return err != nil || n != 0
}

func equals(path []string, want bson.RawValue) matcher {
	return func(doc bson.Raw) bool {
		found := candidates(doc, path)
		if isNull(want) && len(found) == 0 {
			return true
		}
		return slices.ContainsFunc(found, func(v bson.RawValue) bool {
			return rank(v) == rank(want) && compareValues(v, want) == 0
		})
	}
}

func compares(path []string, op string, want bson.RawValue) matcher {
	return func(doc bson.Raw) bool {
		return slices.ContainsFunc(candidates(doc, path), func(v bson.RawValue) bool {
			if rank(v) != rank(want) {
				return false
			}
			c := compareValues(v, want)
			switch op {
			case "$gt":
				return c > 0
			case "$gte":
				return c >= 0
			case "$lt":
				return c < 0
			}
			return c <= 0
		})
	}
}

// candidates gives the values that a condition on path looks at: a list counts
// itself and with each of its elements.
func candidates(doc bson.Raw, path []string) []bson.RawValue {
	var out []bson.RawValue
	for _, v := range lookup(doc, path) {
		out = append(out, v)
		if array, ok := v.ArrayOK(); ok {
			elements, _ := array.Values()
			out = append(out, elements...)
		}
	}
	return out
}

// lookup follows a dotted path, into the elements of lists as well.
func lookup(doc bson.Raw, path []string) []bson.RawValue {
	v, err := doc.LookupErr(path[0])
	if err != nil {
		return nil
	}
	return descend(v, path[1:])
}

func descend(v bson.RawValue, path []string) []bson.RawValue {
	if len(path) == 0 {
		return []bson.RawValue{v}
	}
	if doc, ok := v.DocumentOK(); ok {
		return lookup(doc, path)
	}
	array, ok := v.ArrayOK()
	if !ok {
		return nil
	}
	var out []bson.RawValue
	elements, _ := array.Values()
	for i, e := range elements {
		if path[0] == fmt.Sprint(i) {
			out = append(out, descend(e, path[1:])...)
		}
		if doc, ok := e.DocumentOK(); ok {
			out = append(out, lookup(doc, path)...)
		}
	}
	return out
}

// inOrder sorts documents as the server does. Without an order they stay.
func inOrder(docs []bson.Raw, order bson.D) []bson.Raw {
	slices.SortStableFunc(docs, func(a, b bson.Raw) int { return compareDocs(a, b, order) })
	return docs
}

// compareDocs compares documents by an order.
func compareDocs(a, b bson.Raw, order bson.D) int {
	for _, e := range order {
		c := compareField(a, b, strings.Split(e.Key, "."))
		if fmt.Sprint(e.Value) == "-1" {
			c = -c
		}
		if c != 0 {
			return c
		}
	}
	return 0
}

func compareField(a, b bson.Raw, path []string) int {
	x, y := firstValue(a, path), firstValue(b, path)
	return cmp.Or(cmp.Compare(rank(x), rank(y)), compareValues(x, y))
}

func firstValue(doc bson.Raw, path []string) bson.RawValue {
	if found := lookup(doc, path); len(found) > 0 {
		return found[0]
	}
	return bson.RawValue{Type: bson.TypeNull}
}

// rank is a type's place in MongoDB's order of types.
func rank(v bson.RawValue) int {
	switch v.Type {
	case 0, bson.TypeNull, bson.TypeUndefined:
		return 1
	case bson.TypeInt32, bson.TypeInt64, bson.TypeDouble, bson.TypeDecimal128:
		return 2
	case bson.TypeString, bson.TypeSymbol:
		return 3
	case bson.TypeEmbeddedDocument:
		return 4
	case bson.TypeArray:
		return 5
	case bson.TypeBinary:
		return 6
	case bson.TypeObjectID:
		return 7
	case bson.TypeBoolean:
		return 8
	case bson.TypeDateTime:
		return 9
	}
	return 10 + int(v.Type)
}

// compareValues compares two values of the same rank.
func compareValues(a, b bson.RawValue) int {
	switch rank(a) {
	case 1:
		return 0
	case 2:
		return compareNumbers(a, b)
	case 3:
		return strings.Compare(a.StringValue(), b.StringValue())
	case 7:
		x, y := a.ObjectID(), b.ObjectID()
		return bytes.Compare(x[:], y[:])
	case 8:
		return boolRank(a) - boolRank(b)
	case 9:
		return cmp.Compare(a.DateTime(), b.DateTime())
	}
	return bytes.Compare(a.Value, b.Value)
}

func boolRank(v bson.RawValue) int {
	if v.Boolean() {
		return 1
	}
	return 0
}

func compareNumbers(a, b bson.RawValue) int {
	x, errX := integer(a)
	y, errY := integer(b)
	if errX == nil && errY == nil {
		return cmp.Compare(x, y)
	}
	return cmp.Compare(float(a), float(b))
}

func float(v bson.RawValue) float64 {
	if f, ok := v.AsFloat64OK(); ok {
		return f
	}
	return math.NaN()
}
