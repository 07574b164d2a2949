package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/amanat-dev/amanat/cutover"
)

func testReport(t *testing.T) (file []byte, owner string) {
	t.Helper()
	key, made, err := reportKey(filepath.Join(t.TempDir(), "report.key"))
	if err != nil || !made {
		t.Fatalf("made %v, %v", made, err)
	}
	s, err := sign(key, dossier{"user", []cutover.Report{{Domain: "user", Action: "switch", Who: "a <b@example.org> \u2028", Done: true}}})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := (&cli{out: &out}).printJSON(s); err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), publicHalf(key)
}

func checkFile(file []byte, owner string) error {
	s, err := parseSigned(file)
	if err != nil {
		return err
	}
	return s.check(owner)
}

func TestSignedReportIsOkHoweverIndented(t *testing.T) {
	t.Parallel()
	file, owner := testReport(t)
	if err := checkFile(file, owner); err != nil {
		t.Errorf("as printed: %v", err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, file); err != nil {
		t.Fatal(err)
	}
	if err := checkFile(compact.Bytes(), owner); err != nil {
		t.Errorf("without white space: %v", err)
	}
}

func TestNoByteOfASignedReportCanChange(t *testing.T) {
	t.Parallel()
	file, owner := testReport(t)
	for i := range file {
		for _, bit := range []byte{1, 2, 4, 32} {
			other := slices.Clone(file)
			if other[i] ^= bit; bytes.ContainsAny(other[i:i+1], " \t\r\n") && bytes.ContainsAny(file[i:i+1], " \t\r\n") {
				continue // still white space
			}
			if checkFile(other, owner) == nil {
				t.Errorf("byte %d may be %q instead of %q", i, other[i], file[i])
			}
		}
	}
	if checkFile(file[:len(file)/2], owner) == nil {
		t.Error("half a report is ok")
	}
}

func TestASignedReportSaysNothingTwice(t *testing.T) {
	t.Parallel()
	file, owner := testReport(t)
	for name, other := range map[string]string{
		"another report before it": strings.Replace(string(file), `"report":`, `"report":{"domain":"payment"},"report":`, 1),
		"another in other letters": strings.Replace(string(file), `"report":`, `"Report":{"domain":"payment"},"report":`, 1),
		"a member more":            strings.Replace(string(file), `"report":`, `"note":"approved","report":`, 1),
		"a second value":           string(file) + `{}`,
	} {
		if other == string(file) || checkFile([]byte(other), owner) == nil {
			t.Errorf("%s: ok", name)
		}
	}
}

func TestAnotherKeyIsTold(t *testing.T) {
	t.Parallel()
	file, _ := testReport(t)
	_, owner := testReport(t)
	if err := checkFile(file, owner); err != errOtherKey {
		t.Errorf("signed by somebody else: %v", err)
	}
}

func TestReportKeyIsMadeOnceAndForItsOwnerAlone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "report.key")
	environ := []string{"REPORT_KEY_FILE=" + path}
	status, first, stderr := amanat(t.Context(), environ, "cutover", "key")
	wantStatus(t, exitOK, status, stderr)
	wantText(t, stderr, "made a key", path)
	status, second, stderr := amanat(t.Context(), environ, "cutover", "key")
	wantStatus(t, exitOK, status, stderr)
	if first != second || stderr != "" {
		t.Errorf("first %q, then %q; %s", first, second, stderr)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	status, _, stderr = amanat(t.Context(), environ, "cutover", "key")
	wantStatus(t, exitFailure, status, stderr)
	wantText(t, stderr, "chmod 600")
	if err := os.WriteFile(path, nil, 0o600); err != nil || os.Chmod(path, 0o600) != nil {
		t.Fatal(err)
	}
	status, _, stderr = amanat(t.Context(), environ, "cutover", "key")
	wantStatus(t, exitFailure, status, stderr)
	wantText(t, stderr, "no private key")
}

func TestReportIsSignedAndChecked(t *testing.T) {
	t.Parallel()
	d := both(t)
	s := d.serve(t)
	d.join(t, s, "m@example.org")
	d.must(t, "cutover start user --execute --why trying")
	d.must(t, "backfill user")
	d.must(t, "verify user")
	d.must(t, "cutover drill user")
	d.must(t, "cutover switch user --execute --budget 5s --waive shadow=tested")
	d.must(t, "cutover report user", "trying", "gate: way-back", "drill: 0 of", "waived: tested", "epochs", "pause", "verify: user",
		"1 rows", "in MongoDB", "signed with", "signature")

	status, out, stderr := d.run(t, "cutover", "report", "user", "--json")
	wantStatus(t, exitOK, status, stderr)
	file := filepath.Join(t.TempDir(), "user.json")
	if err := os.WriteFile(file, []byte(out), 0o600); err != nil {
		t.Fatal(err)
	}
	wantEvidence(t, out)
	status, key, stderr := d.run(t, "cutover", "key")
	wantStatus(t, exitOK, status, stderr)
	d.must(t, "cutover report --check "+file, "ok")

	elsewhere := "REPORT_KEY_FILE=" + filepath.Join(t.TempDir(), "none")
	status, out, stderr = amanat(t.Context(), []string{elsewhere}, "cutover", "report", "--check", file, "--key", key)
	wantStatus(t, exitOK, status, stderr)
	wantText(t, out, "ok, as signed with")
	status, _, stderr = amanat(t.Context(), []string{elsewhere}, "cutover", "report", "--check", file)
	wantStatus(t, exitUsage, status, stderr)
	wantText(t, stderr, "--key")
	_, other, _ := amanat(t.Context(), []string{elsewhere}, "cutover", "key")
	status, _, stderr = amanat(t.Context(), []string{elsewhere}, "cutover", "report", "--check", file)
	wantStatus(t, exitHeld, status, stderr)
	wantText(t, stderr, "other key", strings.TrimSpace(key))
	if other == key {
		t.Error("two keys are one")
	}
	text, err := os.ReadFile(file)
	if err != nil || os.WriteFile(file, bytes.Replace(text, []byte("trying"), []byte("buying"), 1), 0o600) != nil {
		t.Fatal(err)
	}
	status, _, stderr = d.run(t, "cutover", "report", "--check", file)
	wantStatus(t, exitHeld, status, stderr)
	wantText(t, stderr, "changed")
}

// wantEvidence looks for all that a report of a switch is to hold.
func wantEvidence(t *testing.T, out string) {
	t.Helper()
	var s struct{ Report dossier }
	if err := json.Unmarshal([]byte(out), &s); err != nil || len(s.Report.Reports) != 2 {
		t.Fatalf("want two reports in %s (%v)", out, err)
	}
	r := s.Report.Reports[0]
	if r.Action != "switch" || !r.Done || len(r.Gate) != 6 || r.Before == 0 || r.Epoch <= r.Before || r.PauseMS <= 0 || r.Who == "" {
		t.Errorf("the switch's report: %+v", r)
	}
	if r.Verify == nil || !r.Verify.OK || r.Verify.Kinds[0].Source == 0 || r.Verify.Kinds[0].SourceSum != r.Verify.Kinds[0].TargetSum {
		t.Errorf("its verify: %+v", r.Verify)
	}
	if start := s.Report.Reports[1]; start.Action != "start" || start.Why != "trying" || start.Verify != nil {
		t.Errorf("the start's report: %+v", start)
	}
}
