package mongodb

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/shape"
)

// Unknown fields travel as a tree of JSON objects that follows the known
// groups; the elements of a list go by their index: {"__v":…,
// "profile":{"nick":…}, "passkeys":{"0":{"_id":…}}}. The leaves are canonical
// extended JSON.
//
// Where the record that is written has no place for such a field any more (the
// list has become shorter, or the name is taken) it is kept in the internal
// field _extra, so that both databases keep the same.

// extendedJSON returns a value in canonical extended JSON, ready to be marshalled
// with sorted keys.
func extendedJSON(x bson.RawValue) (any, error) {
	text, err := bson.MarshalExtJSON(bson.D{{Key: "v", Value: x}}, true, false)
	if err != nil {
		return nil, err
	}
	var out struct{ V any }
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if err := dec.Decode(&out); err != nil {
		return nil, err
	}
	return out.V, comesBack(x, out.V)
}

// comesBack fails on a value that would be written as another one than it was
// read: a nested name is extended JSON's own, such as "$oid", or is there
// twice, or a text is not UTF-8.
func comesBack(x bson.RawValue, tree any) error {
	text, err := marshalSorted(map[string]any{"v": tree})
	if err != nil {
		return err
	}
	var doc bson.Raw
	if bson.UnmarshalExtJSON(text, true, &doc) != nil || !alike(x, doc.Lookup("v")) {
		return fmt.Errorf("a value that extended JSON cannot tell from another one")
	}
	return nil
}

// alike compares values but for the order of names and the form of doubles.
func alike(a, b bson.RawValue) bool {
	switch {
	case a.Type != b.Type:
		return false
	case a.Type == bson.TypeDouble:
		return true
	case a.Type != bson.TypeEmbeddedDocument && a.Type != bson.TypeArray:
		return a.Equal(b)
	}
	left, err := bson.Raw(a.Value).Elements()
	right, err2 := bson.Raw(b.Value).Elements()
	if err != nil || err2 != nil || len(left) != len(right) {
		return false
	}
	for _, e := range left {
		other, err := bson.Raw(b.Value).LookupErr(e.Key())
		if err != nil || !alike(e.Value(), other) {
			return false
		}
	}
	return true
}

// joinExtra makes a record's Extra out of what decoding did not know, and of
// what had no place.
func joinExtra(tree map[string]any, doc bson.Raw) (cutover.Extra, error) {
	if rest, ok := doc.Lookup(fieldRest).StringValueOK(); ok {
		var more map[string]any
		if err := json.Unmarshal([]byte(rest), &more); err != nil {
			return nil, fmt.Errorf("%s: %w", fieldRest, err)
		}
		if more == nil {
			return nil, fmt.Errorf("%s: want an object", fieldRest)
		}
		overlay(more, tree)
		tree = more
	}
	if len(tree) == 0 {
		return nil, nil
	}
	return marshalSorted(tree)
}

// overlay puts tree over base.
func overlay(base, tree map[string]any) {
	for k, v := range tree {
		sub, ok := v.(map[string]any)
		under, both := base[k].(map[string]any)
		if ok && both {
			overlay(under, sub)
			continue
		}
		base[k] = v
	}
}

