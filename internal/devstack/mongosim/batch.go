package mongosim

import (
	"errors"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// batch is what insert, update and delete have in common: statements, of which
// each is all or nothing.
type batch struct {
	*operation
	ns      string
	ordered bool
	errors  bson.A
	failure error // the last of errors
}

// failedWrite says that an answer tells of statements that failed.
func failedWrite(answer bson.D) bool {
	return slices.ContainsFunc(answer, func(e bson.E) bool { return e.Key == "writeErrors" })
}

// run carries out count statements, as many at a time as nothing is in the way
// of. A statement that was carried out under the same number is not again.
func (b *batch) run(count int, do func(d *draft, i int) (outcome, error)) ([]outcome, error) {
	if count == 0 || count > maxWriteBatch {
		return nil, refuse(codeInvalidLength, "Write batch sizes must be between 1 and %d. Got %d operations.", maxWriteBatch, count)
	}
	outcomes := make([]outcome, count)
	for next := 0; next < count; {
		var wait busy
		done, err := b.attempt(next, outcomes, do)
		next += done
		if !errors.As(err, &wait) {
			if err != nil {
				return nil, err
			}
			continue
		}
		if err := b.await(wait.over, b.deadline); err != nil {
			return nil, err
		}
	}
	return outcomes, nil
}

// attempt carries out statements in one state, up to one that has to wait. It
// returns how many are over.
func (b *batch) attempt(from int, outcomes []outcome, do func(*draft, int) (outcome, error)) (int, error) {
	n, s := b.node, b.node.server
	s.mu.Lock()
	defer s.mu.Unlock()
	d, err := b.draft()
	if err != nil {
		return 0, err
	}
	defer func() { b.publish(d) }()
	for i := from; i < len(outcomes); i++ {
		if known, ok := b.before(n, i); ok {
			outcomes[i] = known
			continue
		}
		var err error
		before := len(d.changes)
		outcomes[i], err = do(d, i)
		if stop := b.note(i, err); stop != nil {
			return i - from, stop
		}
		if err != nil && b.ordered {
			return len(outcomes) - from, nil
		}
		if err == nil && b.retryable() && len(d.changes) > before { // what changed nothing is not remembered
			d.remember(b.session(), *b.TxnNumber, int32(i), outcomes[i])
		}
	}
	return len(outcomes) - from, nil
}

// draft returns where the operation writes. The lock is held.
func (o *operation) draft() (*draft, error) {
	switch {
	case o.gone():
		return nil, errHangUp
	case o.txn != nil && o.node.open[o.txn.session] != o.txn:
		return nil, noSuchTransaction(o.txn.number)
	case !o.node.primary:
		return nil, refuse(codeNotWritablePrimary, "not primary")
	case o.txn != nil:
		return o.txn.draft, nil
	}
	return o.node.last.Load().draft(o.node), nil
}

// gone says that the server has crashed since the command came. The lock is held.
func (o *operation) gone() bool {
	var down <-chan struct{} = o.node.server.down
	return down != o.down
}

// publish makes a draft that has changed something the present state. A
// transaction's waits for its commit.
func (o *operation) publish(d *draft) {
	if d.txn != nil {
		return
	}
	if len(d.changes) > 0 || d.record != nil {
		o.node.publish(d)
	}
	o.wrote, o.term = o.node.last.Load().seq, o.node.term
}

// before returns what a statement did when it was sent before.
func (o *operation) before(n *node, statement int) (outcome, bool) {
	if !o.retryable() {
		return outcome{}, false
	}
	return n.last.Load().known(o.session(), *o.TxnNumber, int32(statement))
}

// note keeps the error of a statement. What is an error of the whole command it
// returns.
func (b *batch) note(i int, err error) error {
	var wait busy
	switch {
	case err == nil:
		return nil
	case errors.As(err, &wait), hasCode(err, codeWriteConflict):
		return err
	}
	r := asRefusal(err)
	b.failure = r
	b.errors = append(b.errors, append(bson.D{{Key: "index", Value: int32(i)}}, r.body()...))
	return nil
}

func (b *batch) answer(more ...bson.E) bson.D {
	if len(b.errors) > 0 {
		more = append(more, bson.E{Key: "writeErrors", Value: b.errors})
	}
	return more
}

func newBatch(o *operation, collection string, ordered *bool) (*batch, error) {
	ns, err := o.ns(collection)
	return &batch{operation: o, ns: ns, ordered: ordered == nil || *ordered}, err
}
