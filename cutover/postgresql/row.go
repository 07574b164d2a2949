package postgresql

import (
	"errors"
	"reflect"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/shape"
)

// row is a record as it is stored: the parameters of its table's columns with
// the keys of its unique rules, and for each child table those of its rows, without parent and position.
type row struct {
	values   []any
	children [][][]any
}

// encode returns the record's rows as it is at this moment.
func (t *table) encode(rec cutover.Record) (row, error) {
	v := reflect.ValueOf(rec).Elem()
	values, err := encodeColumns(t.columns, v)
	if err != nil {
		return row{}, err
	}
	for _, k := range t.keys {
		values = append(values, k.value(rec))
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
	for i := range cols {
		p, err := cols[i].encode(v)
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
	stale  []string      // see cutover.Item; only of what fetchKeyed reads
	err    error         // why it does not decode
}

func (f *found) fail(err error) {
	if f.err == nil {
		f.err = err
	}
}

// record returns what was read.
func (f *found) record() cutover.Record { return f.value.Interface().(cutover.Record) }

// reader is what rows of a table are scanned into. It is the same for each row,
// and used again by later questions: decoding copies what is in it.
type reader struct {
	holders []holder
	lists   []listHolder // one per child table
	keys    []pgtype.Text
	targets []any // of all; the keys are last
}

func (t *table) newReader() *reader {
	r := &reader{lists: make([]listHolder, len(t.children)), keys: make([]pgtype.Text, len(t.keys))}
	r.holders, r.targets = holdersOf(t.columns)
	for i, c := range t.children {
		r.lists[i].columns = c.columns
		r.targets = append(r.targets, &r.lists[i])
	}
	for i := range r.keys {
		r.targets = append(r.targets, &r.keys[i])
	}
	return r
}

// scan reads the rows of a SELECT of the table's columns and lists, and of its
// keys if those were asked for.
func (t *table) scan(rows pgx.Rows, keyed bool) ([]*found, error) {
	into, ok := t.readers.Get().(*reader)
	if !ok {
		into = t.newReader()
	}
	defer t.readers.Put(into)
	targets := into.targets
	if !keyed {
		targets = targets[:len(targets)-len(t.keys)]
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (*found, error) {
		if err := r.Scan(targets...); err != nil {
			return nil, err
		}
		f := t.decode(into)
		if keyed && f.err == nil {
			f.stale = cutover.RuleNames(t.stale(f.record(), into.keys))
		}
		return f, nil
	})
}

// decode makes a record of a row.
func (t *table) decode(r *reader) *found {
	f := &found{value: reflect.New(t.typ)}
	f.id, f.rev = r.holders[0].(*textHolder).String, r.holders[1].(*intHolder).Int64
	f.fail(decodeColumns(t.columns, r.holders, f.value.Elem()))
	for i, c := range t.children {
		f.parted = f.parted || len(r.lists[i].rows) > 0
		f.fail(c.decode(r.lists[i], f.value.Elem()))
	}
	t.finish(f)
	return f
}

// decode puts the rows of a child table in their place in root.
func (c child) decode(h listHolder, root reflect.Value) error {
	if len(h.rows) == 0 {
		return nil
	}
	list := c.list.slot(root)
	list.Set(reflect.MakeSlice(list.Type(), len(h.rows), len(h.rows)))
	for i, r := range h.rows {
		if err := decodeColumns(c.columns, r.holders, list.Index(i)); err != nil {
			return err
		}
	}
	return nil
}

// listHolder receives what child.listSQL reads.
type listHolder struct {
	columns []column
	rows    []rowHolder
}

// rowHolder receives one row of a child table.
type rowHolder struct {
	holders []holder
	targets []any
}

var errNoRow = errors.New("a child table's row is none")

// The methods by which the driver fills them.

func (h *listHolder) SetDimensions(d []pgtype.ArrayDimension) error {
	h.rows = nil
	if len(d) > 0 {
		h.rows = make([]rowHolder, d[0].Length)
	}
	for i := range h.rows {
		h.rows[i].holders, h.rows[i].targets = holdersOf(h.columns)
	}
	return nil
}

func (h *listHolder) ScanIndex(i int) any { return &h.rows[i] }
func (h *listHolder) ScanIndexType() any  { return new(rowHolder) }
func (h *rowHolder) ScanIndex(i int) any  { return h.targets[i] }
func (h *rowHolder) ScanNull() error      { return errNoRow }

func holdersOf(cols []column) ([]holder, []any) {
	holders, targets := make([]holder, len(cols)), make([]any, len(cols))
	for i := range cols {
		holders[i] = cols[i].codec.holder()
		targets[i] = holders[i].target()
	}
	return holders, targets
}

func decodeColumns(cols []column, holders []holder, v reflect.Value) error {
	for i := range cols {
		if err := cols[i].decode(holders[i], v); err != nil {
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
	shape.Normalise(f.value.Elem(), t.fields)
	shape.Settle(f.value.Elem(), t.fields)
	if n, ok := f.value.Interface().(interface{ Normalize() error }); ok {
		f.err = n.Normalize()
	}
}
