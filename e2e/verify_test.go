package e2e

import (
	"testing"

	"github.com/amanat-dev/amanat/devstack/deployment"
)

// verifies is how often each domain is verified in each phase.
const verifies = 10

// TestVerifyFindsNothingInAHealthyPairUnderLoad: whatever a verify meets half
// copied, it reports no difference where there is none, in dual and in mirror.
// Besides the members, clients write a few records all the time, which are
// hardly ever alike on both sides.
func TestVerifyFindsNothingInAHealthyPairUnderLoad(t *testing.T) {
	s := deploy(t, setting{members: 60})
	c := s.contest(t)
	s.underTraffic(t, func() {
		contending(t, c, func() {
			for _, domain := range deployment.Domains {
				if err := s.moveOf(t, domain).Begin(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			s.alike(t, "dual")
			for _, domain := range deployment.Domains {
				if _, err := s.moveOf(t, domain).Switch(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			s.alike(t, "mirror")
		})
	})
}

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

// alike verifies all domains again and again under load.
func (s *stage) alike(t *testing.T, phase string) {
	t.Helper()
	var suspects, moving int64
	before := s.traffic.Counts().Requests
	for range verifies {
		var domains []verified
		if err := s.d.JSON(t.Context(), &domains, append([]string{"verify"}, deployment.Domains...)...); err != nil {
			t.Errorf("want status 0, got %v", err)
		}
		if len(domains) != len(deployment.Domains) {
			t.Fatalf("%d domains were verified, want %d", len(domains), len(deployment.Domains))
		}
		for _, d := range domains {
			d.judge(t, phase)
			for _, k := range d.Kinds {
				suspects, moving = suspects+k.Suspects, moving+k.Moving
			}
		}
	}
	requests := s.traffic.Counts().Requests - before
	t.Logf("%s: %d verifies of %d domains during %d requests of members: %d suspects, of which %d changed all the while",
		phase, verifies, len(deployment.Domains), requests, suspects, moving)
	if suspects == 0 || requests == 0 {
		t.Errorf("%s: the verifies met no load: %d suspects, %d requests", phase, suspects, requests)
	}
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
