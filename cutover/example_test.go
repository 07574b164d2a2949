package cutover_test

import (
	"context"
	"fmt"
	"reflect"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/memdb"
)

// note is all that this application stores.
type note struct {
	cutover.Meta
	Text string `json:"text"`
}

var noteKinds = cutover.Kinds{{Name: "note", Type: reflect.TypeFor[note]()}}

// Example moves an application from one database to the other while it could
// go on writing. A real one has a Side per database in place of memdb.
func Example() {
	ctx := context.Background()
	oldDB, newDB, control := memdb.New("old", noteKinds), memdb.New("new", noteKinds), memdb.NewControl()
	newDB.Control = control

	engine := cutover.NewEngine(cutover.Options{Control: control, Process: cutover.Process{ID: "server-1"}})
	notes, err := cutover.NewDomain(engine, cutover.Spec{
		Definition: cutover.Definition{Name: "notes", Kinds: noteKinds, Queries: []string{"note.get"}},
		Source:     memdb.Source{DB: oldDB}, Target: newDB,
	})
	if err != nil {
		panic(err)
	}
	if err := engine.Open(ctx); err != nil {
		panic(err)
	}
	engine.Run(ctx)
	defer engine.Close(ctx)

	n, err := cutover.Update(ctx, notes, func(ctx context.Context, tx cutover.Tx) (note, error) {
		n := note{Text: "written to the old database"}
		return n, tx.Put(ctx, &n)
	})
	if err != nil {
		panic(err)
	}

	step := cutover.StepOptions{Execute: true, Who: "me", Why: "to show it", GateOptions: cutover.GateOptions{
		Waive: map[string]string{cutover.GateShadow: "an example", cutover.GateWayBack: "an example"},
	}}
	for _, do := range []func() error{
		func() error { _, err := engine.Start(ctx, "notes", step); return err },
		func() error { _, err := engine.Backfill(ctx, "notes", cutover.BackfillOptions{}); return err },
		func() error { _, err := engine.Verify(ctx, "notes", cutover.VerifyOptions{}); return err },
		func() error { _, err := engine.Switch(ctx, "notes", step); return err },
	} {
		if err := do(); err != nil {
			panic(err)
		}
	}

	got, err := cutover.View(ctx, notes, "note.get", func(ctx context.Context, tx cutover.Tx) (string, error) {
		n, err := cutover.Get[note](ctx, tx, n.ID)
		return n.Text, err
	})
	fmt.Println(engine.State("notes").Phase, got, err)
	// Output: mirror written to the old database <nil>
}
