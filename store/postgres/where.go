package postgres

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/amanat-dev/amanat/cutover"
)

// where says which records of a table are wanted, in which order, and how many.
// It makes a statement that indexes can serve, and whose plan stays good for any
// arguments:
//
//   - Alternatives become a union, each branch in the order of its own index and
//     cut to the limit, where an OR would have every record of either looked at.
//     A branch leaves out what an earlier one has.
//   - What is not asked for is no condition. "$1 = ” OR id < $1" would be planned
//     as if it excluded nothing.
//   - The limit stands in the text. Of a parameter the plan would know nothing.
type where struct {
	conditions []string // of which all must hold
	either     []string // of which one must, if there are any
	args       []any
	order      string // a total one: ties by id
	limit      int    // 0 means all
}

// arg adds an argument and gives its placeholder.
func (w *where) arg(v any) string {
	w.args = append(w.args, v)
	return "$" + strconv.Itoa(len(w.args))
}

// id and text add a condition unless the value is absent.
func (w *where) id(condition string, id cutover.ID) {
	if !id.IsZero() {
		w.conditions = append(w.conditions, fmt.Sprintf(condition, w.arg(id)))
	}
}

func (w *where) text(condition, s string) {
	if s != "" {
		w.conditions = append(w.conditions, fmt.Sprintf(condition, w.arg(s)))
	}
}

// or adds an alternative.
func (w *where) or(condition string) { w.either = append(w.either, condition) }

// newest asks for the greatest ids.
func (w *where) newest(limit int) { w.sorted("id DESC", limit) }

func (w *where) sorted(order string, limit int) { w.order, w.limit = order, limit }

// from is what the records are selected from, the table or what stands for it,
// and what follows it in the statement.
func (w *where) from(t *table) (source, tail string) {
	conditions := w.conditions[:len(w.conditions):len(w.conditions)]
	if len(w.either) < 2 {
		return quote(t.name), w.tail(append(conditions, w.either...))
	}
	branches := make([]string, len(w.either))
	for i, alternative := range w.either {
		branches[i] = fmt.Sprintf("(SELECT %s FROM %s %s)", t.sql.columns, quote(t.name), w.tail(append(conditions, alternative)))
		conditions = append(conditions, "("+alternative+") IS NOT TRUE")
	}
	return "(" + strings.Join(branches, " UNION ALL ") + ") AS " + quote(t.name), w.tail(nil)
}

func (w *where) tail(conditions []string) string {
	tail := "ORDER BY " + w.order
	if len(conditions) > 0 {
		tail = "WHERE (" + strings.Join(conditions, ") AND (") + ") " + tail
	}
	if w.limit > 0 {
		tail += " LIMIT " + strconv.Itoa(w.limit)
	}
	return tail
}

// Find reads the records of a kind that w says, child tables included.
func Find[T any](ctx context.Context, tx *Tx, kind string, w where) ([]T, error) {
	t, err := tableOf[T](tx, kind)
	if err != nil {
		return nil, err
	}
	source, tail := w.from(t)
	return records[T](ctx, tx, t, source, tail, w.args)
}
