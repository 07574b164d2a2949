package mongodb

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/cutover/shape"
)

// FillKeys gives documents the keys that unique rules derive from them, where
// another program or an earlier version has written them without or with others;
// else an old record would not stand in the way of a new one with the same
// value. It goes through a collection once for all rules that are new to it, and
// puts that on record; with again it goes through all. Documents that break a
// rule are an error each, and leave the rule for the next time. It returns how
// many documents were changed.
func (db *DB) FillKeys(ctx context.Context, again bool) (int, error) {
	done, err := db.filled(ctx, again)
	if err != nil {
		return 0, err
	}
	total := 0
	var errs []error
	for _, col := range db.registered() {
		f := filling{db: db, col: col}
		for _, rule := range col.derived {
			if !done[ruleID(col, rule)] {
				f.rules = append(f.rules, rule)
			}
		}
		err := f.run(ctx)
		if fault.Is(err, fault.Unavailable) {
			return total, err
		}
		total += f.changed
		errs = append(errs, err)
	}
	return total, errors.Join(errs...)
}

func ruleID(col *collection, rule cutover.Unique) string { return col.Name + "." + rule.Name }

// filled returns the rules whose keys all documents have; with again none.
func (db *DB) filled(ctx context.Context, again bool) (map[string]bool, error) {
	done := map[string]bool{}
	if again {
		return done, nil
	}
	cur, err := db.keys.Find(ctx, bson.D{})
	if err != nil {
		return nil, translate(err, reading)
	}
	for cur.Next(ctx) {
		done[rawID(cur.Current)] = true
	}
	return done, translate(errors.Join(cur.Err(), cur.Close(ctx)), reading)
}

func (db *DB) registered() []*collection {
	db.mu.Lock()
	defer db.mu.Unlock()
	out := make([]*collection, 0, len(db.collections))
	for _, c := range db.collections {
		out = append(out, c)
	}
	return out
}

// fillBatch is how many documents are in memory at a time.
const fillBatch = 500

// filling is one way through a collection.
type filling struct {
	db      *DB
	col     *collection
	rules   []cutover.Unique
	changed int
	busy    int // documents that others never stopped writing
	broken  []error
}

// brokenTold bounds how many documents that break a rule are named.
const brokenTold = 10

func (f *filling) run(ctx context.Context) error {
	if len(f.rules) == 0 {
		return nil
	}
	cur, err := f.col.coll.Find(ctx, bson.D{present}, options.Find().SetBatchSize(fillBatch))
	if err != nil {
		return translate(err, reading)
	}
	defer closeCursor(ctx, cur)
	for cur.Next(ctx) {
		if err := f.document(ctx, cur.Current); err != nil {
			return err
		}
	}
	if err := cur.Err(); err != nil {
		return translate(err, reading)
	}
	if f.busy == 0 && len(f.broken) == 0 {
		return f.putOnRecord(ctx)
	}
	return errors.Join(f.broken...)
}

// Of a document that others are writing: how often it is looked at, and how long
// that is waited between.
const (
	fillTries = 5
	fillPause = 20 * time.Millisecond
)

// document sets the keys of one, by what it is once nobody is writing it.
func (f *filling) document(ctx context.Context, doc bson.Raw) error {
	for range fillTries {
		done, err := f.try(ctx, doc)
		if done || err != nil {
			return err
		}
		sleep(ctx, fillPause)
		id, _ := idOf(doc)
		if doc, err = f.col.get(ctx, id); err != nil || doc == nil {
			return err
		}
	}
	f.busy++
	return nil
}

// try sets the keys of a document as it was read; false when it is another by
// now. What cannot be read is left: it has no value until somebody mends it,
// which writes it.
func (f *filling) try(ctx context.Context, doc bson.Raw) (bool, error) {
	if _, locked := lockOf(doc); locked {
		return false, nil
	}
	id, ours := idOf(doc)
	if !ours || isDeleted(doc) {
		return true, nil
	}
	r, err := f.col.decode(doc)
	if err != nil {
		return true, nil
	}
	for _, rule := range staleKeys(f.rules, r, doc) {
		if done, err := f.set(ctx, id, revOf(doc), rule, rule.Value(r)); !done || err != nil {
			return false, err
		}
	}
	return true, nil
}

// set leaves the revision as it is: the record has not changed. Whoever writes it
// meanwhile sets the key as well.
func (f *filling) set(ctx context.Context, id cutover.ID, rev int64, rule cutover.Unique, key string) (bool, error) {
	change := bson.E{Key: "$set", Value: bson.D{{Key: keyField(rule), Value: key}}}
	if key == "" {
		change = bson.E{Key: "$unset", Value: bson.D{{Key: keyField(rule), Value: ""}}}
	}
	free := bson.E{Key: fieldLock, Value: bson.D{{Key: "$exists", Value: false}}}
	res, err := f.col.coll.UpdateOne(ctx, append(atRev(id, rev), free), bson.D{change})
	if err = translate(err, writing); fault.Is(err, fault.Conflict) {
		return true, f.tell(ctx, id, rule, key)
	}
	if err != nil || res.MatchedCount == 0 {
		return false, err
	}
	f.changed++
	return true, nil
}

// tell notes who breaks a rule.
func (f *filling) tell(ctx context.Context, id cutover.ID, rule cutover.Unique, key string) error {
	if len(f.broken) == brokenTold {
		return nil
	}
	other, err := f.col.coll.FindOne(ctx, bson.D{{Key: keyField(rule), Value: key}},
		options.FindOne().SetProjection(bson.D{{Key: fieldID, Value: 1}})).Raw()
	if err != nil && !errors.Is(err, mongo.ErrNoDocuments) {
		return translate(err, reading)
	}
	f.broken = append(f.broken, fmt.Errorf("%s: %s and %s have the same %s", shape.Words(f.col.Kind), id, rawID(other), rule.Rule()))
	return nil
}

func (f *filling) putOnRecord(ctx context.Context) error {
	for _, rule := range f.rules {
		_, err := f.db.keys.UpdateOne(ctx, bson.D{{Key: fieldID, Value: ruleID(f.col, rule)}},
			bson.D{{Key: "$currentDate", Value: bson.D{{Key: "at", Value: true}}}}, options.UpdateOne().SetUpsert(true))
		if err != nil && !isDuplicate(err) { // two at once
			return translate(err, writing)
		}
	}
	return nil
}

// staleKeys returns the rules of which a document has another key than its
// record derives.
func staleKeys(rules []cutover.Unique, r cutover.Record, doc bson.Raw) (out []cutover.Unique) {
	for _, rule := range rules {
		have, _ := doc.Lookup(keyField(rule)).StringValueOK()
		if have != rule.Value(r) {
			out = append(out, rule)
		}
	}
	return out
}
