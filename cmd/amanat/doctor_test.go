package main

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/amanat-dev/amanat/cutover"
)

// diagnosis is what the doctor says.
type diagnosis struct {
	status   int
	text     string
	findings []finding
}

func (d deployment) diagnose(t *testing.T) diagnosis {
	t.Helper()
	return d.diagnoseAt(t, nil)
}

// diagnoseAt is diagnose on a machine with another clock.
func (d deployment) diagnoseAt(t *testing.T, now func() time.Time) diagnosis {
	t.Helper()
	var out, stderr output
	c := &cli{environ: d.environ, out: &out, err: &stderr, now: now}
	got := diagnosis{status: c.run(t.Context(), []string{"doctor", "--json"}), text: out.String()}
	if err := json.Unmarshal([]byte(got.text), &got.findings); err != nil {
		t.Fatalf("%v in %s%s", err, got.text, stderr.String())
	}
	return got
}

// wantFound wants a finding in which all of the parts are.
func (g diagnosis) wantFound(t *testing.T, check string, s state, parts ...string) {
	t.Helper()
	if !slices.ContainsFunc(g.findings, func(f finding) bool {
		text := f.About + " " + f.Found + " " + f.Remedy
		return f.Check == check && f.State == s && !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(text, p) })
	}) {
		t.Errorf("want %s %s with %q in:\n%s", check, s, parts, g.text)
	}
}

// wantFine wants no check to fail.
func (g diagnosis) wantFine(t *testing.T) {
	t.Helper()
	if g.status != exitOK || slices.ContainsFunc(g.findings, func(f finding) bool { return f.State == failed }) {
		t.Errorf("exit status %d, want 0, and nothing that fails:\n%s", g.status, g.text)
	}
}

func (g diagnosis) wantHeld(t *testing.T) {
	t.Helper()
	if g.status != exitHeld {
		t.Errorf("exit status %d, want %d:\n%s", g.status, exitHeld, g.text)
	}
}

// stranger runs a statement as somebody with psql does.
func (d deployment) stranger(t *testing.T, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), d.pgURL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if _, err := conn.PgConn().Exec(t.Context(), sql).ReadAll(); err != nil {
		t.Fatal(err)
	}
}

func TestDoctorFindsNothingWrongWithAHealthyDeployment(t *testing.T) {
	t.Parallel()
	for name, lay := range map[string]func(*testing.T) deployment{
		"both": both, "PostgreSQL alone": onPostgres, "MongoDB alone": onMongo,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := lay(t)
			d.serve(t)
			g := d.diagnose(t)
			g.wantFine(t)
			if strings.Contains(g.text, testSecret) {
				t.Errorf("a secret is shown: %s", g.text)
			}
			g.wantFound(t, "environment", fine, "JWT_SECRET", "(set)", "the key of access tokens")
			if name != "MongoDB alone" {
				g.wantFound(t, "postgres", fine, "PostgreSQL", "answers in")
				g.wantFound(t, "tables", fine)
				g.wantFound(t, "processes", fine, "alive")
				g.wantFound(t, "clocks", fine, "this machine")
				g.wantFound(t, "seals", fine)
			}
			if name != "PostgreSQL alone" {
				g.wantFound(t, "mongo", fine, "answers in", "the stores do without")
				g.wantFound(t, "indexes", fine, "are there")
				g.wantFound(t, "writers", fine, "user")
			}
		})
	}
}

// onMongo has a MongoDB database alone.
func onMongo(t *testing.T) deployment {
	t.Helper()
	d := both(t)
	d.environ = append(d.environ, "PG_URL=")
	return d
}

