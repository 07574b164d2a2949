package mongosim

import (
	"slices"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"pgregory.net/rapid"
)

func indexOn(t *testing.T, c *collection, name string, keys bson.D, options ...bson.E) {
	t.Helper()
	spec := append(bson.D{{Key: "key", Value: keys}, {Key: "name", Value: name}}, options...)
	if err := c.createIndex(rawDoc(spec)); err != nil {
		t.Fatal(err)
	}
}

var isUnique = bson.E{Key: "unique", Value: true}

// What unique indexes let stand side by side, from
// https://www.mongodb.com/docs/v7.0/core/index-unique/,
// https://www.mongodb.com/docs/v7.0/core/index-sparse/ and
// https://www.mongodb.com/docs/v7.0/core/index-partial/
func TestUniqueIndexes(t *testing.T) {
	t.Parallel()
	one := func(v any) bson.D { return bson.D{{Key: "a", Value: v}} }
	two := func(a, b any) bson.D { return bson.D{{Key: "a", Value: a}, {Key: "b", Value: b}} }
	sparse := bson.E{Key: "sparse", Value: true}
	partial := bson.E{Key: "partialFilterExpression", Value: bson.D{{Key: "a", Value: bson.D{{Key: "$exists", Value: true}}}, {Key: "b", Value: bson.D{{Key: "$exists", Value: true}}}}}
	onA, onBoth := one(1), two(1, -1)
	for what, c := range map[string]struct {
		keys          bson.D
		options       []bson.E
		first, second bson.D
		both          bool
	}{
		"the same":                               {onA, nil, one("x"), one("x"), false},
		"numbers of two types":                   {onA, nil, one(int32(1)), one(1.0), false},
		"one field missing twice":                {onA, nil, bson.D{}, bson.D{}, false},
		"missing and null":                       {onA, nil, bson.D{}, one(nil), false},
		"sparse, missing twice":                  {onA, []bson.E{sparse}, bson.D{}, bson.D{}, true},
		"sparse, null twice":                     {onA, []bson.E{sparse}, one(nil), one(nil), false},
		"a list and one of its elements":         {onA, nil, one(bson.A{1, 2}), one(2), false},
		"two lists with one element":             {onA, nil, one(bson.A{1, 2}), one(bson.A{2, 3}), false},
		"two lists without":                      {onA, nil, one(bson.A{1, 2}), one(bson.A{3}), true},
		"two empty lists":                        {onA, nil, one(bson.A{}), one(bson.A{}), false},
		"an empty list and null":                 {onA, nil, one(bson.A{}), one(nil), true},
		"a list with one element twice":          {onA, nil, one(bson.A{1, 1}), one(2), true},
		"two fields, one alike":                  {onBoth, nil, two(1, 1), two(1, 2), true},
		"two fields, both alike":                 {onBoth, nil, two(1, 1), two(1, 1), false},
		"two fields, one missing":                {onBoth, nil, one(1), one(1), false},
		"two fields, sparse, one missing":        {onBoth, []bson.E{sparse}, one(1), one(1), false},
		"two fields, sparse, both missing":       {onBoth, []bson.E{sparse}, bson.D{}, bson.D{}, true},
		"two fields, partial, one missing":       {onBoth, []bson.E{partial}, one(1), one(1), true},
		"two fields, partial, both there, alike": {onBoth, []bson.E{partial}, two(1, nil), two(1, nil), false},
	} {
		c1 := newCollection("d.c")
		indexOn(t, c1, "i", c.keys, append(c.options, isUnique)...)
		if err := c1.insert("1", rawDoc(c.first)); err != nil {
			t.Errorf("%s: the first gave %v", what, err)
		}
		if err := c1.insert("2", rawDoc(c.second)); (err == nil) != c.both || err != nil && !hasCode(err, codeDuplicateKey) {
			t.Errorf("%s: the second gave %v", what, err)
		}
	}
}

func TestADuplicateIsTold(t *testing.T) {
	t.Parallel()
	c := newCollection("d.c")
	indexOn(t, c, "email_1", bson.D{{Key: "email", Value: 1}}, isUnique)
	doc := rawDoc(bson.D{{Key: "email", Value: "a"}})
	if err := c.insert("1", doc); err != nil {
		t.Fatal(err)
	}
	r := asRefusal(c.insert("2", doc))
	if want := `E11000 duplicate key error collection: d.c index: email_1 dup key: {"email":"a"}`; r.msg != want {
		t.Errorf("the message is %s, want %s", r.msg, want)
	}
	if pattern, value := r.more[0].Value.(bson.Raw).String(), r.more[1].Value.(bson.Raw).String(); pattern != `{"email": {"$numberInt":"1"}}` || value != `{"email": "a"}` {
		t.Errorf("keyPattern is %s and keyValue %s", pattern, value)
	}
}

