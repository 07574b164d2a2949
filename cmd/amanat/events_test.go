package main

import (
	"encoding/json"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

const parkedEvents = `SET cutover.writer = 'by hand: a test';
INSERT INTO marketplace_events (id, rev, created_at, type, subject, attempts, parked, reason) VALUES
	('665f1b2c9a8b7c6d5e4f3a21', 21, now(), 'request.completed', '665f1b2c9a8b7c6d5e4f3a01', 20, true, 'the door is shut'),
	('665f1b2c9a8b7c6d5e4f3a22', 21, now(), 'request.forgotten', '665f1b2c9a8b7c6d5e4f3a02', 20, true, 'nobody knows it')`

// listedEvents returns what "events list" shows, by type.
func (d deployment) listedEvents(t *testing.T) map[string]listedEvent {
	t.Helper()
	status, out, stderr := d.run(t, "events", "list", "--json")
	wantStatus(t, exitOK, status, stderr)
	var list []listedEvent
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		t.Fatal(err)
	}
	all := map[string]listedEvent{}
	for _, e := range list {
		all[e.Type] = e
	}
	return all
}

func TestParkedEventsAreListedRetriedAndDropped(t *testing.T) {
	t.Parallel()
	d := onPostgres(t)
	d.must(t, "events list", "All events are delivered.")
	d.stranger(t, parkedEvents)
	d.must(t, "events list marketplace", "DOMAIN", "665f1b2c9a8b7c6d5e4f3a21", "request.completed", "parked", "the door is shut (20 attempts)")
	if found := d.diagnose(t); found.status != exitOK {
		t.Errorf("the doctor's exit status is %d:\n%s", found.status, found.text)
	} else {
		wantText(t, found.text, "2 events are parked", "amanat events list marketplace")
	}

	d.must(t, "events retry marketplace 665f1b2c9a8b7c6d5e4f3a21", "Nothing was changed")
	d.must(t, "events retry marketplace --all", "2 parked events would be retried", "Nothing was changed")
	d.must(t, "events drop marketplace 665f1b2c9a8b7c6d5e4f3a22 --why test", "request.forgotten", "Nothing was changed")
	if all := d.listedEvents(t); len(all) != 2 || !all["request.completed"].Parked {
		t.Fatalf("something was changed: %+v", all)
	}

	d.must(t, "events retry marketplace 665f1b2c9a8b7c6d5e4f3a21 --execute", "is retried")
	d.serve(t)
	waitFor(t, "the retried event's delivery", func() bool { return len(d.listedEvents(t)) == 1 })

	d.must(t, "events retry marketplace --all --execute", "1 events are retried")
	waitFor(t, "an attempt at the other", func() bool {
		e := d.listedEvents(t)["request.forgotten"]
		return !e.Parked && e.Attempts > 0
	})
	d.must(t, "events drop marketplace 665f1b2c9a8b7c6d5e4f3a22 --why test --execute", "request.forgotten", "event dropped")
	if all := d.listedEvents(t); len(all) != 0 {
		t.Errorf("left are %+v", all)
	}
	docs, err := d.plane(t).Documents(t.Context(), "marketplace", droppedDocument, 10)
	if err != nil || len(docs) != 1 || docs[0].Who == "" {
		t.Errorf("want it on record, got %+v, %v", docs, err)
	}
}

// Neither has the fields that came with parking.
func TestEventsThatAnEarlierVersionPutInMongoDBAreDeliveredOrDropped(t *testing.T) {
	t.Parallel()
	d := both(t)
	events := d.mongoClient(t).Database(d.value("DB_NAME")).Collection("payment_events")
	_, err := events.InsertMany(t.Context(), []any{
		bson.M{"_id": bson.NewObjectID(), "rev": int64(1), "type": "payment.funded", "subject": bson.NewObjectID(), "data": bson.M{
			"purchaseRequestId": bson.NewObjectID().Hex(), "sellerOfferId": bson.NewObjectID().Hex()}},
		bson.M{"_id": bson.NewObjectID(), "rev": int64(1), "type": "payment.forgotten"},
	})
	if err != nil {
		t.Fatal(err)
	}
	d.must(t, "events list", "payment.funded", "payment.forgotten", "new")
	d.serve(t)
	waitFor(t, "the delivery of one and an attempt at the other", func() bool {
		all := d.listedEvents(t)
		return len(all) == 1 && all["payment.forgotten"].Attempts > 0
	})
	id := d.listedEvents(t)["payment.forgotten"].ID.String()
	d.must(t, "events list payment", "waits", "handles no events of type")
	waitFor(t, "a drop between two attempts", func() bool {
		status, _, _ := d.run(t, "events", "drop", "payment", id, "--why", "test", "--execute")
		return status == exitOK
	})
	d.must(t, "events list", "All events are delivered.")
}

func TestEventsCommandsRefuseWhatTheyCannotDo(t *testing.T) {
	t.Parallel()
	d := onPostgres(t)
	for want, args := range map[string][]string{
		"no domain \"user\" sends events": {"events", "list", "user"},
		"this is no id":                   {"events", "retry", "payment", "x"},
		"there is no such payment event":  {"events", "drop", "payment", "665f1b2c9a8b7c6d5e4f3a21", "--why", "x", "--execute"},
		"name an id, or give --all":       {"events", "retry", "payment"},
		"say why":                         {"events", "drop", "payment", "665f1b2c9a8b7c6d5e4f3a21"},
	} {
		status, _, stderr := d.run(t, args...)
		if status == exitOK {
			t.Errorf("%v did it", args)
		}
		wantText(t, stderr, want)
	}
}
