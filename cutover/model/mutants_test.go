package model

import (
	"context"
	"slices"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/memdb"
)

// mutant is a mistake that is planted, in a database or in the control plane
// as a process has it, for the model to catch.
type mutant string

const (
	healthy     mutant = ""
	earlyEnd    mutant = "the end position is taken before writes have stopped"
	noteApart   mutant = "a note is removed before the write that it announces is visible"
	noteBlind   mutant = "a note is removed although its record was written again"
	noLease     mutant = "the flip does not wait for a lease"
	noTombstone mutant = "tombstones are forgotten"
	unrecorded  mutant = "the point of no return is not recorded"
	shortLease  mutant = "a process counts on its lease for longer than it was granted"
	noSecondAck mutant = "the new primary opens before every process knows of the flip"
	unguarded   mutant = "a copy overwrites a later revision"
	unfenced    mutant = "an Update of the target does not check its epoch"
	lateCopy    mutant = "a copy comes in where the primary is by now"
)

// mutants are the mistakes with the situation in which each does its harm.
var mutants = []struct {
	mutant
	situation
}{
	{earlyEnd, asleep}, {noteApart, anything}, {noteBlind, anything}, {noLease, asleep},
	{noTombstone, slowCopy}, {unrecorded, headless}, {shortLease, asleep}, {noSecondAck, deaf},
	{unguarded, slowCopy}, {unfenced, asleep}, {lateCopy, cutOff},
}

// unwritten is a flip that only its coordinator remembers.
type unwritten struct {
	by     *session
	before cutover.State
}

// afterAdvance: the end position and the unrecorded flip begin here.
func (w *world) afterAdvance(ctx context.Context, from, to cutover.State) {
	switch {
	case w.mutant == earlyEnd && to.Sealed && from.Phase == to.Phase:
		primary, _ := w.databases(to)
		w.endSeq = 0
		for _, n := range w.allNotes(primary) {
			w.endSeq = max(w.endSeq, n.Seq)
		}
	case w.mutant == unrecorded && to.Sealed && from.Phase != to.Phase:
		held, _ := ctx.Value(sessionKey{}).(*session)
		w.mu.Lock()
		defer w.mu.Unlock()
		if held != nil && w.roles[held.role] == held {
			w.unwritten = &unwritten{held, from}
		}
	}
}

// lose forgets what only a lost session knew. w.mu is held.
func (w *world) lose(s *session) {
	if u := w.unwritten; u != nil && u.by == s {
		w.unwritten = nil
		w.control.Restore(u.before)
		w.oracle.all = true
	}
}

// pretend is what a hasty coordinator makes of the processes' leases.
func (w *world) pretend(ctx context.Context, all []cutover.Process) []cutover.Process {
	s := w.state()
	if !coordinates(ctx) || !s.Sealed {
		return all
	}
	flipped := w.justFlipped(s)
	if w.mutant == noLease && !flipped || w.mutant == noSecondAck && flipped {
		return slices.DeleteFunc(all, func(p cutover.Process) bool { return p.Acks[domainName] < s.Epoch })
	}
	return all
}

func (w *world) justFlipped(s cutover.State) bool {
	h, _ := w.control.History(context.Background(), domainName, 1)
	return len(h) == 1 && h[0].To == s && h[0].From.Phase != h[0].To.Phase
}

// notes is the journal, without what came after a too early end position.
func (w *world) notes(ctx context.Context, s side, limit int) ([]cutover.Note, error) {
	all, err := s.DB.Notes(ctx, limit)
	if s.source {
		w.mu.Lock()
		all = append(all, w.apart...)
		w.mu.Unlock()
	}
	if now := w.state(); w.mutant == earlyEnd && coordinates(ctx) && now.Sealed {
		all = slices.DeleteFunc(all, func(n cutover.Note) bool { return n.Seq > w.endSeq })
	}
	return all, err
}

func (w *world) forget(ctx context.Context, s side, in []cutover.Note) error {
	w.mu.Lock()
	w.apart = slices.DeleteFunc(w.apart, func(n cutover.Note) bool { return slices.Contains(in, n) })
	w.mu.Unlock()
	if w.mutant == noteBlind {
		now, err := s.DB.Notes(ctx, 1<<20)
		if err != nil {
			return err
		}
		for i := range in {
			for _, n := range now {
				if n.Key == in[i].Key {
					in[i] = n
				}
			}
		}
	}
	return s.DB.Forget(ctx, in)
}

// noteFirst leaves the notes of an Update in a step of their own before it.
func (w *world) noteFirst(ctx context.Context, s side, t *memdb.Txn) error {
	return s.p.step(ctx, s.on, "note", writes(t.Writes()), func() error {
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, wr := range t.Writes() {
			w.apart = append(w.apart, cutover.Note{Key: wr.Key, Rev: wr.Rev(), Seq: int64(1_000_000 + len(w.apart)), Epoch: t.Guard().Epoch})
		}
		return nil
	})
}

// commitTo commits; a mutant leaves no note with the write.
func (w *world) commitTo(_ context.Context, s side, t *memdb.Txn) error {
	if w.mutant == noteApart && s.source {
		t.Unnoted()
	}
	return t.Commit()
}
