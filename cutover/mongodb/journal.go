package mongodb

import (
	"context"
	"maps"
	"slices"
	"sort"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
)

// The journal is a mark on the documents themselves: so the note is in the
// very write that it announces. A deleted document stays as a tombstone while
// its note stands.

var withNote = bson.D{{Key: fieldNote, Value: true}}

// unmark takes a note off.
var unmark = bson.D{{Key: "$unset", Value: bson.D{
	{Key: fieldNote, Value: ""}, {Key: fieldNoteAt, Value: ""}, {Key: fieldNoteEpoch, Value: ""},
}}}

// Notes returns the oldest notes, see cutover.Store. The note of a commit that
// is not decided is none yet.
func (s *store) Notes(ctx context.Context, limit int) ([]cutover.Note, error) {
	if _, err := s.Recover(ctx); fault.Is(err, fault.Unavailable) || err != nil && ctx.Err() != nil {
		return nil, err
	}
	found, err := ofEach(s, func(col *collection) ([]cutover.Note, error) { return s.notesIn(ctx, col, limit) })
	if err != nil {
		return nil, err
	}
	notes := slices.Concat(found...)
	sort.Slice(notes, func(i, j int) bool {
		if !notes[i].At.Equal(notes[j].At) {
			return notes[i].At.Before(notes[j].At)
		}
		return notes[i].Key.String() < notes[j].Key.String()
	})
	return notes[:min(limit, len(notes))], nil
}

// ofEach asks all collections of a domain at once. Which of them has notes no
// single place knows: the note is in the very write that it announces, and that
// is worth more than one question per collection, which an index answers.
func ofEach[T any](s *store, ask func(*collection) (T, error)) ([]T, error) {
	cols := slices.Collect(maps.Values(s.cols))
	answers := make([]T, len(cols))
	err := inParallel(len(cols), func(i int) (err error) {
		answers[i], err = ask(cols[i])
		return err
	})
	return answers, err
}

// HasNotes asks one collection, see cutover.SpreadJournal.
func (s *store) HasNotes(ctx context.Context, kind string) (bool, error) {
	col, err := s.of(kind)
	if err != nil {
		return false, err
	}
	err = col.coll.FindOne(ctx, withNote, options.FindOne().SetProjection(bson.D{{Key: fieldID, Value: 1}})).Err()
	if err == mongo.ErrNoDocuments {
		return false, nil
	}
	return err == nil, translate(err, reading)
}

func (s *store) notesIn(ctx context.Context, col *collection, limit int) ([]cutover.Note, error) {
	o := options.Find().SetLimit(int64(limit)).SetBatchSize(int32(limit)).
		SetSort(bson.D{{Key: fieldNoteAt, Value: 1}, {Key: fieldID, Value: 1}}).
		SetProjection(bson.D{{Key: fieldRev, Value: 1}, {Key: fieldNoteAt, Value: 1},
			{Key: fieldNote, Value: 1}, {Key: fieldNoteEpoch, Value: 1}, {Key: fieldLock, Value: 1}, {Key: fieldDeleted, Value: 1}})
	cur, err := col.coll.Find(ctx, withNote, o)
	if err != nil {
		return nil, translate(err, reading)
	}
	var docs []bson.Raw
	if err := cur.All(ctx, &docs); err != nil {
		return nil, translate(err, reading)
	}
	var notes []cutover.Note
	for _, doc := range docs {
		note, ok, err := s.noteOf(ctx, col, doc)
		if err != nil {
			return nil, err
		}
		if ok {
			notes = append(notes, note)
		}
	}
	return notes, nil
}

// noteOf reads a note; false when the document's committed content has none.
func (s *store) noteOf(ctx context.Context, col *collection, doc bson.Raw) (cutover.Note, bool, error) {
	id, ok := idOf(doc)
	if !ok {
		return cutover.Note{}, false, nil
	}
	if _, locked := lockOf(doc); locked {
		var err error
		if doc, err = s.current(ctx, col, id); err != nil || doc == nil || !hasNote(doc) {
			return cutover.Note{}, false, err
		}
	}
	at, _ := doc.Lookup(fieldNoteAt).TimeOK()
	epoch, _ := doc.Lookup(fieldNoteEpoch).AsInt64OK()
	note := cutover.Note{Key: cutover.Key{Kind: col.Kind, ID: id}, Rev: revOf(doc), At: at.UTC(), Epoch: epoch}
	if isDeleted(doc) {
		note.Seq = tombstoned
	}
	return note, true, nil
}

