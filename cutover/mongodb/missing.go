package mongodb

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
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
	indexes []Index
}

func (of wanted) missing(ctx context.Context) (out []MissingIndex, err error) {
	there, err := of.coll.Indexes().ListSpecifications(ctx)
	if err != nil {
		return nil, translate(err, reading)
	}
	for _, index := range of.indexes {
		found, err := index.among(there)
		if err != nil {
			return nil, err
		}
		if !found {
			out = append(out, MissingIndex{of.coll.Name(), index.fields(), index.unique(), index.whyMissing(ctx, of.coll, there)})
		}
	}
	return out, nil
}

// declared gives the indexes of all collections that are registered, in the
// order of their names, and of this package's own.
func (db *DB) declared() []wanted {
	db.mu.Lock()
	defer db.mu.Unlock()
	var all []wanted
	for _, c := range db.collections {
		all = append(all, wanted{c.coll, append(slices.Clip(c.Indexes), Index{Fields: []string{fieldNote}})})
	}
	slices.SortFunc(all, func(a, b wanted) int { return strings.Compare(a.coll.Name(), b.coll.Name()) })
	return append(all,
		wanted{db.commits, []Index{{Fields: []string{"domain"}}}},
		wanted{db.tombstones, []Index{{Fields: []string{"kind"}}}})
}

// among says whether one of these indexes holds the same rule.
func (i Index) among(there []mongo.IndexSpecification) (bool, error) {
	want, err := bson.Marshal(i.model(false).Keys)
	if err != nil {
		return false, err
	}
	for _, spec := range there {
		if sameKeys(spec.KeysDocument, want) && isUnique(spec) == i.unique() {
			return true, nil
		}
	}
	return false, nil
}

func isUnique(spec mongo.IndexSpecification) bool { return spec.Unique != nil && *spec.Unique }

// whyMissing says why an index may be missing; it looks no further than the
// first reason.
func (i Index) whyMissing(ctx context.Context, coll *mongo.Collection, there []mongo.IndexSpecification) string {
	if want, err := bson.Marshal(i.model(false).Keys); err == nil {
		for _, spec := range there {
			if sameKeys(spec.KeysDocument, want) {
				return "the index " + spec.Name + " is in its place: drop that one"
			}
		}
	}
	if !i.unique() {
		return notMade
	}
	twins, err := i.twins(ctx, coll)
	switch {
	case err != nil:
		return "whether documents break its rule could not be seen: " + err.Error()
	case len(twins) > 1:
		return fmt.Sprintf("documents break its rule: %s and %s have the same %s", twins[0], twins[1], i.rule())
	}
	return notMade
}

const notMade = "nobody has made it, or somebody dropped it"

// twins gives the identities of two documents with the same unique value; none
// when there are none. It goes through the whole collection.
func (i Index) twins(ctx context.Context, coll *mongo.Collection) ([]string, error) {
	present, same := bson.D{}, bson.D{}
	for n, f := range i.fields() {
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
	return i.withValue(ctx, coll, groups[0].ID)
}

// withValue gives the identities of two documents that have these values.
func (i Index) withValue(ctx context.Context, coll *mongo.Collection, values bson.Raw) ([]string, error) {
	filter := bson.D{}
	for n, f := range i.fields() {
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