func TestParallelListsAreNotIndexed(t *testing.T) {
	t.Parallel()
	c := newCollection("d.c")
	indexOn(t, c, "i", bson.D{{Key: "a", Value: 1}, {Key: "b", Value: 1}})
	err := c.insert("1", rawDoc(bson.D{{Key: "a", Value: bson.A{1}}, {Key: "b", Value: bson.A{1}}}))
	if !hasCode(err, codeParallelArrays) {
		t.Errorf("two lists gave %v, want code %d", err, codeParallelArrays)
	}
	same := bson.D{{Key: "l", Value: bson.A{bson.D{{Key: "x", Value: 1}, {Key: "y", Value: 2}}, bson.D{{Key: "x", Value: 3}}}}}
	x := index{name: "i", fields: order{{path: path{"l", "x"}}, {path: path{"l", "y"}}}}
	if keys, _, err := x.keys(rawDoc(same)); err != nil || len(keys) != 2 {
		t.Errorf("one list in two fields has %d keys (%v), want one for each element: 2", len(keys), err)
	}
}

func TestSortsGoByTheLeastOrTheGreatestOfAList(t *testing.T) {
	t.Parallel()
	list, single := rawDoc(bson.D{{Key: "a", Value: bson.A{1, 9}}}), rawDoc(bson.D{{Key: "a", Value: 5}})
	for _, desc := range []bool{false, true} {
		o := order{{path: path{"a"}, desc: desc}}
		if got := o.sorted([]bson.Raw{single, list}); &got[0][0] != &list[0] {
			t.Errorf("downwards %v: the list is not first", desc)
		}
	}
}

// Whatever indexes there are, a query finds the same, in the same order.
func TestAnIndexChangesNoAnswer(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		bare, indexed := newCollection("d.c"), newCollection("d.c")
		for _, keys := range []string{"a", "b", "a b", "a -b", "-a", "c.d", "c.d a", "c.d c.e"} {
			spec := bson.D{}
			for _, f := range strings.Fields(keys) {
				name, desc := strings.CutPrefix(f, "-")
				spec = append(spec, bson.E{Key: name, Value: map[bool]int{false: 1, true: -1}[desc]})
			}
			options := rapid.SampledFrom([][]bson.E{nil, {{Key: "sparse", Value: true}}}).Draw(r, "options")
			indexOn(t, indexed, keys, spec, options...)
		}
		for i := range rapid.IntRange(0, 12).Draw(r, "documents") {
			doc := rawDoc(append(bson.D{{Key: "_id", Value: i}}, drawFields(r)...))
			id := keyOf(field(doc, "_id"))
			if err := indexed.insert(id, doc); err != nil {
				continue // two lists in one index
			}
			if err := bare.insert(id, doc); err != nil {
				r.Fatal(err)
			}
		}
		filter, sort := rawDoc(drawConditions(r)), rawDoc(bson.D{{Key: rapid.SampledFrom([]string{"a", "b"}).Draw(r, "order"), Value: rapid.SampledFrom([]int{1, -1}).Draw(r, "direction")}, {Key: "_id", Value: 1}})
		if got, want := answers(r, indexed, filter, sort), answers(r, bare, filter, sort); !slices.Equal(got, want) {
			r.Errorf("%s by %s: with indexes %v, without %v", filter, sort, got, want)
		}
	})
}

func answers(r *rapid.T, c *collection, filter, sort bson.Raw) (out []string) {
	st := emptyState()
	st.colls.Set(c.ns, c)
	d := draft{state: *st}
	docs, _, err := d.found(c.ns, target{filter: filter, order: sort})
	if err != nil {
		r.Fatal(err)
	}
	for _, doc := range docs {
		out = append(out, doc.String())
	}
	return out
}

func drawAny(r *rapid.T) any {
	return rapid.SampledFrom([]any{nil, int32(1), int64(2), 1.0, 2.5, "", "a", "a\x00b", true, bson.ObjectID{1}, bson.DateTime(1)}).Draw(r, "value")
}

