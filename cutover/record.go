package cutover

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"time"
)

// ID identifies a record: a 12-byte, time-ordered ObjectID, written as 24 hex
// digits. It is made by the application and is the same in both databases, in
// the API and in URLs. The layout is MongoDB's: 4 bytes of seconds, 5 random
// bytes per process, 3 bytes of counter.
type ID [12]byte

var (
	processBytes = randomBytes(5)
	idCounter    = seedCounter()
)

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails: crypto/rand ends the process instead
	return b
}

func seedCounter() *atomic.Uint32 {
	c := new(atomic.Uint32)
	c.Store(binary.BigEndian.Uint32(append([]byte{0}, randomBytes(3)...)))
	return c
}

// NewID makes an ID of this second.
func NewID() ID { return NewIDAt(time.Now()) }

// NewIDAt makes an ID of the second of t.
func NewIDAt(t time.Time) ID {
	var id ID
	binary.BigEndian.PutUint32(id[0:4], uint32(t.Unix()))
	copy(id[4:9], processBytes)
	n := idCounter.Add(1)
	id[9], id[10], id[11] = byte(n>>16), byte(n>>8), byte(n)
	return id
}

// ParseID reads 24 hex digits.
func ParseID(s string) (ID, error) {
	var id ID
	if len(s) != 24 {
		return ID{}, fmt.Errorf("id %.40q: want 24 hex digits", s)
	}
	if _, err := hex.Decode(id[:], []byte(s)); err != nil {
		return ID{}, fmt.Errorf("id %q: want 24 hex digits", s)
	}
	return id, nil
}

// MustID is ParseID for constants; it panics on an error.
func MustID(s string) ID {
	id, err := ParseID(s)
	if err != nil {
		panic(err)
	}
	return id
}

// String returns 24 hex digits in lower case; "" for the zero ID.
func (id ID) String() string {
	if id.IsZero() {
		return ""
	}
	return hex.EncodeToString(id[:])
}

// IsZero says that there is no identity.
func (id ID) IsZero() bool { return id == ID{} }

// Time returns the second in which the ID was made.
func (id ID) Time() time.Time {
	return time.Unix(int64(binary.BigEndian.Uint32(id[0:4])), 0).UTC()
}

func (id ID) MarshalText() ([]byte, error) {
	if id.IsZero() {
		return []byte{}, nil
	}
	return hex.AppendEncode(make([]byte, 0, 24), id[:]), nil
}

func (id *ID) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*id = ID{}
		return nil
	}
	v, err := ParseID(string(b))
	if err != nil {
		return err
	}
	*id = v
	return nil
}

// Extra holds the fields of a stored document that the application does not
// know, so that they travel along: a JSON object in MongoDB's canonical
// extended JSON with sorted keys, or nil when there are none.
type Extra json.RawMessage

// Meta is what every record has. Embed it first.
type Meta struct {
	ID        ID        `json:"id" field:"_id"`
	Rev       int64     `json:"rev"`
	CreatedAt time.Time `json:"createdAt"`
	UpdatedAt time.Time `json:"updatedAt"`
	Extra     Extra     `json:"-" field:"extra"`
}

// RecordMeta returns the engine access to a record's identity and revision.
func (m *Meta) RecordMeta() *Meta { return m }

// Record is anything that is stored: a pointer to a struct that embeds Meta.
// What its fields are called and how they are stored, package shape says.
type Record interface{ RecordMeta() *Meta }

// Key names one record.
type Key struct {
	Kind string
	ID   ID
}

func (k Key) String() string { return k.Kind + "/" + k.ID.String() }

// Now returns the present in the precision that both databases keep: UTC,
// milliseconds.
func Now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }
