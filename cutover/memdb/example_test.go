package memdb_test

import (
	"context"
	"fmt"
	"reflect"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/memdb"
	"github.com/amanat-dev/amanat/cutover/query"
)

type task struct {
	cutover.Meta
	State string `json:"state"`
}

var tasks = cutover.Definition{Name: "tasks", Queries: []string{"task.open"}, Kinds: cutover.Kinds{{
	Name: "task", Type: reflect.TypeFor[task](), Indexes: []query.Index{{"state"}},
}}}

// A service is tested in memory: one domain on one database, without an engine
// around it.
func Example() {
	ctx := context.Background()
	domain, err := cutover.Solo(cutover.Spec{Definition: tasks, Target: memdb.New("memory", tasks.Kinds)})
	if err != nil {
		panic(err)
	}
	for _, state := range []string{"open", "done", "open"} {
		_, err := cutover.Update(ctx, domain, func(ctx context.Context, tx cutover.Tx) (bool, error) {
			return true, tx.Put(ctx, &task{State: state})
		})
		if err != nil {
			panic(err)
		}
	}
	n, err := cutover.View(ctx, domain, "task.open", func(ctx context.Context, tx cutover.Tx) (int64, error) {
		return cutover.Count[task](ctx, tx, query.Eq("state", "open"))
	})
	fmt.Println(n, err)
	// Output: 2 <nil>
}
