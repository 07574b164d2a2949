package mongosim_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"pgregory.net/rapid"

	"github.com/amanat-dev/amanat/internal/devstack"
	"github.com/amanat-dev/amanat/internal/devstack/mongosim"
)

// exceptions are where FerretDB is not right, with the page of MongoDB's manual
// that says how it is. Such commands are not sent to it; a real server gets
// them all.
var exceptions = []struct {
	what, page string
	applies    func(c command) bool
}{
	{"a condition through a list matches nothing in an update or delete", "https://www.mongodb.com/docs/v7.0/tutorial/query-array-of-documents/",
		func(c command) bool { return c.writes() && strings.Contains(c.text, `"c.d"`) }},
	{"null is found in a list of plain values, behind a dot", "https://www.mongodb.com/docs/v7.0/tutorial/query-for-null-fields/",
		func(c command) bool { return strings.Contains(c.text, `"c.d"`) && strings.Contains(c.text, "null") }},
	{"$not is about each element of a list, behind a dot", "https://www.mongodb.com/docs/v7.0/reference/operator/query/not/",
		func(c command) bool { return strings.Contains(c.text, `"c.d"`) && strings.Contains(c.text, `"$not"`) }},
	{"sparse and partial indexes are not", "https://www.mongodb.com/docs/v7.0/core/index-sparse/",
		func(c command) bool {
			return strings.Contains(c.text, `"sparse"`) || strings.Contains(c.text, `"partialFilterExpression"`)
		}},
	{"$max and $setOnInsert with null make no field", "https://www.mongodb.com/docs/v7.0/reference/operator/update/max/#behavior",
		func(c command) bool {
			return (strings.Contains(c.text, `"$max"`) || strings.Contains(c.text, `"$setOnInsert"`)) && strings.Contains(c.text, "null")
		}},
	{"a unique index counts one missing field", "https://www.mongodb.com/docs/v7.0/core/index-unique/#unique-index-and-missing-field",
		func(c command) bool { return strings.Contains(c.text, `"unique"`) }},
}

// command is one of a random run.
type command struct {
	body bson.D
	text string
}

func (c command) writes() bool {
	return slices.Contains([]string{"update", "delete", "findAndModify"}, c.body[0].Key)
}

// The two answer alike, whatever they are asked, and hold the same documents.
func TestItAnswersAsAnotherServerDoes(t *testing.T) {
	t.Parallel()
	other, ferret := theOther(t)
	here := connect(t, start(t, mongosim.Options{}).URI()).Database("differential")
	runs := 0
	left := map[string]int{}
	rapid.Check(t, func(r *rapid.T) {
		runs++
		name := fmt.Sprintf("c%d_%d", runs, time.Now().UnixNano())
		for range rapid.IntRange(1, 25).Draw(r, "length") {
			c := drawCommand(r, name)
			if why := exception(c); ferret && why != "" {
				left[why]++
				continue
			}
			compare(t.Context(), r, here, other, c)
			compare(t.Context(), r, here, other, command{d("find", name, "sort", d("_id", 1)), "what there is after " + c.text})
		}
		_ = other.Collection(name).Drop(t.Context())
	})
	for why, n := range left {
		t.Logf("%d commands were not sent to FerretDB: %s", n, why)
	}
}

// theOther is the server that MONGODB_URI names, or FerretDB.
func theOther(t *testing.T) (db *mongo.Database, ferret bool) {
	t.Helper()
	uri := os.Getenv(devstack.EnvMongo)
	if uri != "" {
		var info bson.M
		if err := connect(t, uri).Database("admin").RunCommand(t.Context(), d("buildInfo", 1)).Decode(&info); err != nil {
			t.Fatal(err)
		}
		if info["mongosim"] == nil {
			return connect(t, uri).Database("differential"), info["ferretdbVersion"] != nil
		}
	}
	if testing.Short() {
		t.Skip("starts a server of its own")
	}
	m, err := devstack.StartFerret(t.Context(), devstack.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Stop() })
	return connect(t, m.URI()).Database("differential"), true
}

func exception(c command) string {
	for _, e := range exceptions {
		if e.applies(c) {
			return e.what + ", see " + e.page
		}
	}
	return ""
}

func newCommand(body bson.D) command {
	text, err := bson.MarshalExtJSON(body, false, false)
	if err != nil {
		panic(err)
	}
	return command{body, string(text)}
}

