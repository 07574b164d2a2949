package cutover_test

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/memdb"
)

// hoard is a source whose journal begins with many notes of one record, as that
// of PostgreSQL does, which has one for each write.
type hoard struct {
	memdb.Source
	mu  sync.Mutex
	old []cutover.Note
}

func (h *hoard) Notes(ctx context.Context, limit int) ([]cutover.Note, error) {
	notes, err := h.Source.Notes(ctx, limit)
	h.mu.Lock()
	defer h.mu.Unlock()
	all := append(slices.Clone(h.old), notes...)
	return all[:min(limit, len(all))], err
}

func (h *hoard) Forget(ctx context.Context, notes []cutover.Note) error {
	h.mu.Lock()
	h.old = slices.DeleteFunc(h.old, func(n cutover.Note) bool { return slices.Contains(notes, n) })
	h.mu.Unlock()
	return h.Source.Forget(ctx, slices.DeleteFunc(slices.Clone(notes), func(n cutover.Note) bool { return n.Seq < 0 }))
}

// TestARecordThatCannotBeCopiedHidesNoOther, however often it was written.
func TestARecordThatCannotBeCopiedHidesNoOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0)
	source := &hoard{Source: memdb.Source{DB: w.source}}
	orphan := &transfer{Meta: cutover.Meta{ID: cutover.NewID(), Rev: 1}, Account: cutover.NewID(), Amount: 3}
	w.source.Seed("transfer", orphan)
	for i := range int64(50) {
		source.old = append(source.old, cutover.Note{Key: cutover.Key{Kind: "transfer", ID: orphan.ID}, Rev: 1, Seq: i - 50})
	}
	e := cutover.NewEngine(cutover.Options{Control: w.control, Logger: quiet, Process: cutover.Process{ID: "p"}})
	b := &bank{e, must[*cutover.Domain](t)(cutover.NewDomain(e, bankSpec(source, w.target)))}
	if err := e.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	// So that few notes are read at a time.
	if err := w.control.SetSettings(t.Context(), "bank", cutover.Settings{CopyRate: 10}); err != nil {
		t.Fatal(err)
	}
	e.Run(t.Context())
	t.Cleanup(func() { _ = e.Close(context.Background()) })
	must[cutover.Report](t)(e.Start(t.Context(), "bank", execute))
	a := must[account](t)(b.open(t.Context(), "sara"))
	eventually(t, "the account is copied, though the transfer cannot be", func() bool {
		there, err := w.target.Get(t.Context(), []cutover.Key{{Kind: "account", ID: a.ID}})
		return err == nil && there[0].Record != nil
	})
}
