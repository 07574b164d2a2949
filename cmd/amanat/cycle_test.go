package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/amanat-dev/amanat/cutover"
)

func (s server) post(t *testing.T, path, body string) (status int, answer string) {
	t.Helper()
	res, err := http.Post(s.url+path, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var b strings.Builder
	if _, err := fmt.Fprint(&b, res.Status, " "); err != nil {
		t.Fatal(err)
	}
	var data json.RawMessage
	if err := json.NewDecoder(res.Body).Decode(&data); err == nil {
		b.Write(data)
	}
	return res.StatusCode, b.String()
}

const memberPassword = "a long enough password"

// join registers a member as members do, code from the mailbox and all.
func (d deployment) join(t *testing.T, s server, email string) {
	t.Helper()
	code, answer := s.post(t, "/api/auth/register", fmt.Sprintf(`{"email":%q,"firstName":"A","lastName":"B","role":"buyer"}`, email))
	if code/100 != 2 {
		t.Fatalf("register %s: %s", email, answer)
	}
	code, answer = s.post(t, "/api/auth/verify-email-code", fmt.Sprintf(`{"email":%q,"code":%q,"password":%q}`, email, d.mailedCode(t, email), memberPassword))
	if code/100 != 2 {
		t.Fatalf("verify %s: %s", email, answer)
	}
}

var sixDigits = regexp.MustCompile(`\b[0-9]{6}\b`)

func (d deployment) mailedCode(t *testing.T, email string) (code string) {
	t.Helper()
	dir := ""
	for _, kv := range d.environ {
		dir = strings.TrimPrefix(kv, "MAILBOX_DIR=")
		if dir != kv {
			break
		}
	}
	waitFor(t, fmt.Sprintf("a mail to %s in %s", email, dir), func() bool {
		mails, _ := filepath.Glob(filepath.Join(dir, "*.eml"))
		for _, m := range mails {
			b, err := os.ReadFile(m)
			if err != nil || !strings.Contains(string(b), email) {
				continue
			}
			_, text, _ := strings.Cut(string(b), "\r\n\r\n")
			if code = sixDigits.FindString(text); code != "" {
				return true
			}
		}
		return false
	})
	return code
}

func (s server) wantSignIn(t *testing.T, email string) {
	t.Helper()
	code, answer := s.post(t, "/api/auth/login", fmt.Sprintf(`{"email":%q,"password":%q}`, email, memberPassword))
	if code != http.StatusOK {
		t.Fatalf("sign in %s: %s", email, answer)
	}
}

func (d deployment) wantPhase(t *testing.T, want cutover.Phase) {
	t.Helper()
	status, out, stderr := d.run(t, "cutover", "status", "user", "--json")
	wantStatus(t, exitOK, status, stderr)
	var all []cutover.Status
	if err := json.Unmarshal([]byte(out), &all); err != nil || len(all) != 1 || all[0].Phase != want || all[0].Sealed {
		t.Fatalf("want user in phase %s, got %s (%v)", want, out, err)
	}
}

// must runs a command line that has to succeed.
func (d deployment) must(t *testing.T, line string, parts ...string) {
	t.Helper()
	status, out, stderr := d.run(t, strings.Fields(line)...)
	if status != exitOK {
		t.Fatalf("amanat %s: exit status %d\n%s%s", line, status, out, stderr)
	}
	wantText(t, out+stderr, parts...)
}

func TestWholeMoveByCommands(t *testing.T) {
	t.Parallel()
	d := both(t)
	s := d.serve(t)
	for i := range 5 {
		d.join(t, s, fmt.Sprintf("m%d@example.org", i))
	}
	const waive = " --budget 5s --waive shadow=tested --waive way-back=tested"

	d.must(t, "cutover start user", "user: source → dual was not done: add --execute")
	d.wantPhase(t, cutover.PhaseSource)
	d.must(t, "cutover start user --execute --why trying", "user: source → dual done")
	d.wantPhase(t, cutover.PhaseDual)
	status, out, stderr := d.run(t, "cutover", "switch", "user", "--execute")
	wantStatus(t, exitHeld, status, stderr)
	wantText(t, out, "amanat backfill user", "can be waived")
	d.must(t, "backfill user", "user", "1 of 1")
	d.join(t, s, "later@example.org")
	d.must(t, "verify user", ", 0 differences")

	d.must(t, "cutover switch user"+waive, "rehearsal", "add --execute")
	d.wantPhase(t, cutover.PhaseDual)
	d.must(t, "cutover switch user --execute"+waive, "waived", "dual → mirror done", "held back for")
	d.wantPhase(t, cutover.PhaseMirror)
	s.wantSignIn(t, "m0@example.org")
	d.join(t, s, "mirrored@example.org")
	d.must(t, "verify user", ", 0 differences")
	d.must(t, "cutover rollback user --execute"+waive, "mirror → dual done")
	s.wantSignIn(t, "mirrored@example.org")
	d.must(t, "verify user")
	d.must(t, "cutover switch user --execute --budget 5s --waive shadow=tested", "rolled back at")
	d.must(t, "cutover finish user --execute", "mirror → target done")
	d.wantPhase(t, cutover.PhaseTarget)
	s.wantSignIn(t, "later@example.org")

	status, _, stderr = d.run(t, "cutover", "abandon", "user", "--execute")
	wantStatus(t, exitFailure, status, stderr)
	wantText(t, stderr, "user is in phase target")
	d.must(t, "cutover report user", "start", "switch", "rollback", "finish", "trying")
	d.must(t, "cutover status user", "PROCESS", "in step")
	code, stderr := s.stop()
	wantStatus(t, exitOK, code, stderr)
}

func TestSettingsWhileItRuns(t *testing.T) {
	t.Parallel()
	d := both(t)
	d.must(t, "cutover set user --shadow 50 --rate 200", "shadow reads 50 %, backfill 200/s")
	d.must(t, "cutover set user --copy-rate 70 --max-latency 40ms", "copier 70/s, slower above a latency of 40ms")
	d.must(t, "cutover pause user", "backfill paused, copier paused")
	d.must(t, "cutover resume user --only copier", "backfill paused, copier 70/s")
	d.must(t, "cutover resume user", "backfill 200/s, copier 70/s")
	status, _, stderr := d.run(t, "cutover", "pause", "user", "--only", "both")
	wantStatus(t, exitUsage, status, stderr)
	status, _, stderr = d.run(t, "cutover", "set", "user", "--shadow", "101")
	wantStatus(t, exitFailure, status, stderr)
	status, _, stderr = d.run(t, "cutover", "set", "users", "--shadow", "1")
	wantStatus(t, exitFailure, status, stderr)
	wantText(t, stderr, `no domain "users"; there are user, marketplace, payment`)
}

func TestGapsAreListedRetriedAndWaived(t *testing.T) {
	t.Parallel()
	d := both(t)
	d.must(t, "gaps list", "There are no gaps.")
	one, two := cutover.NewID().String(), "old-7"
	err := d.plane(t).RecordGaps(t.Context(), []cutover.Gap{
		{Domain: "user", Kind: "user", ID: one, Reason: "its e-mail\naddress is taken"}, {Domain: "user", Kind: "address", ID: two, Reason: "no user"},
	})
	if err != nil {
		t.Fatal(err)
	}
	d.must(t, "gaps list user", one, two, "open", "its e-mail address is taken")
	d.must(t, "gaps waive user address "+two+" --why imported", "user: 1 waived")
	d.must(t, "gaps list", one)
	d.must(t, "gaps waive user --all --why tests", "user: 1 waived")
	d.must(t, "gaps list", "There are no gaps.")
	d.must(t, "gaps list --all --json", "imported", "waivedBy")
}
