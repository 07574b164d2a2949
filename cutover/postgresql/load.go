package postgresql

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/control"
	"github.com/amanat-dev/amanat/cutover/fault"
)

// Load brings many copies of one kind in by COPY, all or nothing: straight into
// the kind's tables where none of them can be there yet, else into temporary
// tables first, from where the same rules as in Apply decide what is taken over.
func (s *store) Load(ctx context.Context, kind string, items []cutover.Item) error {
	t, err := s.table(kind)
	if err != nil || len(items) == 0 {
		return err
	}
	err = s.load(ctx, t, items, false)
	if v := violationOf(err); v != nil && v.Rule == Unique {
		// A live copy came in between the look and the COPY.
		return s.load(ctx, t, items, true)
	}
	return err
}

// load is one try of Load. aside says that it is to go by temporary tables.
func (s *store) load(ctx context.Context, t *table, items []cutover.Item, aside bool) error {
	return s.inTx(ctx, current, func(q pgx.Tx) error {
		if err := control.FenceCopy(ctx, q, s.domain); err != nil {
			return err
		}
		l := &loading{table: t, q: q, items: items}
		vacant := false
		b := new(pgx.Batch)
		b.Queue("SET LOCAL statement_timeout = 0")
		s.queueLock(b, t.kind, false) // until the end no tombstone is added
		l.queueLook(b, &vacant)
		if err := q.SendBatch(ctx, b).Close(); err != nil {
			return translate(err)
		}
		if vacant && !aside {
			return translate(l.copyRows(ctx, t.name, func(c child) string { return c.name }))
		}
		return translate(l.byTemporary(ctx))
	})
}

var errNotLoadable = errors.New("only whole records can be loaded")

// loading is one Load under way.
type loading struct {
	*table
	q     pgx.Tx
	items []cutover.Item
	parts [][]part // rows of each child table
}

// part is a row of a child table.
type part struct {
	id       string
	position int
	values   []any
}

// queueLook asks whether neither a row nor a tombstone is where the items are to
// go. What commits before the lock is seen: each statement has a snapshot of its
// own.
func (l *loading) queueLook(b *pgx.Batch, vacant *bool) {
	first, last := l.items[0].Key.ID, l.items[0].Key.ID
	for _, i := range l.items {
		if bytes.Compare(i.Key.ID[:], first[:]) < 0 {
			first = i.Key.ID
		}
		if bytes.Compare(i.Key.ID[:], last[:]) > 0 {
			last = i.Key.ID
		}
	}
	b.Queue(fmt.Sprintf(`SELECT NOT EXISTS (SELECT FROM %s WHERE id BETWEEN $1::object_id AND $2::object_id)
		AND NOT EXISTS (SELECT FROM cutover_tombstones WHERE kind = $3 AND id BETWEEN $1::object_id AND $2::object_id)`, quote(l.name)),
		first.String(), last.String(), l.kind).QueryRow(func(row pgx.Row) error { return row.Scan(vacant) })
}

// byTemporary loads where some of the items may be there already.
func (l *loading) byTemporary(ctx context.Context) error {
	b := new(pgx.Batch)
	l.queueTables(b)
	if err := l.q.SendBatch(ctx, b).Close(); err != nil {
		return err
	}
	if err := l.copyRows(ctx, "load_row", temporary); err != nil {
		return err
	}
	b = new(pgx.Batch)
	l.queueTakeOver(b)
	return l.q.SendBatch(ctx, b).Close()
}

// temporary names the temporary table for a child table's rows.
func temporary(c child) string { return "load_part_" + c.name }

func (l *loading) queueTables(b *pgx.Batch) {
	b.Queue(fmt.Sprintf("CREATE TEMPORARY TABLE load_row (LIKE %s) ON COMMIT DROP", quote(l.name)))
	if len(l.children) > 0 {
		b.Queue("CREATE TEMPORARY TABLE load_taken (id text) ON COMMIT DROP")
	}
	for _, c := range l.children {
		b.Queue(fmt.Sprintf("CREATE TEMPORARY TABLE %s (LIKE %s) ON COMMIT DROP", quote(temporary(c)), quote(c.name)))
	}
}

// copyRows sends the records' rows into a table, then those of each child table
// into another. Only the latter are held in memory on the way.
func (l *loading) copyRows(ctx context.Context, table string, ofChild func(child) string) error {
	l.parts = make([][]part, len(l.children))
	_, err := l.q.CopyFrom(ctx, pgx.Identifier{table}, names(l.written()),
		pgx.CopyFromSlice(len(l.items), func(i int) ([]any, error) { return l.encodeItem(l.items[i]) }))
	if err != nil {
		return err
	}
	for i, c := range l.children {
		if err := l.copyParts(ctx, ofChild(c), l.parts[i], c); err != nil {
			return err
		}
	}
	return nil
}

func (l *loading) encodeItem(item cutover.Item) ([]any, error) {
	if item.Record == nil {
		return nil, fault.Wrap(errNotLoadable, fault.Internal, "%s cannot be loaded", item.Key)
	}
	r, err := l.encode(item.Record)
	if err != nil {
		return nil, fault.Wrap(err, fault.Internal, "%s cannot be stored", item.Key.Kind)
	}
	id := item.Record.RecordMeta().ID.String()
	for i := range l.children {
		for position, values := range r.children[i] {
			l.parts[i] = append(l.parts[i], part{id, position, values})
		}
	}
	return r.values, nil
}

func (l *loading) copyParts(ctx context.Context, table string, parts []part, c child) error {
	if len(parts) == 0 {
		return nil
	}
	_, err := l.q.CopyFrom(ctx, pgx.Identifier{table}, append([]string{"parent_id", "position"}, names(c.columns)...),
		pgx.CopyFromSlice(len(parts), func(n int) ([]any, error) {
			return append([]any{parts[n].id, parts[n].position}, parts[n].values...), nil
		}))
	return err
}

func names(cols []column) []string {
	out := make([]string, len(cols))
	for i, c := range cols {
		out[i] = c.name
	}
	return out
}

// queueTakeOver adds the statements that move the rows on.
func (l *loading) queueTakeOver(b *pgx.Batch) {
	if len(l.children) == 0 {
		b.Queue(l.takeRows())
		return
	}
	b.Queue("WITH taken AS (" + l.takeRows() + " RETURNING id) INSERT INTO load_taken SELECT id FROM taken")
	for _, c := range l.children {
		cols := "parent_id, position, " + c.columnList()
		b.Queue(fmt.Sprintf("DELETE FROM %s USING load_taken WHERE parent_id = load_taken.id", quote(c.name)))
		b.Queue(fmt.Sprintf("INSERT INTO %s (%s) SELECT %s FROM %s WHERE parent_id IN (SELECT id FROM load_taken)",
			quote(c.name), cols, cols, quote(temporary(c))))
	}
}

// takeRows is the statement that inserts each loaded row, unless a later
// revision or a tombstone is there.
func (l *loading) takeRows() string {
	quoted := names(l.written())
	set := make([]string, len(quoted))
	for i, name := range quoted {
		quoted[i] = quote(name)
		set[i] = quoted[i] + " = EXCLUDED." + quoted[i]
	}
	cols, name := strings.Join(quoted, ", "), quote(l.name)
	return fmt.Sprintf(`INSERT INTO %s (%s) SELECT %s FROM load_row WHERE NOT EXISTS (%s)
		ON CONFLICT (id) DO UPDATE SET %s WHERE %s.rev < EXCLUDED.rev`,
		name, cols, cols, buried(l.kind, "load_row.id", "load_row.rev"), strings.Join(set[1:], ", "), name)
}
