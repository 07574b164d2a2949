package postgres

import (
	"fmt"
	"strings"

	"github.com/amanat-dev/amanat/cutover"
)

// where collects the conditions of a query and their arguments.
type where struct {
	conditions []string
	args       []any
}

// arg adds an argument and gives its placeholder.
func (w *where) arg(v any) string {
	w.args = append(w.args, v)
	return fmt.Sprintf("$%d", len(w.args))
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

// anyOf adds the condition that one of several holds; none adds nothing.
func (w *where) anyOf(conditions []string) {
	if len(conditions) > 0 {
		w.conditions = append(w.conditions, "(("+strings.Join(conditions, ") OR (")+"))")
	}
}

func (w *where) newest(limit int) string { return w.sorted("id DESC", limit) }

// sorted gives the whole tail of the query; limit 0 means all.
func (w *where) sorted(order string, limit int) string {
	tail := "ORDER BY " + order
	if len(w.conditions) > 0 {
		tail = "WHERE " + strings.Join(w.conditions, " AND ") + " " + tail
	}
	if limit > 0 {
		tail += " LIMIT " + w.arg(limit)
	}
	return tail
}
