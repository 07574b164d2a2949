package mongodb

import (
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// legacyDoc is a record that knows documents of an older shape.
type legacyDoc interface {
	// AdaptLegacy changes a document's top-level fields before it is decoded.
	// Texts are strings; any other value is opaque and can only be moved or
	// removed.
	AdaptLegacy(doc map[string]any)
}

// adapted returns the document as the record's type wants it.
func adapted(record any, doc bson.Raw) (bson.Raw, error) {
	r, ok := record.(legacyDoc)
	if !ok {
		return doc, nil
	}
	elements, err := doc.Elements()
	if err != nil {
		return nil, fmt.Errorf("a damaged document")
	}
	names, values := make([]string, len(elements)), make([]any, len(elements))
	fields := make(map[string]any, len(elements))
	for i, e := range elements {
		names[i], values[i] = e.Key(), plain(e.Value())
		fields[names[i]] = values[i]
	}
	twice := len(fields) < len(names)
	r.AdaptLegacy(fields)
	if !twice && sameFields(names, values, fields) {
		return doc, nil
	}
	return rebuilt(names, fields)
}

// sameFields says that a document's fields are as they were.
func sameFields(names []string, values []any, fields map[string]any) bool {
	if len(fields) != len(names) {
		return false
	}
	for i, name := range names {
		now, there := fields[name]
		text, isText := now.(string)
		was, wasText := values[i].(string)
		if !there || isText && (!wasText || text != was) {
			return false
		}
	}
	return true
}

func plain(v bson.RawValue) any {
	if s, ok := v.StringValueOK(); ok {
		return s
	}
	return v
}

// rebuilt returns a document with the fields as they are now: in their old order,
// the new ones last.
func rebuilt(names []string, fields map[string]any) (bson.Raw, error) {
	var out bson.D
	for _, name := range names {
		if v, there := fields[name]; there {
			out = append(out, bson.E{Key: name, Value: v})
			delete(fields, name)
		}
	}
	for name, v := range fields {
		out = append(out, bson.E{Key: name, Value: v})
	}
	return bson.Marshal(out)
}
