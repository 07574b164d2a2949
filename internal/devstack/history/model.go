package history

import (
	"fmt"

	"github.com/anishathalye/porcupine"
)

// Version is what an answer shows of a record: its revision, and the two
// fields that clients write.
type Version struct {
	Rev    int64
	Values [2]string
}

func (v Version) String() string {
	return fmt.Sprintf("revision %d, %q and %q", v.Rev, v.Values[0], v.Values[1])
}

// Action is what a client asks of a record.
type Action string

// The actions. Each write is one revision more.
const (
	Found  Action = "found"  // the record as it was before the clients began
	Read   Action = "read"   // the record as it is
	Set    Action = "set"    // one field; the other stays
	Add    Action = "add"    // a record that was not there, with its first field
	Settle Action = "settle" // the second field, for good: who comes later changes nothing
	Touch  Action = "touch"  // a revision more with the same fields, and no answer to show it
	List   Action = "list"   // whether the record is among those that are not settled yet
)

// Input is a request about one record.
type Input struct {
	Action Action
	Field  int // of Set
	Value  string
}

// Output is the answer to it. Of a write whose outcome is not known, nothing
// is Known.
type Output struct {
	Known   bool
	There   bool // of List: the record is in it
	Version Version
}

// record is what the model knows of one record.
type record struct {
	there bool
	Version
}

// model says what a record may answer if its operations happen one after the
// other.
var model = porcupine.Model{
	Init: func() any { return record{} },
	Step: func(state, in, out any) (bool, any) { return state.(record).step(in.(Input), out.(Output)) },
	DescribeOperation: func(in, out any) string {
		return in.(Input).String() + " → " + out.(Output).describe(in.(Input).Action)
	},
	DescribeState: func(state any) string { return state.(record).String() },
}

// step says whether a record may answer this, and what it is afterwards.
func (r record) step(in Input, out Output) (bool, record) {
	if in.Action == Found {
		return !r.there, record{true, out.Version}
	}
	if in.Action == List {
		open := r.there && r.Values[1] == ""
		return open == out.There && (!open || r.Version == out.Version), r
	}
	if r.there == (in.Action == Add) {
		return false, r
	}
	next := record{true, r.next(in)}
	return !out.Known || in.Action == Touch || next.Version == out.Version, next
}

// next is the version that a request leaves.
func (v Version) next(in Input) Version {
	settled := in.Action == Settle && v.Values[1] != ""
	if in.Action == Read || settled {
		return v
	}
	v.Rev++
	switch in.Action {
	case Set:
		v.Values[in.Field] = in.Value
	case Add:
		v.Values[0] = in.Value
	case Settle:
		v.Values[1] = in.Value
	}
	return v
}

func (in Input) String() string {
	switch in.Action {
	case Set:
		return fmt.Sprintf("set %d to %q", in.Field+1, in.Value)
	case Add, Settle:
		return fmt.Sprintf("%s %q", in.Action, in.Value)
	}
	return string(in.Action)
}

func (o Output) describe(a Action) string {
	switch {
	case !o.Known:
		return "outcome unknown"
	case a == List && !o.There:
		return "not in it"
	case a == Touch:
		return "done"
	}
	return o.Version.String()
}

func (r record) String() string {
	if !r.there {
		return "not there"
	}
	return r.Version.String()
}
