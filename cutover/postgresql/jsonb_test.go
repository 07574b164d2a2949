package postgresql

import (
	"errors"
	"reflect"
	"testing"

	"github.com/amanat-dev/amanat/cutover/shape"
)

type jsonSpecimen struct {
	Name  string            `json:"name"`
	Count int               `json:"count"`
	On    bool              `json:"on"`
	Words map[string]string `json:"words"`
	Parts []jsonPart        `json:"parts"`
}

type jsonPart struct {
	Key string `json:"key"`
}

// readJSON reads a jsonb column that is a group.
func readJSON(text string) (jsonSpecimen, error) {
	var s jsonSpecimen
	f := shape.Field{Class: shape.Group, Type: reflect.TypeOf(s), Fields: shape.Of(reflect.TypeOf(s))}
	h := &jsonHolder{bytesHolder{[]byte(text)}, f}
	return s, h.decode(reflect.ValueOf(&s).Elem())
}

func TestJSONB_LeavesOutWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	got, err := readJSON(`{"new": {"a": [1, {}]}, "name": "a \"b\"", "count": -3, "on": true, "words": {"x\\y": "z"}, "parts": [{"key": "k", "more": 1}, null, {}]}`)
	want := jsonSpecimen{`a "b"`, -3, true, map[string]string{`x\y`: "z"}, []jsonPart{{"k"}, {}, {}}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}

func TestJSONB_RefusesWhatIsOfAnotherType(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`[]`, `"a"`, `{"name": 1}`, `{"name": {}}`, `{"count": "1"}`, `{"count": 1.5}`, `{"count": 99999999999999999999}`,
		`{"on": "true"}`, `{"words": {"a": 1}}`, `{"words": []}`, `{"parts": {}}`, `{"parts": [[]]}`, `{"parts": [{"key": false}]}`,
	} {
		if got, err := readJSON(text); !errors.Is(err, errJSONType) {
			t.Errorf("%s is read as %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{``, `{`, `{"name": "a"`, `{"parts": [`} {
		if got, err := readJSON(text); err == nil {
			t.Errorf("%s is read as %+v", text, got)
		}
	}
}
