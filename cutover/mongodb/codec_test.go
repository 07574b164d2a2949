package mongodb_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/cutovertest"
	"github.com/amanat-dev/amanat/cutover/mongodb"
)

func wantSame(t *testing.T, what string, got, want cutover.Record) {
	t.Helper()
	for _, d := range cutover.DiffRecords(cutover.Canonical(want), cutover.Canonical(got)) {
		t.Errorf("%s: %s: got %s, want %s", what, d.Path, d.Target, d.Source)
	}
}

func TestCodecKeepsEveryField(t *testing.T) {
	t.Parallel()
	for seed := range 20 {
		r := &cutovertest.Specimen{}
		cutovertest.Fill(r, seed)
		r.Extra = cutover.Extra(`{"__v":{"$numberInt":"3"},"lines":{"1":{"_id":{"$oid":"0123456789abcdef01234567"}}},` +
			`"place":{"lat":{"$numberDouble":"1.5"}},"tagged":[{"b":null},"<é>"]}`)
		got, err := mongodb.EncodeDecode(r)
		if err != nil {
			t.Fatal(err)
		}
		wantSame(t, "a full record", got, r)
	}
}

func TestCodecOmitsWhatIsAbsent(t *testing.T) {
	t.Parallel()
	doc, err := mongodb.Encode(&cutovertest.Specimen{Meta: cutover.Meta{ID: cutover.NewID()}, Place: cutovertest.Place{Zip: &cutovertest.Zip{}}})
	if err != nil {
		t.Fatal(err)
	}
	elements, _ := doc.Elements()
	var names []string
	for _, e := range elements {
		names = append(names, e.Key())
	}
	if got, want := strings.Join(names, " "), "_id rev order flag price units"; got != want {
		t.Errorf("an empty record has the fields %s, want %s", got, want)
	}
}

// legacyDoc returns a document that a Specimen can be read from, with one field
// as a legacy application wrote it.
func legacyDoc(field string, value any) bson.D {
	doc := bson.D{{Key: "_id", Value: bson.NewObjectID()}, {Key: "price", Value: "1"}, {Key: "units", Value: "2"}}
	for i := range doc {
		if doc[i].Key == field {
			doc[i].Value = value
			return doc
		}
	}
	return append(doc, bson.E{Key: field, Value: value})
}