// Forget removes notes, see cutover.Store. What was written since is of
// another revision, and keeps its note.
func (s *store) Forget(ctx context.Context, notes []cutover.Note) error {
	byKind := map[string][]cutover.Note{}
	for _, n := range notes {
		byKind[n.Key.Kind] = append(byKind[n.Key.Kind], n)
	}
	for kind, notes := range byKind {
		col, err := s.of(kind)
		if err != nil {
			return err
		}
		if err := s.forget(ctx, col, notes); err != nil {
			return err
		}
	}
	return nil
}

// tombstoned is the Seq of a note whose document is a tombstone.
const tombstoned = 1

// forget takes the notes of one kind off. The tombstone of a deleted record
// makes room for one in the books, which holds back a copy that comes late.
func (s *store) forget(ctx context.Context, col *collection, notes []cutover.Note) error {
	var writes []mongo.WriteModel
	for _, n := range notes {
		if n.Seq == tombstoned {
			tombstone := cutover.Item{Key: n.Key, Rev: n.Rev, Deleted: true}
			if err := s.raiseTombstone(ctx, tombstone, cutover.ApplyOptions{}); err != nil {
				return err
			}
			filter := append(atRev(n.Key.ID, n.Rev), bson.E{Key: fieldDeleted, Value: true})
			writes = append(writes, mongo.NewDeleteOneModel().SetFilter(filter))
			continue
		}
		marked := append(atRev(n.Key.ID, n.Rev), withNote[0])
		writes = append(writes, mongo.NewUpdateOneModel().SetFilter(marked).SetUpdate(unmark))
	}
	for batch := range slices.Chunk(writes, forgetBatch) {
		if _, err := col.coll.BulkWrite(ctx, batch); err != nil {
			return translate(err, writing)
		}
	}
	return nil
}

// forgetBatch is how many notes one command takes off. A server may hold what
// it needs for each of a command's writes until the last is done: FerretDB keeps
// a connection of its few hundred for each, and waits for ever for one more.
const forgetBatch = 100

// journalCounted is up to how many notes of a collection Journal counts.
const journalCounted = 10_000

// Journal says how many notes there are, up to 10,000 per collection, and when
// the oldest was made. A note of a commit that is not decided counts: it may
// come to stand. The notes are found and not counted by the server, since a
// count there may go through all documents.
func (s *store) Journal(ctx context.Context) (int64, time.Time, error) {
	parts, err := ofEach(s, func(col *collection) (journal, error) { return col.journal(ctx) })
	if err != nil {
		return 0, time.Time{}, err
	}
	var all journal
	for _, part := range parts {
		all.add(part.count, part.oldest)
	}
	return all.count, all.oldest, nil
}

// journal is how many notes there are, and when the oldest was made.
type journal struct {
	count  int64
	oldest time.Time
}

func (j *journal) add(count int64, oldest time.Time) {
	if count > 0 && (j.count == 0 || oldest.Before(j.oldest)) {
		j.oldest = oldest
	}
	j.count += count
}

func (c *collection) journal(ctx context.Context) (j journal, err error) {
	o := options.Find().SetLimit(journalCounted).SetBatchSize(journalCounted).SetProjection(bson.D{{Key: fieldNoteAt, Value: 1}})
	cur, err := c.coll.Find(ctx, withNote, o)
	if err != nil {
		return journal{}, translate(err, reading)
	}
	defer cur.Close(ctx)
	for cur.Next(ctx) {
		at, _ := cur.Current.Lookup(fieldNoteAt).TimeOK()
		j.add(1, at.UTC())
	}
	return j, translate(cur.Err(), reading)
}
