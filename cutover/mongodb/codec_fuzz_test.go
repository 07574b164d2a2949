package mongodb

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/shape"
	"github.com/amanat-dev/amanat/domain"
	"github.com/amanat-dev/amanat/domain/marketplace"
	"github.com/amanat-dev/amanat/domain/payment"
)

// allCollections returns every kind of every domain with the collection that
// reads it, in a fixed order and without a database.
func allCollections() []*collection {
	var out []*collection
	for _, d := range domain.All {
		for _, kind := range d.Kinds {
			out = append(out, newCollection(kind))
		}
	}
	return out
}

// collectionOf returns the collection of a kind that is named by a number.
func collectionOf(all []*collection, n uint8) *collection { return all[int(n)%len(all)] }

// legacyValues are values that documents have had for a field of a class: good
// ones first, then ones that are not readable.
func legacyValues(f shape.Field) []any {
	id := bson.ObjectID{1, 2, 3}
	switch f.Class {
	case shape.Str:
		return []any{"text", "", "  ÄÖ \n", "a\x00b", nil, 5, bson.Symbol("s")}
	case shape.Bool:
		return []any{true, false, nil, "true", 1}
	case shape.Int:
		return []any{int32(3), int64(math.MaxInt64), 4.0, 0, -1, decimalOf("4.00"), nil, 1.5, math.NaN(), 1e30, "4", decimalOf("1E+40")}
	case shape.Bytes:
		return []any{bson.Binary{Data: []byte{0, 1}}, bson.Binary{}, bson.Binary{Subtype: 2, Data: []byte{1}}, nil, "data"}
	case shape.Time:
		return []any{time.UnixMilli(1715000000123), "2024-05-06T09:08:09.123456+02:00", int64(1715000000123), 1715000000123.0, time.Time{}, nil,
			bson.DateTime(math.MaxInt64), bson.DateTime(math.MinInt64), bson.DateTime(253402300800000), "0000-01-01T00:00:00+23:59", "yesterday", true, int64(math.MinInt64)}
	case shape.Map:
		return []any{bson.D{{Key: "a", Value: "b"}}, bson.D{{Key: "a%2Eb%25", Value: ""}, {Key: "", Value: "x"}}, bson.D{}, nil, bson.D{{Key: "a", Value: 1}}, "x"}
	case shape.List:
		out := []any{bson.A{}, nil, bson.A{nil}, "x", bson.D{}}
		for _, v := range legacyValues(*f.Elem) {
			out = append(out, bson.A{goodValue(*f.Elem), v})
		}
		return out
	case shape.Group:
		out := []any{legacyGroup(f.Fields, nil, nil), bson.D{}, nil, bson.D{{Key: "zzUnknown", Value: 1}}, "x", bson.A{}}
		for _, sub := range f.Fields {
			for _, v := range legacyValues(sub) {
				out = append(out, append(legacyGroup(f.Fields, &sub, v), bson.E{Key: "_id", Value: id}))
			}
		}
		return out
	case shape.Text:
		if f.Type == idType {
			return []any{id, id.Hex(), strings.ToUpper(id.Hex()), bson.ObjectID{}, "", nil, "template-checkout-1", 7}
		}
		return []any{"12", "0", "-0", "007", int32(7), int64(math.MaxInt64), 5.0, decimalOf("1.20E+3"), "12.50", 0.1, math.Copysign(0, -1), decimalOf("-0.50"),
			strings.Repeat("9", 38), strings.Repeat("9", 39), 1e21, 1e300, 1e-300, math.NaN(), math.Inf(1), decimalOf("NaN"), decimalOf("1E+6000"), "1e3", "", nil, true}
	}
	return []any{nil}
}

// goodValue is one that is readable.
func goodValue(f shape.Field) any {
	switch f.Class {
	case shape.Group:
		return legacyGroup(f.Fields, nil, nil)
	case shape.List:
		return bson.A{goodValue(*f.Elem)}
	}
	return legacyValues(f)[0]
}

func decimalOf(s string) bson.Decimal128 {
	d, err := bson.ParseDecimal128(s)
	if err != nil {
		panic(err)
	}
	return d
}