func compare(ctx context.Context, r *rapid.T, here, other *mongo.Database, c command) {
	got, want := answer(ctx, here, c), answer(ctx, other, c)
	if got != want {
		r.Fatalf("%s\nhere:  %s\nthere: %s", c.text, got, want)
	}
}

// answer is what counts of an answer, as text.
func answer(ctx context.Context, db *mongo.Database, c command) string {
	doc, err := db.RunCommand(ctx, c.body).Raw()
	if err != nil {
		if mongo.IsDuplicateKeyError(err) {
			return "a duplicate key"
		}
		return "an error"
	}
	var out []string
	for _, name := range []string{"n", "nModified", "value", "values"} {
		if v, err := doc.LookupErr(name); err == nil {
			out = append(out, name+" "+v.String())
		}
	}
	if errs, ok := doc.Lookup("writeErrors").ArrayOK(); ok {
		values, _ := errs.Values()
		for _, v := range values {
			out = append(out, fmt.Sprint("error of ", v.Document().Lookup("index"), " duplicate: ", v.Document().Lookup("code").AsInt64() == 11000))
		}
	}
	if batch, ok := doc.Lookup("cursor", "firstBatch").ArrayOK(); ok {
		values, _ := batch.Values()
		for _, v := range values {
			out = append(out, v.String())
		}
	}
	return strings.Join(out, "\n")
}

var (
	someOIDs  = []bson.ObjectID{bson.ObjectID{1}, bson.ObjectID{2}}
	someTimes = []bson.DateTime{0, 1_700_000_000_000}
	someNames = []string{"a", "b", "c.d"}
)

func drawScalar(r *rapid.T) any {
	n := rapid.IntRange(0, 3).Draw(r, "n")
	switch rapid.IntRange(0, 7).Draw(r, "type") {
	case 0:
		return nil
	case 1:
		return int32(n)
	case 2:
		return int64(n)
	case 3:
		return float64(n) + rapid.SampledFrom([]float64{0, 0.5}).Draw(r, "half")
	case 4:
		return rapid.SampledFrom([]string{"", "a", "ab", "b"}).Draw(r, "text")
	case 5:
		return n%2 == 0
	case 6:
		return someOIDs[n%2]
	}
	return someTimes[n%2]
}

// drawValue draws a value of a field: also a list, a document, a list of these.
func drawValue(r *rapid.T) any {
	switch rapid.IntRange(0, 9).Draw(r, "shape") {
	case 0:
		return rapid.SliceOfN(rapid.Custom(drawScalar), 0, 3).Draw(r, "list")
	case 1:
		return d("d", drawScalar(r))
	case 2:
		return bson.A{d("d", drawScalar(r)), d("d", drawScalar(r))}
	}
	return drawScalar(r)
}

func drawDocument(r *rapid.T) bson.D {
	doc := d("_id", int32(rapid.IntRange(0, 9).Draw(r, "id")))
	for _, name := range []string{"a", "b", "c"} {
		if rapid.Bool().Draw(r, name) {
			doc = append(doc, bson.E{Key: name, Value: drawValue(r)})
		}
	}
	return doc
}

func drawFilter(r *rapid.T) bson.D {
	f := bson.D{}
	if rapid.IntRange(0, 2).Draw(r, "by id") == 0 {
		f = append(f, bson.E{Key: "_id", Value: rapid.IntRange(0, 9).Draw(r, "id")})
	}
	for _, name := range someNames {
		if rapid.IntRange(0, 2).Draw(r, "also "+name) == 0 {
			f = append(f, bson.E{Key: name, Value: drawCondition(r)})
		}
	}
	if len(f) > 1 && rapid.Bool().Draw(r, "any") {
		any := bson.A{}
		for _, e := range f {
			any = append(any, bson.D{e})
		}
		return d(rapid.SampledFrom([]string{"$or", "$and"}).Draw(r, "which"), any)
	}
	return f
}

// drawOne draws a filter for one document at most: which of several is changed
// is not said.
func drawOne(r *rapid.T) bson.D {
	f := d("_id", rapid.IntRange(0, 9).Draw(r, "the id"))
	if name := rapid.SampledFrom(append(someNames, "")).Draw(r, "also"); name != "" {
		f = append(f, bson.E{Key: name, Value: drawCondition(r)})
	}
	return f
}

