package mongosim

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/wiremessage"
)

// Sizes of MongoDB's wire protocol and documents.
// https://www.mongodb.com/docs/v7.0/reference/mongodb-wire-protocol/
const (
	headerSize      = 16
	maxMessageSize  = 48_000_000
	maxDocumentSize = 16 << 20
	maxWriteBatch   = 100_000
	slackSize       = 16 << 10 // how much larger than a document what is sent may be
	opQuery         = 2004     // as drivers greet a server that they do not know
)

var errWire = errors.New("not a message of MongoDB's wire protocol")

// request is one command as it came.
type request struct {
	id     int32
	body   bson.Raw // with the sequences of documents folded in
	silent bool     // wants no answer
	legacy bool     // an OP_QUERY, as drivers greet a server that they do not know
}

// readRequest reads one message.
func readRequest(r *bufio.Reader) (request, error) {
	head, err := r.Peek(headerSize)
	if err != nil {
		return request{}, err
	}
	size := int(binary.LittleEndian.Uint32(head))
	if size < headerSize || size > maxMessageSize {
		return request{}, fmt.Errorf("%w: length %d", errWire, size)
	}
	buf := make([]byte, size)
	if _, err := io.ReadFull(r, buf); err != nil {
		return request{}, err
	}
	_, id, _, code, rest, _ := wiremessage.ReadHeader(buf)
	switch code {
	case wiremessage.OpMsg:
		return parseMsg(id, rest)
	case opQuery:
		return parseQuery(id, rest)
	}
	return request{}, fmt.Errorf("%w that this server knows: opcode %d", errWire, code)
}

// parseMsg reads an OP_MSG: a body, and sequences of documents that belong in
// it as lists.
func parseMsg(id int32, rest []byte) (request, error) {
	flags, rest, ok := wiremessage.ReadMsgFlags(rest)
	if !ok {
		return request{}, errWire
	}
	req := request{id: id, silent: flags&wiremessage.MoreToCome != 0}
	if flags&wiremessage.ChecksumPresent != 0 {
		return req, fmt.Errorf("%w: mongosim reads no checksums", errWire)
	}
	lists := map[string][]bsoncore.Document{}
	for ok && len(rest) > 0 {
		var kind wiremessage.SectionType
		kind, rest, _ = wiremessage.ReadMsgSectionType(rest) // there is a byte
		switch kind {
		case wiremessage.SingleDocument:
			var doc bsoncore.Document
			doc, rest, ok = wiremessage.ReadMsgSectionSingleDocument(rest)
			req.body = bson.Raw(doc)
		case wiremessage.DocumentSequence:
			var name string
			var docs []bsoncore.Document
			name, docs, rest, ok = wiremessage.ReadMsgSectionDocumentSequence(rest)
			lists[name] = append(lists[name], docs...)
		default:
			ok = false
		}
	}
	if !ok || len(req.body) < 5 {
		return req, errWire
	}
	req.body = fold(req.body, lists)
	return req, nil
}

// fold adds lists of documents to a command.
func fold(body bson.Raw, lists map[string][]bsoncore.Document) bson.Raw {
	if len(lists) == 0 {
		return body
	}
	b := append([]byte{}, body[:len(body)-1]...)
	for name, docs := range lists {
		var at int32
		at, b = bsoncore.AppendArrayElementStart(b, name)
		for i, doc := range docs {
			b = bsoncore.AppendDocumentElement(b, fmt.Sprint(i), doc)
		}
		b, _ = bsoncore.AppendArrayEnd(b, at) // fails only when at is out of b
	}
	return (&builder{buf: b}).done()
}

// parseQuery reads an OP_QUERY: flags, a collection's name that ends with a
// zero, two numbers, and the command.
func parseQuery(id int32, rest []byte) (request, error) {
	if len(rest) < 4 {
		return request{}, errWire
	}
	_, rest, ok := bytes.Cut(rest[4:], []byte{0})
	if !ok || len(rest) < 8 {
		return request{}, errWire
	}
	doc, _, ok := bsoncore.ReadDocument(rest[8:])
	if !ok {
		return request{}, errWire
	}
	return request{id: id, body: bson.Raw(doc), legacy: true}, nil
}

// answer writes the message that answers a request.
func (r request) answer(doc bson.Raw) []byte {
	var b []byte
	var at int32
	if r.legacy {
		at, b = wiremessage.AppendHeaderStart(nil, wiremessage.NextRequestID(), r.id, wiremessage.OpReply)
		b = wiremessage.AppendReplyFlags(b, 0)
		b = wiremessage.AppendReplyCursorID(b, 0)
		b = wiremessage.AppendReplyStartingFrom(b, 0)
		b = wiremessage.AppendReplyNumberReturned(b, 1)
	} else {
		at, b = wiremessage.AppendHeaderStart(make([]byte, 0, len(doc)+32), wiremessage.NextRequestID(), r.id, wiremessage.OpMsg)
		b = wiremessage.AppendMsgFlags(b, 0)
		b = wiremessage.AppendMsgSectionType(b, wiremessage.SingleDocument)
	}
	b = append(b, doc...)
	return bsoncore.UpdateLength(b, at, int32(len(b)))
}

// serve answers one client's requests, one after the other.
func (n *node) serve(c net.Conn, down <-chan struct{}) {
	defer n.forget(c)
	r := bufio.NewReader(c)
	for {
		req, err := readRequest(r)
		if err != nil {
			return // the client hung up, or speaks something else
		}
		doc, err := n.carryOut(req, down)
		if err != nil {
			return
		}
		if req.silent {
			continue
		}
		if _, err := c.Write(req.answer(doc)); err != nil {
			return
		}
	}
}
