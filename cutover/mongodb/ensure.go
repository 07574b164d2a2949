package mongodb

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
)

// EnsureIndexes creates the indexes of all collections that are registered,
// with their collections. An index that cannot be (records already break its
// rule, or another one is in its place) does not keep it from the others; the
// error names each. A server that is away does: fault.Unavailable. Then documents
// that some unique rule's derived key is missing from get it, see FillKeys.
func (db *DB) EnsureIndexes(ctx context.Context) error {
	var errs []error
	for _, of := range db.declared() {
		for _, index := range of.indexes {
			err := ensureIndex(ctx, of.coll, index)
			if fault.Is(err, fault.Unavailable) {
				return err
			}
			errs = append(errs, err)
		}
	}
	_, err := db.FillKeys(ctx, false)
	return errors.Join(append(errs, err)...)
}

// keyField names the field that holds what a rule derives.
func keyField(rule cutover.Unique) string { return uniquePrefix + rule.Name }

// fieldsOf returns the names that an index is over.
func fieldsOf(i cutover.Index) []string {
	if len(i.Fields) == 0 {
		return []string{keyField(*i.Rule)}
	}
	return i.Fields
}

// about names what an index is about, in words.
func about(i cutover.Index) string {
	if i.Rule != nil {
		return i.Rule.Rule()
	}
	return cutover.Unique{Fields: i.Fields}.Rule()
}

const (
	codeNotImplemented  = 238
	codeOptionsConflict = 85
	codeSpecsConflict   = 86
)

func ensureIndex(ctx context.Context, coll *mongo.Collection, index cutover.Index) error {
	_, err := coll.Indexes().CreateOne(ctx, model(index, true))
	var server mongo.ServerError
	if errors.As(err, &server) && server.HasErrorCode(codeNotImplemented) {
		_, err = coll.Indexes().CreateOne(ctx, model(index, false))
	}
	if errors.As(err, &server) && (server.HasErrorCode(codeOptionsConflict) || server.HasErrorCode(codeSpecsConflict)) {
		return likeOneOf(ctx, coll, index)
	}
	err = translate(err, reading)
	if err != nil && !fault.Is(err, fault.Unavailable) {
		return fmt.Errorf("index on %s of %s: %w", about(index), coll.Name(), err)
	}
	return err
}

// model describes an index to the driver. A unique one ignores absent fields:
// over one field sparse does that; over several only a partial index, which
// FerretDB neither has nor needs.
func model(i cutover.Index, partial bool) mongo.IndexModel {
	keys := bson.D{}
	present := bson.D{}
	for _, f := range fieldsOf(i) {
		keys = append(keys, bson.E{Key: f, Value: 1})
		present = append(present, bson.E{Key: f, Value: bson.D{{Key: "$exists", Value: true}}})
	}
	o := options.Index()
	switch {
	case i.Rule != nil && len(keys) > 1 && partial:
		o.SetUnique(true).SetPartialFilterExpression(present)
	case i.Rule != nil:
		o.SetUnique(true).SetSparse(true)
	case strings.HasPrefix(keys[0].Key, "_"):
		o.SetSparse(true)
	}
	return mongo.IndexModel{Keys: keys, Options: o}
}

// likeOneOf accepts an index of an earlier version in place of this one when
// it holds the same rule.
func likeOneOf(ctx context.Context, coll *mongo.Collection, i cutover.Index) error {
	there, err := coll.Indexes().ListSpecifications(ctx)
	if err != nil {
		return translate(err, reading)
	}
	if found, err := among(i, there); found || err != nil {
		return err
	}
	return fmt.Errorf("index on %s of %s: another index is in its place: drop that one", about(i), coll.Name())
}

// sameKeys compares the names and order of two indexes' fields.
func sameKeys(a, b bson.Raw) bool {
	x, errX := a.Elements()
	y, errY := b.Elements()
	return errX == nil && errY == nil && slices.EqualFunc(x, y, func(p, q bson.RawElement) bool {
		return p.Key() == q.Key()
	})
}

// clash finds the document that has a unique value which a change wants too,
// and the rule that says so.
func (c *collection) clash(ctx context.Context, ch change) (rule string, other bson.Raw, err error) {
	doc, err := bson.Marshal(ch.doc)
	if err != nil {
		return "", nil, err
	}
	for _, index := range c.Indexes {
		if index.Rule == nil {
			continue
		}
		if other, err = c.sameValue(ctx, index, doc); err != nil || other != nil {
			return about(index), other, err
		}
	}
	return "", nil, nil
}

func (c *collection) sameValue(ctx context.Context, index cutover.Index, doc bson.Raw) (bson.Raw, error) {
	var filter bson.D
	for _, f := range fieldsOf(index) {
		v := firstValue(doc, strings.Split(f, "."))
		if isNull(v) {
			return nil, nil
		}
		filter = append(filter, bson.E{Key: f, Value: v})
	}
	cur, err := c.coll.Find(ctx, filter, options.Find().SetLimit(2))
	if err != nil {
		return nil, translate(err, reading)
	}
	var found []bson.Raw
	if err := cur.All(ctx, &found); err != nil {
		return nil, translate(err, reading)
	}
	for _, other := range found {
		if !other.Lookup(fieldID).Equal(doc.Lookup(fieldID)) {
			return other, nil
		}
	}
	return nil, nil
}
