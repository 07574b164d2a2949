package event

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
)

// Type is a sort of event whose data are a P: a struct of texts and identities.
type Type[P any] struct{ name string }

// NewType declares a type. Its name is stored with each event: it must not
// change.
func NewType[P any](name string) Type[P] { return Type[P]{name} }

// Name returns the name, such as "payment.funded".
func (t Type[P]) Name() string { return t.name }

// Send puts an event about a record. A closure that may run again and must send
// the same event then is told its id; a zero one is made up.
func (t Type[P]) Send(ctx context.Context, tx cutover.Tx, id, subject cutover.ID, payload P) error {
	data, err := convert[map[string]string](payload)
	if err != nil {
		return fault.Wrap(err, fault.Internal, "an event of type %s cannot be stored", t.name)
	}
	return tx.Put(ctx, &Event{Meta: cutover.Meta{ID: id}, Type: t.name, Subject: subject, Data: data})
}

// convert makes one thing of another by the JSON that both have in common.
func convert[T any](from any) (to T, err error) {
	text, err := json.Marshal(from)
	if err == nil {
		err = json.Unmarshal(text, &to)
	}
	return to, err
}

// Sent is any Type, as a domain lists those that it sends.
type Sent interface{ Name() string }

// Handler acts on an event in another domain.
type Handler func(context.Context, Event) error

// Handling says who handles the events of a type. Make it with On.
type Handling struct {
	name   string
	handle Handler
}

// On says that handle is called with each event of a type and with its data. It
// may be called more than once for one event, see Once.
func On[P any](t Type[P], handle func(context.Context, Event, P) error) Handling {
	return Handling{t.name, func(ctx context.Context, e Event) error {
		payload, err := convert[P](e.Data)
		if err != nil {
			return fault.Wrap(err, fault.Invalid, "the data of this event cannot be read")
		}
		return handle(ctx, e, payload)
	}}
}

// Check returns an error that names every type which is sent and handled by
// nobody, or handled and sent by nobody, or stated more than once.
func Check(sends []Sent, handlings []Handling) error {
	sent, handled := map[string]int{}, map[string]int{}
	for _, s := range sends {
		sent[s.Name()]++
	}
	for _, h := range handlings {
		handled[h.name]++
	}
	var wrong []error
	for _, s := range sends {
		if handled[s.Name()] == 0 {
			wrong = append(wrong, fmt.Errorf("nobody handles %s", s.Name()))
		}
		if sent[s.Name()] > 1 {
			wrong = append(wrong, fmt.Errorf("%s is sent under the same name twice", s.Name()))
		}
	}
	for _, h := range handlings {
		if sent[h.name] == 0 {
			wrong = append(wrong, fmt.Errorf("nobody sends %s, which has a handler", h.name))
		}
		if handled[h.name] > 1 {
			wrong = append(wrong, fmt.Errorf("%s has several handlers", h.name))
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return fault.Wrap(errors.Join(wrong...), fault.Internal, "events would be lost")
}
