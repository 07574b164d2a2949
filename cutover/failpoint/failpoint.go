// Package failpoint names the points of a move at which a process may be killed or
// frozen, and is passed at each of them. In the production binary passing one
// does nothing; built with the tag chaos, a process kills or stops itself there
// when it has been told to.
package failpoint

// Name names a step. What it is called says what has just been done; the next
// thing has not begun.
type Name string

// The steps of a backfill, of one round of the copier, and of a write.
const (
	BackfillPlanned Name = "backfill.planned" // a kind's chunks are on record
	BackfillClaimed Name = "backfill.claimed" // a chunk is claimed, nothing of it copied
	BackfillLoaded  Name = "backfill.loaded"  // a page of a chunk is copied, the chunk not done

	CopyRead     Name = "copy.read"     // notes and records are read, nothing copied
	CopyApplied  Name = "copy.applied"  // the copies are in, their notes are there
	CopyRecorded Name = "copy.recorded" // touched keys and gaps are on record too
	CopyForgot   Name = "copy.forgot"   // the notes are gone

	StateRecorded Name = "state.recorded" // a new state is in the control plane, not in the source's copy

	WriteAdmitted Name = "write.admitted" // an Update is admitted, nothing read or written
	WriteDone     Name = "write.done"     // the write is made, not yet confirmed or answered
)

// The writes of a commit of several records on a MongoDB without transactions,
// each about to be sent.
const (
	CommitInsert  Name = "commit.insert-commit"
	CommitPrepare Name = "commit.prepare"
	CommitMark    Name = "commit.mark"
	CommitUnlock  Name = "commit.unlock"
	CommitForget  Name = "commit.forget-commit"
	CommitSingle  Name = "commit.write" // a write of one record: there is no commit
)

// The writes by which a document gets another identity, each about to be sent.
// They are no part of a move, nor of All.
const (
	AdoptAside  Name = "adopt.aside"  // the document is to be set aside
	AdoptRemove Name = "adopt.remove" // it is aside, and still under its old identity
	AdoptInsert Name = "adopt.insert" // it is aside alone
)

// The steps of a write on PostgreSQL, whose last statements are sent together
// with its commit.
const (
	TransactionBegun   Name = "transaction.begun"   // it holds its domain's fence, nothing is written
	TransactionFlushed Name = "transaction.flushed" // all of it is sent, what came of it is not known
)

// The points of a handover, that is a switch or a rollback; Of names them.
const (
	Sealed      = "sealed"       // the seal is recorded, nobody has acknowledged it
	SealAcked   = "seal-acked"   // every process works on it
	Drained     = "drained"      // the journal is empty
	Compared    = "compared"     // what was touched is alike; the flip is next
	Flipped     = "flipped"      // the point of no return is passed
	FlipKept    = "flip-kept"    // and written to the source's copy of the state
	FlipAcked   = "flip-acked"   // every process knows the new primary
	Opened      = "opened"       // recorded as open, nobody has acknowledged it
	OpenedAcked = "opened-acked" // done, but for the report
)

// The steps that change a phase and keep the primary.
const (
	Recorded = "recorded" // the new phase is recorded
	Acked    = "acked"    // every process works on it
)

// Of names a step of a switch or a rollback.
func Of(action, step string) Name { return Name(action + "." + step) }

// All returns every step of a move, and of the writes under it.
func All() []Name {
	all := []Name{
		BackfillPlanned, BackfillClaimed, BackfillLoaded,
		CopyRead, CopyApplied, CopyRecorded, CopyForgot, StateRecorded, WriteAdmitted, WriteDone,
		CommitInsert, CommitPrepare, CommitMark, CommitUnlock, CommitForget, CommitSingle,
		TransactionBegun, TransactionFlushed,
	}
	for _, action := range []string{"switch", "rollback"} {
		for _, s := range []string{Sealed, SealAcked, Drained, Compared, Flipped, FlipKept, FlipAcked, Opened, OpenedAcked} {
			all = append(all, Of(action, s))
		}
	}
	for _, action := range []string{"start", "abandon", "finish"} {
		all = append(all, Of(action, Recorded), Of(action, Acked))
	}
	return all
}

// File is the environment variable that names the order of a process built with
// the tag chaos: a file with one line, a step's name and a signal, "copy.applied
// KILL" or "switch.flipped STOP". The first process that passes the step renames
// the file to name.hit.PID, and sends itself the signal. The file may come and go
// while the process runs, and several processes may share one.
const File = "CUTOVER_STEP_FILE"

// Hit and the process's id are appended to the file's name when its order is
// carried out.
const Hit = ".hit."
