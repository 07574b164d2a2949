package postgresql

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/maphash"

	"github.com/jackc/pgx/v5"
)

// view puts the questions of a View, all of which see one state of the
// database.
//
// Most Views have one question. A statement by itself sees one state, so it
// needs no transaction, and is one round trip. Only a second question asks for a
// snapshot over both: it begins one and, in the same round trip, has the first
// question answered again. If that answer is the one that was given, it is as if
// the snapshot had been there from the start; if not, the closure runs again
// within it.
type view struct {
	*session // the snapshot; begun by the second question
	first    *question
	answer   uint64 // the mark of the answer that was given
	outdated bool   // it is not the snapshot's
}

var errOutdated = errors.New("the View runs again on a snapshot")

func (v *view) ask(ctx context.Context, q question) error {
	switch {
	case v.outdated:
		return errOutdated
	case v.conn != nil:
		return v.session.ask(ctx, q)
	case v.first == nil:
		v.first = &q
		return translate(v.db.again(ctx, func() error { return ask(ctx, v.db.pool, marked(q, &v.answer)) }))
	}
	return v.second(ctx, q)
}

func (v *view) second(ctx context.Context, q question) error {
	var answer uint64
	first := *v.first
	first.take = func(rows pgx.Rows) error {
		for rows.Next() {
		}
		return rows.Err()
	}
	err := v.send(ctx, func(b *pgx.Batch) {
		marked(first, &answer).queue(b)
		q.queue(b)
	})
	if err == nil && answer != v.answer {
		v.outdated = true
		return errOutdated
	}
	return err
}

var seed = maphash.MakeSeed()

// marked has a question leave a mark of its answer.
func marked(q question, mark *uint64) question {
	take := q.take
	q.take = func(rows pgx.Rows) error {
		r := &markedRows{Rows: rows}
		r.hash.SetSeed(seed)
		err := take(r)
		*mark = r.hash.Sum64()
		return err
	}
	return q
}

// markedRows hashes rows as they are read.
type markedRows struct {
	pgx.Rows
	hash maphash.Hash
	row  []byte // the one at hand
}

func (r *markedRows) Next() bool {
	if !r.Rows.Next() {
		return false
	}
	r.row = r.row[:0]
	for _, v := range r.RawValues() {
		size := uint32(len(v))
		if v == nil {
			size = ^uint32(0) // NULL
		}
		r.row = append(binary.BigEndian.AppendUint32(r.row, size), v...)
	}
	_, _ = r.hash.Write(r.row) // never fails
	return true
}
