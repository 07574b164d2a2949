package e2e

import (
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/amanat-dev/amanat/cutover/failpoint"
	"github.com/amanat-dev/amanat/internal/devstack/chaos"
)

// mortal returns the binary built with the tag chaos, which dies where it is told
// to.
var mortal = sync.OnceValues(func() (string, error) {
	path := filepath.Join(filepath.Dir(binary), "amanat-chaos")
	build := exec.Command("go", "build", "-buildvcs=false", "-tags", "chaos", "-o", path, "github.com/amanat-dev/amanat/cmd/amanat")
	_, err := build.Output()
	return path, err
})

// TestNothingIsLostWhereverProcessesDie is the short version of make chaos.
func TestNothingIsLostWhereverProcessesDie(t *testing.T) {
	t.Parallel()
	binary, err := mortal()
	if err != nil {
		t.Fatal(err)
	}
	at := func(kind chaos.Kind, s failpoint.Name) chaos.Fault {
		return chaos.Fault{Kind: kind, Step: s, For: 300 * time.Millisecond}
	}
	r, err := chaos.Run(t.Context(), chaos.Options{Binary: binary, Dir: t.TempDir(), Seed: 7, Say: t.Logf, Plan: []chaos.Round{
		{Domain: "payment", Action: "start", Fault: at(chaos.KillAt, failpoint.BackfillLoaded)},
		{Domain: "payment", Action: "switch", Fault: at(chaos.KillAt, failpoint.Of("switch", failpoint.Flipped))},
		{Domain: "payment", Action: "rollback", Fault: at(chaos.VanishAt, failpoint.Of("rollback", failpoint.Compared))},
		{Domain: "payment", Action: "abandon", Fault: chaos.Fault{Kind: chaos.KillMongo, For: 300 * time.Millisecond}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Log(r.Summary())
	if !r.OK() {
		t.Errorf("want nothing lost, got %q", r.Failures)
	}
	for _, s := range []failpoint.Name{failpoint.BackfillLoaded, failpoint.Of("switch", failpoint.Flipped), failpoint.Of("rollback", failpoint.Compared)} {
		if r.Hits[s] != 1 {
			t.Errorf("no process died at %s", s)
		}
	}
}
