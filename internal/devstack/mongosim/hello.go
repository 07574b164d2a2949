package mongosim

import (
	"encoding/binary"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// version is that of the MongoDB that this server behaves as.
const version = "7.0.14"

// hello says what the member is. It can be asked to wait until that changes.
// https://www.mongodb.com/docs/v7.0/reference/command/hello/
func (o *operation) hello() (bson.D, error) {
	args, err := helloArgs(o.body)
	if err != nil {
		return nil, err
	}
	n, s := o.node, o.node.server
	until := time.Now().Add(time.Duration(args.MaxAwaitTimeMS) * time.Millisecond)
	for {
		s.mu.Lock()
		answer, version, changed := n.describe(), n.version, s.wait()
		s.mu.Unlock()
		known := args.TopologyVersion != nil && args.TopologyVersion.Counter == version
		if !known || args.MaxAwaitTimeMS == 0 || !time.Now().Before(until) {
			if o.name != "hello" {
				answer = append(answer, bson.E{Key: "ismaster", Value: answer[0].Value})
			}
			return answer, nil
		}
		if err := o.await(changed, until); err != nil {
			return nil, err
		}
	}
}

type helloRequest struct {
	MaxAwaitTimeMS  int64 `bson:"maxAwaitTimeMS"`
	TopologyVersion *struct {
		Counter int64 `bson:"counter"`
	} `bson:"topologyVersion"`
}

// helloArgs reads what counts of a hello; what a client tells of itself does
// not.
func helloArgs(body bson.Raw) (helloRequest, error) {
	var args helloRequest
	if err := bson.Unmarshal(body, &args); err != nil {
		return args, refuse(codeTypeMismatch, "hello: %v", err)
	}
	return args, nil
}

// processID tells this member of this process from others.
func (n *node) processID() bson.ObjectID {
	var id bson.ObjectID
	copy(id[:], n.addr)
	return id
}

// electionID grows with each election.
func electionID(term int64) bson.ObjectID {
	var id bson.ObjectID
	binary.BigEndian.PutUint32(id[:], 0x7fffffff)
	binary.BigEndian.PutUint64(id[4:], uint64(term))
	return id
}

// describe is the answer to hello. The lock is held.
func (n *node) describe() bson.D {
	s := n.server
	shown := n.primary && !n.quiet
	d := bson.D{
		{Key: "isWritablePrimary", Value: shown},
		{Key: "helloOk", Value: true},
		{Key: "topologyVersion", Value: bson.D{{Key: "processId", Value: n.processID()}, {Key: "counter", Value: n.version}}},
		{Key: "maxBsonObjectSize", Value: int32(maxDocumentSize)},
		{Key: "maxMessageSizeBytes", Value: int32(maxMessageSize)},
		{Key: "maxWriteBatchSize", Value: int32(maxWriteBatch)},
		{Key: "localTime", Value: bson.NewDateTimeFromTime(time.Now())},
		{Key: "logicalSessionTimeoutMinutes", Value: int32(30)},
		{Key: "connectionId", Value: int32(1)},
		{Key: "minWireVersion", Value: int32(0)},
		{Key: "maxWireVersion", Value: int32(21)},
		{Key: "readOnly", Value: false},
	}
	if !s.o.ReplicaSet {
		return d
	}
	hosts := bson.A{}
	for _, m := range s.nodes {
		hosts = append(hosts, m.addr)
	}
	d = append(d, bson.E{Key: "setName", Value: setName}, bson.E{Key: "setVersion", Value: int32(1)},
		bson.E{Key: "secondary", Value: !shown}, bson.E{Key: "hosts", Value: hosts}, bson.E{Key: "me", Value: n.addr})
	if p := n.knownPrimary(); p != nil {
		d = append(d, bson.E{Key: "primary", Value: p.addr})
	}
	if shown {
		d = append(d, bson.E{Key: "electionId", Value: electionID(n.term)})
	}
	last := n.last.Load()
	return append(d, bson.E{Key: "lastWrite", Value: bson.D{
		{Key: "opTime", Value: bson.D{{Key: "ts", Value: last.ts}, {Key: "t", Value: n.term}}},
		{Key: "lastWriteDate", Value: bson.NewDateTimeFromTime(time.Unix(int64(last.ts.T), 0))},
		{Key: "majorityOpTime", Value: bson.D{{Key: "ts", Value: n.committed.Load().ts}, {Key: "t", Value: n.term}}},
		{Key: "majorityWriteDate", Value: bson.NewDateTimeFromTime(time.Unix(int64(n.committed.Load().ts.T), 0))}}})
}

// knownPrimary is whom a member takes for the primary.
func (n *node) knownPrimary() *node {
	if n.primary && !n.quiet {
		return n
	}
	for _, m := range n.server.nodes {
		if m.primary && !m.quiet && m.cut == n.cut {
			return m
		}
	}
	return nil
}

// buildInfo says what the server is.
func (o *operation) buildInfo() (bson.D, error) {
	return bson.D{
		{Key: "version", Value: version}, {Key: "versionArray", Value: bson.A{int32(7), int32(0), int32(14), int32(0)}},
		{Key: "mongosim", Value: true}, {Key: "maxBsonObjectSize", Value: int32(maxDocumentSize)},
	}, nil
}
