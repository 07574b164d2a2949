package cutover

import (
	"context"
	"encoding/json"
	"time"
)

// Control is the control plane: what all processes of a deployment share
// about a move. It lives beside the target database (package control keeps it
// in PostgreSQL). Every method fails with fault.Unavailable when it is away;
// the engine serves on without it where that is safe.
type Control interface {
	StateControl
	WordControl
	ProcessControl
	GapControl
	BackfillControl
	ShadowControl
	DocumentControl
	TouchControl
	ActivityControl
}

// ActivityControl knows what the workers of a move, on any machine, are doing.
type ActivityControl interface {
	// SetActivities stores what workers do now, each in place of what it did before.
	SetActivities(ctx context.Context, all []Activity) error
	// Activities returns what was told of a domain within the last half minute,
	// in the order of roles, then workers.
	Activities(ctx context.Context, domain string) ([]Activity, error)
}

// Activity is what one worker of a move does, or waits for.
type Activity struct {
	Domain string    `json:"domain"`
	Role   string    `json:"role"` // copier or backfill
	Who    string    `json:"who"`  // the process
	Doing  string    `json:"doing"`
	At     time.Time `json:"at"` // by the control plane's clock
}

// TouchControl remembers which records were copied since the last verify, so
// that a switch can compare just these once more.
type TouchControl interface {
	Touch(ctx context.Context, domain string, keys []Key) error
	// Touched returns the remembered keys, at most limit.
	Touched(ctx context.Context, domain string, limit int) ([]Key, error)
	// Untouch forgets what was touched before t by the control plane's clock.
	Untouch(ctx context.Context, domain string, before time.Time) error
	// Clock returns the control plane's time.
	Clock(ctx context.Context) (time.Time, error)
}

// StateControl keeps each domain's state and its history.
type StateControl interface {
	// States returns the state of every domain that was ever registered.
	States(ctx context.Context) (map[string]State, error)
	// Register makes a domain known with its first phase, and returns its state:
	// the recorded one when it was known before.
	Register(ctx context.Context, domain string, first Phase) (State, error)
	// Advance replaces from by to in one committed step, with a line of
	// history. to.Epoch must be from.Epoch+1. It fails with fault.Conflict when
	// the domain is not in state from. Where the target is the primary of
	// from, it waits for the Updates in flight there (see Barrier) in the same
	// step, so that none of the old epoch can commit afterwards. Where it becomes
	// the primary, it waits likewise for the copies under way.
	Advance(ctx context.Context, from, to State, why Change) error
	// Barrier returns once no Update that was admitted on the target in an
	// epoch before the present one can still commit.
	Barrier(ctx context.Context, domain string) error
	// History returns a domain's changes, the newest first.
	History(ctx context.Context, domain string, limit int) ([]HistoryLine, error)
	// Began says since when a domain is where it is, in one question however
	// long its history.
	Began(ctx context.Context, domain string) (Began, error)
	// Lead runs do while this process alone holds the named role, and gives
	// false when another process holds it. do's context ends when the role may
	// have been lost.
	Lead(ctx context.Context, role string, do func(context.Context) error) (bool, error)
	// Settings returns a domain's settings; the defaults when none were set.
	Settings(ctx context.Context, domain string) (Settings, error)
	SetSettings(ctx context.Context, domain string, s Settings) error
	// AllSettings returns those of the domains for which some were set.
	AllSettings(ctx context.Context) (map[string]Settings, error)
}

// Began says in which epochs a domain's present move, from phase source to dual,
// and its present phase began, when the phase did, and when the domain was last
// rolled back. The zero value stands for what never was.
type Began struct {
	Move, Phase           int64
	PhaseAt, RolledBackAt time.Time
}

// WordControl carries word from process to process. What it carries may be lost:
// nobody relies on it for more than to be early.
type WordControl interface {
	// Watch calls changed whenever a state or a setting may have changed, and
	// wrote for each word of Wrote, until ctx ends. It reconnects by itself, and
	// calls changed, and wrote with the zero Written, once it has: anything may
	// have happened meanwhile. wrote must not block.
	Watch(ctx context.Context, changed func(), wrote func(Written))
	// Wrote tells all processes, this one too, of writes.
	Wrote(ctx context.Context, all []Written) error
}

