package postgresql

import (
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/shape"
)

// keyColumn keeps what a unique rule derives from a record; NULL when the rule
// is not about it. It is no field: no record is read from it.
type keyColumn struct {
	name string
	rule cutover.Unique
}

// keyType compares by byte, as Go does, whatever the database's locale.
const keyType = `text COLLATE "C"`

func keysOf(kind cutover.Kind) (out []keyColumn) {
	for _, rule := range kind.Derived() {
		out = append(out, keyColumn{keyName(rule), rule})
	}
	return out
}

func keyName(rule cutover.Unique) string { return "key_" + shape.Snake(rule.Name) }

// value is the column's parameter.
func (k keyColumn) value(r cutover.Record) any {
	if key := k.rule.Value(r); key != "" {
		return key
	}
	return nil
}

// written are all columns that a write sets, in the order of its parameters.
func (t *table) written() []column {
	out := t.columns[:len(t.columns):len(t.columns)]
	for _, k := range t.keys {
		out = append(out, column{name: k.name, sqlType: "text"})
	}
	return out
}

func (t *table) keyList() (list string) {
	for _, k := range t.keys {
		list += ", " + quote(t.name) + "." + quote(k.name)
	}
	return list
}

// stale returns the rules of which a row has another key than its record
// derives.
func (t *table) stale(r cutover.Record, have []pgtype.Text) (out []cutover.Unique) {
	for i, k := range t.keys {
		if have[i].String != k.rule.Value(r) {
			out = append(out, k.rule)
		}
	}
	return out
}
