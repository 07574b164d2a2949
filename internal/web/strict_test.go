package web

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// FuzzReadStrict: what is read for validation is what CheckJSON lets through,
// and the same as encoding/json makes of it.
func FuzzReadStrict(f *testing.F) {
	for _, s := range []string{
		``, ` `, `null`, `true`, `"a"`, `1`, `-0`, `1e9`, `0.5`, `12345678901234567890123456789012345678901`, `[]`, `{}`, `[1,[2,{"a":null}]]`, `{"a":"\u00e9","b":["x"]}`,
		`{"a":1,"a":2}`, `"\u0000"`, `{"\u0000":1}`, "\"\xff\"", `"\ud800"`, `1 2`, `{"a"`, `[1,]`, `{"a":1}}`, strings.Repeat("[", 20000),
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := readStrict(data)
		var want any
		dec := json.NewDecoder(bytes.NewReader(data))
		dec.UseNumber()
		wantErr := CheckJSON(data)
		if wantErr == nil {
			wantErr = dec.Decode(&want)
		}
		if wantErr == nil && dec.More() {
			wantErr = errMoreThanOne
		}
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%q: %v, want %v", data, err, wantErr)
		}
		if want = plainly(want); err == nil && !reflect.DeepEqual(got, want) {
			t.Fatalf("%q is read as %#v, want %#v", data, got, want)
		}
	})
}

// plainly takes a value apart in the way of plainNumber.
func plainly(v any) any {
	switch v := v.(type) {
	case json.Number:
		return plainNumber(v)
	case []any:
		for i := range v {
			v[i] = plainly(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = plainly(v[k])
		}
	}
	return v
}
