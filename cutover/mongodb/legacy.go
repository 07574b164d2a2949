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

// adapted gives the document as the record's type wants it.
func adapted(record any, doc bson.Raw) (bson.Raw, error) {
	r, ok := record.(legacyDoc)
	if !ok {
		return doc, nil
	}
	elements, err := doc.Elements()
	if err != nil {
		return nil, fmt.Errorf("a damaged document")
	}
	fields := make(map[string]any, len(elements))
	for _, e := range elements {
		fields[e.Key()] = plain(e.Value())
	}
	r.AdaptLegacy(fields)
	return rebuilt(doc, elements, fields)
}

func plain(v bson.RawValue) any {
	if s, ok := v.StringValueOK(); ok {
		return s
	}
	return v
}

// rebuilt gives doc with the fields as they are now: in their old order, the
// new ones last. Without a change it is doc itself.
func rebuilt(doc bson.Raw, elements []bson.RawElement, fields map[string]any) (bson.Raw, error) {
	var out bson.D
	changed := false
	for _, e := range elements {
		v, there := fields[e.Key()]
		if s, text := v.(string); !there || text && plain(e.Value()) != any(s) {
			changed = true
		}
		if there {
			out = append(out, bson.E{Key: e.Key(), Value: v})
			delete(fields, e.Key())
		}
	}
	if !changed && len(fields) == 0 {
		return doc, nil
	}
	for name, v := range fields {
		out = append(out, bson.E{Key: name, Value: v})
	}
	return bson.Marshal(out)
}
