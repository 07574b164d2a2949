package mongodb

import (
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/amanat-dev/amanat/cutover"
)

// What a stored document has besides its record's fields. None of these ever
// reaches a record.
const (
	fieldID        = "_id"
	fieldRev       = "rev"
	fieldDeleted   = "_deleted"    // true: a tombstone
	fieldNote      = "_note"       // true: to be copied
	fieldNoteAt    = "_noteAt"     //
	fieldNoteEpoch = "_noteEpoch"  //
	fieldLock      = "_lockCommit" // the commit that wrote this and is not over
	fieldUndo      = "_lockUndo"   // the document as it was before; null for a new one
	fieldRest      = "_extra"      // unknown fields that have no place, see extra.go
	uniquePrefix   = "_u"          // begins the names of derived unique keys
)

var internalFields = map[string]bool{
	fieldDeleted: true, fieldNote: true, fieldNoteAt: true, fieldNoteEpoch: true,
	fieldLock: true, fieldUndo: true, fieldRest: true,
}

// unlock takes a lock off a document.
var unlock = bson.D{{Key: "$unset", Value: bson.D{{Key: fieldLock, Value: ""}, {Key: fieldUndo, Value: ""}}}}

// present keeps tombstones out of a query.
var present = bson.E{Key: fieldDeleted, Value: bson.D{{Key: "$ne", Value: true}}}

// byID is the filter for one document.
func byID(id cutover.ID) bson.D { return bson.D{{Key: fieldID, Value: oid(id)}} }

// inIDs is the filter for many.
func inIDs(ids []cutover.ID) bson.D {
	list := make(bson.A, len(ids))
	for i, id := range ids {
		list[i] = oid(id)
	}
	return bson.D{{Key: fieldID, Value: bson.D{{Key: "$in", Value: list}}}}
}

// atRev is the filter for a document in one revision. A legacy document
// without a revision is in revision 0.
func atRev(id cutover.ID, rev int64) bson.D {
	if rev == 0 {
		return append(byID(id), bson.E{Key: fieldRev, Value: bson.D{{Key: "$not", Value: bson.D{{Key: "$gt", Value: 0}}}}})
	}
	return append(byID(id), bson.E{Key: fieldRev, Value: rev})
}

// lockedBy is the filter for a document that a commit holds.
func lockedBy(id cutover.ID, commit bson.ObjectID) bson.D {
	return append(byID(id), bson.E{Key: fieldLock, Value: commit})
}

// idOf returns a document's identity, if that is an ID.
func idOf(doc bson.Raw) (cutover.ID, bool) {
	id, ok := doc.Lookup(fieldID).ObjectIDOK()
	return cutover.ID(id), ok
}

// revOf returns a document's revision; 0 when it has none that is readable.
func revOf(doc bson.Raw) int64 {
	n, err := integer(doc.Lookup(fieldRev))
	if err != nil {
		return 0
	}
	return n
}

func isDeleted(doc bson.Raw) bool { return isTrue(doc, fieldDeleted) }
func hasNote(doc bson.Raw) bool   { return isTrue(doc, fieldNote) }

func isTrue(doc bson.Raw, field string) bool {
	v, ok := doc.Lookup(field).BooleanOK()
	return ok && v
}

// lockOf returns the commit that holds a document, if one does.
func lockOf(doc bson.Raw) (bson.ObjectID, bool) { return doc.Lookup(fieldLock).ObjectIDOK() }

// undoOf returns the document that a locked one was before; nil for none.
func undoOf(doc bson.Raw) bson.Raw {
	undo, ok := doc.Lookup(fieldUndo).DocumentOK()
	if !ok {
		return nil
	}
	return undo
}

// without returns a copy of a document without some fields.
func without(doc bson.Raw, fields ...string) bson.D {
	elements, _ := doc.Elements() // the driver has checked it
	out := make(bson.D, 0, len(elements))
	for _, e := range elements {
		if k := e.Key(); !slices.Contains(fields, k) {
			out = append(out, bson.E{Key: k, Value: e.Value()})
		}
	}
	return out
}

// noted adds a note to a document that is about to be written.
func noted(doc bson.D, g cutover.Guard) bson.D {
	if !g.Journal {
		return doc
	}
	return append(doc,
		bson.E{Key: fieldNote, Value: true},
		bson.E{Key: fieldNoteAt, Value: time.Now()},
		bson.E{Key: fieldNoteEpoch, Value: g.Epoch})
}

// tombstone is what a delete leaves while its note stands, or its commit is
// not over.
func tombstone(id cutover.ID, rev int64) bson.D {
	return bson.D{{Key: fieldID, Value: oid(id)}, {Key: fieldRev, Value: rev}, {Key: fieldDeleted, Value: true}}
}
