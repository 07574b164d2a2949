package mongodb

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/failpoint"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/cutover/shape"
)

// adoption is a document on its way to another _id, which is a removal and an
// insertion: a unique rule would not have both at once. Its record is written
// before, has all that is needed to go on after a crash, and stays, as the only
// place where the document is as it was.
type adoption struct {
	Key    string    `bson:"_id"` // of the new record
	Domain string    `bson:"domain"`
	Kind   string    `bson:"kind"`
	Old    bson.Raw  `bson:"old"`
	New    bson.Raw  `bson:"new"`
	At     time.Time `bson:"at"` // by the server's clock
	Done   bool      `bson:"done"`
}

// Adopt returns a document whose _id is no ObjectID another one, see
// cutover.Adopter.
func (s *store) Adopt(ctx context.Context, g cutover.Guard, kind, legacy string, id cutover.ID, resolve cutover.Resolve) error {
	col, err := s.of(kind)
	if err != nil {
		return err
	}
	old, err := s.foreign(ctx, col, legacy)
	if err != nil {
		return err
	}
	key := cutover.Key{Kind: kind, ID: id}
	if old == nil {
		return s.resume(ctx, col, key)
	}
	image, err := s.adoptedImage(ctx, g, col, old, key, resolve)
	if err != nil {
		return err
	}
	there, err := col.get(ctx, id)
	if err != nil {
		return err
	}
	if there != nil {
		return fault.New(fault.Conflict, "there is a %s with the identity %s already", shape.Words(kind), id)
	}
	now, err := s.db.clock.now(ctx, s.db)
	if err != nil {
		return err
	}
	a := adoption{Key: key.String(), Domain: s.domain, Kind: kind, Old: old, New: image, At: now}
	if err := s.db.at(failpoint.AdoptAside); err != nil {
		return err
	}
	_, err = s.db.adopted.ReplaceOne(ctx, bson.D{{Key: fieldID, Value: a.Key}}, a, options.Replace().SetUpsert(true))
	if err != nil {
		return translate(err, writing)
	}
	return s.carryOut(ctx, col, a)
}

// resume carries out what an earlier try has left aside.
func (s *store) resume(ctx context.Context, col *collection, key cutover.Key) error {
	aside, err := s.setAside(ctx)
	if err != nil {
		return err
	}
	for _, a := range aside {
		if a.Key == key.String() {
			return s.carryOut(ctx, col, a)
		}
	}
	return fault.New(fault.Conflict, "its document is gone")
}

// foreign returns the document whose _id is legacy as text; nil when there is
// none.
func (s *store) foreign(ctx context.Context, col *collection, legacy string) (bson.Raw, error) {
	for _, id := range []any{legacy, extendedValue(legacy)} {
		if id == nil {
			continue
		}
		docs, err := col.query(ctx, bson.D{{Key: fieldID, Value: id}}, options.Find().SetLimit(1))
		if err != nil {
			return nil, err
		}
		if len(docs) > 0 {
			return docs[0], nil
		}
	}
	return nil, nil
}

// extendedValue reads what identityText made of a value that is no text; nil
// when that is not what it is.
func extendedValue(text string) any {
	var doc struct{ V bson.RawValue }
	if err := bson.UnmarshalExtJSON([]byte(`{"v":`+text+`}`), true, &doc); err != nil {
		return nil
	}
	return doc.V
}

// adoptedImage returns the document as it shall be.
func (s *store) adoptedImage(ctx context.Context, g cutover.Guard, col *collection, old bson.Raw, key cutover.Key, resolve cutover.Resolve) (bson.Raw, error) {
	bare, err := bson.Marshal(without(old, fieldID))
	if err != nil {
		return nil, err
	}
	r, err := col.decodeKnowing(bare, resolve)
	if err != nil {
		return nil, fault.Wrap(err, fault.Conflict, "it cannot be read: %s", err)
	}
	r.RecordMeta().ID, r.RecordMeta().Rev = key.ID, 0
	tx := newTx(s)
	if err := tx.Put(ctx, r); err != nil {
		return nil, err
	}
	changes, err := tx.changes()
	if err != nil {
		return nil, err
	}
	return bson.Marshal(changes[0].image(g))
}

