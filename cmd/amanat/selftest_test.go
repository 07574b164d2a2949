package main

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/amanat-dev/amanat/cutover"
)

func TestSelfTestFindsAllOnRealDatabases(t *testing.T) {
	t.Parallel()
	d := both(t)
	s := d.serve(t)
	for i := range 3 {
		d.join(t, s, fmt.Sprintf("m%d@example.org", i))
	}
	d.must(t, "verify user --self-test", "dropped row", "stale revision", "FOUND ALL", "user", "0 false alarms")
	status, out, stderr := d.run(t, "verify", "user", "payment", "--self-test", "--json")
	wantStatus(t, exitOK, status, stderr)
	var all []cutover.SelfTestResult
	if err := json.Unmarshal([]byte(out), &all); err != nil || len(all) != 2 {
		t.Fatalf("want two results in %s (%v)", out, err)
	}
	if !all[0].OK || all[0].Sampled < 3 || !all[1].OK {
		t.Errorf("want all found: %s", out)
	}
	for _, c := range all[0].Classes {
		if c.Planted != c.Found || c.Planted <= c.Refused && c.Class != cutover.ClassChild && c.Class != cutover.ClassUnit {
			t.Errorf("%s: %+v", c.Class, c)
		}
	}
	// Nothing of it is a verify, or changes what one finds.
	d.must(t, "cutover start user --execute")
	d.must(t, "backfill user")
	d.must(t, "verify user", ", 0 differences")
}
