package mongodb

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
)

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