// legacyGroup returns a document with the first of its values for every field
// that must be there, and with value for one field.
func legacyGroup(fields []shape.Field, of *shape.Field, value any) bson.D {
	out := bson.D{}
	for _, f := range fields {
		switch {
		case of != nil && f.Name == of.Name:
			out = append(out, bson.E{Key: f.Name, Value: value})
		case f.Class == shape.Extra:
		case f.Name == "status":
		default:
			out = append(out, bson.E{Key: f.Name, Value: goodValue(f)})
		}
	}
	return out
}

// unknownValues are fields that no record knows.
var unknownValues = bson.D{
	{Key: "__v", Value: 3}, {Key: "_class", Value: "x"}, {Key: "zz", Value: bson.D{{Key: "b", Value: bson.A{nil, 1.5, "<é>\u2028"}}, {Key: "a", Value: true}}},
	{Key: "extra", Value: bson.Regex{Pattern: "^a", Options: "i"}}, {Key: "ref", Value: bson.D{{Key: "$ref", Value: "users"}, {Key: "$id", Value: bson.ObjectID{9}}}},
	{Key: "min", Value: bson.MinKey{}}, {Key: "max", Value: bson.MaxKey{}}, {Key: "ts", Value: bson.Timestamp{T: 1, I: 2}}, {Key: "js", Value: bson.JavaScript("f()")},
	{Key: "scope", Value: bson.CodeWithScope{Code: "f()", Scope: bson.D{{Key: "x", Value: 1}}}}, {Key: "sym", Value: bson.Symbol("s")}, {Key: "undef", Value: bson.Undefined{}},
	{Key: "ptr", Value: bson.DBPointer{DB: "d", Pointer: bson.ObjectID{8}}}, {Key: "dec", Value: decimalOf("-0E+3")}, {Key: "nan", Value: math.NaN()}, {Key: "far", Value: bson.DateTime(math.MinInt64)},
	{Key: "bin", Value: bson.Binary{Subtype: 4, Data: make([]byte, 16)}}, {Key: "", Value: 1}, {Key: "a.b", Value: 1}, {Key: "$set", Value: 1},
}

// oddDocuments break assumptions about names rather than values.
func oddDocuments() []bson.D {
	return []bson.D{
		{}, {{Key: "_id", Value: bson.ObjectID{1}}, {Key: "_id", Value: "twice"}}, {{Key: "rev", Value: 1}, {Key: "rev", Value: 2}},
		{{Key: "zz", Value: bson.D{{Key: "$oid", Value: 5}}}}, {{Key: "zz", Value: bson.D{{Key: "$numberInt", Value: "5"}}}}, {{Key: "zz", Value: bson.D{{Key: "$date", Value: "x"}}}},
		{{Key: "zz", Value: bson.D{{Key: "$type", Value: 1}}}}, {{Key: "zz", Value: bson.D{{Key: "a", Value: 1}, {Key: "a", Value: 2}}}}, {{Key: "zz", Value: 1}, {Key: "zz", Value: 2}},
		{{Key: fieldRest, Value: "null"}, {Key: "zz", Value: 1}}, {{Key: fieldRest, Value: `{"zz":{"a":{"$numberInt":"1"}}}`}, {Key: "zz", Value: bson.D{{Key: "b", Value: 1}}}},
		{{Key: fieldRest, Value: "{"}}, {{Key: fieldRest, Value: "5"}}, {{Key: fieldRest, Value: 5}}, {{Key: fieldRest, Value: `{"zz":1,"rev":2}`}}, {{Key: fieldRest, Value: `{"amount":null}`}},
		{{Key: "zz", Value: "\xff"}}, {{Key: "\xff", Value: 1}}, {{Key: fieldNote, Value: true}, {Key: fieldLock, Value: 5}, {Key: fieldUndo, Value: bson.D{}}},
	}
}

func marshalled(doc bson.D) []byte {
	raw, err := bson.Marshal(doc)
	if err != nil {
		return nil // a NUL in a key
	}
	return raw
}

// FuzzDecode reads arbitrary BSON as a record of every kind: it is refused, or
// it can be written and read again without a change and without a loss.
func FuzzDecode(f *testing.F) {
	all := allCollections()
	for n, c := range all {
		f.Add(uint8(n), marshalled(append(legacyGroup(c.fields, nil, nil), unknownValues...)))
	}
	for n, doc := range oddDocuments() {
		f.Add(uint8(n), marshalled(append(legacyGroup(collectionOf(all, uint8(n)).fields, nil, nil), doc...)))
	}
	f.Add(uint8(0), []byte{})
	f.Add(uint8(1), []byte{5, 0, 0, 0, 0})
	f.Add(uint8(2), []byte{255, 255, 255, 127, 2, 'a', 0})
	f.Fuzz(func(t *testing.T, n uint8, raw []byte) {
		wantKept(t, collectionOf(all, n), raw)
	})
}

