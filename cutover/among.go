package cutover

import (
	"context"
	"reflect"

	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/cutover/query"
)

// Resolved is a query in which what query.Among asks for was found by questions
// of their own: for a store that cannot ask both as one.
func Resolved(ctx context.Context, tx Tx, q query.Query) (query.Query, error) {
	if !q.Sources() {
		return q, nil
	}
	return q.Resolve(func(s query.Source) ([]any, error) {
		path, err := tx.Kinds().field(s)
		if err != nil {
			return nil, err
		}
		found, err := tx.Find(ctx, s.Kind, s.Query)
		var values []any
		for _, r := range found {
			values = append(values, path.Values(reflect.ValueOf(r).Elem())...)
		}
		return values, err
	})
}

// field finds the field whose values a source stands for.
func (ks Kinds) field(s query.Source) (query.Path, error) {
	k, ok := ks.Named(s.Kind)
	if !ok {
		return nil, fault.New(fault.Internal, "there is no kind %q", s.Kind)
	}
	path, err := query.Lookup(k.fields(), s.Field)
	if err != nil {
		return nil, fault.Wrap(err, fault.Internal, "a query that cannot be asked")
	}
	return path, nil
}
