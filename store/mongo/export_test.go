package mongo

import (
	"context"
	"reflect"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/shape"
	"github.com/amanat-dev/amanat/domain/user"
	"github.com/amanat-dev/amanat/event"
	"github.com/amanat-dev/amanat/internal/step"
)

// Specimens gives the side of the contract's own domain.
func Specimens(db *DB, kinds cutover.Kinds) cutover.Side {
	cols := append([]Collection{
		{Kind: "shelf", Name: "shelves"},
		{Kind: "specimen", Name: "specimens", Indexes: []Index{{Fields: []string{"email"}, Unique: true}}},
	}, eventCollections("specimen")...)
	return newSide(db, "specimen", kinds, cols, func(tx *Tx) cutover.Tx { return eventTx{tx, "specimen"} })
}

// NewSide is newSide.
func NewSide[T any](db *DB, domain string, kinds cutover.Kinds, cols []Collection, wrap func(*Tx) T) cutover.Side {
	return newSide(db, domain, kinds, cols, wrap)
}

// OnStep has hook told of each write before it is sent; its error stops the
// writer there, and nothing is cleaned up.
func (db *DB) OnStep(hook func(name string) error) {
	short := func(name step.Name) error { return hook(strings.TrimPrefix(string(name), "commit.")) }
	db.step.Store(&short)
}

// SetPatience sets how long a writer waits for a lock, and when a pending
// commit counts as abandoned.
func (db *DB) SetPatience(wait, abandon time.Duration) { db.waitFor, db.abandonAfter = wait, abandon }

// Raw gives a collection past all of this package's care.
func (db *DB) Raw(name string) *mongo.Collection { return db.db.Collection(name) }

// Recover is a Side's Recover.
func Recover[T any](ctx context.Context, s cutover.Side) error { return s.(*side[T]).Recover(ctx) }

// EncodeDecode takes a record through its document.
func EncodeDecode(r cutover.Record) (cutover.Record, error) {
	col := codecOf(r)
	doc, err := col.encode(r)
	if err != nil {
		return nil, err
	}
	return decodeDoc(col, doc)
}

// Decode reads a document as a record of r's type.
func Decode(r cutover.Record, doc bson.D) (cutover.Record, error) { return decodeDoc(codecOf(r), doc) }

// Encode gives the document of a record.
func Encode(r cutover.Record) (bson.Raw, error) {
	doc, err := codecOf(r).encode(r)
	if err != nil {
		return nil, err
	}
	return bson.Marshal(doc)
}

func decodeDoc(col *collection, doc bson.D) (cutover.Record, error) {
	raw, err := bson.Marshal(doc)
	if err != nil {
		return nil, err
	}
	return col.decode(raw)
}

// Matches applies a filter to a document here.
func Matches(filter bson.D, doc bson.D) (bool, error) {
	m, err := compile(filter)
	if err != nil {
		return false, err
	}
	raw, err := bson.Marshal(doc)
	return err == nil && m.matches(raw), err
}

func codecOf(r cutover.Record) *collection {
	kind := cutover.Kind{Name: "sample", New: func() cutover.Record {
		return reflect.New(reflect.TypeOf(r).Elem()).Interface().(cutover.Record)
	}}
	return &collection{kind: kind, fields: shape.Of(reflect.TypeOf(r))}
}

// Names lists the server's databases.
func (db *DB) Names(ctx context.Context) ([]string, error) {
	return db.client.ListDatabaseNames(ctx, bson.D{})
}

// ScratchName gives the name of a users' scratch database.
func ScratchName(s cutover.Store) string { return s.(*side[cutover.Tx]).db.db.Name() }

// StaleScratch is staleScratch.
func StaleScratch(name string, now time.Time) bool { return staleScratch(name, now) }
