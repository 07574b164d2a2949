package history

import (
	"context"
	"fmt"
	"net/http"
	"strings"
)

// object is a JSON object as it came.
type object map[string]any

// get follows the names of a path, such as "profile.bio".
func (o object) get(path string) any {
	var v any = map[string]any(o)
	for name := range strings.SplitSeq(path, ".") {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	return v
}

// text returns the text at a path, "" when there is none.
func (o object) text(path string) string {
	s, _ := o.get(path).(string)
	return s
}

// version reads a record out of an answer.
func (o object) version(fields [2]string) Version {
	rev, _ := o.get("rev").(float64)
	return Version{int64(rev), [2]string{o.text(fields[0]), o.text(fields[1])}}
}

// nest returns an object that holds a value at a path.
func nest(path string, value any) map[string]any {
	first, rest, deeper := strings.Cut(path, ".")
	if deeper {
		value = nest(rest, value)
	}
	return map[string]any{first: value}
}

// document is a record of which its members set one field or the other: the
// whole record is written each time, so that a lost update of one field shows
// in the other as well.
type document struct {
	name   string // kind/id
	id     string
	fields [2]string
	token  string
	read   string // where it is shown, alone or in a list
	method string // and how it is changed
	write  string
}

func (d *document) found(ctx context.Context, w *client) error {
	v, f, s := d.look(ctx, w)
	if f != done {
		return fmt.Errorf("%s cannot be read", d.name)
	}
	w.note(s, d.name, Input{Action: Found}, Output{Known: true, Version: v})
	return nil
}

func (d *document) act(ctx context.Context, w *client) {
	if w.random.IntN(2) == 0 {
		if v, f, s := d.look(ctx, w); f == done {
			w.note(s, d.name, Input{Action: Read}, Output{Known: true, Version: v})
		}
		return
	}
	in := Input{Action: Set, Field: w.random.IntN(2), Value: w.value()}
	var answer object
	f, s := w.ask(ctx, request{d.method, d.write, d.token, nest(d.fields[in.Field], in.Value)}, &answer)
	w.wrote(f, s, d.name, in, answer.version(d.fields))
}

// look reads the record. One that is missing from its list is a version that
// no record ever has.
func (d *document) look(ctx context.Context, w *client) (Version, fate, span) {
	var answer object
	f, s := w.ask(ctx, request{method: http.MethodGet, path: d.read, token: d.token}, &answer)
	items, isList := answer["items"].([]any)
	if !isList {
		return answer.version(d.fields), f, s
	}
	for _, item := range items {
		if o := object(item.(map[string]any)); o.text("id") == d.id {
			return o.version(d.fields), f, s
		}
	}
	return Version{Rev: -1}, f, s
}
