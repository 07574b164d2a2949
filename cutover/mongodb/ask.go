package mongodb

import (
	"context"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/query"
	"github.com/amanat-dev/amanat/cutover/shape"
)

// A query is about what a reader sees. What the server is asked covers each
// form in which a document may say it: a reference as an ObjectID or in hex, a
// value under its older name, nothing at all for a default. It may cover too
// much, such as a list with null in it where an empty one is meant: so what
// comes is read, and held against the query itself.

// hit is a document that a query found, and what a reader sees in it.
type hit struct {
	doc    bson.Raw
	record cutover.Record
}

func (h hit) value() reflect.Value { return reflect.ValueOf(h.record).Elem() }

// ask answers a query.
func (tx *Tx) ask(ctx context.Context, col *collection, b query.Bound) ([]hit, error) {
	found := map[cutover.ID]hit{}
	keep := func(hits []hit) {
		for _, h := range hits {
			found[h.record.RecordMeta().ID] = h
		}
	}
	named, rest := namedIDs(b)
	if len(named) > 0 {
		hits, err := tx.askIDs(ctx, col, named, b)
		if err != nil {
			return nil, err
		}
		keep(hits)
	}
	lists, err := tx.store.db.findsLists(ctx)
	if err != nil {
		return nil, err
	}
	for _, filter := range col.filters(rest, lists) {
		hits, err := tx.askInOrder(ctx, col, filter, b)
		if err != nil {
			return nil, err
		}
		keep(hits)
	}
	out := make([]hit, 0, len(found))
	for _, h := range found {
		out = append(out, h)
	}
	slices.SortFunc(out, func(x, y hit) int { return b.Compare(x.value(), y.value()) })
	if b.Limit > 0 && len(out) > b.Limit {
		out = out[:b.Limit]
	}
	return out, nil
}

// namedIDs takes the branches out that name the identities of what they ask for.
func namedIDs(b query.Bound) (ids []cutover.ID, rest []query.Branch) {
	for _, br := range b.Branches {
		at := slices.IndexFunc(br, func(t query.Term) bool {
			return t.Path.IsID() && (t.Op == query.Equal || t.Op == query.OneOf)
		})
		if at < 0 {
			rest = append(rest, br)
			continue
		}
		for _, v := range br[at].Values {
			ids = append(ids, cutover.MustID(v.(string)))
		}
	}
	return ids, rest
}

// askIDs reads records by their identities.
func (tx *Tx) askIDs(ctx context.Context, col *collection, ids []cutover.ID, b query.Bound) ([]hit, error) {
	docs, err := tx.store.currentMany(ctx, col, ids)
	if err != nil {
		return nil, err
	}
	return tx.hits(ctx, col, docs, b)
}

// askOne asks the server for as many documents as are wanted, and for more when
// some of them turn out not to be meant, or are left out.
func (tx *Tx) askOne(ctx context.Context, col *collection, filter bson.D, b query.Bound) ([]hit, error) {
	for window := b.Limit; ; window *= 2 {
		docs, err := tx.store.find(ctx, col, filter, col.asks(b), sortOf(b), window)
		if err != nil {
			return nil, err
		}
		hits, err := tx.hits(ctx, col, docs, b)
		if err != nil || len(docs) < window || len(hits) >= b.Limit {
			return hits, err
		}
	}
}

// asks says whether a query asks for a document. One that is not readable may
// be asked for.
func (c *collection) asks(b query.Bound) matcher {
	return func(doc bson.Raw) bool {
		r, err := c.decode(doc)
		return err != nil || b.Match(reflect.ValueOf(r).Elem())
	}
}

// hits reads documents and keeps those that are meant. In a View it leaves out
// what is not readable, unless the whole is asked for.
func (tx *Tx) hits(ctx context.Context, col *collection, docs []bson.Raw, b query.Bound) ([]hit, error) {
	out := make([]hit, 0, len(docs))
	for _, doc := range docs {
		r, err := col.readable(doc)
		if err != nil {
			if !b.Whole && tx.mayLeaveOut(ctx, err) {
				continue
			}
			return nil, err
		}
		if h := (hit{doc, r}); b.Match(h.value()) {
			out = append(out, h)
		}
	}
	return out, nil
}

// sortOf is a query's order as the server wants it.
func sortOf(b query.Bound) bson.D {
	direction := 1
	if b.Desc {
		direction = -1
	}
	if b.Order.IsID() {
		return bson.D{{Key: fieldID, Value: direction}}
	}
	return bson.D{{Key: nameOf(b.Order), Value: direction}, {Key: fieldID, Value: direction}}
}

