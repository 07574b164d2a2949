package mongosim

import (
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// session returns what the client calls its session; "" for none.
func (o *operation) session() string {
	if o.Session == nil {
		return ""
	}
	return string(o.Session.ID.Data)
}

// retryable says that the command is a write with a number, which the client
// may send again.
func (o *operation) retryable() bool {
	return o.TxnNumber != nil && (o.Autocommit == nil || o.name == "commitTransaction" || o.name == "abortTransaction")
}

// enter finds what a command's session and number stand for. The lock is held.
func (o *operation) enter(cmd command) error {
	switch {
	case o.TxnNumber == nil && o.Autocommit == nil && o.StartTransaction == nil:
		return nil
	case o.TxnNumber == nil || o.Session == nil:
		return refuse(codeInvalidOptions, "'autocommit' and 'txnNumber' need a session and a number")
	case !o.node.server.o.ReplicaSet:
		return refuse(codeIllegalOperation, "Transaction numbers are only allowed on a replica set member or mongos")
	}
	if err := o.checkNumber(); err != nil {
		return err
	}
	if o.Autocommit == nil {
		if !cmd.retry {
			return refuse(50768, "txnNumber may only be provided for multi-document transactions and retryable write commands.")
		}
		return nil
	}
	if *o.Autocommit {
		return refuse(codeInvalidOptions, "autocommit must be false")
	}
	if !cmd.inTxn {
		return refuse(codeNotInTransaction, "Cannot run '%s' in a multi-document transaction.", o.name)
	}
	if o.name == "commitTransaction" || o.name == "abortTransaction" {
		return nil
	}
	return o.enterTransaction()
}

// checkNumber refuses numbers that the session is past. A greater one ends the
// transaction that is open.
func (o *operation) checkNumber() error {
	n, number := o.node, *o.TxnNumber
	t := n.open[o.session()]
	if r, ok := n.last.Load().retries.Get(o.session()); ok && r.number > number || t != nil && t.number > number {
		return refuse(codeTransactionTooOld, "Cannot start transaction %d on session because a newer one has already started.", number)
	}
	if t != nil && t.number < number {
		n.end(t)
	}
	return nil
}

func (o *operation) enterTransaction() error {
	n, number := o.node, *o.TxnNumber
	t := n.open[o.session()]
	start := o.StartTransaction != nil && *o.StartTransaction
	switch {
	case start && (t != nil || o.spent(number)):
		return refuse(50911, "Cannot start transaction %d because it was used before", number)
	case start:
		return o.begin(number)
	case o.ReadConcern != nil:
		return refuse(codeInvalidOptions, "Only the first command in a transaction may specify a readConcern")
	case t == nil || t.number != number:
		return noSuchTransaction(number)
	case time.Since(t.began) > transactionLife:
		n.end(t)
		return noSuchTransaction(number)
	}
	o.txn = t
	return nil
}

// spent says that a number was used already.
func (o *operation) spent(number int64) bool {
	r, ok := o.node.last.Load().retries.Get(o.session())
	return ok && r.number == number
}

func noSuchTransaction(number int64) error {
	return &refusal{code: codeNoSuchTransaction, labels: []string{labelTransient},
		msg: "Given transaction number does not match any in-progress transactions."}
}

// begin opens a transaction on a snapshot: of what a majority has, or is to
// have when it commits.
func (o *operation) begin(number int64) error {
	n := o.node
	switch level := o.ReadConcern.level(); level {
	case "", "local", "majority", "snapshot":
	default:
		return refuse(codeInvalidOptions, "The readConcern level must be either 'local' (default), 'majority' or 'snapshot' in order to run in a transaction")
	}
	if o.WriteConcern != nil {
		return refuse(codeInvalidOptions, "writeConcern is not allowed within a multi-statement transaction")
	}
	t := &transaction{session: o.session(), number: number, began: time.Now(), base: n.last.Load(), over: make(chan struct{})}
	t.draft = t.base.draft(n)
	t.draft.txn = t
	n.open[t.session] = t
	o.txn = t
	return nil
}

// abortOn ends the transaction of a command that failed.
func (o *operation) abortOn() {
	if o.txn == nil {
		return
	}
	s := o.node.server
	s.mu.Lock()
	defer s.mu.Unlock()
	if o.node.open[o.txn.session] == o.txn {
		o.node.end(o.txn)
	}
}

// retryableCodes are those of errors after which a write may be sent again.
var retryableCodes = []int{6, 7, 89, codeShutdown, 134, codeSteppedDown, 262, 9001, codeNotWritablePrimary, 11600, codeInterrupted, codeNotPrimaryNoSecondary, 13436}

// labelled adds what the error means for who retries.
func (o *operation) labelled(err error) error {
	r := *asRefusal(err)
	switch {
	case !slices.Contains(retryableCodes, r.code):
	case o.retryable():
		r.labels = append(slices.Clip(r.labels), labelRetryable)
	case o.Autocommit != nil && !slices.Contains(r.labels, labelTransient):
		r.labels = append(slices.Clip(r.labels), labelTransient)
	}
	return &r
}

// commitTransaction publishes what a transaction has written. Asked again, it
// says the same again.
func (o *operation) commitTransaction() (bson.D, error) {
	if _, err := decode[struct {
		Commit        bson.RawValue `bson:"commitTransaction"`
		RecoveryToken bson.RawValue `bson:"recoveryToken"`
	}](o); err != nil {
		return nil, err
	}
	if o.Autocommit == nil {
		return nil, refuse(codeInvalidOptions, "commitTransaction must be run within a transaction")
	}
	n, s := o.node, o.node.server
	s.mu.Lock()
	defer s.mu.Unlock()
	t := n.open[o.session()]
	if t == nil || t.number != *o.TxnNumber {
		return o.committedBefore()
	}
	defer n.end(t)
	return nil, o.publishTransaction(t)
}

// committedBefore answers a commit of a transaction that is not open.
func (o *operation) committedBefore() (bson.D, error) {
	last := o.node.last.Load()
	r, ok := last.retries.Get(o.session())
	if !ok || r.number != *o.TxnNumber || !r.committed {
		return nil, noSuchTransaction(*o.TxnNumber)
	}
	o.wrote, o.term = last.seq, o.node.term
	return nil, nil
}

func (o *operation) publishTransaction(t *transaction) error {
	n := o.node
	if o.gone() {
		return errHangUp
	}
	if !n.primary {
		return refuse(codeNotWritablePrimary, "not primary")
	}
	if time.Since(t.began) > transactionLife {
		return noSuchTransaction(t.number)
	}
	d := n.last.Load().draft(n)
	d.txn = t
	for _, c := range t.draft.changes {
		if err := d.writable(c.ns).set(c.id, c.doc); err != nil {
			return writeConflict()
		}
	}
	d.changes = t.draft.changes
	d.retries.Set(t.session, &retried{number: t.number, committed: true})
	n.publish(d)
	o.wrote, o.term = n.last.Load().seq, n.term
	return nil
}

func (o *operation) abortTransaction() (bson.D, error) {
	if o.Autocommit == nil {
		return nil, refuse(codeInvalidOptions, "abortTransaction must be run within a transaction")
	}
	n, s := o.node, o.node.server
	s.mu.Lock()
	defer s.mu.Unlock()
	t := n.open[o.session()]
	if t == nil || t.number != *o.TxnNumber {
		if r, ok := n.last.Load().retries.Get(o.session()); ok && r.number == *o.TxnNumber && r.committed {
			return nil, refuse(codeTransactionCommitted, "Transaction %d has been committed", r.number)
		}
		return nil, noSuchTransaction(*o.TxnNumber)
	}
	n.end(t)
	return nil, nil
}

// endSessions ends what sessions have open. What they did last stays known: a
// retry may still be on its way.
func (o *operation) endSessions() (bson.D, error) {
	args, err := decode[struct {
		Sessions []sessionID `bson:"endSessions"`
	}](o)
	if err != nil {
		return nil, err
	}
	n, s := o.node, o.node.server
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range args.Sessions {
		if t := n.open[string(id.ID.Data)]; t != nil {
			n.end(t)
		}
	}
	return nil, nil
}