// Written is word of a write. Without a Kind it is about the copier of Domain,
// which has something to copy; with one it is about records of that kind (see
// Domain.Bell). The zero Written stands for everything.
type Written struct{ Domain, Kind string }

// Change says who changes a state, what they call it, and why.
type Change struct {
	Who    string          `json:"who"`
	Action string          `json:"action"` // start, seal, switch, unseal, rollback, finish, abandon
	Why    string          `json:"why"`
	Detail json.RawMessage `json:"detail,omitempty"`
}

// HistoryLine is one change of a domain's state.
type HistoryLine struct {
	Change
	At       time.Time `json:"at"`
	From, To State
}

// Settings of a domain, changeable while it runs.
type Settings struct {
	ShadowPercent int  `json:"shadowPercent"` // share of Views that also run on the secondary, 0 to 100
	BackfillRate  int  `json:"backfillRate"`  // records per second over all workers; 0: no limit
	Paused        bool `json:"paused"`        // backfill pauses
	CopyRate      int  `json:"copyRate"`      // records per second of the copier; 0: no limit
	CopyPaused    bool `json:"copyPaused"`    // the copier pauses: the journal grows, and no switch is possible
	// MaxLatencyMS is how long, in milliseconds, the primary may take for a small
	// read before backfill and copier slow down. 0: five times what is usual.
	MaxLatencyMS int `json:"maxLatencyMs"`
}

// DefaultSettings hold until an operator sets others.
var DefaultSettings = Settings{ShadowPercent: 10}

// ProcessControl knows the running processes.
type ProcessControl interface {
	// Beat renews p's lease for ttl by the control plane's clock and stores the
	// epochs that p acknowledges.
	Beat(ctx context.Context, p Process, ttl time.Duration) error
	// Leave removes a process that has stopped properly.
	Leave(ctx context.Context, id string) error
	// Processes returns those whose lease holds, and those whose lease ran out
	// less than an hour ago (Alive false).
	Processes(ctx context.Context) ([]Process, error)
}

// Process is one running process.
type Process struct {
	ID      string           `json:"id"`
	Host    string           `json:"host"`
	PID     int              `json:"pid"`
	Version string           `json:"version"`
	Started time.Time        `json:"started"`
	Acks    map[string]int64 `json:"acks"` // domain → epoch on which it works; no Update of an earlier one is in flight
	Seen    time.Time        `json:"seen"`
	Until   time.Time        `json:"until"` // end of its lease by the control plane's clock
	Alive   bool             `json:"alive"`
	// ClockAheadMS is by how much its clock was ahead of the control plane's
	// when it was last seen, less the time that its request took to get there.
	ClockAheadMS float64 `json:"clockAheadMs"`
}

// Gap is a record that could not be copied.
type Gap struct {
	Domain    string    `json:"domain"`
	Kind      string    `json:"kind"`
	ID        string    `json:"id"` // 24 hex digits, or the stored identity of a legacy record
	Reason    string    `json:"reason"`
	FirstSeen time.Time `json:"firstSeen"`
	LastSeen  time.Time `json:"lastSeen"`
	Attempts  int       `json:"attempts"`
	Resolved  time.Time `json:"resolvedAt,omitzero"`
	WaivedBy  string    `json:"waivedBy,omitempty"`
	WaivedWhy string    `json:"waivedWhy,omitempty"`
}

// Open says that the gap holds the switch.
func (g Gap) Open() bool { return g.Resolved.IsZero() && g.WaivedBy == "" }

