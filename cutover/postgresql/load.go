package postgresql

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/control"
	"github.com/amanat-dev/amanat/cutover/fault"
)

// Load brings many copies of one kind in by COPY: into temporary tables first,
// from where the same rules as in Apply decide what is taken over. All or
// nothing.
func (s *store) Load(ctx context.Context, kind string, items []cutover.Item) error {
	t, err := s.table(kind)
	if err != nil || len(items) == 0 {
		return err
	}
	return s.inTx(ctx, current, func(q pgx.Tx) error {
		if err := control.FenceCopy(ctx, q, s.domain); err != nil {
			return err
		}
		l := &loading{table: t, q: q, items: items}
		b := new(pgx.Batch)
		b.Queue("SET LOCAL statement_timeout = 0")
		s.queueLock(b, kind, false)
		l.queueTables(b)
		if err := q.SendBatch(ctx, b).Close(); err != nil {
			return translate(err)
		}
		if err := l.copyRows(ctx); err != nil {
			return translate(err)
		}
		b = new(pgx.Batch)
		l.queueTakeOver(b)
		return translate(q.SendBatch(ctx, b).Close())
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

func (l *loading) childTable(i int) string { return fmt.Sprintf("load_part_%d", i) }

func (l *loading) queueTables(b *pgx.Batch) {
	b.Queue(fmt.Sprintf("CREATE TEMPORARY TABLE load_row (LIKE %s) ON COMMIT DROP", quote(l.name)))
	if len(l.children) > 0 {
		b.Queue("CREATE TEMPORARY TABLE load_taken (id text) ON COMMIT DROP")
	}
	for i, c := range l.children {
		b.Queue(fmt.Sprintf("CREATE TEMPORARY TABLE %s (LIKE %s) ON COMMIT DROP", l.childTable(i), quote(c.name)))
	}
}

// copyRows sends the records' rows, then those of each child table. Only the
// latter are held in memory on the way.
func (l *loading) copyRows(ctx context.Context) error {
	l.parts = make([][]part, len(l.children))
	_, err := l.q.CopyFrom(ctx, pgx.Identifier{"load_row"}, names(l.written()),
		pgx.CopyFromSlice(len(l.items), func(i int) ([]any, error) { return l.encodeItem(l.items[i]) }))
	if err != nil {
		return err
	}
	for i, c := range l.children {
		if err := l.copyParts(ctx, i, c); err != nil {
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

func (l *loading) copyParts(ctx context.Context, i int, c child) error {
	parts := l.parts[i]
	if len(parts) == 0 {
		return nil
	}
	_, err := l.q.CopyFrom(ctx, pgx.Identifier{l.childTable(i)}, append([]string{"parent_id", "position"}, names(c.columns)...),
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
	for i, c := range l.children {
		cols := "parent_id, position, " + c.columnList()
		b.Queue(fmt.Sprintf("DELETE FROM %s USING load_taken WHERE parent_id = load_taken.id", quote(c.name)))
		b.Queue(fmt.Sprintf("INSERT INTO %s (%s) SELECT %s FROM %s WHERE parent_id IN (SELECT id FROM load_taken)",
			quote(c.name), cols, cols, l.childTable(i)))
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