// carryOut does what an adoption says, from wherever an earlier try has left
// it.
func (s *store) carryOut(ctx context.Context, col *collection, a adoption) error {
	if err := s.db.at(failpoint.AdoptRemove); err != nil {
		return err
	}
	res, err := col.coll.DeleteOne(ctx, without(a.Old))
	if err != nil {
		return translate(err, writing)
	}
	if res.DeletedCount == 0 {
		still, err := col.query(ctx, bson.D{{Key: fieldID, Value: a.Old.Lookup(fieldID)}}, options.Find().SetLimit(1))
		if err != nil {
			return err
		}
		if len(still) > 0 {
			return errors.Join(s.dropAdoption(ctx, a), fault.New(fault.Conflict, "its document has changed meanwhile: try again"))
		}
	}
	if err := s.db.at(failpoint.AdoptInsert); err != nil {
		return err
	}
	if _, err := col.coll.InsertOne(ctx, a.New); err != nil {
		if err := s.inserted(ctx, col, a, translate(err, writing)); err != nil {
			return err
		}
	}
	_, err = s.db.adopted.UpdateOne(ctx, bson.D{{Key: fieldID, Value: a.Key}},
		bson.D{{Key: "$set", Value: bson.D{{Key: "done", Value: true}}}})
	return translate(err, writing)
}

// inserted finds out whether a document that could not be inserted is there
// all the same, from an earlier try. If another has its unique value by now,
// the old document could not be put back either: it stays aside, and Foreign
// goes on listing it.
func (s *store) inserted(ctx context.Context, col *collection, a adoption, cause error) error {
	if !fault.Is(cause, fault.Conflict) {
		return cause
	}
	id, _ := idOf(a.New)
	there, err := col.get(ctx, id)
	if err != nil || there != nil {
		return err
	}
	return fault.Wrap(cause, fault.Conflict,
		"another %s took its unique value meanwhile; its document is in cutover_adopted until that one gives it back", shape.Words(col.Kind))
}

func (s *store) dropAdoption(ctx context.Context, a adoption) error {
	_, err := s.db.adopted.DeleteOne(ctx, bson.D{{Key: fieldID, Value: a.Key}})
	return translate(err, writing)
}

// setAside returns the domain's adoptions that are not over.
func (s *store) setAside(ctx context.Context) ([]adoption, error) {
	cur, err := s.db.adopted.Find(ctx, bson.D{{Key: "domain", Value: s.domain}, {Key: "done", Value: false}})
	if err != nil {
		return nil, translate(err, reading)
	}
	var out []adoption
	err = cur.All(ctx, &out)
	return out, translate(err, reading)
}

// concludeAdoptions carries out what a process that died has left aside.
func (s *store) concludeAdoptions(ctx context.Context, aside []adoption, now time.Time) error {
	if len(aside) == 0 {
		return nil
	}
	kept, err := s.ReadState(ctx)
	if err != nil || kept.Epoch > 0 && (kept.Sealed || !kept.Phase.PrimaryIsSource()) {
		return err // what is set aside stays so, and Foreign lists it
	}
	var errs []error
	for _, a := range aside {
		if now.Sub(a.At) < s.db.abandonAfter {
			continue
		}
		col, err := s.of(a.Kind)
		if err == nil {
			err = s.carryOut(ctx, col, a)
		}
		if !fault.Is(err, fault.Conflict) { // that one goes on being listed
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Redirect rewrites documents that name others by legacy identities, see
// cutover.Adopter.
func (s *store) Redirect(ctx context.Context, g cutover.Guard, kind string, resolve cutover.Resolve, execute bool) (cutover.Redirected, error) {
	var out cutover.Redirected
	col, err := s.of(kind)
	if err != nil {
		return out, err
	}
	err = s.walk(ctx, col, cutover.ID{}, cutover.ID{}, oneBatch, func(doc bson.Raw) (bool, error) {
		if _, err := col.decode(doc); err == nil {
			return true, nil
		}
		r, err := col.decodeKnowing(doc, resolve)
		if err != nil {
			return true, nil // not for the want of an identity alone: it stays a gap
		}
		if execute {
			err = s.rewrite(ctx, g, col, doc, r)
		}
		if fault.Is(err, fault.Conflict) {
			out.Left, out.Reason = out.Left+1, fmt.Sprintf("%s: %v", r.RecordMeta().ID, err)
			return true, nil
		}
		if err == nil {
			out.Records++
		}
		return true, err
	})
	return out, err
}

// rewrite is an Update of one record.
func (s *store) rewrite(ctx context.Context, g cutover.Guard, col *collection, doc bson.Raw, r cutover.Record) error {
	tx := newTx(s)
	tx.remember(col.Kind, doc)
	if err := tx.Put(ctx, r); err != nil {
		return err
	}
	changes, err := tx.changes()
	if err != nil {
		return err
	}
	return s.writeOne(ctx, g, changes[0])
}
