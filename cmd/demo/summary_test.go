package main

import (
	"strings"
	"testing"

	"github.com/amanat-dev/amanat/internal/devstack/audit"
	"github.com/amanat-dev/amanat/internal/devstack/deployment"
)

func TestPausesAreARangeForEachDomain(t *testing.T) {
	s := &show{}
	for _, domain := range deployment.Domains {
		s.turns = append(s.turns, deployment.Turn{Domain: domain, PauseMS: 41, Tries: 1}, deployment.Turn{Domain: domain, PauseMS: 23, Tries: 2})
	}
	want := "user 23 to 41 ms, marketplace 23 to 41 ms, payment 23 to 41 ms; 3 undone"
	if l := s.pauses(); l.came != want || !l.ok {
		t.Errorf("want %q, got %+v", want, l)
	}
}

func TestLedgersHoldOnlyWhenTheAuditIsContent(t *testing.T) {
	good := audit.Report{Mongo: audit.Side{Records: 1, Ledger: audit.Ledger{Entries: 1234, Held: map[string]string{"56:USDT": "5"}}},
		Postgres: audit.Side{Records: 1, Ledger: audit.Ledger{Entries: 1234, Held: map[string]string{"56:USDT": "5"}}}}
	if l := ledgers(&good); !l.ok || !strings.Contains(l.came, "1,234 entries, 5 units of 56:USDT held") {
		t.Errorf("want it to hold, got %+v", l)
	}
	bad := good
	bad.Unaudited = []string{"coupons"}
	if l := ledgers(&bad); l.ok || !strings.Contains(l.came, "1 tables unchecked") {
		t.Errorf("want the table told, got %+v", l)
	}
}

func TestADealThatWasPaidOutIsAskedFor(t *testing.T) {
	if l := deals(map[string]int{"released": 3, "refunded": 1, "offered": 2, "": 1}); !l.ok || l.came != "3 paid out, 1 refunded, 3 called off or under way at the end" {
		t.Errorf("got %+v", l)
	}
	if l := deals(map[string]int{"refunded": 1}); l.ok {
		t.Errorf("want it not to hold, got %+v", l)
	}
}
