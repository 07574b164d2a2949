package postgresql

import (
	"reflect"

	"github.com/amanat-dev/amanat/cutover/query"
)

// ahead is a question that was announced, see cutover.Expect: it travels with
// the one before it, and its answer waits here. Where nobody asks it after all,
// nothing has happened but that.
type ahead struct {
	question
	list []*found
	sent bool
}

// Expect has a question travel with the next one of an Update. Each sees what is
// committed when it is answered, as it would by itself; the questions of a View
// see one state, so they are not sent together without a snapshot.
func (tx *Tx) Expect(kind string, q query.Query) {
	if tx.read == nil {
		return
	}
	t, w, err := tx.where(kind, q)
	if err != nil || w == nil {
		return // Find says so
	}
	source, tail := w.from()
	a := new(ahead)
	a.question = t.fetch(&a.list, source, tail, params(w.args)...)
	tx.ahead = append(tx.ahead, a)
}

// known returns the answer to a question that was announced, once.
func (tx *Tx) known(q question) (list []*found, ok bool) {
	for i, a := range tx.ahead {
		if a.sent && a.sql == q.sql && reflect.DeepEqual(a.args, q.args) {
			tx.ahead = append(tx.ahead[:i:i], tx.ahead[i+1:]...)
			return a.list, true
		}
	}
	return nil, false
}

// along are the announced questions that a question takes along. What is asked
// itself need not travel twice.
func (tx *Tx) along(q question) (out []*ahead) {
	for _, a := range tx.ahead {
		if !a.sent && a.sql != q.sql {
			out = append(out, a)
		}
	}
	return out
}
