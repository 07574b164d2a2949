package mongosim

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// update is a parsed update: operators, or a document to put in place.
type update struct {
	replacement bson.Raw
	steps       []step
}

// step is one operator on one field.
type step struct {
	op    string
	path  path
	value bson.RawValue
}

var updateOperators = []string{"$set", "$unset", "$inc", "$max", "$setOnInsert", "$currentDate"}

// parseUpdate reads an update.
func parseUpdate(v bson.RawValue) (*update, error) {
	if !isDocument(v) {
		return nil, refuse(codeNotImplemented, "mongosim: an update must be a document; a pipeline is not implemented")
	}
	if !isOperators(v) {
		for e := range elements(v.Value) {
			if strings.HasPrefix(e.Key(), "$") {
				return nil, refuse(codeDollarPrefixed, "The dollar ($) prefixed field '%s' is not allowed in the context of an update's replacement document.", e.Key())
			}
		}
		return &update{replacement: v.Document()}, nil
	}
	u := &update{}
	for e := range elements(v.Value) {
		if !slices.Contains(updateOperators, e.Key()) {
			return nil, refuse(codeFailedToParse, "Unknown modifier: %s. Expected a valid update modifier or pipeline-style update specified as an array", e.Key())
		}
		if err := u.parseOperator(e.Key(), e.Value()); err != nil {
			return nil, err
		}
	}
	// Fields are changed, and new ones added, in the order of their names.
	slices.SortStableFunc(u.steps, func(a, b step) int { return slices.CompareFunc(a.path, b.path, compareParts) })
	return u, u.conflict()
}

func compareParts(a, b string) int {
	if isIndex(a) && isIndex(b) {
		return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
	}
	return strings.Compare(a, b)
}

func (u *update) parseOperator(op string, v bson.RawValue) error {
	if !isDocument(v) {
		return refuse(codeFailedToParse, "Modifiers operate on fields but we found type %s instead", v.Type)
	}
	for e := range elements(v.Value) {
		p := parsePath(e.Key())
		if slices.ContainsFunc(p, func(part string) bool { return part == "" }) {
			return refuse(codeEmptyFieldName, "The update path '%s' contains an empty field name, which is not allowed.", e.Key())
		}
		if slices.ContainsFunc(p, func(part string) bool { return part[0] == '$' }) {
			return refuse(codeNotImplemented, "mongosim: positional operators, as in %q, are not implemented", e.Key())
		}
		if op == "$currentDate" && !truthy(e.Value()) {
			return refuse(codeNotImplemented, "mongosim: $currentDate takes only true")
		}
		u.steps = append(u.steps, step{op, p, e.Value()})
	}
	return nil
}

// conflict refuses two changes of one field. The steps are sorted.
func (u *update) conflict() error {
	for i := 1; i < len(u.steps); i++ {
		a, b := u.steps[i-1].path, u.steps[i].path
		if len(a) <= len(b) && slices.Equal(a, b[:len(a)]) {
			return refuse(codeConflictingUpdates, "Updating the path '%s' would create a conflict at '%s'", b, a)
		}
	}
	return nil
}

// apply returns the document as it is to be.
func (u *update) apply(doc bson.Raw, inserting bool) (bson.Raw, error) {
	id := field(doc, "_id")
	after, err := u.applied(doc, inserting)
	if err != nil {
		return nil, err
	}
	now := field(after, "_id")
	switch {
	case now.Type == 0 && id.Type != 0:
		after, err = withID(after, id)
	case id.Type != 0 && !equal(now, id):
		return nil, refuse(codeImmutableField, "Performing an update on the path '_id' would modify the immutable field '_id'")
	case u.replacement != nil && now.Type != 0:
		after, err = withID(after, now)
	}
	if err == nil && len(after) > maxDocumentSize {
		err = refuse(17419, "Resulting document after update is larger than %d", maxDocumentSize)
	}
	return after, err
}

func (u *update) applied(doc bson.Raw, inserting bool) (bson.Raw, error) {
	if u.replacement != nil {
		return slices.Clone(u.replacement), nil
	}
	for _, s := range u.steps {
		if s.op == "$setOnInsert" && !inserting {
			continue
		}
		v, err := s.at(asDocument(doc), s.path)
		if err != nil {
			return nil, err
		}
		doc = v.Document()
	}
	return doc, nil
}

// at applies a step to the field at a path within v, which is a document or a
// list.
func (s step) at(v bson.RawValue, p path) (bson.RawValue, error) {
	switch {
	case isDocument(v):
		return s.inDocument(v, p)
	case isArray(v):
		return s.inList(v, p)
	case s.op == "$unset":
		return v, nil
	}
	return v, refuse(codePathNotViable, "Cannot create field '%s' in element of type %s", p[0], v.Type)
}

