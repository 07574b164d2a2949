package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/mongodb"
)

// mongoClient talks to the deployment's MongoDB server, which other tests share.
func (d deployment) mongoClient(t *testing.T) *driver.Client {
	t.Helper()
	client, err := driver.Connect(options.Client().ApplyURI(d.value("MONGODB_URI")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Disconnect(t.Context()) })
	return client
}

// value returns a variable of the environment.
func (d deployment) value(name string) string {
	for _, kv := range d.environ {
		if v, found := strings.CutPrefix(kv, name+"="); found {
			return v
		}
	}
	return ""
}

// query runs a statement on PostgreSQL past all of the program's care.
func (d deployment) query(t *testing.T, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), d.pgURL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), "SET session_replication_role = replica; "+sql); err != nil {
		t.Fatal(err)
	}
}

func TestDrillPassesTheWayBackAndFindsWhatDiffers(t *testing.T) {
	t.Parallel()
	d := both(t)
	s := d.serve(t)
	for i := range 3 {
		d.join(t, s, fmt.Sprintf("m%d@example.org", i))
	}
	d.must(t, "cutover start user --execute")
	status, _, stderr := d.run(t, "cutover", "drill", "user")
	wantStatus(t, exitFailure, status, stderr)
	wantText(t, stderr, "amanat backfill user")
	d.must(t, "backfill user")
	d.must(t, "verify user")
	d.must(t, "cutover drill user", "COPIED BACK", "user: ", "0 differences")
	d.must(t, "cutover switch user --budget 5s --waive shadow=tested", "drill: 0 of")

	d.query(t, `UPDATE users SET first_name = 'Z' WHERE email = 'm1@example.org'`)
	status, out, stderr := d.run(t, "cutover", "drill", "user", "--json")
	wantStatus(t, exitHeld, status, stderr)
	var r cutover.DrillResult
	if err := json.Unmarshal([]byte(out), &r); err != nil || r.OK || r.Differences() != 1 || r.Diffs[0].What != "different" {
		t.Fatalf("want one difference, got %s (%v)", out, err)
	}
	status, out, stderr = d.run(t, "cutover", "switch", "user", "--waive", "shadow=tested")
	wantStatus(t, exitHeld, status, stderr)
	wantText(t, out, "drill: 1 of")
}

func TestDrillLeavesNoScratchDatabaseAndDropsStaleOnes(t *testing.T) {
	t.Parallel()
	d := both(t)
	s := d.serve(t)
	d.join(t, s, "m@example.org")
	d.must(t, "cutover start user --execute")
	d.must(t, "backfill user")
	client := d.mongoClient(t)
	stale := mongodb.ScratchPrefix + "60000000" + cutover.NewID().String()[8:]
	if _, err := client.Database(stale).Collection("users").InsertOne(t.Context(), bson.D{{Key: "x", Value: 1}}); err != nil {
		t.Fatal(err)
	}
	before, err := client.ListDatabaseNames(t.Context(), bson.D{})
	if err != nil || !strings.Contains(fmt.Sprint(before), stale) {
		t.Fatalf("the server does not list %s: %v %v", stale, before, err)
	}
	d.must(t, "cutover drill user", "0 differences")
	after, err := client.ListDatabaseNames(t.Context(), bson.D{})
	if err != nil || strings.Contains(fmt.Sprint(after), stale) {
		t.Fatalf("%s is still there: %v %v", stale, after, err)
	}
}
