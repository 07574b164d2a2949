// Command example moves an application that keeps notes from MongoDB to PostgreSQL.
package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"os"
	"reflect"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/mongodb"
	"github.com/amanat-dev/amanat/cutover/postgresql"
)

type note struct {
	cutover.Meta
	Text string `json:"text"`
}

var notes = cutover.Definition{Name: "notes", Queries: []string{"note.get"}, Kinds: cutover.Kinds{
	{Name: "note", Type: reflect.TypeFor[note](), Table: "notes", Collection: "notes"}}}

//go:embed *.sql
var migrations embed.FS

func main() { fmt.Println(move(os.Getenv("MONGODB_URI"), "notes", os.Getenv("PG_URL"))) }

func move(mongoURI, database, pgURL string) (cutover.Phase, string) {
	ctx := context.Background()
	source, target := must(mongodb.Open(ctx, mongoURI, database)), must(postgresql.Open(ctx, pgURL))
	must(target.Up(ctx, postgresql.Source{Name: "notes", Files: migrations, Dir: ".", Table: "notes_version"}))
	engine := cutover.NewEngine(cutover.Options{Control: must(target.Control(ctx)), Process: cutover.Process{ID: "server-1"}})
	domain := must(cutover.NewDomain(engine, cutover.Spec{Definition: notes, Source: source.Side(notes), Target: target.Side(notes)}))
	must(0, errors.Join(source.EnsureIndexes(ctx), engine.Open(ctx)))
	engine.Run(ctx)
	defer func() { must(0, engine.Close(ctx)); target.Close(); must(0, source.Close(ctx)) }()
	kept := must(cutover.Update(ctx, domain, func(ctx context.Context, tx cutover.Tx) (note, error) {
		n := note{Text: "written to MongoDB"}
		return n, tx.Put(ctx, &n)
	}))
	step := cutover.StepOptions{Execute: true, Who: "me", Why: "to show it", GateOptions: cutover.GateOptions{
		Waive: map[string]string{cutover.GateShadow: "an example", cutover.GateWayBack: "an example"}}}
	must(engine.Start(ctx, notes.Name, step))
	must(engine.Backfill(ctx, notes.Name, cutover.BackfillOptions{}))
	must(engine.Verify(ctx, notes.Name, cutover.VerifyOptions{}))
	must(engine.Switch(ctx, notes.Name, step))
	got := must(cutover.View(ctx, domain, "note.get", func(ctx context.Context, tx cutover.Tx) (note, error) {
		return cutover.Get[note](ctx, tx, kept.ID)
	}))
	return engine.State(notes.Name).Phase, got.Text
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
