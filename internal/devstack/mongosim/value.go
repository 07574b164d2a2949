package mongosim

import (
	"encoding/binary"
	"iter"
	"math"
	"math/big"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

// elements ranges over a document or list that was checked before.
func elements(doc []byte) iter.Seq[bson.RawElement] {
	return func(yield func(bson.RawElement) bool) {
		if len(doc) < 5 {
			return
		}
		for rest := doc[4 : len(doc)-1]; len(rest) > 0; {
			e, after, ok := bsoncore.ReadElement(rest)
			if !ok || !yield(bson.RawElement(e)) {
				return
			}
			rest = after
		}
	}
}

// field returns a field of a document; missing when it is not there.
func field(doc []byte, name string) bson.RawValue {
	for e := range elements(doc) {
		if e.Key() == name {
			return e.Value()
		}
	}
	return missing
}

// checked says why a document cannot be taken: it is not BSON, or holds a value
// that this server does not know.
func checked(doc bson.Raw) error {
	if err := doc.Validate(); err != nil {
		return refuse(codeInvalidBSON, "not a BSON document: %v", err)
	}
	return checkedValues(doc)
}

func checkedValues(doc []byte) error {
	for e := range elements(doc) {
		v := e.Value()
		switch v.Type {
		case bson.TypeUndefined, bson.TypeSymbol, bson.TypeDBPointer, bson.TypeCodeWithScope:
			return refuse(codeNotImplemented, "mongosim: values of type %s, as in %q, are not implemented", v.Type, e.Key())
		case bson.TypeDecimal128:
			if !withinDoubles(v.Decimal128()) {
				return refuse(codeNotImplemented, "mongosim: decimals beyond the range of doubles, as in %q, are not implemented", e.Key())
			}
		case bson.TypeEmbeddedDocument, bson.TypeArray:
			if err := checkedValues(v.Value); err != nil {
				return err
			}
		}
	}
	return nil
}

var greatest = new(big.Rat).SetFloat64(math.MaxFloat64)

func withinDoubles(d bson.Decimal128) bool {
	if d.IsNaN() || d.IsInf() != 0 || d.IsZero() {
		return true
	}
	n, exponent, err := d.BigInt()
	if err != nil || exponent > 300 || exponent < -300 {
		return false
	}
	return n.BitLen() == 0 || new(big.Rat).Abs(ratOf(d)).Cmp(greatest) <= 0
}

// raw marshals a value that the server itself makes.
func raw(v any) bson.RawValue {
	if v == nil {
		return bson.RawValue{Type: bson.TypeNull}
	}
	t, data, err := bson.MarshalValue(v)
	if err != nil {
		panic("mongosim: " + err.Error()) // only of a type that BSON has not
	}
	return bson.RawValue{Type: t, Value: data}
}

// rawDoc marshals a document that the server itself makes.
func rawDoc(d bson.D) bson.Raw {
	b, err := bson.Marshal(d)
	if err != nil {
		panic("mongosim: " + err.Error())
	}
	return b
}

// builder puts a document together from values as they are.
type builder struct{ buf []byte }

func newBuilder() *builder { return &builder{buf: make([]byte, 4, 256)} }

func (b *builder) add(name string, v bson.RawValue) *builder {
	b.buf = bsoncore.AppendHeader(b.buf, bsoncore.Type(v.Type), name)
	b.buf = append(b.buf, v.Value...)
	return b
}

// addRaw adds an element as it is.
func (b *builder) addRaw(e bson.RawElement) *builder {
	b.buf = append(b.buf, e...)
	return b
}

// done returns the document; the builder is used up.
func (b *builder) done() bson.Raw {
	doc := append(b.buf, 0)
	binary.LittleEndian.PutUint32(doc, uint32(len(doc)))
	return doc
}

// asDocument is a document as a value.
func asDocument(doc bson.Raw) bson.RawValue {
	return bson.RawValue{Type: bson.TypeEmbeddedDocument, Value: doc}
}

// truthy is how options say yes: a boolean, or a number that is not zero.
func truthy(v bson.RawValue) bool {
	if b, ok := v.BooleanOK(); ok {
		return b
	}
	f, ok := v.AsFloat64OK()
	return ok && f != 0
}

// isDocument and isArray say what a value is.
func isDocument(v bson.RawValue) bool { return v.Type == bson.TypeEmbeddedDocument }
func isArray(v bson.RawValue) bool    { return v.Type == bson.TypeArray }