func TestDoctorTellsEachMistakeOfTheEnvironmentAndChecksTheRest(t *testing.T) {
	t.Parallel()
	d := both(t)
	d.environ = append(d.environ, "PG_URL=mysql://u:hunter2@db/x", "PORT=http", "REPO_USER=both", "REPO_USR=pg", "JWT_SECRET=hunter2")
	g := d.diagnose(t)
	g.wantHeld(t)
	g.wantFound(t, "environment", failed, "PG_URL", "must begin with postgres://", "set for example")
	g.wantFound(t, "environment", failed, "PORT", "not a whole number")
	g.wantFound(t, "environment", failed, "REPO_USER", "not mongo, dual or pg")
	g.wantFound(t, "environment", failed, "REPO_USR", "no such flag")
	g.wantFound(t, "environment", warned, "JWT_SECRET", "7 characters", "amanat serve needs it")
	g.wantFound(t, "mongo", fine, "answers in")
	if strings.Contains(g.text, "hunter2") {
		t.Errorf("a secret is shown: %s", g.text)
	}
	status, out, stderr := amanat(t.Context(), []string{"PG_URL="}, "doctor")
	wantStatus(t, exitHeld, status, stderr)
	wantText(t, out, "neither PG_URL nor MONGODB_URI is set")
}

func TestDoctorNamesPendingMigrations(t *testing.T) {
	t.Parallel()
	g := unmigrated(t).diagnose(t)
	g.wantHeld(t)
	g.wantFound(t, "migrations", failed, "migrations are pending", "amanat migrate up")
	g.wantFound(t, "tables", warned, "not checked: migrations are pending")
}

func TestDoctorNamesAFlagThatIsApart(t *testing.T) {
	t.Parallel()
	d := both(t)
	if _, err := d.plane(t).Register(t.Context(), "user", cutover.PhaseSource); err != nil {
		t.Fatal(err)
	}
	d.environ = append(d.environ, "REPO_USER=dual")
	g := d.diagnose(t)
	g.wantHeld(t)
	g.wantFound(t, "flags", failed, "REPO_USER=dual, but user is recorded in phase source", "set REPO_USER=mongo", "amanat cutover start user")
	g.wantFound(t, "flags", fine, "payment", "no process has served it yet")
}

func TestDoctorNamesWhatWasDroppedAndWhy(t *testing.T) {
	t.Parallel()
	d := both(t)
	d.serve(t)
	d.stranger(t, `DROP INDEX users_email_key; ALTER TABLE payments DISABLE TRIGGER writer_guard;
		ALTER TABLE seller_offers DROP CONSTRAINT seller_offers_purchase_request_id_fkey; ALTER TABLE payments ADD colour text`)
	db := d.mongoClient(t).Database(d.value("DB_NAME"))
	for collection, index := range map[string]string{"users": "_uEmail_1", "addresses": "userId_1"} {
		if err := db.Collection(collection).Indexes().DropOne(t.Context(), index); err != nil {
			t.Fatal(err)
		}
	}
	one, two := bson.NewObjectIDFromTimestamp(time.Unix(1, 0)), bson.NewObjectIDFromTimestamp(time.Unix(2, 0))
	for _, id := range []bson.ObjectID{one, two} {
		if _, err := db.Collection("users").InsertOne(t.Context(), bson.D{{Key: "_id", Value: id}, {Key: "email", Value: "a@example.org"}, {Key: "_uEmail", Value: "a@example.org"}}); err != nil {
			t.Fatal(err)
		}
	}
	g := d.diagnose(t)
	g.wantHeld(t)
	g.wantFound(t, "tables", failed, "users", "index users_email_key is missing", "00091_unique_keys.sql")
	g.wantFound(t, "tables", failed, "constraint seller_offers_purchase_request_id_fkey is missing")
	g.wantFound(t, "tables", failed, "table payments: nothing keeps other writers out", "cutover_guard('payments')")
	g.wantFound(t, "tables", failed, "column colour is not expected")
	g.wantFound(t, "indexes", failed, "users", "unique index on _uEmail of users is missing", one.Hex(), two.Hex(), "have the same email")
	g.wantFound(t, "indexes", warned, "index on userId of addresses is missing", "amanat serve")
	if strings.Contains(g.text, "a@example.org") {
		t.Errorf("a member's address is shown: %s", g.text)
	}
}

