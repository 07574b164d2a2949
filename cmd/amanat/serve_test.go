package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/control"
	"github.com/amanat-dev/amanat/cutover/postgresql"
	"github.com/amanat-dev/amanat/internal/devstack"
	"github.com/amanat-dev/amanat/internal/migrations"
)

const testSecret = "a secret of these tests, and of nothing else"

// deployment is an environment on databases of the test's own.
type deployment struct {
	environ []string
	pgURL   string
}

// both has a MongoDB and a migrated PostgreSQL database, each empty.
func both(t *testing.T) deployment {
	t.Helper()
	stack := devstack.Shared(t)
	d := onPostgres(t)
	d.environ = append(d.environ, "MONGODB_URI="+stack.Mongo.URI(), "DB_NAME="+stack.NewMongoDatabase(t))
	return d
}

// onPostgres has a migrated PostgreSQL database alone.
func onPostgres(t *testing.T) deployment {
	t.Helper()
	return on(t, devstack.Shared(t).NewDatabase(t, templateKey(t), migrate))
}

func migrate(ctx context.Context, url string) error {
	db, err := postgresql.Open(ctx, url)
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err = db.Up(ctx, migrations.Source); err != nil {
		return err
	}
	_, err = mendKeys(ctx, db, false)
	return err
}

