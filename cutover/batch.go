package cutover

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sort"
	"time"

	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/cutover/shape"
)

// Write is one record that an Update puts or deletes.
type Write struct {
	Key    Key
	Base   int64  // the revision that was read; 0 for a new record
	Record Record // with its new revision; nil for a delete
}

// Rev is the revision that the write makes.
func (w Write) Rev() int64 { return w.Base + 1 }

// Batch collects the writes of one Update. A store's transaction embeds it to
// be a Writer.
type Batch struct {
	kinds    Kinds
	readOnly bool
	now      time.Time
	order    []Key
	writes   map[Key]*Write
	onPut    func(Write) error
}

// NewBatch starts a batch. onPut, which may be nil, sees each write at once,
// so that a store can encode the record as it is at that moment.
func NewBatch(kinds Kinds, onPut func(Write) error) *Batch {
	return &Batch{kinds: kinds, now: Now(), writes: map[Key]*Write{}, onPut: onPut}
}

// ReadOnly makes a batch that refuses writes: for Views.
func ReadOnly(kinds Kinds) *Batch { return &Batch{kinds: kinds, readOnly: true} }

// Kinds are the domain's.
func (b *Batch) Kinds() Kinds { return b.kinds }

// Put collects a whole record. See Writer.
func (b *Batch) Put(_ context.Context, r Record) error {
	w, err := b.add(r)
	if err != nil {
		return err
	}
	m := r.RecordMeta()
	if m.CreatedAt.IsZero() {
		m.CreatedAt = b.now
	}
	m.UpdatedAt = b.now
	m.Rev = w.Rev()
	shape.Settle(reflect.ValueOf(r).Elem(), shape.Of(reflect.TypeOf(r)))
	w.Record = r
	return b.seen(w)
}

// Delete collects the removal of a record. See Writer.
func (b *Batch) Delete(_ context.Context, r Record) error {
	w, err := b.add(r)
	if err != nil {
		return err
	}
	w.Record = nil
	return b.seen(w)
}

func (b *Batch) add(r Record) (*Write, error) {
	if b.readOnly {
		return nil, fault.New(fault.Internal, "a View cannot write")
	}
	kind, ok := b.kinds.Of(r)
	if !ok {
		return nil, fault.New(fault.Internal, "%T is no record of this domain", r)
	}
	m := r.RecordMeta()
	if m.ID.IsZero() {
		m.ID = NewIDAt(b.now)
	}
	key := Key{kind.Name, m.ID}
	if w, again := b.writes[key]; again {
		// The second write of a record in one Update replaces the first.
		return w, nil
	}
	w := &Write{Key: key, Base: m.Rev}
	b.writes[key] = w
	b.order = append(b.order, key)
	return w, nil
}

func (b *Batch) seen(w *Write) error {
	if b.onPut == nil {
		return nil
	}
	return b.onPut(*w)
}

// Writes returns what was collected, in the order in which keys were first
// written.
func (b *Batch) Writes() []Write {
	out := make([]Write, len(b.order))
	for i, k := range b.order {
		out[i] = *b.writes[k]
	}
	return out
}

// Sorted returns what was collected in key order: the order in which several
// records are locked, so that two Updates cannot wait for each other.
func (b *Batch) Sorted() []Write {
	out := b.Writes()
	sort.Slice(out, func(i, j int) bool { return out[i].Key.less(out[j].Key) })
	return out
}

func (k Key) less(o Key) bool {
	if k.Kind != o.Kind {
		return k.Kind < o.Kind
	}
	return string(k.ID[:]) < string(o.ID[:])
}

// errStale marks the conflicts that running again may mend, also those that a
// store finds in the middle of a closure, between two reads.
var errStale = errors.New("somebody else was first")

// ConflictOn is the fault of a write whose record has changed since it was
// read.
func ConflictOn(key Key) error { return Stale(fmt.Errorf("%s has another revision", key)) }

// Stale is the fault of an Update that met another one under way, such as a
// deadlock: the engine runs it again. Any other conflict, such as a broken
// unique rule, is met again by whoever runs again.
func Stale(cause error) error {
	return fault.Wrap(fmt.Errorf("%w: %w", errStale, cause), fault.Conflict,
		"somebody else changed this at the same time; read it again and retry")
}

// IsStale says whether err is of Stale.
func IsStale(err error) bool { return errors.Is(err, errStale) }