func TestDoctorNamesAnIndexInTheWayOfAnother(t *testing.T) {
	t.Parallel()
	d := both(t)
	s := d.serve(t)
	db := d.mongoClient(t).Database(d.value("DB_NAME"))
	s.stop()
	users := db.Collection("users")
	if err := users.Indexes().DropOne(t.Context(), "referralCode_1"); err != nil {
		t.Fatal(err)
	}
	if err := db.RunCommand(t.Context(), bson.D{{Key: "createIndexes", Value: "users"},
		{Key: "indexes", Value: bson.A{bson.D{{Key: "key", Value: bson.D{{Key: "referralCode", Value: 1}}}, {Key: "name", Value: "old_code"}}}}}).Err(); err != nil {
		t.Fatal(err)
	}
	d.diagnose(t).wantFound(t, "indexes", failed, "the index old_code is in its place")
}

func TestDoctorNamesClocksThatAreApart(t *testing.T) {
	t.Parallel()
	d := both(t)
	plane := d.plane(t)
	if err := plane.Beat(t.Context(), cutover.Process{ID: "web-7", Started: cutover.Now()}, time.Minute); err != nil {
		t.Fatal(err)
	}
	g := d.diagnose(t)
	g.wantFine(t)
	g.wantFound(t, "clocks", fine, "web-7")
	d.stranger(t, "UPDATE cutover_processes SET clock_ahead_ms = -7500")
	g = d.diagnoseAt(t, func() time.Time { return time.Now().Add(2 * time.Second) })
	g.wantHeld(t)
	g.wantFound(t, "clocks", failed, "web-7", "7.5s behind PostgreSQL's", "NTP")
	g.wantFound(t, "clocks", warned, "this machine", "ahead of PostgreSQL's")
	g.wantFound(t, "clocks", warned, "this machine", "ahead of MongoDB's")
	g = d.diagnoseAt(t, func() time.Time { return time.Now().Add(-time.Minute) })
	g.wantFound(t, "clocks", failed, "this machine", "behind MongoDB's")
}

func TestDoctorNamesProcessesThatAreLostOrUnlike(t *testing.T) {
	t.Parallel()
	d := onPostgres(t)
	plane := d.plane(t)
	if _, err := plane.Register(t.Context(), "user", cutover.PhaseTarget); err != nil {
		t.Fatal(err)
	}
	for _, p := range []struct {
		id, version string
		ttl         time.Duration
		epoch       int64
	}{{"gone", "v1", time.Millisecond, 1}, {"old", "v1", time.Minute, 1}, {"new", "v2", time.Minute, 0}} {
		err := plane.Beat(t.Context(), cutover.Process{ID: p.id, Host: "h", Version: p.version, Started: cutover.Now(),
			Acks: map[string]int64{"user": p.epoch}}, p.ttl)
		if err != nil {
			t.Fatal(err)
		}
	}
	g := d.diagnose(t)
	g.wantFine(t)
	g.wantFound(t, "processes", warned, "gone", "lost", "last seen")
	g.wantFound(t, "processes", warned, "new", "not on the recorded epoch of user")
	g.wantFound(t, "processes", warned, "of 2 versions")
	g.wantFound(t, "processes", fine, "old", "alive")
}

func TestDoctorGoesOnWithoutADatabase(t *testing.T) {
	t.Parallel()
	d := both(t)
	d.serve(t)
	d.environ = append(d.environ, "PG_URL=postgres://u:hunter2@127.0.0.1:1/x")
	g := d.diagnose(t)
	g.wantHeld(t)
	g.wantFound(t, "postgres", failed, "postgres://u@127.0.0.1:1/x", "does not answer", "start that server")
	g.wantFound(t, "migrations", warned, "not checked: PostgreSQL does not answer")
	g.wantFound(t, "flags", warned, "user", "not checked")
	g.wantFound(t, "indexes", fine, "are there")
	if strings.Contains(g.text, "hunter2") {
		t.Errorf("a password is shown: %s", g.text)
	}
	d.environ = append(d.environ, "PG_URL="+d.pgURL, "MONGODB_URI=mongodb://u:hunter2@127.0.0.1:1/?connectTimeoutMS=200")
	g = d.diagnose(t)
	g.wantHeld(t)
	g.wantFound(t, "mongo", failed, "does not answer")
	g.wantFound(t, "indexes", warned, "not checked: MongoDB does not answer")
	g.wantFound(t, "tables", fine)
	if strings.Contains(g.text, "hunter2") {
		t.Errorf("a password is shown: %s", g.text)
	}
}

