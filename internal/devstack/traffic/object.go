package traffic

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// object is a JSON object as it came. Numbers keep their text.
type object map[string]any

// parseObject reads a JSON object; anything else gives an empty one.
func parseObject(raw []byte) object {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var o object
	if d.Decode(&o) != nil {
		return object{}
	}
	return o
}

// get follows a path of field names; "" when there is nothing.
func (o object) get(path ...string) string {
	var v any = map[string]any(o)
	for _, name := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return ""
		}
		v = m[name]
	}
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

// id returns the record's own identity.
func (o object) id() string { return o.get("id") }

// items returns the objects of a list answer.
func (o object) items() []object {
	list, _ := o["items"].([]any)
	var out []object
	for _, v := range list {
		if m, ok := v.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}
