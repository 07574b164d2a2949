package main

import (
	"context"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/amanat-dev/amanat/cutover"
)

// older is the deployment's MongoDB database, for what an application of long
// ago has left there.
func (d deployment) older(t *testing.T) *driver.Database {
	t.Helper()
	return d.mongoClient(t).Database(d.value("DB_NAME"))
}

func insert(t *testing.T, db *driver.Database, collection string, docs ...bson.M) {
	t.Helper()
	for _, doc := range docs {
		if _, err := db.Collection(collection).InsertOne(t.Context(), doc); err != nil {
			t.Fatalf("%s: %v", collection, err)
		}
	}
}

// objectID returns an id as MongoDB keeps it, and as it is shown.
func objectID(t *testing.T) (bson.ObjectID, string) {
	t.Helper()
	id := cutover.NewID()
	return bson.ObjectID(id), id.String()
}

// member is a user as Mongoose wrote one, with no revision.
func olderMember(id any, email string, change bson.M) bson.M {
	doc := bson.M{"_id": id, "__v": 3, "email": email, "firstName": "Ann", "lastName": "Lee", "role": "buyer",
		"status": "active", "loginAttempts": 0.0, "favouriteColour": "green"}
	maps.Copy(doc, change)
	return doc
}

// openGaps returns the reasons of a domain's open gaps by kind and id.
func (d deployment) openGaps(t *testing.T, domain string) map[string]string {
	t.Helper()
	status, out, stderr := d.run(t, "gaps", "list", domain, "--json")
	wantStatus(t, exitOK, status, stderr)
	var gaps []cutover.Gap
	if err := json.Unmarshal([]byte(out), &gaps); err != nil {
		t.Fatal(err)
	}
	reasons := map[string]string{}
	for _, g := range gaps {
		reasons[g.Kind+" "+g.ID] = g.Reason
	}
	return reasons
}

// wantGaps compares the open gaps with patterns of their reasons.
func (d deployment) wantGaps(t *testing.T, domain string, want map[string]string) {
	t.Helper()
	got := d.openGaps(t, domain)
	for record, pattern := range want {
		if !regexp.MustCompile(pattern).MatchString(got[record]) {
			t.Errorf("%s: the reason is %q, want %q", record, got[record], pattern)
		}
	}
	if len(got) != len(want) {
		t.Errorf("gaps are %v, want those of %v", got, slices.Sorted(maps.Keys(want)))
	}
}

// TestLegacyDocumentsThatCannotBeCopiedAreGapsAndHoldTheSwitch: each has its
// reason, all others are copied as they are, and the switch waits until every
// gap is mended or waived.
func TestLegacyDocumentsThatCannotBeCopiedAreGapsAndHoldTheSwitch(t *testing.T) {
	t.Parallel()
	d := both(t)
	db := d.older(t)
	good, goodID := objectID(t)
	second, secondID := objectID(t)
	unreadable, unreadableID := objectID(t)
	twin, twinID := objectID(t)
	odd, oddID := objectID(t)
	third, thirdID := objectID(t)
	insert(t, db, "users",
		olderMember(good, "ann@example.org", nil),
		olderMember(second, "bob@example.org", bson.M{"loginAttempts": int64(2)}),
		olderMember(unreadable, "c@example.org", bson.M{"loginAttempts": "many"}),
		olderMember(twin, " ANN@example.org", nil),
		olderMember(odd, "e@example.org", bson.M{"role": "superuser"}),
		olderMember(third, "f@example.org", bson.M{"createdAt": "yesterday"}),
		olderMember("old-7", "g@example.org", nil),
	)
	home, homeID := objectID(t)
	orphan, orphanID := objectID(t)
	ofUnreadable, ofUnreadableID := objectID(t)
	insert(t, db, "addresses",
		bson.M{"_id": home, "userId": good, "label": "home"},
		bson.M{"_id": orphan, "userId": bson.NewObjectID(), "label": "nobody's"},
		bson.M{"_id": ofUnreadable, "userId": unreadable.Hex(), "label": "hers"},
	)

	d.serve(t)
	d.must(t, "cutover start user --execute")
	d.run(t, "backfill", "user")
	d.wantGaps(t, "user", map[string]string{
		"user " + unreadableID:      `^loginAttempts: a string, want a number$`,
		"user " + thirdID:           `^createdAt: not a date$`,
		"user " + twinID:            `users_email_key.*ann@example.org`,
		"user " + oddID:             `users_role_check`,
		"user old-7":                `no ObjectID`,
		"address " + orphanID:       `addresses_user_id_fkey`,
		"address " + ofUnreadableID: `addresses_user_id_fkey`,
	})
	wantRows(t, d, `SELECT id::text || ' ' || login_attempts || ' ' || (extra::text LIKE '%favouriteColour%') FROM users ORDER BY id`,
		goodID+" 0 true", secondID+" 2 true")
	wantRows(t, d, `SELECT id::text || ' ' || user_id FROM addresses`, homeID+" "+goodID)
	d.run(t, "verify", "user")
	d.wantGateHeld(t, "switch", "7 open gaps", "amanat gaps list")

	for id, change := range map[bson.ObjectID]bson.M{
		unreadable: {"loginAttempts": 0}, twin: {"email": "ann2@example.org"}, odd: {"role": "seller"}, third: {"createdAt": time.Now()},
	} {
		if _, err := db.Collection("users").UpdateByID(t.Context(), id, bson.M{"$set": change}); err != nil {
			t.Fatal(err)
		}
	}
	status, out, stderr := d.run(t, "gaps", "retry", "user")
	wantStatus(t, exitHeld, status, stderr)
	wantText(t, out, "5 resolved, 2 left")
	d.wantGaps(t, "user", map[string]string{"user old-7": `.`, "address " + orphanID: `.`})
	d.wantGateHeld(t, "switch", "2 open gaps")
	d.must(t, "gaps waive user user old-7 --why imported")
	d.must(t, "gaps waive user address "+orphanID+" --why orphaned")
	d.wantGaps(t, "user", nil)
	// What was waived stays behind; an invariant that counts it says so.
	status, out, stderr = d.run(t, "verify", "user")
	wantStatus(t, exitHeld, status, stderr)
	wantText(t, out, ", 0 differences", "3 addresses of 3 users", "2 addresses of 2 users")
	d.must(t, "cutover switch user --execute --budget 20s --waive shadow=tested --waive way-back=tested --waive verify=one-address-stays",
		"0 open gaps", "dual → mirror done")
	wantRows(t, d, `SELECT count(*)::text FROM users`, "6")
}

// wantRows compares the rows of one text that PostgreSQL gives.
func wantRows(t *testing.T, d deployment, query string, want ...string) {
	t.Helper()
	db, err := pgx.Connect(t.Context(), d.pgURL)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(context.Background())
	rows, err := db.Query(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	got, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%s: got %q (%v), want %q", query, got, err, want)
	}
}
