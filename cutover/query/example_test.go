package query_test

import (
	"fmt"
	"reflect"
	"time"

	"github.com/amanat-dev/amanat/cutover/query"
	"github.com/amanat-dev/amanat/cutover/shape"
)

// A query is data: conditions, an order, a limit. Shape tells it without its
// values, as logs may have it.
func Example() {
	stale := query.Eq("state", "new").And(query.AtMost("at", time.Now())).OrderBy("at").Limit(100)
	mine := query.AnyOf(query.Eq("state", "new"), query.In("order", 1, 2)).And(query.Present("name"))
	fmt.Println(stale.Shape())
	fmt.Println(mine.Shape())
	// Output:
	// state = at <= order at limited
	// name present ( state = | order in )
}

// A store binds a query to the fields of a kind, and plans it: a query that no
// index serves is an error of the program, found by its first test.
func ExampleBound_Plan() {
	type task struct {
		ID    id     `json:"id" field:"_id"` // as cutover.ID
		State string `json:"state"`
		Order int    `json:"order"`
	}
	bound, err := query.Bind(shape.Of(reflect.TypeFor[task]()), query.Eq("state", "new"))
	if err != nil {
		panic(err)
	}
	_, err = bound.Plan([]query.Index{{"state", "order"}})
	fmt.Println(err)
	_, err = bound.Plan([]query.Index{{"order"}})
	fmt.Println(err)
	fmt.Println(bound.Match(reflect.ValueOf(task{State: "new"})))
	// Output:
	// <nil>
	// query: no declared index serves [state =] ordered by id
	// true
}
