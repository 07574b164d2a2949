package postgresql

import (
	"fmt"
	"strconv"
	"strings"
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
	store  *store
	table  *table
	either []string // of which one must hold
	args   []any
	order  string // a total one: ties by id
	limit  int    // 0 means all
}

// from is what the records are selected from, the table or what stands for it,
// and what follows it in the statement.
func (w *where) from() (source, tail string) {
	name := quote(w.table.name)
	if len(w.either) == 1 {
		return name, w.tail(w.either)
	}
	branches := make([]string, len(w.either))
	var earlier []string
	for i, alternative := range w.either {
		branches[i] = fmt.Sprintf("(SELECT %s FROM %s %s)", w.table.sql.columns, name, w.tail(append(earlier, alternative)))
		earlier = append(earlier[:len(earlier):len(earlier)], "("+alternative+") IS NOT TRUE")
	}
	return "(" + strings.Join(branches, " UNION ALL ") + ") AS " + name, w.tail(nil)
}

// count is the statement that counts the records.
func (w *where) count() string {
	return "SELECT count(*) FROM " + quote(w.table.name) + " WHERE (" + strings.Join(w.either, ") OR (") + ")"
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