// FuzzDecodeJSON is FuzzDecode by way of extended JSON, which mutates better.
func FuzzDecodeJSON(f *testing.F) {
	all := allCollections()
	for n, c := range all {
		text, err := bson.MarshalExtJSON(append(legacyGroup(c.fields, nil, nil), bson.E{Key: "__v", Value: 3}), false, false)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(n), string(text))
	}
	for _, text := range []string{
		`{"zz":{"$oid":{"$oid":"0123456789abcdef01234567"}}}`, `{"email":" A@B.C ","zz":{"":null}}`, `{"status":"active","price":{"amount":{"$numberDecimal":"1E+3"}}}`,
		`{"postings":[{"account":"fees","amount":"1","zz":1},{"account":"suspense","amount":"-1"}],"idempotencyKey":"k","type":"fee","asset":{"token":"T"}}`,
		`{"purchaseRequestId":"template-checkout-1","amount":{"amount":1,"currency":"USD"},"blockchain":{"zz":1}}`,
	} {
		for n := range all {
			f.Add(uint8(n), text)
		}
	}
	f.Fuzz(func(t *testing.T, n uint8, text string) {
		var doc bson.D
		if bson.UnmarshalExtJSON([]byte(text), false, &doc) != nil {
			return
		}
		if raw := marshalled(doc); raw != nil {
			wantKept(t, collectionOf(all, n), raw)
		}
	})
}

// TestEveryLegacyValueOfEveryFieldIsKeptOrRefused goes through the seeds'
// values one field at a time.
func TestEveryLegacyValueOfEveryFieldIsKeptOrRefused(t *testing.T) {
	t.Parallel()
	for _, c := range allCollections() {
		t.Run(c.kind.Name, func(t *testing.T) {
			t.Parallel()
			read := 0
			for _, field := range c.fields {
				for _, v := range legacyValues(field) {
					doc := append(legacyGroup(c.fields, &field, v), bson.E{Key: "__v", Value: 3})
					if wantKept(t, c, legacyStatus(c, doc, field.Name)) {
						read++
					}
				}
			}
			if read == 0 {
				t.Error("not one of the documents was readable")
			}
		})
	}
}

// legacyStatus adds what a kind's own rules ask for.
func legacyStatus(c *collection, doc bson.D, except string) []byte {
	must := map[string]bson.D{
		marketplace.KindRequest: {{Key: "status", Value: "pending"}},
		marketplace.KindOffer:   {{Key: "status", Value: "active"}},
		payment.KindEntry: {{Key: "type", Value: "fee"}, {Key: "postings", Value: bson.A{
			bson.D{{Key: "account", Value: "fees"}, {Key: "amount", Value: 1}, {Key: "_id", Value: bson.ObjectID{7}}},
			bson.D{{Key: "account", Value: "suspense"}, {Key: "amount", Value: "-1"}},
		}}},
	}[c.kind.Name]
	for _, e := range must {
		if e.Key == except {
			continue
		}
		doc = slices.DeleteFunc(doc, func(have bson.E) bool { return have.Key == e.Key })
		doc = append(doc, e)
	}
	return marshalled(doc)
}

// wantKept returns false for a document that is refused.
func wantKept(t *testing.T, c *collection, raw []byte) bool {
	t.Helper()
	first, err := c.decode(raw)
	if err != nil {
		return false
	}
	doc, err := c.encode(first)
	if err != nil && bytes.Contains(raw, []byte(fieldRest)) {
		return false
	}
	if err != nil {
		t.Fatalf("%s: %s is readable but not writable: %v", c.kind.Name, shown(raw), err)
	}
	written, err := bson.Marshal(doc)
	if err != nil {
		t.Fatalf("%s: %s is readable, but what is written of it is no document: %v", c.kind.Name, shown(raw), err)
	}
	second, err := c.decode(written)
	if err != nil {
		t.Fatalf("%s: %s is written as %s, which is not readable: %v", c.kind.Name, shown(raw), shown(written), err)
	}
	if _, err := bson.Raw(raw).LookupErr(fieldRest); err == nil {
		return true // only this package writes it: of another's text it matters that it does no harm
	}
	before, after := cutover.Canonical(first), cutover.Canonical(second)
	if !slices.Equal(before, after) {
		t.Fatalf("%s: %s is changed by writing it:\n%v\n%v", c.kind.Name, shown(raw), before, after)
	}
	if err := lostNames(c, raw, written); err != nil {
		t.Fatalf("%s: %s: %v", c.kind.Name, shown(raw), err)
	}
	return true
}

