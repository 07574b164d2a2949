package postgres

import (
	"reflect"

	"github.com/jackc/pgx/v5"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/shape"
)

// row is a record as it is stored: the parameters of its table's columns, and
// for each child table those of its rows, without parent and position.
type row struct {
	values   []any
	children [][][]any
}

// encode gives the record's rows as it is at this moment.
func (t *table) encode(rec cutover.Record) (row, error) {
	v := reflect.ValueOf(rec).Elem()
	values, err := encodeColumns(t.columns, v)
	if err != nil {
		return row{}, err
	}
	out := row{values: values, children: make([][][]any, len(t.children))}
	for i, c := range t.children {
		if out.children[i], err = c.encode(v); err != nil {
			return row{}, err
		}
	}
	return out, nil
}

func (c child) encode(root reflect.Value) ([][]any, error) {
	list, ok := c.list.value(root)
	if !ok || list.Len() == 0 {
		return nil, nil
	}
	out := make([][]any, list.Len())
	for i := range out {
		values, err := encodeColumns(c.columns, list.Index(i))
		if err != nil {
			return nil, err
		}
		out[i] = values
	}
	return out, nil
}

func encodeColumns(cols []column, v reflect.Value) ([]any, error) {
	out := make([]any, len(cols))
	for i, c := range cols {
		p, err := c.encode(v)
		if err != nil {
			return nil, err
		}
		out[i] = p
	}
	return out, nil
}

// found is a record as it was read: key and revision are there even when the
// rest does not decode.
type found struct {
	id     string
	rev    int64
	value  reflect.Value // pointer to the record's struct
	parted bool          // it has rows in child tables
	err    error         // why it does not decode
}

func (f *found) fail(err error) {
	if f.err == nil {
		f.err = err
	}
}

// record gives what was read.
func (f *found) record() cutover.Record { return f.value.Interface().(cutover.Record) }

// scan reads the rows of a SELECT of the table's columns.
func (t *table) scan(rows pgx.Rows) ([]*found, error) {
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (*found, error) {
		holders, targets := holdersOf(t.columns)
		if err := r.Scan(targets...); err != nil {
			return nil, err
		}
		f := &found{value: reflect.New(t.typ)}
		f.id, f.rev = holders[0].(*textHolder).String, holders[1].(*intHolder).Int64
		f.fail(decodeColumns(t.columns, holders, f.value.Elem()))
		return f, nil
	})
}

// scanInto reads the rows of one child table into the records that they
// belong to.
func (c child) scanInto(rows pgx.Rows, parents map[string]*found) error {
	defer rows.Close()
	for rows.Next() {
		holders, targets := holdersOf(c.columns)
		var id string
		if err := rows.Scan(append([]any{&id}, targets...)...); err != nil {
			return err
		}
		f := parents[id]
		elem := reflect.New(c.elem.Type).Elem()
		f.fail(decodeColumns(c.columns, holders, elem))
		f.parted = true
		list := c.list.slot(f.value.Elem())
		list.Set(reflect.Append(list, elem))
	}
	return rows.Err()
}

func holdersOf(cols []column) ([]holder, []any) {
	holders, targets := make([]holder, len(cols)), make([]any, len(cols))
	for i, c := range cols {
		holders[i] = c.codec.holder()
		targets[i] = holders[i].target()
	}
	return holders, targets
}

func decodeColumns(cols []column, holders []holder, v reflect.Value) error {
	for i, c := range cols {
		if err := c.decode(holders[i], v); err != nil {
			return err
		}
	}
	return nil
}

// finish brings a record whose rows are all read into normal form, and applies
// its own rules for what earlier versions wrote.
func (t *table) finish(f *found) {
	if f.err != nil {
		return
	}
	normalise(f.value.Elem(), t.fields)
	shape.Settle(f.value.Elem(), t.fields)
	if n, ok := f.value.Interface().(interface{ Normalize() error }); ok {
		f.err = n.Normalize()
	}
}

// normalise makes what counts as absent nil or zero, see package shape.
func normalise(v reflect.Value, fields []shape.Field) {
	for _, f := range fields {
		sv := v.FieldByIndex(f.Index)
		switch {
		case f.Class == shape.Group && f.Pointer:
			if !sv.IsNil() {
				normalise(sv.Elem(), f.Fields)
			}
		case f.Class == shape.Group:
			normalise(sv, f.Fields)
		case f.Class == shape.List && f.Elem.Class == shape.Group && !f.Elem.Pointer:
			for i := range sv.Len() {
				normalise(sv.Index(i), f.Elem.Fields)
			}
		}
		if f.Class != shape.Bool && f.Class != shape.Int && f.Empty(sv) {
			sv.SetZero()
		}
	}
}