// templateKey is another one whenever a migration is.
func templateKey(t *testing.T) string {
	t.Helper()
	h := sha256.New()
	for _, source := range postgresql.Sources(migrations.Source) {
		err := fs.WalkDir(source.Files, source.Dir, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".sql") {
				return err
			}
			b, err := fs.ReadFile(source.Files, path)
			h.Write(b)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return fmt.Sprintf("amanat %x", h.Sum(nil))
}

func unmigrated(t *testing.T) deployment {
	t.Helper()
	return on(t, devstack.Shared(t).Postgres.NewDatabase(t))
}

func on(t *testing.T, url string) deployment {
	t.Helper()
	return deployment{[]string{"PG_URL=" + url, "HOST=127.0.0.1", "JWT_SECRET=" + testSecret, "CODE_SECRET=" + testSecret,
		"MAILBOX_DIR=" + t.TempDir(), "REPORT_KEY_FILE=" + filepath.Join(t.TempDir(), "report.key"), "LOG_LEVEL=warn"}, url}
}

func (d deployment) run(t *testing.T, args ...string) (status int, out, err string) {
	t.Helper()
	return amanat(t.Context(), d.environ, args...)
}

// plane opens the control plane, to look and to set the stage.
func (d deployment) plane(t *testing.T) *control.Plane {
	t.Helper()
	p, err := control.Connect(t.Context(), d.pgURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// server is a process of the deployment, as far as one can be within a test.
type server struct {
	url    string
	stop   func() (status int, stderr string) // as SIGTERM does
	stderr *output
}

func (d deployment) serve(t *testing.T) server {
	t.Helper()
	port := freePort(t)
	ctx, cancel := context.WithCancel(context.Background())
	var out, stderr output
	c := &cli{environ: append(d.environ[:len(d.environ):len(d.environ)], "PORT="+port), out: &out, err: &stderr}
	ended := make(chan int, 1)
	go func() { ended <- c.run(ctx, []string{"serve"}) }()
	stopped := false
	s := server{url: "http://127.0.0.1:" + port, stderr: &stderr}
	s.stop = func() (int, string) {
		stopped = true
		cancel()
		return <-ended, stderr.String()
	}
	t.Cleanup(func() {
		if !stopped {
			s.stop()
		}
	})
	s.await(t)
	return s
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

func (s server) await(t *testing.T) {
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Logf("stderr: %s", s.stderr)
		}
	}()
	waitFor(t, s.url+" to serve", func() bool {
		res, err := http.Get(s.url + "/api/health")
		if err != nil {
			return false
		}
		res.Body.Close()
		return true
	})
}

func (s server) get(t *testing.T, path string) (status int, body string) {
	t.Helper()
	res, err := http.Get(s.url + path)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

func TestMigrateUpThenStatusHasNothingPending(t *testing.T) {
	t.Parallel()
	d := unmigrated(t)
	status, out, stderr := d.run(t, "migrate", "status")
	wantStatus(t, exitHeld, status, stderr)
	wantText(t, out, "pending", "00001_control.sql")
	wantText(t, stderr, "amanat migrate up")
	status, out, stderr = d.run(t, "migrate", "up", "--json")
	wantStatus(t, exitOK, status, stderr)
	var done []postgresql.Migration
	if err := json.Unmarshal([]byte(out), &done); err != nil || len(done) < 2 {
		t.Fatalf("want the migrations that were run, got %s (%v)", out, err)
	}
	status, out, stderr = d.run(t, "migrate", "up")
	wantStatus(t, exitOK, status, stderr)
	wantText(t, out, "up to date")
	status, _, stderr = d.run(t, "migrate", "status")
	wantStatus(t, exitOK, status, stderr)
}

func TestMigrateDraftPrintsWhatTheTypesAskForAndTheDatabaseLacks(t *testing.T) {
	t.Parallel()
	d := onPostgres(t)
	status, out, stderr := d.run(t, "migrate", "draft", "payment")
	wantStatus(t, exitOK, status, stderr)
	wantText(t, out, "-- +goose Up", "CREATE TABLE payments (", "key_address text COLLATE \"C\"", "CALL cutover_guard('funds_ledger_postings');", "-- +goose Down")
	status, out, stderr = d.run(t, "migrate", "draft", "payment", "--against")
	wantStatus(t, exitOK, status, stderr)
	if out != "" {
		t.Errorf("a migrated database lacks nothing, but there is still to do:\n%s", out)
	}
	d.stranger(t, "DROP INDEX payments_pending_key; ALTER TABLE payments DROP COLUMN salt")
	status, out, stderr = d.run(t, "migrate", "draft", "payment", "--against")
	wantStatus(t, exitHeld, status, stderr)
	want := "-- +goose Up\nALTER TABLE payments ADD COLUMN salt text NOT NULL DEFAULT '';\nCREATE UNIQUE INDEX payments_pending_key ON payments (key_pending);\n\n" +
		"-- +goose Down\nDROP INDEX payments_pending_key;\nALTER TABLE payments DROP COLUMN salt;\n"
	if out != want {
		t.Errorf("got\n%s\nwant\n%s", out, want)
	}
	status, _, stderr = d.run(t, "migrate", "draft", "paymant")
	wantStatus(t, exitFailure, status, stderr)
	wantText(t, stderr, "there is no domain")
}

func TestMigrateKeysMendsWhatSomebodyElseWrote(t *testing.T) {
	t.Parallel()
	d := onPostgres(t)
	d.must(t, "user create root@example.org --role admin")
	d.stranger(t, "SET amanat.writer = 'by hand: a test'; UPDATE users SET key_email = 'other'")
	g := d.diagnose(t)
	g.wantHeld(t)
	g.wantFound(t, "keys", failed, "user", "other keys than unique rules derive", "amanat migrate keys")
	status, out, stderr := d.run(t, "migrate", "keys")
	wantStatus(t, exitOK, status, stderr)
	wantText(t, out, "1 records have got other keys")
	d.diagnose(t).wantFound(t, "keys", fine, "the newest rows have what unique rules derive")
}

func TestNothingStartsOnAnUnmigratedDatabase(t *testing.T) {
	t.Parallel()
	d := unmigrated(t)
	for _, line := range []string{"serve", "cutover status", "verify user", "gaps list"} {
		status, _, stderr := d.run(t, strings.Fields(line)...)
		if status != exitFailure || !strings.Contains(stderr, "run amanat migrate up") {
			t.Errorf("amanat %s: status %d, %s", line, status, stderr)
		}
	}
}

func TestServeOnPostgresAloneIsHealthyAndLeavesWhenStopped(t *testing.T) {
	t.Parallel()
	d := onPostgres(t)
	s := d.serve(t)
	status, body := s.get(t, "/api/health")
	if status != http.StatusOK {
		t.Fatalf("health %d: %s", status, body)
	}
	var answer struct {
		Success bool
		Data    healthReport
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatal(err)
	}
	h := answer.Data
	if !answer.Success || h.Status != "ok" || !h.Databases["postgres"] || len(h.Databases) != 1 || len(h.Domains) != 3 {
		t.Errorf("want a healthy process on PostgreSQL, got %s", body)
	}
	for _, domain := range h.Domains {
		if domain.Phase != cutover.PhaseTarget || domain.Primary != "postgres" {
			t.Errorf("want %s in phase target, got %+v", domain.Domain, domain)
		}
	}
	for _, secret := range []string{testSecret, d.pgURL} {
		if strings.Contains(body, secret) {
			t.Errorf("the health shows %q: %s", secret, body)
		}
	}
	if _, body := s.get(t, "/api/marketplace/categories"); !strings.Contains(body, `"success":true`) {
		t.Errorf("categories: %s", body)
	}
	wantCounted(t, s, "marketplace", "postgres", "view")
	wantProcesses(t, d, 1)
	code, stderr := s.stop()
	wantStatus(t, exitOK, code, stderr)
	wantProcesses(t, d, 0)
}

func wantCounted(t *testing.T, s server, domain, database, op string) {
	t.Helper()
	_, body := s.get(t, "/api/health")
	if want := fmt.Sprintf(`{"domain":%q,"database":%q,"op":%q,"count":`, domain, database, op); !strings.Contains(body, want) {
		t.Errorf("want %s in %s", want, body)
	}
}

func wantProcesses(t *testing.T, d deployment, want int) {
	t.Helper()
	ps, err := d.plane(t).Processes(t.Context())
	if err != nil || len(ps) != want {
		t.Errorf("%d processes on record (%v), want %d", len(ps), err, want)
	}
}

func TestStopLetsRequestsInFlightFinish(t *testing.T) {
	t.Parallel()
	s := onPostgres(t).serve(t)
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	body := `{"email":"a@example.org","password":"x"}`
	fmt.Fprintf(conn, "POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", len(body))
	answers := bufio.NewReader(conn)
	if line, err := answers.ReadString('\n'); !strings.Contains(line, "100 Continue") { // the handler waits for the body
		t.Fatalf("want the body asked for, got %q (%v)", line, err)
	}
	stopped := make(chan int, 1)
	go func() { code, _ := s.stop(); stopped <- code }()
	waitFor(t, "the stop to begin", func() bool {
		other, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err == nil {
			other.Close()
		}
		return err != nil
	})
	fmt.Fprint(conn, body)
	answer, err := io.ReadAll(answers)
	if err != nil || !strings.Contains(string(answer), "401 Unauthorized") {
		t.Fatalf("want the request answered, got %q (%v)", answer, err)
	}
	if code := <-stopped; code != exitOK {
		t.Fatalf("exit status %d, want 0", code)
	}
}

func TestServeDoesNotStartWhereFlagAndRecordedPhaseDisagree(t *testing.T) {
	t.Parallel()
	d := both(t)
	plane := d.plane(t)
	for domain, phase := range map[string]cutover.Phase{"user": cutover.PhaseSource, "marketplace": cutover.PhaseDual, "payment": cutover.PhaseTarget} {
		if _, err := plane.Register(t.Context(), domain, phase); err != nil {
			t.Fatal(err)
		}
	}
	d.environ = append(d.environ, "REPO_USER=dual", "REPO_MARKETPLACE=postgres", "REPO_PAYMENT=mongo")
	status, _, stderr := d.run(t, "serve")
	wantStatus(t, exitFailure, status, stderr)
	wantText(t, stderr,
		"REPO_USER=dual, but user is recorded in phase source: set REPO_USER=mongo", "amanat cutover start user --execute",
		"REPO_MARKETPLACE=pg, but marketplace is recorded in phase dual: set REPO_MARKETPLACE=dual", "amanat cutover switch marketplace --execute",
		"REPO_PAYMENT=mongo, but payment is recorded in phase target: set REPO_PAYMENT=pg")
	wantProcesses(t, d, 0)
	d.environ = append(d.environ, "REPO_USER=mongo", "REPO_MARKETPLACE=dual", "REPO_PAYMENT=pg")
	d.serve(t)
}

func TestServeNeedsTheDatabaseThatTheRecordedPhaseNames(t *testing.T) {
	t.Parallel()
	d := onPostgres(t)
	if _, err := d.plane(t).Register(t.Context(), "payment", cutover.PhaseMirror); err != nil {
		t.Fatal(err)
	}
	status, _, stderr := d.run(t, "serve")
	wantStatus(t, exitFailure, status, stderr)
	wantText(t, stderr, "payment is recorded in phase mirror", "set MONGODB_URI")
}

func TestServeRefusesATakenPort(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	d := onPostgres(t)
	d.environ = append(d.environ, "PORT="+strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
	status, _, stderr := d.run(t, "serve")
	wantStatus(t, exitFailure, status, stderr)
	wantText(t, stderr, "set another PORT")
	wantProcesses(t, d, 0)
}

func TestServeOnMongoGoesOnWithoutTheControlPlane(t *testing.T) {
	t.Parallel()
	d := both(t)
	d.serve(t).stop() // which leaves a copy of the domains' states in MongoDB
	d.environ = append(d.environ, "PG_URL=postgres://u@127.0.0.1:1/x")
	s := d.serve(t)
	status, body := s.get(t, "/api/health")
	if status != http.StatusOK || !strings.Contains(body, `"postgres":false`) || !strings.Contains(body, `"mongo":true`) {
		t.Errorf("health %d: %s", status, body)
	}
	d.join(t, s, "a@example.org")
	s.wantSignIn(t, "a@example.org")
}

func TestServeOnMongoAlone(t *testing.T) {
	t.Parallel()
	d := both(t)
	d.environ = append(d.environ, "PG_URL=")
	s := d.serve(t)
	d.join(t, s, "a@example.org")
	wantCounted(t, s, "user", "mongo", "update")
	for _, line := range []string{"cutover start user", "gaps list", "migrate up"} {
		status, _, stderr := d.run(t, strings.Fields(line)...)
		if status != exitFailure || !strings.Contains(stderr, "PG_URL") {
			t.Errorf("amanat %s: status %d, %s", line, status, stderr)
		}
	}
	code, stderr := s.stop()
	wantStatus(t, exitOK, code, stderr)
}

func TestTheFrontEndsPagesMayCall(t *testing.T) {
	t.Parallel()
	d := onPostgres(t)
	d.environ = append(d.environ, "FRONTEND_URL=https://amanat.example.org/app")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.serve(t).url+"/api/health", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Origin", "https://amanat.example.org")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if got := res.Header.Get("Access-Control-Allow-Origin"); got != "https://amanat.example.org" {
		t.Errorf("allowed is %q", got)
	}
}
