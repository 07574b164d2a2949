package e2e

import "testing"

// verifies is how often a domain is verified in a phase, at least: members act
// meanwhile.
const verifies = 2

// verified is what a verify prints of a domain.
type verified struct {
	Domain, Phase string
	OK            bool
	Kinds         []struct {
		Kind                                  string
		SourceRows, TargetRows                int64
		Missing, Extra, Different, Unreadable int64
		Suspects, Moving                      int64
	}
	Invariants []struct {
		Name string
		OK   bool
		Why  string
	}
}

// alike verifies a domain again and again under load: whatever a verify meets
// half copied, it reports no difference where there is none. Besides the members
// clients write a few records all the time, which are hardly ever alike on both
// sides.
func (s *stage) alike(t *testing.T, domain, phase string) {
	t.Helper()
	var suspects, moving int64
	before := s.traffic.Counts().Requests
	for n := 0; n < verifies || s.traffic.Counts().Requests == before; n++ {
		var all []verified
		if err := s.d.JSON(t.Context(), &all, "verify", domain); err != nil {
			t.Errorf("want status 0, got %v", err)
		}
		if len(all) != 1 {
			t.Fatalf("%d domains were verified, want one", len(all))
		}
		all[0].judge(t, phase)
		for _, k := range all[0].Kinds {
			suspects, moving = suspects+k.Suspects, moving+k.Moving
		}
	}
	requests := s.traffic.Counts().Requests - before
	t.Logf("%s in %s: verified during %d requests of members: %d suspects, of which %d changed all the while",
		domain, phase, requests, suspects, moving)
}

// judge wants zero differences, and rows that were compared.
func (d verified) judge(t *testing.T, phase string) {
	t.Helper()
	var rows int64
	for _, k := range d.Kinds {
		rows += k.SourceRows
		if k.Missing+k.Extra+k.Different+k.Unreadable > 0 || k.SourceRows != k.TargetRows {
			t.Errorf("%s: want no difference, got %+v", d.Domain, k)
		}
	}
	for _, i := range d.Invariants {
		if !i.OK {
			t.Errorf("%s: %s: %s", d.Domain, i.Name, i.Why)
		}
	}
	if !d.OK || d.Phase != phase || rows == 0 {
		t.Errorf("%s: want it alike in %s, got %v in %s, %d rows", d.Domain, phase, d.OK, d.Phase, rows)
	}
}