// marshalSorted writes JSON with sorted keys and no escapes that JSON does not
// ask for.
func marshalSorted(x any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(x); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

type jsonTree = map[string]json.RawMessage

// addExtra puts unknown fields back where they were.
func addExtra(doc bson.D, fields []shape.Field, extra cutover.Extra) (bson.D, error) {
	if len(extra) == 0 {
		return doc, nil
	}
	var tree jsonTree
	if err := json.Unmarshal(extra, &tree); err != nil {
		return nil, fmt.Errorf("extra: %w", err)
	}
	doc, rest, err := graft(doc, fields, tree)
	if err != nil {
		return nil, fmt.Errorf("extra: %w", err)
	}
	if len(rest) == 0 {
		return doc, nil
	}
	text, err := marshalSorted(rest)
	return append(doc, bson.E{Key: fieldRest, Value: string(text)}), err
}

// graft adds the unknown fields in tree to a document, and returns those that
// have no place.
func graft(doc bson.D, fields []shape.Field, tree jsonTree) (bson.D, jsonTree, error) {
	rest := jsonTree{}
	for _, name := range sortedKeys(tree) {
		f, known := fieldNamed(fields, name)
		var left json.RawMessage
		var err error
		switch {
		case !known:
			doc, err = addLeaf(doc, name, tree[name])
		case f.Class == shape.Group:
			doc, left, err = graftGroup(doc, f, tree[name])
		case f.Class == shape.List && f.Elem.Class == shape.Group:
			left, err = graftList(doc, f, tree[name])
		default:
			left = tree[name]
		}
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", name, err)
		}
		if left != nil {
			rest[name] = left
		}
	}
	return doc, rest, nil
}

func sortedKeys(tree jsonTree) []string {
	names := make([]string, 0, len(tree))
	for name := range tree {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func addLeaf(doc bson.D, name string, text json.RawMessage) (bson.D, error) {
	var wrapped bson.D
	if err := bson.UnmarshalExtJSON(slices.Concat([]byte(`{"v":`), text, []byte(`}`)), true, &wrapped); err != nil {
		return nil, err
	}
	return append(doc, bson.E{Key: name, Value: wrapped[0].Value}), nil
}

func graftGroup(doc bson.D, f shape.Field, text json.RawMessage) (bson.D, json.RawMessage, error) {
	var tree jsonTree
	if json.Unmarshal(text, &tree) != nil {
		return doc, text, nil // the name was not a group's then
	}
	i := slices.IndexFunc(doc, func(e bson.E) bool { return e.Key == f.Name })
	group := bson.D{}
	if i >= 0 {
		group, _ = doc[i].Value.(bson.D)
	} else if _, must := firstNumber(&f); must || f.Pointer && hasNumber(f) {
		return doc, text, nil // a group without its number would not be readable
	}
	group, rest, err := graft(group, f.Fields, tree)
	if err != nil {
		return nil, nil, err
	}
	if i >= 0 {
		doc[i].Value = group
	} else if len(group) > 0 {
		doc = append(doc, bson.E{Key: f.Name, Value: group})
	}
	left, err := restOf(rest)
	return doc, left, err
}

// hasNumber says that an optional group, when it is there, must have a number.
func hasNumber(f shape.Field) bool {
	f.Pointer = false
	_, must := firstNumber(&f)
	return must
}

func graftList(doc bson.D, f shape.Field, text json.RawMessage) (json.RawMessage, error) {
	var tree jsonTree
	if json.Unmarshal(text, &tree) != nil {
		return text, nil
	}
	var list bson.A
	if i := slices.IndexFunc(doc, func(e bson.E) bool { return e.Key == f.Name }); i >= 0 {
		list, _ = doc[i].Value.(bson.A)
	}
	rest := jsonTree{}
	for _, name := range sortedKeys(tree) {
		left, err := graftElement(list, *f.Elem, name, tree[name])
		if err != nil {
			return nil, err
		}
		if left != nil {
			rest[name] = left
		}
	}
	return restOf(rest)
}

func graftElement(list bson.A, elem shape.Field, index string, text json.RawMessage) (json.RawMessage, error) {
	i, err := strconv.Atoi(index)
	if err != nil || i < 0 || i >= len(list) {
		return text, nil
	}
	group, ok := list[i].(bson.D)
	var tree jsonTree
	if !ok || json.Unmarshal(text, &tree) != nil {
		return text, nil
	}
	group, rest, err := graft(group, elem.Fields, tree)
	if err != nil {
		return nil, err
	}
	list[i] = group
	return restOf(rest)
}

func restOf(rest jsonTree) (json.RawMessage, error) {
	if len(rest) == 0 {
		return nil, nil
	}
	return json.Marshal(rest)
}
