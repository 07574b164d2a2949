package postgresql

import (
	"encoding"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
	"pgregory.net/rapid"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/shape"
	"github.com/amanat-dev/amanat/domain"
)

// TestRowsKeepEveryRecordOfEveryKind takes random records through their rows
// in the form in which they travel, without a server. Package mongo's test of
// the same shows the same of documents, so both hold equal records.
func TestRowsKeepEveryRecordOfEveryKind(t *testing.T) {
	t.Parallel()
	for _, d := range domain.All {
		tables := tablesOf(d.Kinds)
		for _, k := range d.Kinds {
			t.Run(k.Name, func(t *testing.T) {
				t.Parallel()
				wire := pgtype.NewMap() // learns as it encodes, so each test has its own
				rapid.Check(t, func(t *rapid.T) {
					r := k.New()
					random(t, reflect.ValueOf(r).Elem(), shape.Of(reflect.TypeOf(r)))
					shape.Settle(reflect.ValueOf(r).Elem(), shape.Of(reflect.TypeOf(r)))
					r.RecordMeta().ID[0] |= 1 // a row must have one
					want := cutover.Canonical(r)
					got := through(t, wire, tables[k.Name], r)
					if !slices.Equal(cutover.Canonical(got), want) {
						t.Fatalf("the row is read as another record:\n%v", cutover.DiffRecords(want, cutover.Canonical(got)))
					}
				})
			})
		}
	}
}

func through(t *rapid.T, wire *pgtype.Map, table *table, r cutover.Record) cutover.Record {
	rows, err := table.encode(r)
	if err != nil {
		t.Fatal(err)
	}
	out := reflect.New(table.typ)
	scanned(t, wire, table.columns, rows.values, out.Elem())
	for i, c := range table.children {
		for _, values := range rows.children[i] {
			elem := reflect.New(c.elem.Type).Elem()
			scanned(t, wire, c.columns, values, elem)
			list := c.list.slot(out.Elem())
			list.Set(reflect.Append(list, elem))
		}
	}
	shape.Normalise(out.Elem(), table.fields)
	return out.Interface().(cutover.Record)
}

var oids = map[string]uint32{
	"text": pgtype.TextOID, "object_id": pgtype.TextOID, "boolean": pgtype.BoolOID, "bigint": pgtype.Int8OID, "bytea": pgtype.ByteaOID,
	"timestamptz(3)": pgtype.TimestamptzOID, "numeric": pgtype.NumericOID, "jsonb": pgtype.JSONBOID,
	"text[]": pgtype.TextArrayOID, "bigint[]": pgtype.Int8ArrayOID, "numeric[]": pgtype.NumericArrayOID,
}

// scanned puts one row's parameters into root, by way of the wire.
func scanned(t *rapid.T, wire *pgtype.Map, cols []column, values []any, root reflect.Value) {
	holders, targets := holdersOf(cols)
	for i, c := range cols {
		oid, known := oids[c.sqlType]
		if !known {
			t.Fatalf("%s has the type %s, which this test does not know", c.name, c.sqlType)
		}
		var sent []byte
		var err error
		if values[i] != nil {
			sent, err = wire.Encode(oid, pgtype.BinaryFormatCode, values[i], []byte{})
		} else if !c.nullable {
			t.Fatalf("%s is NULL, but its column is not nullable", c.name)
		}
		if err == nil {
			err = wire.Scan(oid, pgtype.BinaryFormatCode, sent, targets[i])
		}
		if err != nil {
			t.Fatalf("%s: %v: %v", c.name, values[i], err)
		}
	}
	if err := decodeColumns(cols, holders, root); err != nil {
		t.Fatal(err)
	}
}

// random fills a group with anything that its shape allows.
func random(t *rapid.T, v reflect.Value, fields []shape.Field) {
	for _, f := range fields {
		randomValue(t, v.FieldByIndex(f.Index), f)
	}
}

func randomValue(t *rapid.T, v reflect.Value, f shape.Field) {
	if f.Pointer {
		if rapid.Bool().Draw(t, "absent") {
			return
		}
		v.Set(reflect.New(f.Type))
		v = v.Elem()
	}
	switch f.Class {
	case shape.Str:
		v.SetString(randomText(t))
	case shape.Bool:
		v.SetBool(rapid.Bool().Draw(t, "bool"))
	case shape.Int:
		v.SetInt(rapid.Int64().Draw(t, "int"))
	case shape.Bytes:
		v.SetBytes(rapid.SliceOfN(rapid.Byte(), 0, 4).Draw(t, "bytes"))
	case shape.Time:
		v.Set(reflect.ValueOf(randomTime(t)))
	case shape.Group:
		random(t, v, f.Fields)
	case shape.List:
		n := rapid.IntRange(0, 2).Draw(t, "length")
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			randomValue(t, v.Index(i), *f.Elem)
		}
	case shape.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range rapid.IntRange(0, 2).Draw(t, "size") {
			v.SetMapIndex(reflect.ValueOf(randomText(t)), reflect.ValueOf(randomText(t)))
		}
	case shape.Extra:
		v.SetBytes([]byte(rapid.SampledFrom([]string{"", `{"__v":{"$numberInt":"3"}}`, `{"zz":{"a":[null,"<é>",{"$numberDouble":"1.5"}]}}`}).Draw(t, "extra")))
	case shape.Text:
		text := rapid.SampledFrom(randomTexts(f)).Draw(t, "text")
		if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
}

func randomText(t *rapid.T) string {
	return strings.ReplaceAll(rapid.StringN(0, 6, -1).Draw(t, "text"), "\x00", "")
}

// randomTime returns a millisecond of the years that JSON can name, or none.
func randomTime(t *rapid.T) time.Time {
	ms := rapid.Int64Range(-62135596800000, 253402300799999).Draw(t, "ms")
	return time.UnixMilli(ms).UTC()
}

func randomTexts(f shape.Field) []string {
	switch {
	case f.Type == idType:
		return []string{"", "0123456789abcdef01234567", "ffffffffffffffffffffffff"}
	case f.Number.Integer:
		return []string{"0", "-1", "99999999999999999999999999999999999999"}
	}
	return []string{"0", "-0.5", "12.50", "99999999999999999999999999999999999999", "0.00000000000000000000000000000000000001", "1234567890123456789.0123456789012345678"}
}
