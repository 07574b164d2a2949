package mongodb

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/amanat-dev/amanat/cutover"
)

// Others are documents of a kind that some other program has written.
type Others struct {
	Collection string
	Count      int64 // up to OthersCounted
	Example    string
	Last       time.Time // when the last of them was written
}

// OthersCounted is how far WrittenByOthers counts.
const OthersCounted = 1000

// WrittenByOthers finds documents of a kind that were inserted or changed since
// a time by something that is not this package: whatever it writes has a
// revision, and a document without one says by its _id or by its updatedAt (as
// Mongoose keeps it) that it is newer. What others change in a document that
// has a revision, it does not see. It goes through the whole collection.
func (db *DB) WrittenByOthers(ctx context.Context, kind string, since time.Time) (Others, error) {
	col := db.collectionOf(kind)
	if col == nil {
		return Others{}, nil
	}
	noRev := bson.E{Key: fieldRev, Value: bson.D{{Key: "$not", Value: bson.D{{Key: "$gt", Value: 0}}}}}
	o := Others{Collection: col.Name}
	seen := map[string]bool{}
	for _, newer := range []bson.E{
		{Key: fieldID, Value: bson.D{{Key: "$gt", Value: oid(cutover.NewIDAt(since))}}},
		{Key: "updatedAt", Value: bson.D{{Key: "$gt", Value: since}}},
	} {
		cur, err := col.coll.Find(ctx, bson.D{newer, noRev}, options.Find().SetLimit(OthersCounted).
			SetProjection(bson.D{{Key: fieldID, Value: 1}, {Key: "updatedAt", Value: 1}}))
		if err != nil {
			return o, translate(err, reading)
		}
		var docs []bson.Raw
		if err := cur.All(ctx, &docs); err != nil {
			return o, translate(err, reading)
		}
		for _, doc := range docs {
			if id := rawID(doc); !seen[id] {
				seen[id] = true
				o.add(doc, id)
			}
		}
	}
	return o, nil
}

// add counts a document, and keeps the one that was written last.
func (o *Others) add(doc bson.Raw, raw string) {
	o.Count++
	var at time.Time
	if id, ok := idOf(doc); ok {
		at = id.Time()
	}
	if updated, ok := doc.Lookup("updatedAt").TimeOK(); ok && updated.After(at) {
		at = updated.UTC()
	}
	if o.Example == "" || at.After(o.Last) {
		o.Example, o.Last = raw, at
	}
}

func (db *DB) collectionOf(kind string) *collection {
	db.mu.Lock()
	defer db.mu.Unlock()
	for _, c := range db.collections {
		if c.Kind == kind {
			return c
		}
	}
	return nil
}
