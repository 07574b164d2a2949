package mongosim

import (
	"strconv"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// aggregate runs a pipeline of the few stages that are used, or opens a change
// stream.
func (o *operation) aggregate() (bson.D, error) {
	args, err := decode[struct {
		Collection   bson.RawValue `bson:"aggregate"`
		Pipeline     []bson.Raw    `bson:"pipeline"`
		Cursor       bson.Raw      `bson:"cursor"`
		Hint         bson.RawValue `bson:"hint"`
		AllowDiskUse bool          `bson:"allowDiskUse"`
	}](o)
	if err != nil {
		return nil, err
	}
	size, err := decodePart[struct {
		BatchSize *int64 `bson:"batchSize"`
	}]("aggregate.cursor", args.Cursor)
	if err != nil {
		return nil, err
	}
	if len(args.Pipeline) > 0 && firstName(args.Pipeline[0]) == "$changeStream" {
		return o.watch(args.Collection, args.Pipeline, size.BatchSize)
	}
	name, ok := args.Collection.StringValueOK()
	if !ok {
		return nil, refuse(codeNotImplemented, "mongosim: an aggregate without a collection is not implemented")
	}
	ns, err := o.ns(name)
	if err != nil {
		return nil, err
	}
	st, err := o.snapshot()
	if err != nil {
		return nil, err
	}
	docs, err := st.pipeline(ns, args.Pipeline, args.Hint)
	if err != nil {
		return nil, err
	}
	return o.first(&cursor{ns: ns, source: &listed{docs}}, st, size.BatchSize, false)
}

func firstName(doc bson.Raw) string {
	for e := range elements(doc) {
		return e.Key()
	}
	return ""
}

// listed is a source whose documents are all known.
type listed struct{ docs []bson.Raw }

func (l *listed) next(_ *operation, _ *state, yield func(bson.Raw) bool) (bool, error) {
	for len(l.docs) > 0 {
		doc := l.docs[0]
		l.docs = l.docs[1:]
		if !yield(doc) {
			break
		}
	}
	return len(l.docs) == 0, nil
}

// pipeline carries out an aggregation. A $match in front is found by an index.
func (st *state) pipeline(ns string, stages []bson.Raw, hint bson.RawValue) ([]bson.Raw, error) {
	var filter bson.Raw
	if len(stages) > 0 && firstName(stages[0]) == "$match" {
		filter, _ = field(stages[0], "$match").DocumentOK()
	}
	d := draft{state: *st}
	docs, _, err := d.found(ns, target{filter: filter, hint: hint})
	for _, stage := range stages {
		if err != nil {
			return nil, err
		}
		docs, err = carryOutStage(stage, docs)
	}
	return docs, err
}

func carryOutStage(stage bson.Raw, docs []bson.Raw) ([]bson.Raw, error) {
	name := firstName(stage)
	v := field(stage, name)
	switch name {
	case "$match":
		doc, _ := v.DocumentOK()
		f, err := parseFilter(doc)
		if err != nil {
			return nil, err
		}
		return matching(f, docs), nil
	case "$skip", "$limit":
		n, ok := v.AsInt64OK()
		if !ok || n < 0 || n == 0 && name == "$limit" {
			return nil, refuse(15958, "the argument of %s must be positive", name)
		}
		n = min(n, int64(len(docs)))
		if name == "$limit" {
			return docs[:n], nil
		}
		return docs[n:], nil
	case "$group":
		doc, _ := v.DocumentOK()
		return group(doc, docs)
	}
	return nil, refuse(40324, "Unrecognized pipeline stage name: '%s', or mongosim does not know it", name)
}

func matching(f filter, docs []bson.Raw) []bson.Raw {
	var out []bson.Raw
	for _, doc := range docs {
		if f.match(doc) {
			out = append(out, doc)
		}
	}
	return out
}

// group counts documents by an expression.
func group(spec bson.Raw, docs []bson.Raw) ([]bson.Raw, error) {
	counts, sums := map[string]int64{}, []string{}
	var keys []bson.RawValue
	for e := range elements(spec) {
		if e.Key() == "_id" {
			continue
		}
		sum, _ := e.Value().DocumentOK()
		if one, ok := field(sum, "$sum").AsInt64OK(); !ok || one != 1 {
			return nil, refuse(codeNotImplemented, "mongosim: $group counts with {$sum: 1}, and %q asks for something else", e.Key())
		}
		sums = append(sums, e.Key())
	}
	for _, doc := range docs {
		v, err := evaluate(field(spec, "_id"), doc)
		if err != nil {
			return nil, err
		}
		if v.Type == 0 {
			v = raw(nil)
		}
		if counts[keyOf(v)]++; counts[keyOf(v)] == 1 {
			keys = append(keys, v)
		}
	}
	var out []bson.Raw
	for _, v := range keys {
		b := newBuilder().add("_id", v)
		for _, name := range sums {
			b.add(name, raw(int32(counts[keyOf(v)])))
		}
		out = append(out, b.done())
	}
	return out, nil
}

// evaluate knows constants, fields, and documents of these.
func evaluate(x bson.RawValue, doc bson.Raw) (bson.RawValue, error) {
	if text, ok := x.StringValueOK(); ok && strings.HasPrefix(text, "$") {
		if strings.HasPrefix(text, "$$") {
			return x, refuse(codeNotImplemented, "mongosim: the variable %s is not implemented", text)
		}
		return pick(asDocument(doc), parsePath(text[1:])), nil
	}
	if !isDocument(x) {
		return x, nil
	}
	b := newBuilder()
	for e := range elements(x.Value) {
		if strings.HasPrefix(e.Key(), "$") {
			return x, refuse(codeNotImplemented, "mongosim: the expression %s is not implemented", e.Key())
		}
		v, err := evaluate(e.Value(), doc)
		if err != nil {
			return x, err
		}
		if v.Type != 0 {
			b.add(e.Key(), v)
		}
	}
	return asDocument(b.done()), nil
}

// pick follows a path as expressions do: through a list it leads to a list.
func pick(v bson.RawValue, p path) bson.RawValue {
	switch {
	case len(p) == 0:
		return v
	case isDocument(v):
		return pick(field(v.Value, p[0]), p[1:])
	case !isArray(v):
		return missing
	}
	b, n := newBuilder(), 0
	for e := range elements(v.Value) {
		if x := pick(e.Value(), p); x.Type != 0 {
			b.add(strconv.Itoa(n), x)
			n++
		}
	}
	return bson.RawValue{Type: bson.TypeArray, Value: b.done()}
}
