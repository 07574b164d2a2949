package mongosim

import (
	"math"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"pgregory.net/rapid"
)

func decimal(t *testing.T, text string) bson.Decimal128 {
	t.Helper()
	v, err := bson.ParseDecimal128(text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// The order of types, and of values within each: from
// https://www.mongodb.com/docs/v7.0/reference/bson-type-comparison-order/
func TestTheOrderOfValues(t *testing.T) {
	t.Parallel()
	oid := func(b byte) bson.ObjectID { return bson.ObjectID{11: b} }
	inOrder := []any{
		bson.MinKey{}, nil,
		math.NaN(), math.Inf(-1), -math.MaxFloat64, int64(math.MinInt64), int32(-1), decimal(t, "-0.5"), 0.0, decimal(t, "0.1"), 0.1, int32(1),
		decimal(t, "1.0000000000000000001"), 1.5, int64(1 << 53), int64(1<<53 + 1), int64(math.MaxInt64), 9.3e18, math.Inf(1),
		"", "\x00", "a", "a\x00", "a\x00b", "ab", "b", "é",
		bson.D{}, bson.D{{Key: "a", Value: nil}}, bson.D{{Key: "a", Value: 1}}, bson.D{{Key: "a", Value: 1}, {Key: "b", Value: 1}}, bson.D{{Key: "b", Value: 0}}, bson.D{{Key: "a", Value: "x"}},
		bson.A{}, bson.A{1}, bson.A{1, 2}, bson.A{2}, bson.A{"a"},
		bson.Binary{Data: []byte{}}, bson.Binary{Data: []byte{9}}, bson.Binary{Data: []byte{0, 0}}, bson.Binary{Subtype: 4, Data: []byte{0, 0}},
		oid(1), oid(2), false, true,
		bson.DateTime(-1), bson.DateTime(0), bson.DateTime(1),
		bson.Timestamp{T: 1}, bson.Timestamp{T: 1, I: 1}, bson.Timestamp{T: 1 << 31},
		bson.Regex{Pattern: "a"}, bson.JavaScript("a"), bson.MaxKey{},
	}
	for i, a := range inOrder {
		for j, b := range inOrder {
			if x, y := keyOf(raw(a)), keyOf(raw(b)); (x < y) != (i < j) || (x == y) != (i == j) {
				t.Errorf("%v (%d) and %v (%d) compare as %v", a, i, b, j, x < y)
			}
			// Turned around, as in an index that goes downwards.
			x, y := string(appendDirected(nil, keyOf(raw(a)), true))+"\x01", string(appendDirected(nil, keyOf(raw(b)), true))+"\x01"
			if (x > y) != (i < j) {
				t.Errorf("downwards %v (%d) and %v (%d) compare as %v", a, i, b, j, x > y)
			}
		}
	}
}

func TestNumbersOfAllTypesAreEqual(t *testing.T) {
	t.Parallel()
	for _, same := range [][]any{
		{int32(1), int64(1), 1.0, decimal(t, "1"), decimal(t, "1.000")},
		{0.0, math.Copysign(0, -1), int32(0), decimal(t, "-0"), decimal(t, "0E-6176")},
		{0.5, decimal(t, "0.5")},
		{math.NaN(), decimal(t, "NaN")},
		{int64(1<<53 + 1), decimal(t, "9007199254740993")},
		{math.Inf(1), decimal(t, "Infinity")},
	} {
		for _, v := range same {
			if !equal(raw(v), raw(same[0])) {
				t.Errorf("%v (%T) and %v (%T) are not equal", v, v, same[0], same[0])
			}
		}
	}
}

// Whole numbers compare as such, however large.
func TestIntegersCompareExactly(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		a := rapid.Int64().Draw(r, "a")
		b := a + rapid.Int64Range(-3, 3).Draw(r, "more")
		if (keyOf(raw(a)) < keyOf(raw(b))) != (a < b) {
			r.Errorf("%d and %d compare wrong", a, b)
		}
	})
}

