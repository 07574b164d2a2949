package web

import (
	"bytes"
	"errors"
	"io"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/internal/limit"
)

// asText makes text of what may be none, to name it in an answer.
func asText(s string) string {
	return strings.Map(func(r rune) rune {
		if limit.IsText(string(r)) {
			return r
		}
		return utf8.RuneError
	}, s)
}

// CheckJSON refuses JSON that no two readers would understand alike, or that
// cannot be stored: a name that is given twice in an object, a NUL character,
// text that is not UTF-8. encoding/json takes the last of two members and mends
// text in silence. Errors: fault.Invalid naming the field.
func CheckJSON(data []byte) error {
	dec := jsontext.NewDecoder(bytes.NewReader(data))
	for {
		token, err := dec.ReadToken()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return syntaxFault(err)
		case token.Kind() == '"' && !limit.IsLines(token.String()):
			return fault.Field(fieldPath(dec.StackPointer()), limit.NotText)
		}
	}
}

func syntaxFault(err error) error {
	var e *jsontext.SyntacticError
	if !errors.As(err, &e) {
		return fault.Field("body", "not readable as JSON")
	}
	if errors.Is(err, jsontext.ErrDuplicateName) {
		return fault.Field(fieldPath(e.JSONPointer), "is given twice")
	}
	return fault.Field(fieldPath(e.JSONPointer), "not readable as JSON")
}

// fieldPath returns "tags[1].min" of "/tags/1/min", and "body" of the whole.
func fieldPath(p jsontext.Pointer) string {
	var b strings.Builder
	for token := range p.Tokens() {
		token = asText(token)
		switch _, err := strconv.ParseUint(token, 10, 32); {
		case err == nil:
			b.WriteString("[" + token + "]")
		case b.Len() == 0:
			b.WriteString(token)
		default:
			b.WriteString("." + token)
		}
	}
	if b.Len() == 0 {
		return "body"
	}
	return b.String()
}

// checkParameters is CheckJSON for what travels in the path and the query.
// Headers are left to the routes that read them.
func checkParameters(ctx huma.Context) error {
	for _, p := range ctx.Operation().Parameters {
		if p.In == "path" && !limit.IsText(ctx.Param(p.Name)) {
			return fault.Field(p.Name, limit.NotText)
		}
	}
	u := ctx.URL()
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return fault.Field("query", "not readable")
	}
	for name, values := range query {
		for _, v := range append(values, name) {
			if !limit.IsText(v) {
				return fault.Field(asText(name), limit.NotText)
			}
		}
	}
	return nil
}
