package mongosim

import (
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// operation is one command on its way through the server.
type operation struct {
	common
	node     *node
	name     string
	body     bson.Raw
	deadline time.Time // zero for none
	down     <-chan struct{}
	txn      *transaction
	wrote    int64 // the number of the last state that it made
	term     int64 // in which it made it
}

// common is what any command may say.
type common struct {
	DB               string        `bson:"$db"`
	Session          *sessionID    `bson:"lsid"`
	TxnNumber        *int64        `bson:"txnNumber"`
	Autocommit       *bool         `bson:"autocommit"`
	StartTransaction *bool         `bson:"startTransaction"`
	ReadConcern      *readConcern  `bson:"readConcern"`
	WriteConcern     *writeConcern `bson:"writeConcern"`
	MaxTimeMS        int64         `bson:"maxTimeMS"`
	ReadPreference   *struct {
		Mode string `bson:"mode"`
	} `bson:"$readPreference"`
	ClusterTime bson.RawValue `bson:"$clusterTime"`
	Comment     bson.RawValue `bson:"comment"`
}

type sessionID struct {
	ID bson.Binary `bson:"id"`
}

// sort says what a command needs of the member that it is sent to.
type sort int

const (
	anywhere sort = iota
	reads         // the primary, unless the client says otherwise
	writes        // the primary
)

// command is how one is carried out.
type command struct {
	sort  sort
	inTxn bool // may be part of a transaction
	retry bool // may have a number without being part of one
	run   func(*operation) (bson.D, error)
}

// commands are all that this server knows.
var commands map[string]command

func init() {
	commands = map[string]command{
		"hello":    {run: (*operation).hello},
		"isMaster": {run: (*operation).hello}, "ismaster": {run: (*operation).hello},
		"ping":      {run: func(*operation) (bson.D, error) { return nil, nil }},
		"buildInfo": {run: (*operation).buildInfo}, "buildinfo": {run: (*operation).buildInfo},
		"endSessions": {run: (*operation).endSessions},

		"find":        {sort: reads, inTxn: true, run: (*operation).find},
		"getMore":     {sort: anywhere, inTxn: true, run: (*operation).getMore},
		"killCursors": {sort: anywhere, inTxn: true, run: (*operation).killCursors},
		"aggregate":   {sort: reads, inTxn: true, run: (*operation).aggregate},

		"insert":        {sort: writes, inTxn: true, retry: true, run: (*operation).insert},
		"update":        {sort: writes, inTxn: true, retry: true, run: (*operation).update},
		"delete":        {sort: writes, inTxn: true, retry: true, run: (*operation).delete},
		"findAndModify": {sort: writes, inTxn: true, retry: true, run: (*operation).findAndModify},

		"commitTransaction": {sort: writes, inTxn: true, run: (*operation).commitTransaction},
		"abortTransaction":  {sort: writes, inTxn: true, run: (*operation).abortTransaction},

		"create":          {sort: writes, run: (*operation).create},
		"drop":            {sort: writes, run: (*operation).drop},
		"dropDatabase":    {sort: writes, run: (*operation).dropDatabase},
		"createIndexes":   {sort: writes, run: (*operation).createIndexes},
		"dropIndexes":     {sort: writes, run: (*operation).dropIndexes},
		"listIndexes":     {sort: reads, run: (*operation).listIndexes},
		"listCollections": {sort: reads, run: (*operation).listCollections},
		"listDatabases":   {sort: reads, run: (*operation).listDatabases},
	}
}

// carryOut answers a request. Its error says that the connection breaks.
func (n *node) carryOut(req request, down <-chan struct{}) (bson.Raw, error) {
	o := &operation{node: n, body: req.body, down: down}
	for e := range elements(req.body) {
		o.name = e.Key()
		break
	}
	fault := n.server.faultFor(o.name)
	if !n.server.awaitThaw(down) {
		return nil, errHangUp
	}
	n.server.delay(fault)
	if fault != nil && fault.HangUp == BeforeIt {
		return nil, errHangUp
	}
	answer, err := o.answer(fault)
	if fault != nil && fault.HangUp == AfterIt {
		return nil, errHangUp
	}
	doc := o.conclude(answer, err)
	if req.silent && err != nil {
		return nil, nil
	}
	return doc, nil
}

// answer carries the command out, unless a fault is in its place.
func (o *operation) answer(f *Fault) (bson.D, error) {
	cmd, ok := commands[o.name]
	if !ok {
		return nil, refuse(codeCommandNotFound, "no such command: '%s'", o.name)
	}
	if err := o.parse(); err != nil {
		return nil, err
	}
	if f != nil && f.Code != 0 {
		return nil, &refusal{code: f.Code, msg: "mongosim: a fault that was asked for", labels: f.Labels}
	}
	if err := o.admit(cmd); err != nil {
		return nil, o.labelled(err)
	}
	answer, err := cmd.run(o)
	if err != nil || failedWrite(answer) {
		o.abortOn()
	}
	if err != nil {
		return nil, o.labelled(err)
	}
	if o.wrote > 0 {
		answer = append(answer, o.awaitConcern()...)
	}
	return answer, nil
}

func (o *operation) parse() error {
	if err := checked(o.body); err != nil {
		return err
	}
	if err := bson.Unmarshal(o.body, &o.common); err != nil {
		return refuse(codeFailedToParse, "%s: %v", o.name, err)
	}
	if o.MaxTimeMS > 0 {
		o.deadline = time.Now().Add(time.Duration(o.MaxTimeMS) * time.Millisecond)
	}
	return nil
}

// admit says whether this member may carry it out now, and finds its
// transaction.
func (o *operation) admit(cmd command) error {
	if err := o.checkConcerns(cmd); err != nil {
		return err
	}
	s := o.node.server
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := o.placed(cmd); err != nil {
		return err
	}
	return o.enter(cmd)
}

// placed says whether it was sent to the right member.
func (o *operation) placed(cmd command) error {
	switch {
	case o.node.primary || cmd.sort == anywhere:
		return nil
	case cmd.sort == writes || o.Autocommit != nil:
		return refuse(codeNotWritablePrimary, "not primary")
	case o.ReadPreference == nil || o.ReadPreference.Mode == "primary":
		return refuse(codeNotPrimaryNoSecondary, "not primary and secondaryOk=false")
	}
	return nil
}

// conclude makes the answer a message.
func (o *operation) conclude(answer bson.D, err error) bson.Raw {
	ok := 1.0
	if err != nil {
		r := asRefusal(err)
		answer, ok = r.body(), 0
		if len(r.labels) > 0 {
			answer = append(answer, bson.E{Key: "errorLabels", Value: r.labels})
		}
	}
	answer = append(answer, bson.E{Key: "ok", Value: ok})
	if o.node.server.o.ReplicaSet {
		ts := o.node.last.Load().ts
		answer = append(answer, bson.E{Key: "$clusterTime", Value: bson.D{
			{Key: "clusterTime", Value: ts},
			{Key: "signature", Value: bson.D{{Key: "hash", Value: bson.Binary{Data: make([]byte, 20)}}, {Key: "keyId", Value: int64(0)}}},
		}}, bson.E{Key: "operationTime", Value: ts})
	}
	return rawDoc(answer)
}

// expired says that the time that a client gave a command is over.
func (o *operation) expired() error {
	if !o.deadline.IsZero() && time.Now().After(o.deadline) {
		return refuse(codeMaxTimeExpired, "operation exceeded time limit")
	}
	return nil
}

// await waits for a channel, the command's time, or the end of the server.
func (o *operation) await(c <-chan struct{}, limit time.Time) error {
	var timer <-chan time.Time
	if limit.IsZero() || !o.deadline.IsZero() && o.deadline.Before(limit) {
		limit = o.deadline
	}
	if !limit.IsZero() {
		t := time.NewTimer(time.Until(limit))
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-c:
		return nil
	case <-timer:
		return o.expired()
	case <-o.down:
		return refuse(codeShutdown, "the server is in shutdown")
	}
}

// ns names the collection that the command is about.
func (o *operation) ns(name string) (string, error) {
	if name == "" || strings.HasPrefix(name, ".") || strings.ContainsAny(name, "$\x00") || o.DB == "" {
		return "", refuse(codeInvalidNamespace, "Invalid namespace specified '%s.%s'", o.DB, name)
	}
	return o.DB + "." + name, nil
}

// decode reads the command's own fields. One that it does not have is refused
// by name.
func decode[T any](o *operation) (T, error) {
	var args T
	known := namesOf(reflect.TypeFor[T]())
	for e := range elements(o.body) {
		if name := e.Key(); !slices.Contains(known, name) && !slices.Contains(commonNames(), name) {
			return args, refuse(codeUnknownField, "BSON field '%s.%s' is an unknown field, or mongosim does not know it.", o.name, name)
		}
	}
	if err := bson.Unmarshal(o.body, &args); err != nil {
		return args, refuse(codeTypeMismatch, "%s: %v", o.name, err)
	}
	return args, nil
}

// decodePart reads a part of a command likewise.
func decodePart[T any](of string, doc bson.Raw) (T, error) {
	var part T
	known := namesOf(reflect.TypeFor[T]())
	for e := range elements(doc) {
		if name := e.Key(); !slices.Contains(known, name) {
			return part, refuse(codeUnknownField, "BSON field '%s.%s' is an unknown field, or mongosim does not know it.", of, name)
		}
	}
	if err := bson.Unmarshal(doc, &part); err != nil {
		return part, refuse(codeTypeMismatch, "%s: %v", of, err)
	}
	return part, nil
}

var commonNames = sync.OnceValue(func() []string { return namesOf(reflect.TypeFor[common]()) })

var tags sync.Map // names by type

func namesOf(t reflect.Type) []string {
	if known, ok := tags.Load(t); ok {
		return known.([]string)
	}
	var names []string
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("bson"), ",")
		names = append(names, name)
	}
	tags.Store(t, names)
	return names
}
