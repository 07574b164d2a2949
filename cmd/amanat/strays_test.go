package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/amanat-dev/amanat/cutover"
)

// strays returns what the command lists.
func (d deployment) strays(t *testing.T) []cutover.Stray {
	t.Helper()
	status, out, stderr := d.run(t, "cutover", "strays", "user", "--json")
	var all []cutover.Stray
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		t.Fatalf("%v in %s%s", err, out, stderr)
	}
	if want := map[bool]int{true: exitHeld, false: exitOK}[len(all) > 0]; status != want {
		t.Fatalf("exit status %d for %d stray writes, want %d", status, len(all), want)
	}
	return all
}

// awaitStrays waits until as many are known.
func (d deployment) awaitStrays(t *testing.T, n int) []cutover.Stray {
	t.Helper()
	var all []cutover.Stray
	waitFor(t, fmt.Sprintf("%d stray writes", n), func() bool {
		all = d.strays(t)
		return len(all) == n
	})
	return all
}

func (d deployment) wantGateHeld(t *testing.T, step string, parts ...string) {
	t.Helper()
	status, out, stderr := d.run(t, "cutover", step, "user", "--budget", "5s", "--waive", "shadow=tested", "--waive", "way-back=tested")
	wantStatus(t, exitHeld, status, stderr)
	wantText(t, out, parts...)
}

func TestForeignWriterOnPostgresIsRefusedOrShownInBothVersions(t *testing.T) {
	t.Parallel()
	d := both(t)
	s := d.serve(t)
	d.join(t, s, "m@example.org")
	d.must(t, "cutover start user --execute")
	d.must(t, "backfill user")
	d.must(t, "verify user")
	d.must(t, "cutover strays user", "no stray writes are known")

	// Without a word of its revision, a verify finds it.
	d.stranger(t, "SET cutover.writer = 'by hand: a test'; UPDATE users SET first_name = 'Zoe' WHERE email = 'm@example.org'")
	status, out, stderr := d.run(t, "verify", "user")
	wantStatus(t, exitHeld, status, stderr)
	wantText(t, out, `firstName: "A" ≠ "Zoe"`)
	d.wantGateHeld(t, "switch", "1 differences", "amanat cutover strays user")
	if all := d.strays(t); len(all) != 1 || all[0].Notice != "verify" {
		t.Errorf("want one that verify found, got %+v", all)
	}
	d.must(t, "verify user --repair")
	d.must(t, "cutover strays user", "no stray writes are known")

	// With a later revision, the copier meets it at the record's next write.
	d.stranger(t, "SET cutover.writer = 'by hand: a test'; UPDATE users SET first_name = 'Zoe', rev = rev + 50 WHERE email = 'm@example.org'")
	s.wantSignIn(t, "m@example.org")
	stray := d.awaitStrays(t, 1)[0]
	if stray.Notice != "copier" || stray.Source != "record" || stray.Target != "record" {
		t.Errorf("got %+v", stray)
	}
	status, out, stderr = d.run(t, "cutover", "strays", "user")
	wantStatus(t, exitHeld, status, stderr)
	wantText(t, out, "MONGODB", "POSTGRESQL", "firstName", `"A"`, `"Zoe"`)
	wantText(t, stderr, "amanat verify user --repair")
	d.wantGateHeld(t, "switch", "1 open gaps")
	d.diagnose(t).wantFound(t, "copies", failed, "user", "1 records could not be copied")
	d.must(t, "verify user --repair")
	d.must(t, "cutover strays user", "no stray writes are known")
	d.must(t, "gaps retry user", "0 left")
	s.wantSignIn(t, "m@example.org")
	d.must(t, "verify user")
}

func TestStrayWriteOnMongoIsShownInBothVersionsAndHoldsTheGate(t *testing.T) {
	t.Parallel()
	d := both(t)
	s := d.serve(t)
	d.join(t, s, "m@example.org")
	d.must(t, "cutover start user --execute")
	d.must(t, "backfill user")
	d.must(t, "verify user")
	d.must(t, "cutover switch user --execute --budget 20s --waive shadow=tested --waive way-back=tested")
	d.must(t, "verify user")

	// As a process leaves it that slept through the flip.
	users := d.mongoClient(t).Database(d.value("DB_NAME")).Collection("users")
	mail := bson.D{{Key: "email", Value: "m@example.org"}}
	written := time.Now().Add(-time.Minute)
	_, err := users.UpdateOne(t.Context(), mail, bson.D{{Key: "$inc", Value: bson.D{{Key: "rev", Value: int64(1)}}},
		{Key: "$set", Value: bson.D{{Key: "firstName", Value: "Zoe"}, {Key: "_note", Value: true}, {Key: "_noteAt", Value: written}, {Key: "_noteEpoch", Value: int64(2)}}}})
	if err != nil {
		t.Fatal(err)
	}
	all := d.awaitStrays(t, 1)
	if all[0].Notice != "note" || all[0].Epoch != 2 || all[0].At.Sub(written).Abs() > time.Second {
		t.Errorf("got %+v", all[0])
	}
	_, out, _ := d.run(t, "cutover", "strays", "user")
	wantText(t, out, "firstName", `"Zoe"`, `"A"`, "rev")
	d.wantGateHeld(t, "rollback", "1 stray writes", "amanat cutover strays user")
	d.diagnose(t).wantFound(t, "copies", failed, "user", "1 stray writes", "amanat cutover strays user")
	d.must(t, "cutover strays user --forget", "0 notes forgotten")
	d.must(t, "verify user --repair")
	d.must(t, "cutover strays user", "no stray writes are known")

	// What is alike again would hold the gate for ever.
	if _, err := users.UpdateOne(t.Context(), mail, bson.D{{Key: "$set", Value: bson.D{{Key: "_note", Value: true}, {Key: "_noteAt", Value: written}}}}); err != nil {
		t.Fatal(err)
	}
	_, out, _ = d.run(t, "cutover", "strays", "user")
	wantText(t, out, "alike by now")
	d.must(t, "cutover strays user --forget", "1 notes forgotten")
	d.must(t, "cutover strays user", "no stray writes are known")

	// Somebody's mongosh leaves no note.
	if _, err := users.UpdateOne(t.Context(), mail, bson.D{{Key: "$set", Value: bson.D{{Key: "firstName", Value: "Eve"}}}}); err != nil {
		t.Fatal(err)
	}
	status, out, stderr := d.run(t, "verify", "user")
	wantStatus(t, exitHeld, status, stderr)
	wantText(t, out, `firstName: "Eve" ≠ "A"`)
	d.wantGateHeld(t, "rollback", "1 differences")
	if all := d.strays(t); len(all) != 1 || all[0].Notice != "verify" || strings.Contains(out, "stray") {
		t.Errorf("want one that verify found, got %+v", all)
	}
	d.must(t, "verify user --repair")
	d.must(t, "cutover rollback user --execute --budget 20s --waive shadow=tested", "mirror → dual done")
	s.wantSignIn(t, "m@example.org")
}
