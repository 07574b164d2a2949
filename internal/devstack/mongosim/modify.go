package mongosim

import (
	"go.mongodb.org/mongo-driver/v2/bson"
)

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