func drawFields(r *rapid.T) (doc bson.D) {
	for _, name := range []string{"a", "b", "c"} {
		switch rapid.IntRange(0, 5).Draw(r, name) {
		case 0:
			doc = append(doc, bson.E{Key: name, Value: bson.A{drawAny(r), drawAny(r)}})
		case 1:
			doc = append(doc, bson.E{Key: name, Value: bson.A{bson.D{{Key: "d", Value: drawAny(r)}, {Key: "e", Value: drawAny(r)}}, bson.D{{Key: "d", Value: drawAny(r)}}}})
		case 2:
			doc = append(doc, bson.E{Key: name, Value: bson.D{{Key: "d", Value: drawAny(r)}}})
		case 3:
			doc = append(doc, bson.E{Key: name, Value: bson.A{}})
		case 4:
			doc = append(doc, bson.E{Key: name, Value: drawAny(r)})
		}
	}
	return doc
}

func drawConditions(r *rapid.T) bson.D {
	f := bson.D{}
	for _, name := range []string{"a", "b", "c.d", "c.e"} {
		switch rapid.IntRange(0, 6).Draw(r, name) {
		case 0:
			f = append(f, bson.E{Key: name, Value: drawAny(r)})
		case 1:
			f = append(f, bson.E{Key: name, Value: bson.D{{Key: "$in", Value: bson.A{drawAny(r), drawAny(r)}}}})
		case 2:
			op := rapid.SampledFrom([]string{"$gt", "$gte", "$lt", "$lte", "$ne"}).Draw(r, "op")
			f = append(f, bson.E{Key: name, Value: bson.D{{Key: op, Value: drawAny(r)}}})
		case 3:
			f = append(f, bson.E{Key: name, Value: bson.D{{Key: "$gt", Value: drawAny(r)}, {Key: "$lte", Value: drawAny(r)}}})
		}
	}
	if len(f) > 1 && rapid.Bool().Draw(r, "any") {
		return bson.D{{Key: "$or", Value: bson.A{f[:1], f[1:]}}}
	}
	return f
}

// A query by an index looks at what it finds, and at nothing else.
func TestQueriesUseIndexes(t *testing.T) {
	t.Parallel()
	c := newCollection("d.c")
	indexOn(t, c, "owner_1_at_1", bson.D{{Key: "owner", Value: 1}, {Key: "at", Value: 1}})
	for i := range 10_000 {
		doc := rawDoc(bson.D{{Key: "_id", Value: i}, {Key: "owner", Value: i % 1000}, {Key: "at", Value: bson.NewDateTimeFromTime(time.Unix(int64(i), 0))}})
		if err := c.insert(keyOf(field(doc, "_id")), doc); err != nil {
			t.Fatal(err)
		}
	}
	for what, q := range map[string]struct {
		filter, sort bson.D
		most         int
		sorted       bool
	}{
		"by _id":                   {bson.D{{Key: "_id", Value: 5}}, nil, 1, false},
		"by a list of _id":         {bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: bson.A{5, 6, 7}}}}}, nil, 3, false},
		"by a range of _id":        {bson.D{{Key: "_id", Value: bson.D{{Key: "$gt", Value: 9990}}}}, bson.D{{Key: "_id", Value: 1}}, 9, true},
		"by a field":               {bson.D{{Key: "owner", Value: 7}}, bson.D{{Key: "at", Value: -1}, {Key: "_id", Value: -1}}, 10, true},
		"by a field and a range":   {bson.D{{Key: "owner", Value: 7}, {Key: "at", Value: bson.D{{Key: "$gte", Value: bson.NewDateTimeFromTime(time.Unix(5000, 0))}}}}, nil, 5, false},
		"by each branch of an $or": {bson.D{{Key: "$or", Value: bson.A{bson.D{{Key: "_id", Value: 1}}, bson.D{{Key: "owner", Value: 7}}}}}, nil, 11, false},
	} {
		f, err := parseFilter(rawDoc(q.filter))
		if err != nil {
			t.Fatal(err)
		}
		o, err := parseOrder(rawDoc(append(bson.D{}, q.sort...)))
		if err != nil {
			t.Fatal(err)
		}
		p, met := c.planFor(f, o, nil), 0
		if _, err := newWalker(p).walk(c, func(string, bson.Raw) bool { met++; return true }); err != nil {
			t.Fatal(err)
		}
		if met > q.most || p.sorted != q.sorted {
			t.Errorf("%s: %d documents were looked at, want %d; sorted %v, want %v", what, met, q.most, p.sorted, q.sorted)
		}
	}
}
