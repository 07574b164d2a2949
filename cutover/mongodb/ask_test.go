package mongodb_test

import (
	"math/rand/v2"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/amanat-dev/amanat/cutover/cutovertest"
	"github.com/amanat-dev/amanat/cutover/mongodb"
	"github.com/amanat-dev/amanat/internal/storetest"
)

// Documents say the same in many forms; a query asks for what a reader sees.
func TestQueriesAreAnsweredAsInMemory(t *testing.T) {
	t.Parallel()
	for name, lists := range map[string]bool{"one filter": true, "a filter for each form": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := storetest.Mongo(t)
			side := storetest.SideOn(t, db, cutovertest.Definition)
			db.SetFindsLists(lists)
			cutovertest.Queries(t, rand.Uint64(), side, func(r *rand.Rand, all []*cutovertest.Specimen) []*cutovertest.Specimen {
				seen := make([]*cutovertest.Specimen, len(all))
				for i, s := range all {
					doc := aged(t, r, s)
					if _, err := db.Raw("specimens").InsertOne(t.Context(), doc); err != nil {
						t.Fatal(err)
					}
					read, err := mongodb.Decode(s, doc)
					if err != nil {
						t.Fatal(err)
					}
					seen[i] = read.(*cutovertest.Specimen)
				}
				return seen
			})
		})
	}
}

// aged is a specimen's document as an earlier application may have left it.
func aged(t *testing.T, r *rand.Rand, s *cutovertest.Specimen) bson.D {
	t.Helper()
	raw, err := mongodb.Encode(s)
	if err != nil {
		t.Fatal(err)
	}
	elements, err := raw.Elements()
	if err != nil {
		t.Fatal(err)
	}
	var doc bson.D
	there := map[string]bool{}
	for _, e := range elements {
		there[e.Key()] = true
		if v, stays := older(r, e.Key(), e.Value()); stays {
			doc = append(doc, bson.E{Key: e.Key(), Value: v})
		}
	}
	for name, nothing := range map[string]any{"name": "", "shelfId": nil, "at": nil, "tags": bson.A{}, "marks": bson.A{}} {
		if !there[name] && r.IntN(2) == 0 {
			doc = append(doc, bson.E{Key: name, Value: nothing})
		}
	}
	return doc
}

// older is another form of a field's value, half the time; false: no field.
func older(r *rand.Rand, name string, v bson.RawValue) (any, bool) {
	if r.IntN(2) == 0 {
		return v, true
	}
	switch name {
	case "shelfId":
		return v.ObjectID().Hex(), true
	case "order":
		return float64(v.AsInt64()), v.AsInt64() != 0
	case "flag":
		return v, v.Boolean()
	case "state":
		switch v.StringValue() {
		case "new":
			return "fresh", r.IntN(2) == 0
		case "used":
			return "old", true
		}
	case "refs", "marks":
		return inHex(r, v), true
	}
	return v, true
}

func inHex(r *rand.Rand, list bson.RawValue) bson.A {
	var out bson.A
	values, _ := list.Array().Values()
	for _, v := range values {
		if id, ok := v.ObjectIDOK(); ok && r.IntN(2) == 0 {
			out = append(out, id.Hex())
			continue
		}
		out = append(out, v)
	}
	return out
}
