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
