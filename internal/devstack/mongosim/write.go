package mongosim

import (
	"bytes"

	"go.mongodb.org/mongo-driver/v2/bson"
)

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