func shown(raw bson.Raw) string { return fmt.Sprintf("%s (%x)", raw, []byte(raw)) }

// lostNames finds a top-level field that is unknown, and neither among the
// fields that are written nor in the rest.
func lostNames(c *collection, raw, written bson.Raw) error {
	elements, err := raw.Elements()
	if err != nil {
		return err
	}
	for _, e := range elements {
		name := e.Key()
		if _, known := fieldNamed(c.fields, name); known || isInternal(name) {
			continue
		}
		kept, err := written.LookupErr(name)
		rest, _ := written.Lookup(fieldRest).StringValueOK()
		switch {
		case err != nil && !strings.Contains(rest, name):
			return fmt.Errorf("the unknown field %q is lost", name)
		case err == nil && simple(e.Value()) && countOf(elements, name) == 1 && !kept.Equal(e.Value()):
			return fmt.Errorf("the unknown field %q was %s and is %s", name, e.Value(), kept)
		}
	}
	return nil
}

func countOf(elements []bson.RawElement, name string) (n int) {
	for _, e := range elements {
		if e.Key() == name {
			n++
		}
	}
	return n
}

// simple says that a value has one encoding only.
func simple(v bson.RawValue) bool {
	switch v.Type {
	case bson.TypeString:
		s, _ := v.StringValueOK()
		return bytes.Equal([]byte(s), []byte(strings.ToValidUTF8(s, "")))
	case bson.TypeInt32, bson.TypeInt64, bson.TypeBoolean, bson.TypeDateTime, bson.TypeObjectID, bson.TypeNull, bson.TypeTimestamp:
		return true
	case bson.TypeDouble:
		return !math.IsNaN(v.Double())
	}
	return false
}

func TestWhatCouldNotBeWrittenBackIsRefusedByName(t *testing.T) {
	t.Parallel()
	c := collectionOf(allCollections(), 0)
	for _, e := range []bson.E{
		{Key: "zz", Value: bson.D{{Key: "a", Value: bson.A{bson.D{{Key: "$oid", Value: 5}}}}}},
		{Key: "zz", Value: bson.D{{Key: "$numberInt", Value: "5"}}},
		{Key: "zz", Value: bson.D{{Key: "a", Value: 1}, {Key: "a", Value: 2}}},
		{Key: "zz", Value: "\xff"},
		{Key: "createdAt", Value: bson.DateTime(253402300800000)},
		{Key: "createdAt", Value: bson.DateTime(math.MinInt64)},
		{Key: fieldRest, Value: "null"},
	} {
		if _, err := c.decode(marshalled(bson.D{e})); err == nil || !strings.HasPrefix(err.Error(), e.Key+": ") {
			t.Errorf("%v: got %v, want an error that names the field", e, err)
		}
	}
	for _, e := range unknownValues {
		if _, err := c.decode(marshalled(bson.D{e})); err != nil {
			t.Errorf("%v: %v", e, err)
		}
	}
}

// TestEveryReferenceSaysWhatItNames: so that a legacy identity can be resolved.
func TestEveryReferenceSaysWhatItNames(t *testing.T) {
	kinds := map[string]bool{}
	for _, c := range allCollections() {
		kinds[c.Kind] = true
	}
	var check func(kind string, fields []shape.Field)
	check = func(kind string, fields []shape.Field) {
		for _, f := range fields {
			name := f.Name
			if f.Elem != nil {
				f = *f.Elem
			}
			check(kind+"."+name, f.Fields)
			// An event's subject is of whichever kind its type is about.
			if f.Type == idType && name != fieldID && name != "subject" && !kinds[f.Ref] {
				t.Errorf("%s.%s is an ID of %q, want field:\",ref=KIND\" with a kind that there is", kind, name, f.Ref)
			}
		}
	}
	for _, c := range allCollections() {
		check(c.Kind, c.fields)
	}
}