// GapControl keeps the gaps (table pg_dualwrite_gaps).
type GapControl interface {
	// RecordGaps adds gaps or, where one of the same domain, kind and id is
	// there, counts another attempt, renews reason and last seen, and opens it
	// again if it was resolved.
	RecordGaps(ctx context.Context, gaps []Gap) error
	// ResolveGaps marks the gaps of these records as resolved, if there are any.
	ResolveGaps(ctx context.Context, domain string, keys []Key) error
	// ResolveForeignGap is ResolveGaps for a record whose identity is no ID.
	ResolveForeignGap(ctx context.Context, domain, kind, id string) error
	// Gaps lists a domain's gaps, the oldest first; of all domains when domain
	// is "".
	Gaps(ctx context.Context, domain string, openOnly bool, limit int) ([]Gap, error)
	// GapsOf returns the gaps of these records that are not resolved, waived or
	// not.
	GapsOf(ctx context.Context, domain string, keys []Key) ([]Gap, error)
	// CountOpenGaps counts the gaps that hold the switch.
	CountOpenGaps(ctx context.Context, domain string) (int64, error)
	// WaiveGap puts on record that a gap shall not hold the switch; id "" means
	// all open gaps of the domain. It returns how many.
	WaiveGap(ctx context.Context, domain, kind, id, who, why string) (int64, error)
}

// Chunk is a part of a backfill: the records of one kind with After < id ≤
// Until (a zero Until: to the end).
type Chunk struct {
	Seq   int64
	Kind  string
	After ID
	Until ID
	Rows  int64 // records copied, once done
	Gaps  int64 // records that went on record as gaps, once done
}

// KindProgress says how far the backfill of one kind is.
type KindProgress struct {
	Kind   string `json:"kind"`
	Chunks int64  `json:"chunks"`
	Done   int64  `json:"done"`
	Rows   int64  `json:"rows"`
	Gaps   int64  `json:"gaps"`
}

// BackfillControl hands out a backfill's chunks to workers on any machine.
type BackfillControl interface {
	// PlanChunks stores the chunks of a kind, unless that kind is planned
	// already for this epoch of the phase dual (since).
	PlanChunks(ctx context.Context, domain string, since int64, kind string, chunks []Chunk) error
	// Planned returns the kinds that are planned.
	Planned(ctx context.Context, domain string, since int64) (map[string]bool, error)
	// WithChunk claims a chunk of the kind that nobody works on, runs do while
	// it is claimed, and stores the counts that do returns as done in it. The
	// claim ends with the process. It returns false when none is free.
	WithChunk(ctx context.Context, domain string, since int64, kind string, do func(context.Context, Chunk) (rows, gaps int64, err error)) (bool, error)
	// Progress returns each planned kind's counts in the order of planning.
	Progress(ctx context.Context, domain string, since int64) ([]KindProgress, error)
}

// ShadowCount counts the shadow reads of one query.
type ShadowCount struct {
	Query    string    `json:"query"`
	Compared int64     `json:"compared"`
	Matched  int64     `json:"matched"`
	Diffs    int64     `json:"diffs"`
	Errors   int64     `json:"errors"`
	Dropped  int64     `json:"dropped"`
	First    time.Time `json:"first"`
	Last     time.Time `json:"last"`
}

// ShadowSample keeps both answers of a shadow read that differed.
type ShadowSample struct {
	Query     string    `json:"query"`
	At        time.Time `json:"at"`
	Primary   string    `json:"primary"`
	Secondary string    `json:"secondary"`
}

// ShadowControl sums up the shadow reads of all processes.
type ShadowControl interface {
	// AddShadow adds to the counts of a domain in the given epoch.
	AddShadow(ctx context.Context, domain string, epoch int64, counts []ShadowCount, samples []ShadowSample) error
	// Shadow sums each query's counts over the epochs from since on.
	Shadow(ctx context.Context, domain string, since int64) ([]ShadowCount, error)
	// ShadowSamples returns samples of the epochs from since on, the newest first.
	ShadowSamples(ctx context.Context, domain string, since int64, limit int) ([]ShadowSample, error)
}

// Document is a stored result: of a verify, a drill, a switch.
type Document struct {
	ID     string          `json:"id"`
	Domain string          `json:"domain"`
	Type   string          `json:"type"` // verify, drill, rehearsal, waiver, report, or the application's own
	Epoch  int64           `json:"epoch"`
	At     time.Time       `json:"at"`
	Who    string          `json:"who"`
	OK     bool            `json:"ok"`
	Body   json.RawMessage `json:"body"`
}

// DocumentControl keeps results for operators and for the gate.
type DocumentControl interface {
	SaveDocument(ctx context.Context, d Document) error
	// Documents returns a domain's documents of a type, the newest first.
	Documents(ctx context.Context, domain, typ string, limit int) ([]Document, error)
}
