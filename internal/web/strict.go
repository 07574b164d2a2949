package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/amanat-dev/amanat/internal/limit"
)

var errMoreThanOne = errors.New("more than one JSON value")

// readStrict reads one JSON value for validation, and refuses what CheckJSON
// does, in one pass. Why, CheckJSON says.
func readStrict(data []byte) (any, error) {
	r := strictReader{jsontext.NewDecoder(bytes.NewBuffer(data))}
	v, err := r.value()
	if err != nil {
		return nil, err
	}
	if _, err := r.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, errMoreThanOne
	}
	return v, nil
}

type strictReader struct{ *jsontext.Decoder }

func (r strictReader) value() (any, error) {
	t, err := r.ReadToken()
	if err != nil {
		return nil, err
	}
	switch t.Kind() {
	case '{':
		return r.members()
	case '[':
		return r.elements()
	case '"':
		return text(t)
	case '0':
		return plainNumber(json.Number(t.String())), nil
	case 't', 'f':
		return t.Bool(), nil
	}
	return nil, nil
}

func (r strictReader) members() (any, error) {
	out := map[string]any{}
	for r.PeekKind() != '}' {
		t, err := r.ReadToken()
		if err != nil {
			return nil, err
		}
		name, err := text(t)
		if err != nil {
			return nil, err
		}
		if out[name], err = r.value(); err != nil {
			return nil, err
		}
	}
	_, err := r.ReadToken()
	return out, err
}

func (r strictReader) elements() (any, error) {
	out := []any{}
	for r.PeekKind() != ']' {
		v, err := r.value()
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	_, err := r.ReadToken()
	return out, err
}

var errNoText = errors.New(limit.NotText)

func text(t jsontext.Token) (string, error) {
	s := t.String()
	if !limit.IsLines(s) {
		return "", errNoText
	}
	return s, nil
}