func nameOf(p query.Path) string {
	names := make([]string, len(p))
	for i, f := range p {
		names[i] = f.Name
	}
	return strings.Join(names, ".")
}

// filterOf is the filter of a query of one branch; exact says that the server's
// count can be relied on.
func filterOf(b query.Bound) (filter bson.D, exact bool) {
	if len(b.Branches) != 1 {
		return nil, false
	}
	for _, t := range b.Branches[0] {
		if t.Path.Last().Class == shape.List || t.Path.Optional() {
			return nil, false
		}
		filter = with(filter, condition(t))
	}
	return filter, true
}

// filters are the filters whose answers together are those of some branches.
//
// Where the server finds lists of values by an index, it is one filter, so that
// each record is read once. Where it does not, as FerretDB, one filter would
// have it search everything: each branch is asked by itself, and of the first
// term that an index is about each form. A record that moves from one branch to
// another in between may then be missed. Hex digits come before ObjectIDs, since
// a write in between can only turn the former into the latter.
func (c *collection) filters(branches []query.Branch, lists bool) []bson.D {
	var out []bson.D
	for _, br := range branches {
		if lists {
			out = append(out, conditions(br))
		} else {
			out = append(out, c.split(br)...)
		}
	}
	if lists && len(out) > 1 {
		any := make(bson.A, len(out))
		for i, f := range out {
			any[i] = f
		}
		out = []bson.D{{{Key: "$or", Value: any}}}
	}
	return out
}

func conditions(br query.Branch) bson.D {
	out := bson.D{}
	for _, t := range br {
		out = with(out, condition(t))
	}
	return out
}

// with adds a condition to a filter. A second one of a field is told apart: not
// every server takes a name twice.
func with(filter bson.D, e bson.E) bson.D {
	if slices.ContainsFunc(filter, func(f bson.E) bool { return f.Key == e.Key }) {
		e = bson.E{Key: "$and", Value: append(andOf(filter), bson.D{e})}
		filter = slices.DeleteFunc(slices.Clone(filter), func(f bson.E) bool { return f.Key == "$and" })
	}
	return append(slices.Clip(filter), e)
}

func andOf(filter bson.D) bson.A {
	for _, f := range filter {
		if list, ok := f.Value.(bson.A); ok && f.Key == "$and" {
			return slices.Clip(list)
		}
	}
	return nil
}

// split makes a filter for each form of the first term that an index is about.
func (c *collection) split(br query.Branch) []bson.D {
	out := []bson.D{{}}
	split := false
	for _, t := range br {
		forms := formsOf(t)
		if split || t.Op != query.Equal || len(forms) < 2 || !c.leads(t.Path) {
			out = appendTo(out, condition(t))
			continue
		}
		split = true
		var each []bson.D
		for _, form := range forms {
			each = append(each, appendTo(out, bson.E{Key: nameOf(t.Path), Value: form})...)
		}
		out = each
	}
	return out
}

// appendTo adds a condition to each filter.
func appendTo(filters []bson.D, e bson.E) []bson.D {
	out := make([]bson.D, len(filters))
	for i, f := range filters {
		out[i] = with(f, e)
	}
	return out
}

// leads says that an index begins with the field.
func (c *collection) leads(p query.Path) bool {
	return slices.ContainsFunc(c.Indexes, func(i cutover.Index) bool { return len(i.Fields) > 0 && i.Fields[0] == p.String() })
}

// askInOrder asks the server, and sees to what it sorts onto another page than a
// reader would: it goes by the stored form first. Of references, all that are in
// hex come before ObjectIDs; a zero that is not stored comes before what is
// below zero. Each form is asked for apart then.
func (tx *Tx) askInOrder(ctx context.Context, col *collection, filter bson.D, b query.Bound) ([]hit, error) {
	if b.Limit > 0 && isReference(b.Order) {
		return tx.askEach(ctx, col, byForm(filter, b), b)
	}
	hits, err := tx.askOne(ctx, col, filter, b)
	if err != nil || !misplaced(hits, b) {
		return hits, err
	}
	return tx.askEach(ctx, col, byForm(filter, b), b)
}

