package mongodb

import (
	"context"
	"reflect"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driverevent "go.mongodb.org/mongo-driver/v2/event"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/failpoint"
)

// OnStep has hook told of each write before it is sent; its error stops the
// writer there, and nothing is cleaned up.
func (db *DB) OnStep(hook func(name string) error) {
	short := func(name failpoint.Name) error { return hook(strings.TrimPrefix(string(name), "commit.")) }
	db.step.Store(&short)
}

// SetPatience sets how long a writer waits for a lock, and when a pending
// commit counts as abandoned.
func (db *DB) SetPatience(wait, abandon time.Duration) { db.waitFor, db.abandonAfter = wait, abandon }

// SetLongestQuery sets how long a query may take.
func (db *DB) SetLongestQuery(d time.Duration) { db.longestQuery = d }

// SetFindsLists has lists of identities asked for in one command, or not.
func (db *DB) SetFindsLists(yes bool) {
	db.lists.Store(map[bool]int32{true: listsByIndex, false: listsByScan}[yes])
}

// OpenHeard is Open with an ear for what is sent.
func OpenHeard(uri, name string, ear *driverevent.CommandMonitor) (*DB, error) {
	return open(uri, name, ear)
}

// Raw returns a collection past all of this package's care.
func (db *DB) Raw(name string) *mongo.Collection { return db.db.Collection(name) }

// Recover is a Side's Recover.
func Recover(ctx context.Context, s cutover.Side) error {
	_, err := s.(*store).Recover(ctx)
	return err
}

// EncodeDecode takes a record through its document.
func EncodeDecode(r cutover.Record) (cutover.Record, error) {
	col := codecOf(r)
	doc, err := col.encode(r)
	if err != nil {
		return nil, err
	}
	return decodeDoc(col, doc)
}

// Decode reads a document as a record of r's type.
func Decode(r cutover.Record, doc bson.D) (cutover.Record, error) { return decodeDoc(codecOf(r), doc) }

// Encode returns the document of a record.
func Encode(r cutover.Record) (bson.Raw, error) {
	doc, err := codecOf(r).encode(r)
	if err != nil {
		return nil, err
	}
	return bson.Marshal(doc)
}

func decodeDoc(col *collection, doc bson.D) (cutover.Record, error) {
	raw, err := bson.Marshal(doc)
	if err != nil {
		return nil, err
	}
	return col.decode(raw)
}

func codecOf(r cutover.Record) *collection {
	return newCollection(cutover.Kind{Name: "sample", Type: reflect.TypeOf(r).Elem()})
}

// Names lists the server's databases.
func (db *DB) Names(ctx context.Context) ([]string, error) {
	return db.client.ListDatabaseNames(ctx, bson.D{})
}

// ScratchName returns the name of a users' scratch database.
func ScratchName(s cutover.Store) string { return s.(*store).db.db.Name() }

// StaleScratch is staleScratch.
func StaleScratch(name string, now time.Time) bool { return staleScratch(name, now) }
