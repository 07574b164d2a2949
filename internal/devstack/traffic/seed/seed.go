// Package seed fills a MongoDB database with what an earlier application would
// have left there: members, their requests, offers and payments, and the ledger
// of the money. Part of it has the shapes of old documents: money as doubles
// and integers, references as hex strings, version counters, no revision,
// unknown fields, statuses and made-up ids of old. Documents are written as
// they are, past the project's own stores.
package seed

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/amanat-dev/amanat/internal/devstack/traffic"
)

// Options say where and how much.
type Options struct {
	URI      string
	Database string
	Users    int    // 2,000 when zero; the rest follows from it
	Seed     uint64 // the same seed makes the same data
}

// Cast are the members whose passwords are known.
type Cast struct {
	Admin   traffic.Credentials
	Sellers []traffic.Credentials
	Buyers  []traffic.Credentials
	Counts  map[string]int // documents by collection
	Legacy  int            // documents of an old shape among them
}

// Fill writes the data set into an empty database.
func Fill(ctx context.Context, o Options) (*Cast, error) {
	if o.Users == 0 {
		o.Users = 2000
	}
	client, err := mongo.Connect(options.Client().ApplyURI(o.URI).SetServerSelectionTimeout(20 * time.Second))
	if err != nil {
		return nil, fmt.Errorf("seed: %w", err)
	}
	defer client.Disconnect(context.WithoutCancel(ctx))
	w := newWorld(o)
	w.build()
	for _, name := range w.order {
		if err := insert(ctx, client.Database(o.Database).Collection(name), w.documents[name]); err != nil {
			return nil, fmt.Errorf("seed: %s: %w", name, err)
		}
		w.cast.Counts[name] = len(w.documents[name])
	}
	return &w.cast, nil
}

// insert writes documents in batches.
func insert(ctx context.Context, c *mongo.Collection, documents []bson.D) error {
	const batch = 500
	for len(documents) > 0 {
		n := min(batch, len(documents))
		if _, err := c.InsertMany(ctx, documents[:n]); err != nil {
			return err
		}
		documents = documents[n:]
	}
	return nil
}

// world is the data set in the making.
type world struct {
	o         Options
	random    *rand.Rand
	now       time.Time
	cast      Cast
	order     []string            // collections in the order of their first document
	documents map[string][]bson.D // by collection
	sequence  uint32

	buyers, sellers []bson.ObjectID
	castBuyers      []bson.ObjectID
	castSellers     []bson.ObjectID
	categories      []bson.ObjectID
	trezor          bson.ObjectID
}

func newWorld(o Options) *world {
	return &world{
		o: o, random: rand.New(rand.NewPCG(o.Seed, 77)),
		now:       time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC),
		cast:      Cast{Counts: map[string]int{}},
		documents: map[string][]bson.D{},
	}
}

func (w *world) build() {
	w.addCategories()
	w.addUsers()
	w.addTrezor()
	for i := range w.o.Users * 3 / 2 {
		w.addDeal(i)
	}
	for i := range max(3, w.o.Users/50) {
		w.addTemplateCheckout(i)
	}
}

func (w *world) add(collection string, d bson.D) {
	if w.documents[collection] == nil {
		w.order = append(w.order, collection)
	}
	w.documents[collection] = append(w.documents[collection], d)
}

// moment returns a time in the year before now, in whole milliseconds.
func (w *world) moment() time.Time {
	return w.now.Add(-time.Duration(w.random.Int64N(365*24*3600*1000)) * time.Millisecond)
}

// id makes an identity of the given moment.
func (w *world) id(at time.Time) bson.ObjectID {
	w.sequence++
	id := bson.NewObjectIDFromTimestamp(at)
	for i := 4; i < 9; i++ {
		id[i] = byte(w.random.Uint32())
	}
	id[9], id[10], id[11] = byte(w.sequence>>16), byte(w.sequence>>8), byte(w.sequence)
	return id
}

// legacy says that a document gets an old shape: about one in five does.
func (w *world) legacy() bool {
	if w.random.IntN(5) > 0 {
		return false
	}
	w.cast.Legacy++
	return true
}

// reference writes a link to another document; old ones may be text.
func (w *world) reference(id bson.ObjectID, old bool) any {
	if old && w.random.IntN(2) == 0 {
		return id.Hex()
	}
	return id
}

// amount writes an amount of cents; old ones are doubles, or integers when
// they are whole.
func (w *world) amount(cents int64, old bool) any {
	switch {
	case old && cents%100 == 0:
		return int32(cents / 100)
	case old:
		return float64(cents) / 100
	case cents%100 == 0:
		return fmt.Sprint(cents / 100)
	}
	return fmt.Sprintf("%d.%02d", cents/100, cents%100)
}

// finish closes a document with what all have. Old ones have a version counter
// in place of a revision, and now and then a field that nobody knows any more.
func (w *world) finish(d bson.D, created time.Time, old bool) bson.D {
	d = append(d, bson.E{Key: "createdAt", Value: created}, bson.E{Key: "updatedAt", Value: created.Add(time.Hour)})
	if !old {
		return append(d, bson.E{Key: "rev", Value: int64(1)})
	}
	d = append(d, bson.E{Key: "__v", Value: int32(w.random.IntN(5))})
	if w.random.IntN(2) == 0 {
		d = append(d, bson.E{Key: "migratedFrom", Value: bson.D{{Key: "system", Value: "v1"}, {Key: "row", Value: int32(w.sequence)}}})
	}
	return d
}
