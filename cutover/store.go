package cutover

import (
	"context"
	"errors"
	"time"
)

// ErrMoved is what a database's Update returns when the domain's epoch is no
// longer the one that the Guard names: nothing was written, and the engine
// looks up the route again.
var ErrMoved = errors.New("cutover: the domain's epoch has changed")

// Writer is the writing part of a Tx. Writes are whole
// records, are collected, and land together when the closure has returned
// without error: all or none. Reads in the same closure do not see them.
type Writer interface {
	// Put inserts a record of revision 0 or replaces the one whose revision
	// it carries. It sets a missing ID and CreatedAt, UpdatedAt, and the new
	// revision on r. A record that has changed meanwhile fails the Update
	// with a conflict.
	Put(ctx context.Context, r Record) error
	// Delete removes the record whose revision r carries.
	Delete(ctx context.Context, r Record) error
}

// Guard is what an Update must respect: which epoch it was admitted in and
// whether its writes must leave notes.
type Guard struct {
	Domain  string
	Epoch   int64
	Journal bool   // leave a durable note of each touched key with the write
	Process string // who writes: names the owner of a multi-record commit
	Fenced  bool   // check Epoch inside the write's own transaction, where there is one
}

// Side is one database as one domain sees it.
type Side interface {
	Store
	// View runs fn on a reading transaction; a write in it is an error.
	View(ctx context.Context, fn func(context.Context, Tx) error) error
	// Update runs fn and commits what it put. Errors: ErrMoved; Stale when a
	// record has changed; another fault.Conflict when a unique rule is broken;
	// fault.Unavailable when the database is away (outcome unknown when the
	// commit itself had been sent).
	Update(ctx context.Context, g Guard, fn func(context.Context, Tx) error) error
}

// Store is one database as the engine sees it, for the kinds of one domain.
// All methods are safe for concurrent use. None of the writing methods leaves
// notes: only a Side's Update does.
type Store interface {
	// Name is the database's name in tables and logs: "mongo" or "postgres".
	Name() string
	// Ping says whether the database answers.
	Ping(ctx context.Context) error

	// Get reads records by key. The result has one Item per key, in order.
	Get(ctx context.Context, keys []Key) ([]Item, error)
	// Scan reads records of a kind in id order: after < id, and id <= until
	// unless until is zero; at most limit. Items that do not decode are
	// returned with Err set.
	Scan(ctx context.Context, kind string, after, until ID, limit int) ([]Item, error)
	// Foreign lists what Scan cannot: records whose stored identity is no ID.
	Foreign(ctx context.Context, kind string, limit int) ([]Item, error)
	// Count counts the records of a kind, readable or not.
	Count(ctx context.Context, kind string) (int64, error)
	// Bounds cuts the kind's ids into ranges of about size records; it gives
	// the last id of each range in order. No records, no bounds.
	Bounds(ctx context.Context, kind string, size int) ([]ID, error)

	// Apply brings copies in, each unless this database already has that
	// revision or a later one (or, with Force, whatever it has). An Item that
	// is Deleted removes the record and leaves a tombstone of its revision,
	// which keeps a slower copy from bringing it back. The result has one
	// error per item, nil when the copy is in or was older than what is here;
	// the second error says that the database as a whole failed. A target takes
	// no copies, and returns ErrMoved, while it is the domain's primary, which it
	// checks in the copy's own transaction as an Update does: a copier that slept
	// through the flip may have read stray writes, of revisions as high as any.
	Apply(ctx context.Context, items []Item, o ApplyOptions) ([]error, error)
	// Load is Apply for many records of one kind at once by the fastest way
	// there is, all or nothing, under the same check: after an error the caller
	// uses Apply.
	Load(ctx context.Context, kind string, items []Item) error
	// Analyze refreshes the planner's statistics of the kind's tables.
	Analyze(ctx context.Context, kind string) error
	// ForgetTombstones removes the tombstones that are older than that by the
	// database's clock, but those of notes that are still there: called with an
	// age at which no slow copy can be under way any more.
	ForgetTombstones(ctx context.Context, olderThan time.Duration) error

	// Notes returns the oldest notes of the journal, at most limit, after
	// finishing or rolling back what dead writers left.
	Notes(ctx context.Context, limit int) ([]Note, error)
	// Forget removes notes whose copies are in. A note of a key that has been
	// written again since Notes gave it stays.
	Forget(ctx context.Context, notes []Note) error
	// Journal says how many notes there are, and when the oldest was made
	// (zero without notes).
	Journal(ctx context.Context) (count int64, oldest time.Time, err error)
}

// Recoverer is a Store in which a writer that dies can leave work for others:
// where a commit of several records is not the database's own. The MongoDB
// store is one.
type Recoverer interface {
	// Recover finishes or rolls back what dead writers left. It leaves alone
	// what a live one may be at. found says that there was either: there may be
	// new notes, now or soon.
	Recover(ctx context.Context) (found bool, err error)
}

// SpreadJournal is a Store whose notes lie with the records that they announce,
// so that to look for one costs a question per kind. The MongoDB store is one.
type SpreadJournal interface {
	// HasNotes says whether there is a note of a kind, by one question; the note of
	// a commit that is not decided counts.
	HasNotes(ctx context.Context, kind string) (bool, error)
}

// StateMirror is a Store that keeps a second copy of the domain's state, so
// that processes can start, and fence their writes, while the control plane
// is away. The MongoDB store is one.
type StateMirror interface {
	// ReadState returns the zero State when none was ever written.
	ReadState(ctx context.Context) (State, error)
	// WriteState writes s unless a state of a later epoch is there.
	WriteState(ctx context.Context, s State) error
}

// SharedMirror is a StateMirror that keeps the states of several domains in one
// place. The MongoDB store is one.
type SharedMirror interface {
	StateMirror
	// Place names the place: it is equal for all domains whose states are there.
	Place() any
	// ReadStates is ReadState for all domains of the place at once.
	ReadStates(ctx context.Context) (map[string]State, error)
}

// ApplyOptions tune Apply.
type ApplyOptions struct {
	Force bool // overwrite even a later revision: for repairs
	// Ahead, when not nil, is told, before Apply returns and one call at a time,
	// of each record that is here in a later revision than its item, or in any
	// although its item says that it was deleted. Only somebody else than a
	// copier can have written that, unless the item was old itself.
	Ahead func(k Key, rev int64)
}

// Item is one record on its way between databases.
type Item struct {
	Key     Key
	RawID   string // the stored identity when it is no ID, else ""
	Rev     int64
	Record  Record // nil when missing, deleted or unreadable
	Deleted bool   // a tombstone of revision Rev
	Err     error  // why the stored record does not decode
	// Stale names the unique rules of which another key is stored than the
	// record derives: somebody else than this version of the program wrote it.
	Stale []string
}

// Missing says that there is neither record nor tombstone.
func (i Item) Missing() bool { return i.Record == nil && !i.Deleted && i.Err == nil }

// Note announces that a record was written and is to be copied.
type Note struct {
	Key Key
	Rev int64 // the revision written
	Seq int64 // the store's own handle
	At  time.Time
	// Epoch in which it was written: a note of an epoch in which this database
	// was not the primary is a stray write.
	Epoch int64
}