func (tx *Tx) askEach(ctx context.Context, col *collection, filters []bson.D, b query.Bound) (all []hit, err error) {
	for _, filter := range filters {
		hits, err := tx.askOne(ctx, col, filter, b)
		if err != nil {
			return nil, err
		}
		all = append(all, hits...)
	}
	return all, nil
}

// misplaced says that a zero that is not stored may be on another page: upwards
// it would lead, downwards the page would end at zero or below.
func misplaced(hits []hit, b query.Bound) bool {
	if b.Limit == 0 || len(hits) == 0 || !b.Order.Always() {
		return false
	}
	if !b.Desc {
		return isNull(firstValue(hits[0].doc, strings.Split(nameOf(b.Order), ".")))
	}
	last := b.Order.Values(hits[len(hits)-1].value())
	return len(hits) >= b.Limit && last[0].(int64) <= 0
}

func isReference(p query.Path) bool { return p.Scalar().Type == idType && !p.IsID() }

// byForm asks for each form of what is sorted by apart.
func byForm(filter bson.D, b query.Bound) (out []bson.D) {
	forms := []any{bson.D{{Key: "$ne", Value: nil}}, nil}
	if isReference(b.Order) {
		forms = []any{bson.D{{Key: "$gte", Value: ""}}, bson.D{{Key: "$gte", Value: bson.ObjectID{}}}, nil}
	}
	for _, form := range forms {
		out = append(out, with(filter, bson.E{Key: nameOf(b.Order), Value: form}))
	}
	return out
}

var operators = map[query.Op]string{query.Below: "$lt", query.UpTo: "$lte", query.Above: "$gt", query.From: "$gte"}

// condition is a term as the server is asked.
func condition(t query.Term) bson.E {
	name, list := nameOf(t.Path), t.Path.Last().Class == shape.List
	switch t.Op {
	case query.Equal, query.OneOf:
		forms := formsOf(t)
		if len(forms) == 1 {
			return bson.E{Key: name, Value: forms[0]}
		}
		return bson.E{Key: name, Value: bson.D{{Key: "$in", Value: forms}}}
	case query.IsAbsent:
		return bson.E{Key: name, Value: bson.D{{Key: "$in", Value: nothing(t.Path)}}}
	case query.IsPresent:
		if list {
			return bson.E{Key: name + ".0", Value: bson.D{{Key: "$exists", Value: true}}}
		}
		return bson.E{Key: name, Value: bson.D{{Key: "$nin", Value: nothing(t.Path)}}}
	}
	bound := bson.D{{Key: operators[t.Op], Value: stored(t.Path, t.Values[0])}}
	if isReference(t.Path) {
		inHex := bson.D{{Key: operators[t.Op], Value: t.Values[0]}}
		return bson.E{Key: "$or", Value: bson.A{bson.D{{Key: name, Value: bound}}, bson.D{{Key: name, Value: inHex}}}}
	}
	if t.Path.Always() && t.Holds(int64(0)) {
		return bson.E{Key: "$or", Value: bson.A{bson.D{{Key: name, Value: bound}}, bson.D{{Key: name, Value: nil}}}}
	}
	return bson.E{Key: name, Value: bound}
}

// nothing lists what reads as absent.
func nothing(p query.Path) bson.A {
	switch p.Last().Class {
	case shape.List:
		return bson.A{nil, bson.A{}}
	case shape.Str:
		if !p.Last().Pointer {
			return bson.A{nil, ""}
		}
	}
	return bson.A{nil}
}

// formsOf lists what may be stored where a reader sees one of a term's values.
func formsOf(t query.Term) bson.A {
	var out bson.A
	f := t.Path.Scalar()
	for _, v := range t.Values {
		switch text, _ := v.(string); {
		case f.Class == shape.Text && f.Type == idType && !t.Path.IsID():
			out = append(out, text, stored(t.Path, v))
		case f.Class == shape.Str:
			out = append(out, text)
			for _, old := range f.OldNames(text) {
				out = append(out, old)
			}
			if text != "" && text == f.Default {
				out = append(out, nil)
			}
		case t.Path.Always() && reflect.ValueOf(v).IsZero():
			out = append(out, v, nil)
		default:
			out = append(out, stored(t.Path, v))
		}
	}
	return out
}

// stored is a value as encode writes it.
func stored(p query.Path, v any) any {
	switch v := v.(type) {
	case time.Time:
		return bson.NewDateTimeFromTime(v)
	case string:
		if p.Scalar().Type == idType {
			return oid(cutover.MustID(v))
		}
	}
	return v
}
