package mongo

import (
	"context"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/amanat-dev/amanat/cutover"
)

var (
	newestFirst = bson.D{{Key: "_id", Value: -1}}
	oldestFirst = bson.D{{Key: "_id", Value: 1}}
)

// pageBelow is the condition of a page in newestFirst order.
func pageBelow(after cutover.ID) bson.D {
	if after.IsZero() {
		return bson.D{}
	}
	return bson.D{{Key: "_id", Value: bson.D{{Key: "$lt", Value: oid(after)}}}}
}

// references gives two queries for one reference, since legacy documents hold
// an ObjectID or its hex digits; and not every server uses an index for $in.
// The equality comes first; rest stays as it is. Digits come before ObjectIDs: a
// write between the two queries can only turn the former into the latter, and
// what is found twice counts once.
func references(field string, id cutover.ID, rest bson.D) []bson.D {
	return []bson.D{
		append(bson.D{{Key: field, Value: id.String()}}, rest...),
		append(bson.D{{Key: field, Value: oid(id)}}, rest...),
	}
}

// inEitherForm is the condition of references within another query.
func inEitherForm(field string, id cutover.ID) bson.E {
	return bson.E{Key: field, Value: bson.D{{Key: "$in", Value: bson.A{oid(id), id.String()}}}}
}

// unionOf concatenates what the filters match, at most limit of each.
func unionOf[T any](ctx context.Context, tx *Tx, kind string, filters []bson.D, order bson.D, limit int) ([]T, error) {
	var out []T
	for _, f := range filters {
		found, err := Find[T](ctx, tx, kind, f, order, limit)
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	return out, nil
}

// newest sorts records by id descending, leaves out repetitions, and cuts.
func newest[T any, P interface {
	*T
	cutover.Record
}](records []T, limit int) []T {
	id := func(r *T) []byte { return P(r).RecordMeta().ID[:] }
	slices.SortStableFunc(records, func(a, b T) int { return slices.Compare(id(&b), id(&a)) })
	records = slices.CompactFunc(records, func(a, b T) bool { return slices.Equal(id(&a), id(&b)) })
	return first(records, limit)
}

func first[T any](records []T, limit int) []T {
	if limit > 0 && len(records) > limit {
		return records[:limit]
	}
	return records
}
