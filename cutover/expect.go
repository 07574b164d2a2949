package cutover

import "github.com/amanat-dev/amanat/cutover/query"

// Expecter is a Tx that is told what it will be asked. A store need not care.
type Expecter interface {
	Expect(kind string, q query.Query)
}

// Expect says, before a question, that Find will be asked for q right after it:
// an Update's store may then have both answered in one round trip. It changes no
// answer.
func Expect[T any](tx Tx, q query.Query) {
	e, cares := tx.(Expecter)
	if k, err := kindOf[T](tx); err == nil && cares {
		e.Expect(k.Name, q)
	}
}

// Expect passes on what the Tx underneath may care for.
func (l listened) Expect(kind string, q query.Query) {
	if e, cares := l.Tx.(Expecter); cares {
		e.Expect(kind, q)
	}
}
