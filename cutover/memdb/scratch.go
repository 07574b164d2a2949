package memdb

import (
	"context"

	"github.com/amanat-dev/amanat/cutover"
)

// Scratch opens an empty database of d's sort, see cutover.Spec. Its drop empties
// it and takes it out of d's count.
func (d *DB) Scratch(context.Context) (cutover.Store, func(context.Context) error, error) {
	if err := d.before("scratch"); err != nil {
		return nil, nil, err
	}
	spare := New(d.name, d.kinds)
	d.scratches.Add(1)
	drop := func(context.Context) error {
		spare.mu.Lock()
		defer spare.mu.Unlock()
		clear(spare.rows)
		d.scratches.Add(-1)
		return d.before("drop")
	}
	return spare, drop, nil
}

// Scratches counts the scratch databases that are not dropped.
func (d *DB) Scratches() int64 { return d.scratches.Load() }
