package mongosim

import (
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// readConcern is how sure a read is to be.
// https://www.mongodb.com/docs/v7.0/reference/read-concern/
type readConcern struct {
	Level            string          `bson:"level"`
	AfterClusterTime *bson.Timestamp `bson:"afterClusterTime"`
	AtClusterTime    *bson.Timestamp `bson:"atClusterTime"`
}

func (r *readConcern) level() string {
	if r == nil {
		return ""
	}
	return r.Level
}

// writeConcern is who must have a write before it is answered.
// https://www.mongodb.com/docs/v7.0/reference/write-concern/
type writeConcern struct {
	W        bson.RawValue `bson:"w"`
	J        bool          `bson:"j"`
	WTimeout int64         `bson:"wtimeout"`
}

var levels = []string{"", "local", "available", "majority", "snapshot", "linearizable"}

// checkConcerns refuses concerns that are wrong.
func (o *operation) checkConcerns(cmd command) error {
	level := o.ReadConcern.level()
	set := o.node.server.o.ReplicaSet
	switch {
	case !slices.Contains(levels, level):
		return refuse(codeFailedToParse, "readConcern.level must be either 'local', 'majority', 'linearizable', 'available', or 'snapshot'")
	case level == "snapshot" && !set:
		return refuse(codeNotReplicaSet, "node needs to be a replica set member to use readConcern: snapshot")
	case level == "linearizable" && !set:
		return refuse(codeNotReplicaSet, "node needs to be a replica set member to use read concern")
	case level != "" && cmd.sort == writes && o.Autocommit == nil:
		return refuse(codeInvalidOptions, "Command does not support { readConcern: { level: \"%s\" } }", level)
	case o.ReadConcern != nil && o.ReadConcern.AtClusterTime != nil && level != "snapshot":
		return refuse(codeInvalidOptions, "readConcern level must be 'snapshot' when atClusterTime is set")
	case o.WriteConcern != nil && cmd.sort == reads:
		return refuse(codeInvalidOptions, "Command does not support writeConcern")
	case o.WriteConcern != nil:
		return o.WriteConcern.check(len(o.node.server.nodes))
	}
	return nil
}

func (w *writeConcern) check(members int) error {
	if w.W.Type == 0 {
		return nil
	}
	if name, ok := w.W.StringValueOK(); ok {
		if name != "majority" {
			return refuse(codeUnknownWriteConcern, "No write concern mode named '%s' found in replica set configuration", name)
		}
		return nil
	}
	n, ok := w.W.AsInt64OK()
	switch {
	case !ok || n < 0:
		return refuse(codeFailedToParse, "w has to be a number, string, or object")
	case n > 1 && members == 1:
		return refuse(codeBadValue, "cannot use 'w' > 1 when a host is not replicated")
	case n > int64(members):
		return refuse(codeUnsatisfiable, "Not enough data-bearing nodes")
	}
	return nil
}

// need is how many members must have a write, and whether it must be in the
// journal. Without a word a replica set wants a majority.
func (o *operation) need() (members int, journal bool) {
	s := o.node.server
	majority := len(s.nodes)/2 + 1
	w := o.WriteConcern
	if w == nil || w.W.Type == 0 {
		if s.o.ReplicaSet {
			return majority, w != nil && w.J
		}
		return 1, w != nil && w.J
	}
	if _, named := w.W.StringValueOK(); named {
		return majority, true
	}
	n, _ := w.W.AsInt64OK()
	return int(n), w.J
}

// awaitConcern waits until a write has got as far as the client asks, and says
// when it has not.
func (o *operation) awaitConcern() bson.D {
	members, journal := o.need()
	s := o.node.server
	var limit time.Time
	if w := o.WriteConcern; w != nil && w.WTimeout > 0 {
		limit = time.Now().Add(time.Duration(w.WTimeout) * time.Millisecond)
	}
	for {
		s.mu.Lock()
		if journal && !s.o.ReplicaSet {
			o.node.durable = o.node.last.Load()
		}
		held, lost, changed := s.holding(o.node, o.wrote), o.node.deposed(o.term), s.wait()
		s.mu.Unlock()
		switch {
		case lost:
			return o.concernError(codeSteppedDown, "Primary stepped down while waiting for replication")
		case held >= members:
			return nil
		case !limit.IsZero() && !time.Now().Before(limit):
			return o.concernError(codeWriteConcernTimeout, "waiting for replication timed out")
		}
		if err := o.await(changed, limit); err != nil {
			r := asRefusal(err)
			return o.concernError(r.code, r.msg)
		}
	}
}

// concernError is what an answer says of a write that is done, but not by as
// many as it should.
func (o *operation) concernError(code int, msg string) bson.D {
	r := &refusal{code: code, msg: msg}
	out := bson.D{{Key: "writeConcernError", Value: bson.D{
		{Key: "code", Value: int32(code)}, {Key: "codeName", Value: r.name()}, {Key: "errmsg", Value: msg}}}}
	if slices.Contains(retryableCodes, code) && o.retryable() {
		out = append(out, bson.E{Key: "errorLabels", Value: bson.A{labelRetryable}})
	}
	return out
}

// snapshot returns the state that a read sees.
func (o *operation) snapshot() (*state, error) {
	if o.txn != nil {
		return &o.txn.draft.state, nil
	}
	rc := o.ReadConcern
	switch rc.level() {
	case "snapshot":
		return o.pinnedSnapshot(rc)
	case "linearizable":
		return o.linearizable()
	}
	if rc != nil && rc.AfterClusterTime != nil {
		return o.after(*rc.AfterClusterTime)
	}
	return o.visible(), nil
}

func (o *operation) visible() *state {
	if o.ReadConcern.level() == "majority" {
		return o.node.committed.Load()
	}
	return o.node.last.Load()
}

// after waits until this member has come to a time.
func (o *operation) after(t bson.Timestamp) (*state, error) {
	s := o.node.server
	for {
		s.mu.Lock()
		st, changed := o.visible(), s.wait()
		s.mu.Unlock()
		if !st.ts.Before(t) {
			return st, nil
		}
		if err := o.await(changed, time.Time{}); err != nil {
			return nil, err
		}
	}
}

// maxPinned is how many snapshots a member keeps for later reads.
const maxPinned = 1000

// pinnedSnapshot is what a majority has now, or had at the time that an earlier
// read was told.
func (o *operation) pinnedSnapshot(rc *readConcern) (*state, error) {
	s := o.node.server
	s.mu.Lock()
	defer s.mu.Unlock()
	if rc.AtClusterTime == nil {
		st := o.node.committed.Load()
		if len(o.node.pinned) >= maxPinned {
			clear(o.node.pinned)
		}
		o.node.pinned[st.ts] = st
		return st, nil
	}
	st := o.node.pinned[*rc.AtClusterTime]
	if st == nil {
		return nil, refuse(codeSnapshotTooOld, "Read timestamp %v is older than the oldest available timestamp.", *rc.AtClusterTime)
	}
	return st, nil
}

// linearizable writes nothing, and waits until a majority has that: so it finds
// out whether it is still the primary.
func (o *operation) linearizable() (*state, error) {
	n, s := o.node, o.node.server
	s.mu.Lock()
	st := n.last.Load()
	n.publish(st.draft(n))
	seq, term := n.last.Load().seq, n.term
	s.mu.Unlock()
	for {
		s.mu.Lock()
		held, lost, changed := s.holding(n, seq), n.deposed(term), s.wait()
		s.mu.Unlock()
		switch {
		case lost:
			return nil, refuse(codeInterrupted, "operation was interrupted")
		case held > len(s.nodes)/2:
			return st, nil
		}
		if err := o.await(changed, time.Time{}); err != nil {
			return nil, err
		}
	}
}
