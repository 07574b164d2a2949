package main

import (
	"encoding/json"
	"testing"

	"github.com/jackc/pgx/v5"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/amanat-dev/amanat/cutover"
)

// text returns what a query on PostgreSQL says.
func (d deployment) text(t *testing.T, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), d.pgURL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var out string
	if err := conn.QueryRow(t.Context(), sql).Scan(&out); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return out
}

func TestLegacyIdentitiesAreAdoptedAndWhoNamesThemFollows(t *testing.T) {
	t.Parallel()
	d := both(t)
	s := d.serve(t)
	d.join(t, s, "m@example.org")
	db := d.mongoClient(t).Database(d.value("DB_NAME"))
	digits := bson.NewObjectID()
	for _, doc := range []bson.D{
		{{Key: "_id", Value: "user-7"}, {Key: "email", Value: "seven@example.org"}, {Key: "role", Value: "buyer"}},
		{{Key: "_id", Value: digits.Hex()}, {Key: "email", Value: "digits@example.org"}, {Key: "role", Value: "buyer"}},
	} {
		if _, err := db.Collection("users").InsertOne(t.Context(), doc); err != nil {
			t.Fatal(err)
		}
	}
	request := bson.NewObjectID()
	if _, err := db.Collection("purchaserequests").InsertOne(t.Context(), bson.D{{Key: "_id", Value: request}, {Key: "buyerId", Value: "user-7"},
		{Key: "status", Value: "pending"}, {Key: "quantity", Value: 1}, {Key: "title", Value: "T"}, {Key: "description", Value: "D"},
		{Key: "budget", Value: bson.D{{Key: "min", Value: 0}, {Key: "max", Value: 10.5}}}}); err != nil {
		t.Fatal(err)
	}

	for _, domain := range []string{"user", "marketplace"} {
		d.must(t, "cutover start "+domain+" --execute")
		d.run(t, "backfill", domain)
		status, out, stderr := d.run(t, "verify", domain)
		wantStatus(t, exitHeld, status, out+stderr)
		wantText(t, out, "unreadable", "user-7")
	}
	d.must(t, "gaps list user", "user-7", digits.Hex(), "amanat gaps adopt")
	d.must(t, "gaps adopt user", "user-7", "(a new one)", digits.Hex(), "Nothing was changed")
	d.must(t, "gaps list user", "user-7")
	d.must(t, "gaps adopt user --execute", "user-7", digits.Hex())
	d.must(t, "gaps list user", "There are no gaps.")
	d.must(t, "verify user")

	d.must(t, "gaps adopt marketplace", "purchase_request: 1 records name others")
	d.must(t, "gaps adopt marketplace --execute", "purchase_request: 1 records named others")
	d.must(t, "verify marketplace")
	d.must(t, "gaps adopt user", "every _id is an ObjectID")
	d.must(t, "gaps adopt marketplace", "every _id is an ObjectID")

	seven := d.text(t, "SELECT id FROM id_map WHERE kind = 'user' AND legacy_id = 'user-7'")
	if got := d.text(t, "SELECT id FROM users WHERE email = 'seven@example.org'"); got != seven {
		t.Errorf("PostgreSQL has user-7 as %s, id_map says %s", got, seven)
	}
	if got := d.text(t, "SELECT buyer_id FROM purchase_requests WHERE id = '"+request.Hex()+"'"); got != seven {
		t.Errorf("the request names %s, want %s", got, seven)
	}
	if got := d.text(t, "SELECT id FROM users WHERE email = 'digits@example.org'"); got != digits.Hex() {
		t.Errorf("%s became %s", digits.Hex(), got)
	}

	d.must(t, "cutover switch user --execute --budget 20s --waive shadow=tested --waive way-back=tested")
	status, _, stderr := d.run(t, "gaps", "adopt", "user")
	wantStatus(t, exitFailure, status, stderr)
	wantText(t, stderr, "phase mirror")
}

func TestAnAdoptionThatIsRefusedIsTold(t *testing.T) {
	t.Parallel()
	d := both(t)
	d.serve(t)
	users := d.mongoClient(t).Database(d.value("DB_NAME")).Collection("users")
	if _, err := users.InsertOne(t.Context(), bson.D{{Key: "_id", Value: "user-7"}, {Key: "email", Value: 7}}); err != nil {
		t.Fatal(err)
	}
	status, out, stderr := d.run(t, "gaps", "adopt", "user", "--execute", "--json")
	wantStatus(t, exitHeld, status, stderr)
	wantText(t, stderr, "1 of 1 records stay as they are")
	var done cutover.Adopted
	if err := json.Unmarshal([]byte(out), &done); err != nil || len(done.Records) != 1 || done.Records[0].Reason == "" {
		t.Errorf("got %+v, %v of %s", done, err, out)
	}
}
