package mongodb_test

import (
	"testing"

	"github.com/amanat-dev/amanat/cutover"
)

func TestHasNotesIsAskedOfOneKind(t *testing.T) {
	t.Parallel()
	bk, _ := newBank(t)
	journal := bk.Side.(cutover.SpreadJournal)
	want := func(when string, want map[string]bool) {
		t.Helper()
		for kind, noted := range want {
			if got, err := journal.HasNotes(t.Context(), kind); got != noted || err != nil {
				t.Errorf("%s, notes of the kind %s: %v, %v; want %v", when, kind, got, err, noted)
			}
		}
	}
	bk.put(t, newAccount("nika", 1))
	want("after a write without a note", map[string]bool{"account": false, "transfer": false})
	bk.guard.Journal = true
	bk.put(t, newAccount("omid", 1))
	want("after a write with one", map[string]bool{"account": true, "transfer": false})
	notes, err := bk.Notes(t.Context(), 10)
	if err != nil || len(notes) != 1 {
		t.Fatalf("got %d notes, %v; want one", len(notes), err)
	}
	if err := bk.Forget(t.Context(), notes); err != nil {
		t.Fatal(err)
	}
	want("when it is forgotten", map[string]bool{"account": false, "transfer": false})
	if _, err := journal.HasNotes(t.Context(), "nothing"); err == nil {
		t.Error("there is an answer about a kind that there is not")
	}
}

func TestStatesOfAllDomainsAreReadAtOnce(t *testing.T) {
	t.Parallel()
	bk, other := newBank(t)
	theatre := bk.db.Side(cutover.Definition{Name: "theatre"}).(cutover.SharedMirror)
	bank := bk.Side.(cutover.SharedMirror)
	elsewhere := other.Side.(cutover.SharedMirror)
	if bank.Place() != theatre.Place() || bank.Place() == elsewhere.Place() {
		t.Error("domains of one handle have one place, others have another")
	}
	states := []cutover.State{
		{Domain: "bank", Phase: cutover.PhaseDual, Epoch: 4},
		{Domain: "theatre", Phase: cutover.PhaseMirror, Epoch: 7, Sealed: true},
	}
	for i, mirror := range []cutover.SharedMirror{bank, theatre} {
		if err := mirror.WriteState(t.Context(), states[i]); err != nil {
			t.Fatal(err)
		}
	}
	all, err := bank.ReadStates(t.Context())
	if err != nil || len(all) != 2 || all["bank"] != states[0] || all["theatre"] != states[1] {
		t.Errorf("got %v, %v; want both", all, err)
	}
}
