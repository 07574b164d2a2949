package mongodb

import (
	"context"
	"errors"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/amanat-dev/amanat/cutover"
)

const (
	// ScratchPrefix begins the name of every scratch database; an ID follows.
	ScratchPrefix = "cutover_scratch_"
	// firstScratchPrefix is what the first versions called them, of which some
	// may have been left.
	firstScratchPrefix = "amanat_scratch_"
	// scratchStale is the age at which a scratch database has lost its owner.
	scratchStale = 24 * time.Hour
)

// Scratch opens scratch databases on db's server, with the collections and
// indexes of one domain, for cutover.Spec. Those that an owner which
// died has left for over a day are dropped on the way.
func (db *DB) Scratch(d cutover.Definition) cutover.Scratch {
	return func(ctx context.Context) (cutover.Store, func(context.Context) error, error) {
		if err := db.dropStaleScratches(ctx); err != nil {
			return nil, nil, err
		}
		scratch := newDB(db.client, ScratchPrefix+cutover.NewID().String())
		store := scratch.Side(d)
		if err := scratch.EnsureIndexes(ctx); err != nil {
			return nil, nil, errors.Join(err, scratch.drop(context.WithoutCancel(ctx)))
		}
		return store, scratch.drop, nil
	}
}

// drop removes the whole database.
func (db *DB) drop(ctx context.Context) error { return translate(db.db.Drop(ctx), writing) }

// dropStaleScratches goes by the time in the names: no server says when a
// database was made.
func (db *DB) dropStaleScratches(ctx context.Context) error {
	names, err := db.client.ListDatabaseNames(ctx, bson.D{})
	if err != nil {
		return translate(err, reading)
	}
	for _, name := range names {
		if !staleScratch(name, time.Now()) {
			continue
		}
		if err := newDB(db.client, name).drop(ctx); err != nil {
			return err
		}
	}
	return nil
}

func staleScratch(name string, now time.Time) bool {
	made, ours := strings.CutPrefix(name, ScratchPrefix)
	if !ours {
		made, ours = strings.CutPrefix(name, firstScratchPrefix)
	}
	if !ours {
		return false
	}
	id, err := cutover.ParseID(made)
	return err == nil && now.Sub(id.Time()) > scratchStale
}
