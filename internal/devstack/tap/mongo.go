package tap

import (
	"encoding/binary"
	"io"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/
const (
	headerLeft = 12 // of the header, behind the length
	opMsg      = 2013
)

// mongo counts commands, those with which the driver watches the server too.
func (t *Tap) mongo(r io.Reader) {
	for {
		b, err := body(r, binary.LittleEndian)
		if err != nil || len(b) < headerLeft {
			return
		}
		t.count("mongo " + commandOf(b))
	}
}

// commandOf names a message's command and its collection.
func commandOf(b []byte) string {
	if binary.LittleEndian.Uint32(b[8:]) != opMsg || len(b) < headerLeft+5 {
		return "hello" // the first of a connection, in the old form
	}
	elements, err := bson.Raw(b[headerLeft+5:]).Elements() // behind flags and the section's kind
	if err != nil && len(elements) == 0 || len(elements) == 0 {
		return "a command that cannot be read"
	}
	on, _ := elements[0].Value().StringValueOK()
	return elements[0].Key() + " " + on
}
