package cutover

import "fmt"

// Phase says which database a domain lives in and whether the other one is
// kept up to date.
type Phase string

// The phases, in the order of a move. Forward: start, switch, finish;
// backward: abandon (dual → source) and rollback (mirror → dual).
const (
	PhaseSource Phase = "source" // the source database alone
	PhaseDual   Phase = "dual"   // the source is the primary, the target is kept up to date
	PhaseMirror Phase = "mirror" // the target is the primary, the source is kept up to date
	PhaseTarget Phase = "target" // the target alone
)

// storedPhases are the words under which databases keep the phases: those of
// the first deployments, which moved from MongoDB to PostgreSQL.
var storedPhases = map[Phase]string{PhaseSource: "mongo", PhaseDual: "dual", PhaseMirror: "mirror", PhaseTarget: "pg"}

// Stored returns the word under which a control plane or a StateMirror keeps the
// phase.
func (p Phase) Stored() string { return storedPhases[p] }

// ParsePhase reads a phase's name, or the word under which it is stored.
func ParsePhase(s string) (Phase, error) {
	for p, stored := range storedPhases {
		if s == string(p) || s == stored {
			return p, nil
		}
	}
	return "", fmt.Errorf("phase %q: want source, dual, mirror or target", s)
}

// UnmarshalText is ParsePhase: reports that were stored earlier have the
// stored words.
func (p *Phase) UnmarshalText(text []byte) (err error) {
	if len(text) == 0 {
		*p = ""
		return nil
	}
	*p, err = ParsePhase(string(text))
	return err
}

// PrimaryIsSource says that the source, where the move starts, is the primary.
func (p Phase) PrimaryIsSource() bool { return p == PhaseSource || p == PhaseDual }

// Copies says that writes are copied to the other database.
func (p Phase) Copies() bool { return p == PhaseDual || p == PhaseMirror }

// State is where one domain stands. The epoch rises at every change.
type State struct {
	Domain string
	Phase  Phase
	Epoch  int64
	Sealed bool // no Update is admitted: a switch or rollback is under way
}

// Route returns the state's primary and secondary out of source and target.
func (s State) route(source, target Store) (primary, secondary Store) {
	if s.Phase.PrimaryIsSource() {
		return source, target
	}
	return target, source
}