func drawCondition(r *rapid.T) any {
	switch op := rapid.SampledFrom([]string{"", "$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$exists", "$type", "$not"}).Draw(r, "operator"); op {
	case "":
		return drawScalar(r)
	case "$in", "$nin":
		return d(op, rapid.SliceOfN(rapid.Custom(drawScalar), 1, 3).Draw(r, "values"))
	case "$exists":
		return d(op, rapid.Bool().Draw(r, "there"))
	case "$type":
		return d(op, rapid.SampledFrom([]string{"int", "long", "double", "string", "objectId", "array", "object", "bool", "date", "null", "number"}).Draw(r, "name"))
	case "$not":
		return d(op, d("$gt", drawScalar(r)))
	default:
		return d(op, drawScalar(r))
	}
}

func drawUpdate(r *rapid.T) bson.D {
	field := func() string { return rapid.SampledFrom(someNames).Draw(r, "field") }
	switch op := rapid.SampledFrom([]string{"$set", "$unset", "$inc", "$max", "$setOnInsert", "replace"}).Draw(r, "update"); op {
	case "replace":
		return drawDocument(r)[1:]
	case "$unset":
		return d(op, d(field(), ""))
	case "$inc":
		return d(op, d(field(), rapid.SampledFrom([]any{int32(1), int64(2), 0.5}).Draw(r, "by")))
	case "$max":
		return d(op, d(field(), drawScalar(r)))
	default:
		return d(op, d(field(), drawScalar(r)))
	}
}

func drawCommand(r *rapid.T, name string) command {
	return newCommand(drawBody(r, name))
}

func drawBody(r *rapid.T, name string) bson.D {
	yes := func(what string) bool { return rapid.Bool().Draw(r, what) }
	direction := func() int { return rapid.SampledFrom([]int{1, -1}).Draw(r, "direction") }
	switch rapid.SampledFrom([]string{"insert", "insert", "insert", "update", "update", "delete", "findAndModify", "find", "find", "find", "count", "index"}).Draw(r, "command") {
	case "insert":
		return d("insert", name, "documents", rapid.SliceOfN(rapid.Custom(drawDocument), 1, 4).Draw(r, "documents"), "ordered", yes("ordered"))
	case "update":
		u := drawUpdate(r)
		// Which documents an update of many has changed when it fails is not said.
		multi := len(u) == 1 && slices.Contains([]string{"$set", "$unset", "$max"}, u[0].Key) && yes("multi")
		if !multi {
			return d("update", name, "updates", bson.A{d("q", drawOne(r), "u", u, "upsert", yes("upsert"))})
		}
		return d("update", name, "updates", bson.A{d("q", drawFilter(r), "u", u, "multi", true)})
	case "delete":
		if yes("one") {
			return d("delete", name, "deletes", bson.A{d("q", drawOne(r), "limit", 1)})
		}
		return d("delete", name, "deletes", bson.A{d("q", drawFilter(r), "limit", 0)})
	case "findAndModify":
		c := d("findAndModify", name, "query", drawFilter(r), "sort", d("_id", direction()))
		if yes("remove") {
			return append(c, bson.E{Key: "remove", Value: true})
		}
		return append(c, bson.E{Key: "update", Value: drawUpdate(r)}, bson.E{Key: "new", Value: yes("new")})
	case "find":
		return d("find", name, "filter", drawFilter(r), "sort", d(rapid.SampledFrom([]string{"a", "b"}).Draw(r, "order"), direction(), "_id", 1),
			"skip", rapid.IntRange(0, 1).Draw(r, "skip"), "limit", rapid.IntRange(0, 3).Draw(r, "limit"))
	case "count":
		return d("aggregate", name, "pipeline", bson.A{d("$match", drawFilter(r)), d("$group", d("_id", nil, "n", d("$sum", 1)))}, "cursor", d())
	}
	keys := d(rapid.SampledFrom(someNames).Draw(r, "first"), direction())
	options := rapid.SampledFrom([]string{"", "unique", "sparse", "unique sparse", "unique partial"}).Draw(r, "options")
	index := d("key", keys, "name", "i_"+keys[0].Key+options)
	for _, o := range strings.Fields(options) {
		if o == "partial" {
			index = append(index, bson.E{Key: "partialFilterExpression", Value: d(keys[0].Key, d("$exists", true))})
			continue
		}
		index = append(index, bson.E{Key: o, Value: true})
	}
	return d("createIndexes", name, "indexes", bson.A{index})
}