func decimal128(t *testing.T, s string) bson.Decimal128 {
	t.Helper()
	d, err := bson.ParseDecimal128(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestLegacyValuesAreRead(t *testing.T) {
	t.Parallel()
	const hex = "0123456789abcdef01234567"
	id, _ := bson.ObjectIDFromHex(hex)
	at := time.Date(2024, 5, 6, 7, 8, 9, 123_000_000, time.UTC)
	type s = cutovertest.Specimen
	text := func(get func(*s) string) func(*s) string { return get }
	shelf := text(func(r *s) string { return r.ShelfID.String() })
	price := text(func(r *s) string { return r.Price.String() })
	units := text(func(r *s) string { return r.Units.String() })
	order := text(func(r *s) string { return fmt.Sprint(r.Order) })
	when := text(func(r *s) string { return r.At.Format(time.RFC3339Nano) })
	for _, c := range []struct {
		field string
		value any
		get   func(*s) string
		want  string
	}{
		{"shelfId", id, shelf, hex}, {"shelfId", hex, shelf, hex}, {"shelfId", nil, shelf, ""}, {"shelfId", "", shelf, ""},
		{"price", "12.50", price, "12.5"}, {"price", int32(7), price, "7"}, {"price", int64(1) << 60, price, "1152921504606846976"},
		{"price", 0.1, price, "0.1"}, {"price", 1e21, price, "1000000000000000000000"}, {"price", 12.0, price, "12"},
		{"price", decimal128(t, "1.20E+3"), price, "1200"}, {"price", decimal128(t, "-0.50"), price, "-0.5"}, {"price", 0, price, "0"},
		{"units", "98765432109876543210987654321098765432", units, "98765432109876543210987654321098765432"},
		{"units", 5.0, units, "5"}, {"units", decimal128(t, "1E+18"), units, "1000000000000000000"}, {"units", float64(1 << 53), units, "9007199254740992"},
		{"order", int32(4), order, "4"}, {"order", 4.0, order, "4"}, {"order", decimal128(t, "4.00"), order, "4"},
		{"at", at, when, "2024-05-06T07:08:09.123Z"}, {"at", "2024-05-06T09:08:09.123456+02:00", when, "2024-05-06T07:08:09.123Z"},
		{"at", at.UnixMilli(), when, "2024-05-06T07:08:09.123Z"}, {"at", float64(at.UnixMilli()), when, "2024-05-06T07:08:09.123Z"},
		{"name", bson.Null{}, func(r *s) string { return r.Name }, ""},
	} {
		r, err := mongodb.Decode(&s{}, legacyDoc(c.field, c.value))
		if err != nil {
			t.Errorf("%s %v: %v", c.field, c.value, err)
			continue
		}
		if got := c.get(r.(*s)); got != c.want {
			t.Errorf("%s %T %v is read as %q, want %q", c.field, c.value, c.value, got, c.want)
		}
		if r.RecordMeta().Rev != 0 || r.RecordMeta().Extra != nil {
			t.Errorf("%s %v: revision %d, extra %s; want none", c.field, c.value, r.RecordMeta().Rev, r.RecordMeta().Extra)
		}
	}
}

func TestUnreadableValuesAreErrorsThatNameTheField(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		field string
		value any
		names string
	}{
		{"price", "12,50", "price"}, {"price", "1e3", "price"}, {"price", "", "price"}, {"price", math.NaN(), "price"},
		{"price", math.Inf(1), "price"}, {"price", nil, "price: missing"}, {"price", true, "price"},
		{"price", decimal128(t, "NaN"), "price"}, {"price", decimal128(t, "1E+6000"), "price"},
		{"price", "123456789012345678901234567890123456789", "price"},
		{"units", 1.5, "units"}, {"units", 1e18, "units"}, {"units", "1.0", "units"},
		{"order", 1.5, "order"}, {"order", "4", "order"}, {"order", 1e30, "order"},
		{"flag", "true", "flag"}, {"flag", 1, "flag"}, {"name", 5, "name"}, {"shelfId", "nonsense", "shelfId"},
		{"at", "yesterday", "at"}, {"at", true, "at"}, {"data", "text", "data"},
		{"rev", "x", "rev"}, {"_id", "nonsense", "_id"},
		{"budget", bson.D{{Key: "currency", Value: "USD"}}, "budget.amount: missing"},
		{"place", bson.D{{Key: "zip", Value: bson.D{{Key: "round", Value: 0.5}}}}, "place.zip.round"},
		{"place", "Rome", "place"},
		{"lines", bson.A{bson.D{{Key: "amount", Value: "1"}}, bson.D{{Key: "amount", Value: "x"}}}, "lines.1.amount"},
		{"lines", bson.A{nil}, "lines.0"}, {"lines", bson.D{}, "lines"},
		{"tags", bson.A{"a", 1}, "tags.1"}, {"links", bson.D{{Key: "a", Value: 1}}, "links"},
	} {
		_, err := mongodb.Decode(&cutovertest.Specimen{}, legacyDoc(c.field, c.value))
		if err == nil || !strings.Contains(err.Error(), c.names) {
			t.Errorf("%s %T %v gave %v, want an error that says %q", c.field, c.value, c.value, err, c.names)
		}
	}
}

func TestUnknownFieldsTravelAlong(t *testing.T) {
	t.Parallel()
	line := func(key string) bson.D {
		return bson.D{{Key: "key", Value: key}, {Key: "amount", Value: "1"}, {Key: "_id", Value: bson.NewObjectID()}, {Key: "note", Value: key}}
	}
	doc := append(legacyDoc("name", "n"),
		bson.E{Key: "__v", Value: 3},
		bson.E{Key: "_class", Value: "x"},
		bson.E{Key: "extra", Value: bson.D{{Key: "z", Value: 1.5}, {Key: "a", Value: bson.A{nil, time.UnixMilli(5)}}}},
		bson.E{Key: "place", Value: bson.D{{Key: "lat", Value: 1}, {Key: "zip", Value: bson.D{{Key: "area", Value: "A"}}}}},
		bson.E{Key: "lines", Value: bson.A{line("a"), line("b")}},
		bson.E{Key: "_note", Value: true}, bson.E{Key: "_lockCommit", Value: bson.NewObjectID()}, bson.E{Key: "_lockUndo", Value: nil})
	r, err := mongodb.Decode(&cutovertest.Specimen{}, doc)
	if err != nil {
		t.Fatal(err)
	}
	const begin = `{"__v":{"$numberInt":"3"},"_class":"x","extra":{"a":[null,{"$date":{"$numberLong":"5"}}],"z":{"$numberDouble":"1.5"}},"lines":{"0":{"_id":{"$oid":`
	if !strings.HasPrefix(string(r.RecordMeta().Extra), begin) || !strings.HasSuffix(string(r.RecordMeta().Extra), `"place":{"lat":{"$numberInt":"1"},"zip":{"area":"A"}}}`) {
		t.Errorf("extra is %s", r.RecordMeta().Extra)
	}
	again, err := mongodb.EncodeDecode(r)
	if err != nil {
		t.Fatal(err)
	}
	wantSame(t, "rewritten", again, r)

	r.(*cutovertest.Specimen).Lines = r.(*cutovertest.Specimen).Lines[:1]
	if again, err = mongodb.EncodeDecode(r); err != nil {
		t.Fatal(err)
	}
	wantSame(t, "with a shorter list", again, r)
	raw, err := mongodb.Encode(r)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := raw.LookupErr("lines", "0", "note"); err != nil {
		t.Errorf("the document has lost lines.0.note: %s", raw)
	}
}

func TestMapKeysMayHoldDotsAndDollars(t *testing.T) {
	t.Parallel()
	r := &cutovertest.Specimen{State: "new", Links: map[string]string{"a.b": "1", "$c": "2", "100%": "3", "%2E": "4", "%25.": "5"}}
	got, err := mongodb.EncodeDecode(r)
	if err != nil {
		t.Fatal(err)
	}
	wantSame(t, "a map", got, r)
}