func TestDoctorNamesWhoWritesPastTheEngine(t *testing.T) {
	t.Parallel()
	d := both(t)
	users := d.mongoClient(t).Database(d.value("DB_NAME")).Collection("users")
	legacy := bson.NewObjectIDFromTimestamp(time.Unix(1_600_000_000, 0))
	untouched := bson.NewObjectIDFromTimestamp(time.Unix(1_600_000_001, 0))
	for _, id := range []bson.ObjectID{legacy, untouched} {
		if _, err := users.InsertOne(t.Context(), bson.D{{Key: "_id", Value: id}, {Key: "email", Value: id.Hex()},
			{Key: "updatedAt", Value: time.Unix(1_600_000_002, 0)}}); err != nil {
			t.Fatal(err)
		}
	}
	s := d.serve(t)
	d.join(t, s, "a@example.org")
	d.diagnose(t).wantFound(t, "writers", fine, "user", "nothing without a revision")

	inserted := bson.NewObjectIDFromTimestamp(time.Now().Add(time.Hour))
	if _, err := users.InsertOne(t.Context(), bson.D{{Key: "_id", Value: inserted}, {Key: "email", Value: "b@example.org"}}); err != nil {
		t.Fatal(err)
	}
	g := d.diagnose(t)
	g.wantFine(t)
	g.wantFound(t, "writers", warned, "user", "wrote to users: 1 documents", inserted.Hex(), "stop the other program")
	d.must(t, "cutover start user --execute")
	if _, err := users.UpdateByID(t.Context(), legacy, bson.D{{Key: "$set", Value: bson.D{{Key: "updatedAt", Value: time.Now().Add(time.Minute)}}}}); err != nil {
		t.Fatal(err)
	}
	d.stranger(t, `SET cutover.writer = 'by hand: a test'; INSERT INTO categories (id, rev, is_active, "order") VALUES ('665f1b2c9a8b7c6d5e4f3a21', 1, true, 0)`)
	g = d.diagnose(t)
	g.wantHeld(t)
	g.wantFound(t, "writers", failed, "user", "wrote to users: 2 documents")
	g.wantFound(t, "writers", warned, "categories", "INSERT by hand", "a test")
	if strings.Contains(g.text, untouched.Hex()) {
		t.Errorf("a legacy document that nobody touched is named: %s", g.text)
	}
}

func TestDoctorNamesASealThatNobodyHoldsAndAStateThatIsApart(t *testing.T) {
	t.Parallel()
	d := both(t)
	d.serve(t).stop()
	plane := d.plane(t)
	states, err := plane.States(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	from := states["user"]
	to := from
	to.Epoch, to.Sealed = from.Epoch+1, true
	if err := plane.Advance(t.Context(), from, to, cutover.Change{Who: "x", Action: "seal"}); err != nil {
		t.Fatal(err)
	}
	g := d.diagnose(t)
	g.wantHeld(t)
	g.wantFound(t, "seals", failed, "user", "sealed without a coordinator", "amanat serve")
	g.wantFound(t, "kept state", warned, "user", "MongoDB is behind")
	g.wantFound(t, "kept state", fine, "payment")
	_, err = plane.Lead(t.Context(), cutover.CoordinatorRole("user"), func(ctx context.Context) error {
		g = d.diagnose(t)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	g.wantFine(t)
	g.wantFound(t, "seals", warned, "user", "a step is under way")
	d.stranger(t, "UPDATE cutover_domains SET epoch = 1 WHERE domain = 'payment'; DELETE FROM cutover_history WHERE domain = 'payment'")
	state := d.mongoClient(t).Database(d.value("DB_NAME")).Collection("cutover_state")
	if _, err := state.UpdateByID(t.Context(), "payment", bson.D{{Key: "$set", Value: bson.D{{Key: "epoch", Value: int64(9)}}}}); err != nil {
		t.Fatal(err)
	}
	g = d.diagnose(t)
	g.wantHeld(t)
	g.wantFound(t, "kept state", failed, "payment", "MongoDB knows of epoch 9, the control plane of 1")
}
