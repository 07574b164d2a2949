package postgresql

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/control"
	"github.com/amanat-dev/amanat/cutover/fault"
)

// incoming is one item of an Apply, encoded.
type incoming struct {
	index   int // among the items
	key     cutover.Key
	rev     int64
	deleted bool
	row     row
	written bool // by the attempt under way
}

// Apply brings copies in. See cutover.Store. The items go in one transaction;
// when that fails, each goes in its own, so that one bad record holds up no
// other.
func (s *store) Apply(ctx context.Context, items []cutover.Item, o cutover.ApplyOptions) ([]error, error) {
	errs := make([]error, len(items))
	todo := s.prepare(items, errs)
	err := s.applyTogether(ctx, todo, o)
	if err == nil {
		return errs, nil
	}
	if failedAsAWhole(err) {
		return nil, err
	}
	// In rounds: a copy may be in the way of another only until its own turn.
	for {
		var left []*incoming
		for _, in := range todo {
			errs[in.index] = s.applyTogether(ctx, []*incoming{in}, o)
			if failedAsAWhole(errs[in.index]) {
				return nil, errs[in.index]
			}
			if errs[in.index] != nil {
				left = append(left, in)
			}
		}
		if len(left) == 0 || len(left) == len(todo) {
			return errs, nil
		}
		todo = left
	}
}

// failedAsAWhole says that no item could have been copied: the database is
// away, or it is the domain's primary now and takes no copies.
func failedAsAWhole(err error) bool {
	return fault.Is(err, fault.Unavailable) || errors.Is(err, cutover.ErrMoved)
}

// prepare encodes the items, in the order in which they are written: parents
// first, then the deletes children first, each kind in id order.
func (s *store) prepare(items []cutover.Item, errs []error) []*incoming {
	var todo []*incoming
	for i, item := range items {
		in, err := s.encodeItem(item)
		if err != nil {
			errs[i] = err
			continue
		}
		in.index = i
		todo = append(todo, in)
	}
	slices.SortStableFunc(todo, s.inOrder)
	return todo
}

func (s *store) inOrder(a, b *incoming) int {
	switch {
	case a.deleted != b.deleted:
		if a.deleted {
			return 1
		}
		return -1
	case a.key.Kind == b.key.Kind:
		return slices.Compare(a.key.ID[:], b.key.ID[:])
	case a.deleted:
		return s.byPlace(b.key, a.key)
	}
	return s.byPlace(a.key, b.key)
}

func (s *store) encodeItem(item cutover.Item) (*incoming, error) {
	t, err := s.table(item.Key.Kind)
	if err != nil {
		return nil, err
	}
	in := &incoming{key: item.Key, rev: item.Rev, deleted: item.Deleted}
	switch {
	case item.Err != nil:
		return nil, item.Err
	case item.Deleted:
		return in, nil
	case item.Record == nil:
		return nil, fault.New(fault.Internal, "%s: there is nothing to copy", item.Key)
	}
	if in.row, err = t.encode(item.Record); err != nil {
		return nil, fault.Wrap(err, fault.Internal, "%s cannot be stored", item.Key.Kind)
	}
	in.rev = item.Record.RecordMeta().Rev
	return in, nil
}

func (s *store) applyTogether(ctx context.Context, todo []*incoming, o cutover.ApplyOptions) error {
	if len(todo) == 0 {
		return nil
	}
	return s.inTx(ctx, current, func(q pgx.Tx) error {
		if err := control.FenceCopy(ctx, q, s.domain); err != nil {
			return err
		}
		b := new(pgx.Batch)
		s.queueLocks(b, todo)
		for _, in := range todo {
			s.queueCopy(b, in, o)
		}
		if err := q.SendBatch(ctx, b).Close(); err != nil {
			return translate(err)
		}
		if err := s.tellAhead(ctx, q, todo, o); err != nil {
			return err
		}
		b = new(pgx.Batch)
		for _, in := range todo {
			if in.written {
				s.tables[in.key.Kind].queueChildren(b, in.key.ID.String(), in.row, true)
			}
		}
		if b.Len() == 0 {
			return nil
		}
		return translate(q.SendBatch(ctx, b).Close())
	})
}

// tellAhead looks at what was left out, see cutover.ApplyOptions.Ahead.
func (s *store) tellAhead(ctx context.Context, q pgx.Tx, todo []*incoming, o cutover.ApplyOptions) error {
	left := map[string]map[string]*incoming{} // by kind and id
	for _, in := range todo {
		if o.Ahead == nil || o.Force || in.written {
			continue
		}
		if left[in.key.Kind] == nil {
			left[in.key.Kind] = map[string]*incoming{}
		}
		left[in.key.Kind][in.key.ID.String()] = in
	}
	for kind, ids := range left {
		rows, err := q.Query(ctx, "SELECT id, rev FROM "+quote(s.tables[kind].name)+" WHERE id = ANY($1)", slices.Collect(maps.Keys(ids)))
		if err != nil {
			return translate(err)
		}
		var id string
		var rev int64
		_, err = pgx.ForEachRow(rows, []any{&id, &rev}, func() error {
			if in := ids[id]; rev > in.rev || in.deleted {
				o.Ahead(in.key, rev)
			}
			return nil
		})
		if err != nil {
			return translate(err)
		}
	}
	return nil
}

// queueLocks keeps a copy of a kind and a delete of the same kind apart.
// Otherwise a copy that looked for a tombstone just before it was made would
// bring the record back. Copies do not wait for each other.
func (s *store) queueLocks(b *pgx.Batch, todo []*incoming) {
	deletes := map[string]bool{}
	for _, in := range todo {
		deletes[in.key.Kind] = deletes[in.key.Kind] || in.deleted
	}
	for _, kind := range slices.Sorted(maps.Keys(deletes)) {
		s.queueLock(b, kind, deletes[kind])
	}
}

func (s *store) queueLock(b *pgx.Batch, kind string, alone bool) {
	lock := "SELECT pg_advisory_xact_lock_shared(hashtextextended($1, 0))"
	if alone {
		lock = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))"
	}
	b.Queue(lock, "amanat copy "+s.domain+" "+kind) // for ever: processes of two versions must take the same lock
}

// queueCopy adds the statements that bring in one row or remove it. in.written
// tells afterwards whether the row was written, so that its children follow.
func (s *store) queueCopy(b *pgx.Batch, in *incoming, o cutover.ApplyOptions) {
	t, id := s.tables[in.key.Kind], in.key.ID.String()
	in.written = false
	took := func(tag pgconn.CommandTag) error {
		in.written = tag.RowsAffected() > 0
		return nil
	}
	switch {
	case in.deleted && o.Force:
		b.Queue("DELETE FROM "+quote(t.name)+" WHERE id = $1", id)
	case in.deleted:
		b.Queue("DELETE FROM "+quote(t.name)+" WHERE id = $1 AND rev < $2", id, in.rev)
	case o.Force:
		b.Queue("DELETE FROM cutover_tombstones WHERE kind = $1 AND id = $2", in.key.Kind, id)
		b.Queue(t.sql.force, in.row.values...).Exec(took)
	default:
		b.Queue(t.sql.apply, in.row.values...).Exec(took)
	}
	if in.deleted {
		var gone noteColumns
		gone.add(in.key, in.rev)
		gone.queueTombstones(b, s.domain)
	}
}
