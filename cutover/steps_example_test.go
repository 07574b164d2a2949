package cutover_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/memdb"
	"github.com/amanat-dev/amanat/cutover/query"
)

// notebook is an application on two databases in memory.
type notebook struct {
	engine  *cutover.Engine
	notes   *cutover.Domain
	target  *memdb.DB
	control cutover.Control
	ctx     context.Context
}

func openNotebook() (*notebook, func()) {
	ctx := context.Background()
	source, target, control := memdb.New("old", noteKinds), memdb.New("new", noteKinds), memdb.NewControl()
	target.Control = control
	engine := cutover.NewEngine(cutover.Options{
		Control: control, Process: cutover.Process{ID: "server-1"},
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	notes, err := cutover.NewDomain(engine, cutover.Spec{
		Definition: cutover.Definition{Name: "notes", Kinds: noteKinds, Queries: []string{"note.get", "note.all"}},
		Source:     memdb.Source{DB: source}, Target: target, Scratch: source.Scratch,
	})
	if err := errors.Join(err, engine.Open(ctx)); err != nil {
		panic(err)
	}
	engine.Run(ctx)
	return &notebook{engine, notes, target, control, ctx}, func() { _ = engine.Close(ctx) }
}

func (b *notebook) write(text string) note {
	n, err := cutover.Update(b.ctx, b.notes, func(ctx context.Context, tx cutover.Tx) (note, error) {
		n := note{Text: text}
		err := tx.Put(ctx, &n)
		return n, err
	})
	if err != nil {
		panic(err)
	}
	return n
}

// asOperator is what an operator of these examples asks of each step. Who has
// users waits for shadow reads, and does not waive them.
var asOperator = cutover.StepOptions{Execute: true, Who: "operator", Why: "we leave the old database", GateOptions: cutover.GateOptions{
	Waive:  map[string]string{cutover.GateShadow: "nobody reads here"},
	Budget: 5 * time.Second,
}}

// What a service writes and reads: the closures capture nothing, since they may
// run again.
func ExampleUpdate() {
	b, end := openNotebook()
	defer end()
	n := b.write("a first one")
	edited, err := cutover.Update(b.ctx, b.notes, func(ctx context.Context, tx cutover.Tx) (note, error) {
		n, err := cutover.Get[note](ctx, tx, n.ID)
		if err != nil {
			return n, err
		}
		n.Text = "another text"
		return n, tx.Put(ctx, &n)
	})
	fmt.Println(edited.Text, err)
	// Output: another text <nil>
}

func ExampleView() {
	b, end := openNotebook()
	defer end()
	b.write("first")
	b.write("second")
	texts, err := cutover.View(b.ctx, b.notes, "note.all", func(ctx context.Context, tx cutover.Tx) (texts []string, err error) {
		found, err := cutover.Find[note](ctx, tx, query.All().Limit(10))
		for _, n := range found {
			texts = append(texts, n.Text)
		}
		return texts, err
	})
	fmt.Println(texts, err)
	// Output: [first second] <nil>
}

// A whole move. The gate is shown with its evidence whether or not it lets the
// switch happen; without Execute nothing else is done.
func ExampleEngine_Switch() {
	b, end := openNotebook()
	defer end()
	b.write("there before")
	b.start()
	b.write("written during the move")
	b.fill()
	report, err := b.engine.Switch(b.ctx, "notes", asOperator)
	fmt.Println(report.From, "to", report.To, report.Done, err)
	for _, line := range report.Gate {
		fmt.Println(line.Name, line.OK || line.Waived != "")
	}
	// Output:
	// dual to mirror true <nil>
	// processes true
	// verify true
	// gaps true
	// shadow true
	// way-back true
	// rehearsal true
}

func (b *notebook) start() {
	if _, err := b.engine.Start(b.ctx, "notes", asOperator); err != nil {
		panic(err)
	}
}

// fill copies what was there before, compares both databases, and tries the way
// back on a scratch database.
func (b *notebook) fill() {
	if _, err := b.engine.Backfill(b.ctx, "notes", cutover.BackfillOptions{}); err != nil {
		panic(err)
	}
	if r, err := b.engine.Verify(b.ctx, "notes", cutover.VerifyOptions{Who: "operator"}); err != nil || !r.OK {
		panic(fmt.Sprint(r, err))
	}
	if _, err := b.engine.Drill(b.ctx, "notes", cutover.DrillOptions{Who: "operator"}); err != nil {
		panic(err)
	}
}

// In phase mirror the old database is kept up to date, so that there is a way
// back at any moment, with what was written since.
func ExampleEngine_Rollback() {
	b, end := openNotebook()
	defer end()
	b.start()
	b.fill()
	if _, err := b.engine.Switch(b.ctx, "notes", asOperator); err != nil {
		panic(err)
	}
	n := b.write("written to the new database")
	if _, err := b.engine.Verify(b.ctx, "notes", cutover.VerifyOptions{}); err != nil {
		panic(err)
	}
	report, err := b.engine.Rollback(b.ctx, "notes", asOperator)
	fmt.Println(report.To, err)
	back, err := cutover.View(b.ctx, b.notes, "note.get", func(ctx context.Context, tx cutover.Tx) (note, error) {
		return cutover.Get[note](ctx, tx, n.ID)
	})
	fmt.Println(back.Text, err)
	// Output:
	// dual <nil>
	// written to the new database <nil>
}

// A record that the other database refuses is on record as a gap, and an open
// gap holds the switch. Once its cause is mended it is copied.
func ExampleEngine_RetryGaps() {
	b, end := openNotebook()
	defer end()
	b.target.Accept = func(_ func(cutover.Key) bool, r cutover.Record) error {
		if r.(*note).Text == "" {
			return errors.New("the text is empty")
		}
		return nil
	}
	b.start()
	n := b.write("")
	for b.gaps() == 0 {
		time.Sleep(time.Millisecond) // the copier meets it in a moment
	}
	_, err := cutover.Update(b.ctx, b.notes, func(ctx context.Context, tx cutover.Tx) (bool, error) {
		n, err := cutover.Get[note](ctx, tx, n.ID)
		n.Text = "mended"
		return true, errors.Join(err, tx.Put(ctx, &n))
	})
	if err != nil {
		panic(err)
	}
	for b.gaps() > 0 {
		if _, _, err := b.engine.RetryGaps(b.ctx, "notes"); err != nil {
			panic(err)
		}
	}
	fmt.Println("open gaps:", b.gaps())
	// Output: open gaps: 0
}

func (b *notebook) gaps() int {
	open, err := b.engine.Gaps(b.ctx, "notes", true, 100)
	if err != nil {
		panic(err)
	}
	return len(open)
}

// Shadow reads run a share of the Views on the other database too, after their
// answers have gone out, and count what differs.
func ExampleEngine_Status() {
	b, end := openNotebook()
	defer end()
	n := b.write("read twice")
	b.start()
	b.fill()
	if err := b.control.SetSettings(b.ctx, "notes", cutover.Settings{ShadowPercent: 100}); err != nil {
		panic(err)
	}
	for {
		_, err := cutover.View(b.ctx, b.notes, "note.get", func(ctx context.Context, tx cutover.Tx) (note, error) {
			return cutover.Get[note](ctx, tx, n.ID)
		})
		if err != nil {
			panic(err)
		}
		status, err := b.engine.Status(b.ctx, "notes")
		if err != nil {
			panic(err)
		}
		if len(status.Shadow) > 0 && status.Shadow[0].Compared > 0 {
			fmt.Println(status.Phase, status.Shadow[0].Query, status.Shadow[0].Diffs, status.OpenGaps)
			return
		}
		time.Sleep(time.Millisecond)
	}
	// Output: dual note.get 0 0
}
