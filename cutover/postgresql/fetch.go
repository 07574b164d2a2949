package postgresql

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// question is a statement that reads, and what is done with its answer. take may
// be called again with another answer: then that one counts.
type question struct {
	sql  string
	args []any
	take func(pgx.Rows) error
}

func (q question) queue(b *pgx.Batch) { b.Queue(q.sql, q.args...).Query(q.take) }

// sender is a connection, a transaction, or a pool.
type sender interface {
	SendBatch(context.Context, *pgx.Batch) pgx.BatchResults
}

// ask puts a question to a transaction, or to the pool by itself.
func ask(ctx context.Context, to sender, q question) error {
	b := new(pgx.Batch)
	q.queue(b)
	return run(ctx, to, b)
}

// fetch reads records into list, child tables included, from a source: the
// table, or what stands for it under its name. tail is the rest of the statement.
func (t *table) fetch(list *[]*found, source, tail string, args ...any) question {
	return question{
		sql:  t.sql.selects + source + " " + tail,
		args: args,
		take: func(rows pgx.Rows) (err error) {
			*list, err = t.scan(rows, false)
			return err
		},
	}
}

// fetchKeyed is fetch from the table itself, with the keys of unique rules.
func (t *table) fetchKeyed(list *[]*found, tail string, args ...any) question {
	return question{
		sql:  t.sql.keyed + quote(t.name) + " " + tail,
		args: args,
		take: func(rows pgx.Rows) (err error) {
			*list, err = t.scan(rows, true)
			return err
		},
	}
}
