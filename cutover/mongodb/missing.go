package mongodb

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/query"
)

// MissingIndex is an index that EnsureIndexes would make and that is not there.
type MissingIndex struct {
	Collection string
	Fields     []string
	Unique     bool
	Why        string // as far as that can be seen
}

// String says which index it is.
func (m MissingIndex) String() string {
	sort := "index"
	if m.Unique {
		sort = "unique index"
	}
	return fmt.Sprintf("%s on %s of %s", sort, strings.Join(m.Fields, ", "), m.Collection)
}

// MissingIndexes compares the indexes that there are with what the stores
// declare, and says of how many. It changes nothing. A collection that does not
// exist yet has none.
func (db *DB) MissingIndexes(ctx context.Context) (missing []MissingIndex, declared int, err error) {
	for _, of := range db.declared() {
		declared += len(of.indexes)
		m, err := of.missing(ctx)
		if err != nil {
			return nil, 0, err
		}
		missing = append(missing, m...)
	}
	return missing, declared, nil
}

// wanted are the indexes that a collection is to have.
type wanted struct {
	coll    *mongo.Collection
	indexes []cutover.Index
}

func (of wanted) missing(ctx context.Context) (out []MissingIndex, err error) {
	there, err := of.coll.Indexes().ListSpecifications(ctx)
	if err != nil {
		return nil, translate(err, reading)
	}
	for _, index := range of.indexes {
		found, err := among(index, there)
		if err != nil {
			return nil, err
		}
		if !found {
			out = append(out, MissingIndex{of.coll.Name(), fieldsOf(index), index.Rule != nil, whyMissing(ctx, of.coll, index, there)})
		}
	}
	return out, nil
}

// declared returns the indexes of all collections that are registered, in the
// order of their names, and of this package's own.
func (db *DB) declared() []wanted {
	db.mu.Lock()
	defer db.mu.Unlock()
	var all []wanted
	for _, c := range db.collections {
		all = append(all, wanted{c.coll, append(slices.Clip(c.Indexes), over(fieldNote))})
	}
	slices.SortFunc(all, func(a, b wanted) int { return strings.Compare(a.coll.Name(), b.coll.Name()) })
	return append(all,
		wanted{db.commits, []cutover.Index{over("domain")}},
		wanted{db.tombstones, []cutover.Index{over("kind")}})
}

// over is an index of this package's own.
func over(field string) cutover.Index { return cutover.Index{Fields: query.Index{field}} }

// among says whether one of these indexes holds the same rule, or serves the
// same queries, as one does that keeps a rule besides.
func among(i cutover.Index, there []mongo.IndexSpecification) (bool, error) {
	want, err := bson.Marshal(model(i, false).Keys)
	if err != nil {
		return false, err
	}
	for _, spec := range there {
		if sameKeys(spec.KeysDocument, want) && (i.Rule == nil || isUnique(spec)) {
			return true, nil
		}
	}
	return false, nil
}

func isUnique(spec mongo.IndexSpecification) bool { return spec.Unique != nil && *spec.Unique }

// whyMissing says why an index may be missing; it looks no further than the
// first reason.
func whyMissing(ctx context.Context, coll *mongo.Collection, i cutover.Index, there []mongo.IndexSpecification) string {
	if want, err := bson.Marshal(model(i, false).Keys); err == nil {
		for _, spec := range there {
			if sameKeys(spec.KeysDocument, want) {
				return "the index " + spec.Name + " is in its place: drop that one"
			}
		}
	}
	if i.Rule == nil {
		return notMade
	}
	pair, err := twins(ctx, coll, i)
	switch {
	case err != nil:
		return "whether documents break its rule could not be seen: " + err.Error()
	case len(pair) > 1:
		return fmt.Sprintf("documents break its rule: %s and %s have the same %s", pair[0], pair[1], about(i))
	}
	return notMade
}

const notMade = "nobody has made it, or somebody dropped it"

// twins returns the identities of two documents with the same unique value; none
// when there are none. It goes through the whole collection.
func twins(ctx context.Context, coll *mongo.Collection, i cutover.Index) ([]string, error) {
	present, same := bson.D{}, bson.D{}
	for n, f := range fieldsOf(i) {
		present = append(present, bson.E{Key: f, Value: bson.D{{Key: "$exists", Value: true}}})
		same = append(same, bson.E{Key: fmt.Sprint("v", n), Value: "$" + f})
	}
	cur, err := coll.Aggregate(ctx, bson.A{
		bson.D{{Key: "$match", Value: present}},
		bson.D{{Key: "$group", Value: bson.D{{Key: "_id", Value: same}, {Key: "n", Value: bson.D{{Key: "$sum", Value: 1}}}}}},
		bson.D{{Key: "$match", Value: bson.D{{Key: "n", Value: bson.D{{Key: "$gt", Value: 1}}}}}},
		bson.D{{Key: "$limit", Value: 1}},
	})
	if err != nil {
		return nil, translate(err, reading)
	}
	var groups []struct {
		ID bson.Raw `bson:"_id"`
	}
	if err := cur.All(ctx, &groups); err != nil || len(groups) == 0 {
		return nil, translate(err, reading)
	}
	return withValue(ctx, coll, i, groups[0].ID)
}

// withValue returns the identities of two documents that have these values.
func withValue(ctx context.Context, coll *mongo.Collection, i cutover.Index, values bson.Raw) ([]string, error) {
	filter := bson.D{}
	for n, f := range fieldsOf(i) {
		filter = append(filter, bson.E{Key: f, Value: values.Lookup(fmt.Sprint("v", n))})
	}
	cur, err := coll.Find(ctx, filter, options.Find().SetLimit(2).SetProjection(bson.D{{Key: fieldID, Value: 1}}))
	if err != nil {
		return nil, translate(err, reading)
	}
	var docs []bson.Raw
	if err := cur.All(ctx, &docs); err != nil {
		return nil, translate(err, reading)
	}
	var ids []string
	for _, doc := range docs {
		ids = append(ids, rawID(doc))
	}
	return ids, nil
}
