// Package mongodb keeps records in MongoDB, of any domain, by its Definition. It
// asks nothing of the server but what a single one without replica set gives: a
// write of one document is atomic.
//
// # Documents
//
// A record is one document, its fields named as package shape says. What the
// record's type does not know travels along in Meta.Extra. Names that the core
// itself adds (_note, _lockCommit and others, see document.go) never reach a
// record. Legacy documents are read as they are: identities as ObjectIDs or hex
// digits, numbers of any type, dates as text or milliseconds,
// no revision. What cannot be read is an error of that record, never a guess:
// a View's lists leave it out, report it once and count it; whoever asks for that
// record, would sum it up or is about to write has the error.
//
// # Writing
//
// An Update of one record is one compare-and-set on its revision. The note for
// the copier (journal.go) is part of the same write: a mark on the document. A
// deleted document stays as a tombstone as long as its note.
//
// An Update of several records (commit.go) writes a commit record, state
// pending. Then, in key order, each document gets its new content by
// compare-and-set, with the commit's id as a lock and the old document inside it
// as undo image; here revisions and unique rules are checked, so that nothing
// can fail later. Then the commit record becomes committed: the one instant at
// which the Update happens. Then the locks go, then the commit record.
//
// Whoever meets a lock looks up its commit (lock.go). Committed: the new content
// holds, and a writer finishes the work. Pending: a reader takes the old content
// out of the undo image, a writer waits a little; a commit that is pending for
// too long has lost its owner and is rolled back, after which its owner, should
// it be alive, can no longer mark it. Rolled back, or no record at all: the old
// content holds. So all of an Update happens at one instant or nothing does, and
// a crash at any point leaves no more than work for whoever comes next.
//
// Queries would search content that is not committed, and miss content that
// is; query.go says how they do not. A list is made of committed records, each
// as of some moment while it was read: while an Update of several happens, a list
// may show some of them before it and some after.
//
// Two weaknesses are left. An owner that was given up while it was frozen may
// send one more write when it goes on. It finds out with the next one, and takes
// that back; until then, or until somebody meets the lock, should it die just
// there, queries may miss that one document.
//
// And a unique value that a commit gives up can be taken by somebody else before
// the commit is rolled back. The document cannot be put back then; it stays
// locked, is read in its old content, and cannot be written until the value is
// free.
package mongodb

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/event"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/failpoint"
)

// selectTimeout is how long an operation looks for a server that answers.
const selectTimeout = 2 * time.Second

// DB is one database of a MongoDB server.
type DB struct {
	client     *mongo.Client
	db         *mongo.Database
	commits    *mongo.Collection
	tombstones *mongo.Collection
	adopted    *mongo.Collection
	state      *mongo.Collection
	keys       *mongo.Collection
	clock      serverClock

	// waitFor bounds how long a writer waits for another's lock; abandonAfter
	// is the age at which a pending commit counts as its owner's last.
	waitFor, abandonAfter time.Duration

	// longestQuery is how long a query may take, see query.go.
	longestQuery time.Duration

	// lists says what findsLists has found out; 0 is nothing yet.
	lists atomic.Int32

	leftOut cutover.LeftOut

	// step, in tests, is told of each write of a commit before it is sent; its
	// error leaves everything as it is at that moment, as a crash would.
	step atomic.Pointer[func(name failpoint.Name) error]

	mu          sync.Mutex
	collections map[string]*collection // by name: what EnsureIndexes goes through
}

// Open connects to the database named name. It does not wait for the server:
// Ping a Store for that.
func Open(_ context.Context, uri, name string) (*DB, error) { return open(uri, name, nil) }

// open is Open with an ear, which may be nil, for what is sent.
func open(uri, name string, ear *event.CommandMonitor) (*DB, error) {
	o := options.Client().ApplyURI(uri).
		SetServerSelectionTimeout(selectTimeout).
		SetConnectTimeout(selectTimeout).
		SetReadPreference(readpref.Primary()).
		SetWriteConcern(writeconcern.Majority()).
		SetMonitor(ear).
		SetBSONOptions(&options.BSONOptions{UseLocalTimeZone: false})
	client, err := mongo.Connect(o)
	if err != nil {
		// The driver's message may repeat the URI, and with it a password.
		return nil, fmt.Errorf("the MongoDB URI is not usable: want mongodb://host:port/ or mongodb+srv://host/")
	}
	return newDB(client, name), nil
}

func newDB(client *mongo.Client, name string) *DB {
	db := client.Database(name)
	return &DB{
		client: client, db: db,
		commits:    db.Collection("cutover_commits"),
		tombstones: db.Collection("cutover_tombstones"),
		adopted:    db.Collection("cutover_adopted"),
		state:      db.Collection("cutover_state"),
		keys:       db.Collection("cutover_keys"),
		waitFor:    1500 * time.Millisecond, abandonAfter: 10 * time.Second,
		longestQuery: keepAborted - 2*clockError,
		collections:  map[string]*collection{},
	}
}

// Close ends all connections.
func (db *DB) Close(ctx context.Context) error { return db.client.Disconnect(ctx) }

// oid returns an ID as filters want it.
func oid(id cutover.ID) bson.ObjectID { return bson.ObjectID(id) }

// Ping says whether the primary answers.
func (db *DB) Ping(ctx context.Context) error {
	return translate(db.client.Ping(ctx, readpref.Primary()), reading)
}

// at announces a write of a commit to the tests' hook.
func (db *DB) at(name failpoint.Name) error {
	failpoint.At(name)
	hook := db.step.Load()
	if hook == nil {
		return nil
	}
	if err := (*hook)(name); err != nil {
		return &crash{err}
	}
	return nil
}

// crash is a test's order to drop everything.
type crash struct{ error }

func (c *crash) Unwrap() error { return c.error }
