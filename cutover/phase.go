package cutover

import "fmt"

// Phase says which database a domain lives in and whether the other one is
// kept up to date.
type Phase string

// The phases, in the order of a move. Forward: start, switch, finish;
// backward: abandon (dual → mongo) and rollback (mirror → dual).
const (
	PhaseMongo  Phase = "mongo"  // MongoDB alone
	PhaseDual   Phase = "dual"   // MongoDB is the primary, PostgreSQL is kept up to date
	PhaseMirror Phase = "mirror" // PostgreSQL is the primary, MongoDB is kept up to date
	PhasePG     Phase = "pg"     // PostgreSQL alone
)

// ParsePhase reads a phase's name.
func ParsePhase(s string) (Phase, error) {
	switch p := Phase(s); p {
	case PhaseMongo, PhaseDual, PhaseMirror, PhasePG:
		return p, nil
	}
	return "", fmt.Errorf("phase %q: want mongo, dual, mirror or pg", s)
}

// PrimaryIsSource says that MongoDB, where the move starts, is the primary.
func (p Phase) PrimaryIsSource() bool { return p == PhaseMongo || p == PhaseDual }

// Copies says that writes are copied to the other database.
func (p Phase) Copies() bool { return p == PhaseDual || p == PhaseMirror }

// State is where one domain stands. The epoch rises at every change.
type State struct {
	Domain string
	Phase  Phase
	Epoch  int64
	Sealed bool // no Update is admitted: a switch or rollback is under way
}

// Route gives the state's primary and secondary out of source and target.
func (s State) route(source, target Store) (primary, secondary Store) {
	if s.Phase.PrimaryIsSource() {
		return source, target
	}
	return target, source
}