func (s step) inDocument(v bson.RawValue, p path) (bson.RawValue, error) {
	b, found := newBuilder(), false
	for e := range elements(v.Value) {
		if e.Key() != p[0] {
			b.addRaw(e)
			continue
		}
		found = true
		now, err := s.deeper(e.Value(), p)
		if err != nil {
			return v, err
		}
		if now.Type != 0 {
			b.add(p[0], now)
		}
	}
	if !found {
		now, err := s.deeper(missing, p)
		if err != nil || now.Type == 0 {
			return v, err
		}
		b.add(p[0], now)
	}
	return asDocument(b.done()), nil
}

// inList changes an element, which the path names by its place; what is taken
// out of a list leaves null.
func (s step) inList(v bson.RawValue, p path) (bson.RawValue, error) {
	place, err := strconv.Atoi(p[0])
	if err != nil || place < 0 || place > 1_500_000 {
		if s.op == "$unset" {
			return v, nil
		}
		return v, refuse(codePathNotViable, "Cannot create field '%s' in an array", p[0])
	}
	b, n := newBuilder(), 0
	for e := range elements(v.Value) {
		x := e.Value()
		if n == place {
			if x, err = s.deeper(x, p); err != nil {
				return v, err
			}
			if x.Type == 0 {
				x = raw(nil)
			}
		}
		b.add(strconv.Itoa(n), x)
		n++
	}
	if place >= n && s.op != "$unset" {
		x, err := s.deeper(missing, p)
		if err != nil {
			return v, err
		}
		for ; n < place; n++ {
			b.add(strconv.Itoa(n), raw(nil))
		}
		b.add(p[0], x)
	}
	return bson.RawValue{Type: bson.TypeArray, Value: b.done()}, nil
}

// deeper goes on within v, or changes it at the end of the path. What is missing
// on the way becomes a document.
func (s step) deeper(v bson.RawValue, p path) (bson.RawValue, error) {
	switch {
	case len(p) == 1:
		return s.change(v)
	case v.Type == 0 && s.op == "$unset":
		return v, nil
	case v.Type == 0:
		v = asDocument(newBuilder().done())
	}
	return s.at(v, p[1:])
}

// change returns the new value of a field, missing for none.
func (s step) change(v bson.RawValue) (bson.RawValue, error) {
	switch s.op {
	case "$unset":
		return missing, nil
	case "$currentDate":
		return raw(bson.NewDateTimeFromTime(time.Now())), nil
	case "$max":
		if v.Type != 0 && keyOf(v) >= keyOf(s.value) {
			return v, nil
		}
	case "$inc":
		return s.increment(v)
	}
	return s.value, nil
}

// increment adds; the sum is of the wider type.
func (s step) increment(v bson.RawValue) (bson.RawValue, error) {
	if !isAddable(s.value) {
		return v, refuse(codeTypeMismatch, "Cannot increment with non-numeric argument: {%s: %s}", s.path, s.value)
	}
	switch {
	case v.Type == 0:
		return s.value, nil
	case !isAddable(v):
		return v, refuse(codeTypeMismatch, "Cannot apply $inc to a value of non-numeric type %s", v.Type)
	case v.Type == bson.TypeDouble || s.value.Type == bson.TypeDouble:
		a, _ := v.AsFloat64OK()
		b, _ := s.value.AsFloat64OK()
		return raw(a + b), nil
	}
	a, _ := v.AsInt64OK()
	b, _ := s.value.AsInt64OK()
	sum := a + b
	switch {
	case (sum > a) != (b > 0) && b != 0:
		return v, refuse(codeBadValue, "Failed to apply $inc operations to current value (%d) for document", a)
	case v.Type == bson.TypeInt32 && s.value.Type == bson.TypeInt32 && sum >= math.MinInt32 && sum <= math.MaxInt32:
		return raw(int32(sum)), nil
	}
	return raw(sum), nil
}

func isAddable(v bson.RawValue) bool {
	return v.Type == bson.TypeInt32 || v.Type == bson.TypeInt64 || v.Type == bson.TypeDouble
}

// insertion is the document of an upsert: what the filter says that fields are
// equal to, and then the update.
func (u *update) insertion(f filter) (bson.Raw, error) {
	doc := newBuilder().done()
	for _, t := range termsOf(f).tests {
		if t.op != opEqual || u.replacement != nil && t.path.String() != "_id" {
			continue
		}
		v, err := step{"$set", t.path, t.value}.at(asDocument(doc), t.path)
		if err != nil {
			return nil, err
		}
		doc = v.Document()
	}
	after, err := u.apply(doc, true)
	if err != nil {
		return nil, err
	}
	return insertable(after)
}
