package memdb

import (
	"context"
	"reflect"
	"slices"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/cutover/query"
	"github.com/amanat-dev/amanat/cutover/shape"
)

// tx is a View or an Update.
type tx struct {
	*cutover.Batch
	db   *DB
	seen map[cutover.Key]bool // found there: tells a legacy record of revision 0 from a new one
	put  map[cutover.Key]cutover.Record
}

// keep copies a record at the moment of its Put, so that a later change of the
// same value is not written.
func (t tx) keep(w cutover.Write) error {
	if w.Record != nil {
		t.put[w.Key] = stored(w.Record)
	}
	return nil
}

// kept are the writes, with the records as they were put.
func (t tx) kept() []cutover.Write {
	writes := t.Writes()
	for i, w := range writes {
		if w.Record != nil {
			writes[i].Record = t.put[w.Key]
		}
	}
	return writes
}

// stored is a record as a database would give it back: a copy, in which nothing
// is nothing.
func stored(r cutover.Record) cutover.Record {
	r = cutover.Clone(r)
	shape.Normalise(structOf(r), shape.Of(reflect.TypeOf(r)))
	return r
}

// Get reads a record.
func (t tx) Get(_ context.Context, kind string, id cutover.ID) (cutover.Record, error) {
	if err := t.db.before("get"); err != nil {
		return nil, err
	}
	t.db.mu.Lock()
	defer t.db.mu.Unlock()
	r := t.db.rows[cutover.Key{Kind: kind, ID: id}]
	if r.record == nil {
		k, _ := t.Kinds().Named(kind)
		return nil, k.NotFound()
	}
	return t.read(kind, r.record), nil
}

// read hands a record out.
func (t tx) read(kind string, r cutover.Record) cutover.Record {
	if t.seen != nil {
		t.seen[cutover.Key{Kind: kind, ID: r.RecordMeta().ID}] = true
	}
	return cutover.Clone(r)
}

// Find goes through all records of the kind.
func (t tx) Find(ctx context.Context, kind string, q query.Query) ([]cutover.Record, error) {
	bound, err := t.plan(ctx, kind, q)
	if err != nil {
		return nil, err
	}
	if err := t.db.before("scan"); err != nil {
		return nil, err
	}
	t.db.mu.Lock()
	defer t.db.mu.Unlock()
	found := t.db.matching(kind, bound)
	slices.SortFunc(found, func(a, b cutover.Record) int { return bound.Compare(structOf(a), structOf(b)) })
	if bound.Limit > 0 && len(found) > bound.Limit {
		found = found[:bound.Limit]
	}
	for i, r := range found {
		found[i] = t.read(kind, r)
	}
	return found, nil
}

// Count goes through all records of the kind.
func (t tx) Count(ctx context.Context, kind string, q query.Query) (int64, error) {
	bound, err := t.plan(ctx, kind, q)
	if err != nil {
		return 0, err
	}
	if err := t.db.before("scan"); err != nil {
		return 0, err
	}
	t.db.mu.Lock()
	defer t.db.mu.Unlock()
	return int64(len(t.db.matching(kind, bound))), nil
}

// Each hands out the records that there are at this moment.
func (t tx) Each(ctx context.Context, kind string, do func(cutover.Record) error) error {
	all, err := t.Find(ctx, kind, query.All())
	if err != nil {
		return err
	}
	for _, r := range all {
		if err := do(r); err != nil {
			return err
		}
	}
	return nil
}

func (t tx) plan(ctx context.Context, kind string, q query.Query) (query.Bound, error) {
	k, ok := t.Kinds().Named(kind)
	if !ok {
		return query.Bound{}, fault.New(fault.Internal, "there is no kind %q", kind)
	}
	q, err := cutover.Resolved(ctx, t, q)
	if err != nil {
		return query.Bound{}, err
	}
	return k.Plan(q)
}

// matching returns the records that are asked for, as they are stored.
func (d *DB) matching(kind string, bound query.Bound) []cutover.Record {
	var out []cutover.Record
	for k, r := range d.rows {
		if k.Kind == kind && r.record != nil && bound.Match(structOf(r.record)) {
			out = append(out, r.record)
		}
	}
	return out
}

func structOf(r cutover.Record) reflect.Value { return reflect.ValueOf(r).Elem() }

// checkUnique refuses writes after which two records would have the same unique
// value.
func (d *DB) checkUnique(writes []cutover.Write) error {
	written := map[cutover.Key]bool{}
	for _, w := range writes {
		written[w.Key] = true
	}
	for _, w := range writes {
		kind, _ := d.kinds.Named(w.Key.Kind)
		if w.Record == nil || len(kind.Unique) == 0 {
			continue
		}
		for _, other := range d.others(w.Key, written, writes) {
			for _, rule := range kind.Unique {
				if rule.Broken(w.Record, other) {
					return rule.Conflict(kind)
				}
			}
		}
	}
	return nil
}

// others returns the records of a kind that will be there besides one.
func (d *DB) others(key cutover.Key, written map[cutover.Key]bool, writes []cutover.Write) []cutover.Record {
	var out []cutover.Record
	for k, r := range d.rows {
		if k.Kind == key.Kind && r.record != nil && !written[k] {
			out = append(out, r.record)
		}
	}
	for _, w := range writes {
		if w.Key.Kind == key.Kind && w.Key != key && w.Record != nil {
			out = append(out, w.Record)
		}
	}
	return out
}