// The places of https://www.mongodb.com/docs/v7.0/tutorial/query-for-null-fields/
// and https://www.mongodb.com/docs/v7.0/tutorial/query-arrays/ where an answer is
// easily taken for another.
func TestWhatFiltersMatch(t *testing.T) {
	t.Parallel()
	in := func(field string, v any) bson.D { return bson.D{{Key: field, Value: v}} }
	op := func(field, op string, v any) bson.D { return in(field, in(op, v)) }
	for what, c := range map[string]struct {
		filter, doc bson.D
		want        bool
	}{
		"null is also what is not there":              {in("a", nil), bson.D{}, true},
		"null is null":                                {in("a", nil), in("a", nil), true},
		"null is no empty list":                       {in("a", nil), in("a", bson.A{}), false},
		"null may be in a list":                       {in("a", nil), in("a", bson.A{1, nil}), true},
		"unequal to null is to be there":              {op("a", "$ne", nil), bson.D{}, false},
		"what is null is there":                       {op("a", "$exists", true), in("a", nil), true},
		"less than null is nothing":                   {op("a", "$lt", nil), bson.D{}, false},
		"at most null is null":                        {op("a", "$lte", nil), bson.D{}, true},
		"a bound is about its own type":               {op("a", "$gt", 5), in("a", "6"), false},
		"numbers are one type":                        {op("a", "$gt", int32(5)), in("a", 5.5), true},
		"a number is no date":                         {op("a", "$lt", bson.DateTime(5)), in("a", 1), false},
		"what is not there is not more":               {in("a", in("$not", in("$gt", 0))), bson.D{}, true},
		"an element of a list":                        {in("a", 2), in("a", bson.A{1, 2}), true},
		"a list as a whole":                           {in("a", bson.A{1, 2}), in("a", bson.A{1, 2}), true},
		"its order counts":                            {in("a", bson.A{2, 1}), in("a", bson.A{1, 2}), false},
		"two elements for two bounds":                 {in("a", bson.D{{Key: "$gt", Value: 3}, {Key: "$lt", Value: 2}}), in("a", bson.A{1, 4}), true},
		"unequal to all elements":                     {op("a", "$ne", 2), in("a", bson.A{1, 2}), false},
		"the order of a document counts":              {in("a", bson.D{{Key: "x", Value: 1}, {Key: "y", Value: 2}}), in("a", bson.D{{Key: "y", Value: 2}, {Key: "x", Value: 1}}), false},
		"its numbers may be of another type":          {in("a", in("x", 1.0)), in("a", in("x", int64(1))), true},
		"a field of an element":                       {in("a.b", 2), in("a", bson.A{in("b", 1), in("b", 2)}), true},
		"an element by its place":                     {in("a.1", 2), in("a", bson.A{1, 2}), true},
		"a list with a first element":                 {op("a.0", "$exists", true), in("a", bson.A{}), false},
		"a field that one element has not":            {in("a.b", nil), in("a", bson.A{in("b", 1), in("c", 1)}), true},
		"no element is a document":                    {in("a.b", nil), in("a", bson.A{1, 2}), false},
		"a field of what is no document":              {in("a.b", nil), in("a", 1), true},
		"a list is of type array":                     {op("a", "$type", "array"), in("a", bson.A{}), true},
		"its elements are of theirs":                  {op("a", "$type", "string"), in("a", bson.A{"x"}), true},
		"one of with null":                            {op("a", "$in", bson.A{1, nil}), bson.D{}, true},
		"none of with null":                           {op("a", "$nin", bson.A{1, nil}), bson.D{}, false},
		"NaN equals itself":                           {in("a", math.NaN()), in("a", math.NaN()), true},
		"NaN is less than nothing":                    {op("a", "$lt", 5), in("a", math.NaN()), false},
		"one of several":                              {in("$or", bson.A{in("a", 1), in("b", 1)}), in("b", 1), true},
		"all of several":                              {in("$and", bson.A{in("a", 1), in("b", 1)}), in("b", 1), false},
		"one is true and the other a number, unequal": {in("a", true), in("a", 1), false},
	} {
		f, err := parseFilter(rawDoc(c.filter))
		if err != nil {
			t.Errorf("%s: %v", what, err)
		} else if got := f.match(rawDoc(c.doc)); got != c.want {
			t.Errorf("%s: %v on %v is %v, want %v", what, c.filter, c.doc, got, c.want)
		}
	}
}
