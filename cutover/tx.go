package cutover

import (
	"context"
	"fmt"
	"reflect"

	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/cutover/query"
	"github.com/amanat-dev/amanat/cutover/shape"
)

// Tx is one View or Update of a domain, on whichever database. Services use the
// functions Get, Find, First, Count and Each on it, which know the records'
// types.
type Tx interface {
	Writer
	// Kinds are the domain's.
	Kinds() Kinds
	// Get reads a record by its identity. Errors: fault.NotFound; one that names
	// the record when it is not readable.
	Get(ctx context.Context, kind string, id ID) (Record, error)
	// Find reads the records of a kind that q asks for, in its order. A View
	// leaves out what is not readable, and counts it, unless q is Whole; in an
	// Update it is an error that names the record.
	Find(ctx context.Context, kind string, q query.Query) ([]Record, error)
	// Count counts the records that q asks for; its order and limit do not
	// matter.
	Count(ctx context.Context, kind string, q query.Query) (int64, error)
	// Each calls do with every record of a kind in the order of identities,
	// until do returns an error; the memory that it takes does not grow with
	// their number.
	Each(ctx context.Context, kind string, do func(Record) error) error
}

// Get reads a record by its identity. Errors: fault.NotFound.
func Get[T any](ctx context.Context, tx Tx, id ID) (T, error) {
	k, err := kindOf[T](tx)
	if err != nil {
		return *new(T), err
	}
	r, err := tx.Get(ctx, k.Name, id)
	if err != nil {
		return *new(T), err
	}
	return *any(r).(*T), nil
}

// Find reads the records that q asks for, in its order.
func Find[T any](ctx context.Context, tx Tx, q query.Query) ([]T, error) {
	k, err := kindOf[T](tx)
	if err != nil {
		return nil, err
	}
	found, err := tx.Find(ctx, k.Name, q)
	if err != nil {
		return nil, err
	}
	out := make([]T, len(found))
	for i, r := range found {
		out[i] = *any(r).(*T)
	}
	return out, nil
}

// First reads the first record that q asks for. Errors: fault.NotFound when
// there is none.
func First[T any](ctx context.Context, tx Tx, q query.Query) (T, error) {
	found, err := Find[T](ctx, tx, q.Limit(1).Whole())
	if err != nil || len(found) > 0 {
		return firstOf(found), err
	}
	k, _ := kindOf[T](tx)
	return firstOf(found), k.NotFound()
}

func firstOf[T any](list []T) (t T) {
	if len(list) > 0 {
		t = list[0]
	}
	return t
}

// Count counts the records that q asks for.
func Count[T any](ctx context.Context, tx Tx, q query.Query) (int64, error) {
	k, err := kindOf[T](tx)
	if err != nil {
		return 0, err
	}
	return tx.Count(ctx, k.Name, q)
}

// Each calls do with every record of a type, in the order of identities. What
// is to be written is read again with Get.
func Each[T any](ctx context.Context, tx Tx, do func(T) error) error {
	k, err := kindOf[T](tx)
	if err != nil {
		return err
	}
	return tx.Each(ctx, k.Name, func(r Record) error { return do(*any(r).(*T)) })
}

// kindOf finds the domain's kind whose records are of type T.
func kindOf[T any](tx Tx) (Kind, error) {
	k, ok := tx.Kinds().ofType(reflect.TypeFor[T]())
	if !ok {
		return Kind{}, fault.New(fault.Internal, "%s is no record of this domain", reflect.TypeFor[T]())
	}
	return k, nil
}

// NotFound is the fault of a record of the kind that is not there.
func (k Kind) NotFound() error {
	return fault.New(fault.NotFound, "there is no such %s", shape.Words(k.Name))
}

// Plan prepares a query of the kind for a store: its fields are known, and an
// index of the kind serves it. Its error is a mistake in the program.
func (k Kind) Plan(q query.Query) (query.Bound, error) {
	bound, err := query.Bind(k.fields(), q)
	if err == nil {
		bound, err = bound.Plan(k.indexes())
	}
	if err != nil {
		return query.Bound{}, fault.Wrap(fmt.Errorf("%s: %w", k.Name, err), fault.Internal, "a query that cannot be asked")
	}
	return bound, nil
}
