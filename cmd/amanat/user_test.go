package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// TestUserCreateMakesTheFirstAdministrator: who can then sign in, and whom a
// second one of the same address does not replace.
func TestUserCreateMakesTheFirstAdministrator(t *testing.T) {
	t.Parallel()
	d := onPostgres(t)
	status, out, stderr := d.run(t, "user", "create", "root@example.org", "--role", "admin")
	wantStatus(t, exitOK, status, stderr)
	_, password, printed := strings.Cut(strings.TrimSpace(out), "shown this once: ")
	if !printed {
		t.Fatalf("no password in %q", out)
	}
	status, _, stderr = d.run(t, "user", "create", "ROOT@example.org")
	wantStatus(t, exitFailure, status, stderr)

	s := d.serve(t)
	body, err := json.Marshal(map[string]string{"email": "root@example.org", "password": password})
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.Post(s.url+"/api/auth/login", "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("signing in answers %d", res.StatusCode)
	}
}

// TestAUserWhoseMoneyIsInEscrowStays: an account that is gone has no wallet to
// pay to.
func TestAUserWhoseMoneyIsInEscrowStays(t *testing.T) {
	t.Parallel()
	d := onPostgres(t)
	s := d.serve(t)
	admin := d.member(t, s, "admin")
	d.member(t, s, "seller")
	_, list := s.send(t, "GET", "/api/admin/users?role=seller", admin, "")
	var page struct {
		Data struct{ Items []struct{ ID string } }
	}
	if err := json.Unmarshal([]byte(list), &page); err != nil || len(page.Data.Items) != 1 {
		t.Fatalf("sellers: %s (%v)", list, err)
	}
	seller := page.Data.Items[0].ID
	d.stranger(t, `SET cutover.writer = 'by hand: a test'; INSERT INTO payments (id, rev, seller_id, amount_amount, status, escrow_state)
		VALUES ('65f1c0ffee0123456789abcd', 1, '`+seller+`', 5, 'completed', 'releasable')`)
	code, answer := s.send(t, "DELETE", "/api/admin/users/"+seller, admin, "")
	if code != http.StatusConflict {
		t.Errorf("with money in escrow: %d %s, want 409", code, answer)
	}
	_, answer = s.send(t, "GET", "/api/admin/users/"+seller+"/dependencies", admin, "")
	wantText(t, answer, `{"name":"payments in escrow","count":1,"blocks":true}`)
	d.stranger(t, `SET cutover.writer = 'by hand: a test'; UPDATE payments SET escrow_state = 'released', rev = 2`)
	if code, answer := s.send(t, "DELETE", "/api/admin/users/"+seller, admin, ""); code != http.StatusOK {
		t.Errorf("with the money paid out: %d %s, want 200", code, answer)
	}
}
