package postgresql

import (
	"reflect"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5/pgtype"
	"pgregory.net/rapid"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/cutovertest"
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
					cutovertest.Random(t, r)
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
