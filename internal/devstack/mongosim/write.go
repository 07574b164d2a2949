package mongosim

import (
	"bytes"
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

// insert adds documents.
func (o *operation) insert() (bson.D, error) {
	args, err := decode[struct {
		Insert    string     `bson:"insert"`
		Documents []bson.Raw `bson:"documents"`
		Ordered   *bool      `bson:"ordered"`
	}](o)
	if err != nil {
		return nil, err
	}
	b, err := newBatch(o, args.Insert, args.Ordered)
	if err != nil {
		return nil, err
	}
	outcomes, err := b.run(len(args.Documents), func(d *draft, i int) (outcome, error) {
		doc, err := insertable(args.Documents[i])
		if err != nil {
			return outcome{}, err
		}
		return outcome{matched: 1}, d.set(b.ns, keyOf(field(doc, "_id")), doc, true)
	})
	if err != nil {
		return nil, err
	}
	return b.answer(bson.E{Key: "n", Value: matchedIn(outcomes) - int32(len(b.errors))}), nil
}

func matchedIn(outcomes []outcome) (n int32) {
	for _, o := range outcomes {
		n += o.matched
	}
	return n
}

// insertable returns a document as it is to be stored: _id comes first.
func insertable(doc bson.Raw) (bson.Raw, error) {
	switch {
	case len(doc) > maxDocumentSize+slackSize:
		return nil, refuse(codeTooLarge, "BSONObj size: %d is invalid. Size must be between 0 and %d", len(doc), maxDocumentSize+slackSize)
	case len(doc) > maxDocumentSize:
		return nil, refuse(codeBadValue, "object to insert too large. size in bytes: %d, max size: %d", len(doc), maxDocumentSize)
	}
	for e := range elements(doc) {
		if e.Key() != "" && e.Key()[0] == '$' {
			return nil, refuse(codeDollarPrefixed, "mongosim: a field whose name begins with $ is not implemented: %q", e.Key())
		}
	}
	return withID(doc, field(doc, "_id"))
}

// withID returns a copy of a document with this _id in front, a new one for
// none.
func withID(doc bson.Raw, id bson.RawValue) (bson.Raw, error) {
	switch id.Type {
	case 0:
		id = raw(bson.NewObjectID())
	case bson.TypeArray, bson.TypeRegex, bson.TypeUndefined:
		return nil, refuse(codeInvalidIDField, "The '_id' value cannot be of type %s", id.Type)
	}
	b := newBuilder().add("_id", id)
	for e := range elements(doc) {
		if e.Key() != "_id" {
			b.addRaw(e)
		}
	}
	return b.done(), nil
}

// statement is one of an update.
type statement struct {
	Filter bson.Raw      `bson:"q"`
	Update bson.RawValue `bson:"u"`
	Upsert bool          `bson:"upsert"`
	Multi  bool          `bson:"multi"`
	Hint   bson.RawValue `bson:"hint"`
}

// update changes documents.
func (o *operation) update() (bson.D, error) {
	args, err := decode[struct {
		Update  string     `bson:"update"`
		Updates []bson.Raw `bson:"updates"`
		Ordered *bool      `bson:"ordered"`
	}](o)
	if err != nil {
		return nil, err
	}
	b, err := newBatch(o, args.Update, args.Ordered)
	if err != nil {
		return nil, err
	}
	outcomes, err := b.run(len(args.Updates), func(d *draft, i int) (outcome, error) {
		st, err := decodePart[statement]("update.updates", args.Updates[i])
		if err != nil {
			return outcome{}, err
		}
		return o.updateWith(d, b.ns, st)
	})
	if err != nil {
		return nil, err
	}
	return b.answer(updateAnswer(outcomes)...), nil
}

func updateAnswer(outcomes []outcome) bson.D {
	var n, modified int32
	var upserted bson.A
	for i, o := range outcomes {
		n, modified = n+o.matched, modified+o.modified
		if o.upserted != nil {
			n++
			upserted = append(upserted, bson.D{{Key: "index", Value: int32(i)}, {Key: "_id", Value: *o.upserted}})
		}
	}
	answer := bson.D{{Key: "n", Value: n}, {Key: "nModified", Value: modified}}
	if upserted != nil {
		answer = append(answer, bson.E{Key: "upserted", Value: upserted})
	}
	return answer
}

func (o *operation) updateWith(d *draft, ns string, st statement) (outcome, error) {
	u, err := parseUpdate(st.Update)
	if err != nil {
		return outcome{}, err
	}
	if u.replacement != nil && st.Multi {
		return outcome{}, refuse(codeFailedToParse, "multi update is not supported for replacement-style update")
	}
	limit := 1
	if st.Multi {
		limit = 0
	}
	found, f, err := d.found(ns, target{filter: st.Filter, hint: st.Hint, limit: limit})
	if err != nil {
		return outcome{}, err
	}
	if len(found) == 0 && st.Upsert {
		doc, err := d.upsert(ns, f, u)
		if err != nil {
			return outcome{}, err
		}
		id := field(doc, "_id")
		return outcome{upserted: &id}, nil
	}
	return d.change(ns, u, found)
}

// change updates documents, up to one that cannot be. It first sees to it that
// it need not wait for any of them, since a statement is not begun twice.
func (d *draft) change(ns string, u *update, found []bson.Raw) (done outcome, err error) {
	var after []bson.Raw
	var failed error
	for _, doc := range found {
		changed, err := u.apply(doc, false)
		if err != nil {
			failed = err
			break
		}
		if err := d.claim(d.collection(ns), keyOf(field(doc, "_id")), changed); err != nil {
			return outcome{}, err
		}
		after = append(after, changed)
	}
	for i, doc := range after {
		done.matched++
		if bytes.Equal(doc, found[i]) {
			continue
		}
		if err := d.set(ns, keyOf(field(doc, "_id")), doc, false); err != nil {
			return outcome{}, err
		}
		d.changes[len(d.changes)-1].replaced = u.replacement != nil
		done.modified++
	}
	return done, failed
}

// target says which documents a write is about.
type target struct {
	filter bson.Raw
	hint   bson.RawValue
	order  bson.Raw
	limit  int // 0 for all
}

// found returns the documents that a write is about.
func (d *draft) found(ns string, t target) ([]bson.Raw, filter, error) {
	f, err := parseFilter(t.filter)
	if err != nil {
		return nil, nil, err
	}
	o, err := parseOrder(t.order)
	c := d.collection(ns)
	if err != nil || c == nil {
		return nil, f, err
	}
	hint, err := c.hinted(t.hint)
	if err != nil {
		return nil, nil, err
	}
	p := c.planFor(f, o, hint)
	blocking := len(o) > 0 && !p.sorted
	var docs []bson.Raw
	_, err = newWalker(p).walk(c, func(_ string, doc bson.Raw) bool {
		if f.match(doc) {
			docs = append(docs, doc)
		}
		return blocking || t.limit == 0 || len(docs) < t.limit
	})
	if blocking {
		docs = o.sorted(docs)
	}
	if t.limit > 0 && len(docs) > t.limit {
		docs = docs[:t.limit]
	}
	return docs, f, err
}

// upsert inserts the document that an update makes out of its filter.
func (d *draft) upsert(ns string, f filter, u *update) (bson.Raw, error) {
	doc, err := u.insertion(f)
	if err != nil {
		return nil, err
	}
	return doc, d.set(ns, keyOf(field(doc, "_id")), doc, true)
}

// delete removes documents.
func (o *operation) delete() (bson.D, error) {
	args, err := decode[struct {
		Delete  string     `bson:"delete"`
		Deletes []bson.Raw `bson:"deletes"`
		Ordered *bool      `bson:"ordered"`
	}](o)
	if err != nil {
		return nil, err
	}
	b, err := newBatch(o, args.Delete, args.Ordered)
	if err != nil {
		return nil, err
	}
	outcomes, err := b.run(len(args.Deletes), func(d *draft, i int) (outcome, error) {
		return o.deleteWith(d, b.ns, args.Deletes[i])
	})
	if err != nil {
		return nil, err
	}
	return b.answer(bson.E{Key: "n", Value: matchedIn(outcomes)}), nil
}

func (o *operation) deleteWith(d *draft, ns string, doc bson.Raw) (outcome, error) {
	st, err := decodePart[struct {
		Filter bson.Raw      `bson:"q"`
		Limit  int           `bson:"limit"`
		Hint   bson.RawValue `bson:"hint"`
	}]("delete.deletes", doc)
	if err != nil {
		return outcome{}, err
	}
	found, _, err := d.found(ns, target{filter: st.Filter, hint: st.Hint, limit: st.Limit})
	if err != nil {
		return outcome{}, err
	}
	for _, doc := range found {
		if err := d.claim(d.collection(ns), keyOf(field(doc, "_id")), nil); err != nil {
			return outcome{}, err
		}
	}
	for _, doc := range found {
		if err := d.set(ns, keyOf(field(doc, "_id")), nil, false); err != nil {
			return outcome{}, err
		}
	}
	return outcome{matched: int32(len(found))}, nil
}

// findAndModify changes one document and returns it.
func (o *operation) findAndModify() (bson.D, error) {
	args, err := decode[modifyArgs](o)
	if err != nil {
		return nil, err
	}
	b, err := newBatch(o, args.Collection, nil)
	if err != nil {
		return nil, err
	}
	outcomes, err := b.run(1, func(d *draft, _ int) (outcome, error) { return args.carryOut(d, b.ns) })
	if err != nil {
		return nil, err
	}
	if len(b.errors) > 0 {
		return nil, b.failure
	}
	return modifyAnswer(args, outcomes[0]), nil
}

type modifyArgs struct {
	Collection string        `bson:"findAndModify"`
	Filter     bson.Raw      `bson:"query"`
	Sort       bson.Raw      `bson:"sort"`
	Remove     bool          `bson:"remove"`
	Update     bson.RawValue `bson:"update"`
	New        bool          `bson:"new"`
	Upsert     bool          `bson:"upsert"`
	Fields     bson.Raw      `bson:"fields"`
	Hint       bson.RawValue `bson:"hint"`
}

func (a modifyArgs) carryOut(d *draft, ns string) (outcome, error) {
	p, err := parseProjection(a.Fields)
	if err != nil {
		return outcome{}, err
	}
	found, f, err := d.found(ns, target{filter: a.Filter, hint: a.Hint, order: a.Sort, limit: 1})
	if err != nil {
		return outcome{}, err
	}
	value := func(doc bson.Raw) bson.RawValue { return asDocument(p.apply(doc)) }
	switch {
	case a.Remove && len(found) == 0:
		return outcome{}, nil
	case a.Remove:
		return outcome{found: true, matched: 1, value: value(found[0])}, d.set(ns, keyOf(field(found[0], "_id")), nil, false)
	}
	u, err := parseUpdate(a.Update)
	if err != nil {
		return outcome{}, err
	}
	if len(found) == 0 {
		return a.insert(d, ns, f, u, value)
	}
	after, err := u.apply(found[0], false)
	if err != nil {
		return outcome{}, err
	}
	done := outcome{found: true, matched: 1, value: value(found[0])}
	if a.New {
		done.value = value(after)
	}
	if err := d.set(ns, keyOf(field(after, "_id")), after, false); err != nil {
		return outcome{}, err
	}
	d.changes[len(d.changes)-1].replaced = u.replacement != nil
	return done, nil
}

func (a modifyArgs) insert(d *draft, ns string, f filter, u *update, value func(bson.Raw) bson.RawValue) (outcome, error) {
	if !a.Upsert {
		return outcome{}, nil
	}
	doc, err := d.upsert(ns, f, u)
	if err != nil {
		return outcome{}, err
	}
	id := field(doc, "_id")
	done := outcome{upserted: &id}
	if a.New {
		done.value = value(doc)
	}
	return done, nil
}

func modifyAnswer(a modifyArgs, o outcome) bson.D {
	last := bson.D{{Key: "n", Value: o.matched}}
	if o.upserted != nil {
		last[0].Value = int32(1)
	}
	if !a.Remove {
		last = append(last, bson.E{Key: "updatedExisting", Value: o.found})
	}
	if o.upserted != nil {
		last = append(last, bson.E{Key: "upserted", Value: *o.upserted})
	}
	value := any(o.value)
	if o.value.Type == 0 {
		value = nil
	}
	return bson.D{{Key: "lastErrorObject", Value: last}, {Key: "value", Value: value}}
}
