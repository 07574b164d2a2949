package cutover_test

import (
	"strings"
	"testing"
	"time"

	"github.com/amanat-dev/amanat/cutover"
)

// A record that is written all the time, so that its copy is always a little
// behind, holds no switch; one that differs and stands still does.
func TestAHotRecordHoldsNoSwitch(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	hot := must[account](t)(w.banks[0].open(t.Context(), "zahra"))
	cold := must[account](t)(w.banks[0].open(t.Context(), "omid"))
	w.copyOver(t)
	w.target.Before(func(op string) error {
		if op == "apply" {
			time.Sleep(25 * time.Millisecond)
		}
		return nil
	})
	stop, _ := traffic(t, w, hot.ID)
	defer stop()
	if l := w.rehearse(t); !l.OK {
		t.Errorf("a hot record: %s", l.Evidence)
	}

	other := cold
	other.Owner = "somebody else"
	w.target.Seed("account", &other)
	if err := w.control.Touch(t.Context(), "bank", []cutover.Key{{Kind: "account", ID: cold.ID}}); err != nil {
		t.Fatal(err)
	}
	if l := w.rehearse(t); l.OK || !strings.Contains(l.Evidence, "not alike: [account/"+cold.ID.String()+"]") {
		t.Errorf("want the account that differs, and no other, got %+v", l)
	}
}

// rehearse returns the line of a gate about the rehearsal.
func (w *world) rehearse(t *testing.T) cutover.GateLine {
	t.Helper()
	o := execute
	o.Execute, o.Budget = false, 5*time.Second
	r := must[cutover.Report](t)(w.engine().Switch(t.Context(), "bank", o))
	for _, l := range r.Gate {
		if l.Name == cutover.GateRehearsal {
			return l
		}
	}
	t.Fatalf("the gate has no rehearsal: %+v", r.Gate)
	return cutover.GateLine{}
}
