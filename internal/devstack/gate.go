package devstack

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// gate stands between clients and FerretDB and lets one write command through
// at a time.
//
// FerretDB carries out an update by reading the document, changing it in
// memory and writing it back, with no lock in between. Of two updates of one
// document at once, both succeed and one is lost; a compare-and-set can succeed
// for several. MongoDB does each atomically, and so does FerretDB behind the
// gate. Reads pass freely, and so does insert, which PostgreSQL does atomically.
type gate struct {
	address string // where clients connect; chosen at the first listen
	open    bool   // let everything through at once

	write sync.Mutex // held while a gated command runs

	mu       sync.Mutex // guards what follows
	listener net.Listener
	conns    map[net.Conn]struct{}
	frozen   chan struct{} // closed when requests may go on; nil when they may anyway
	serving  sync.WaitGroup
}

// gated are the commands that change documents which exist.
var gated = map[string]bool{"update": true, "findAndModify": true, "findandmodify": true, "delete": true}

// listen starts to accept clients for the FerretDB at backend, at the same address
// as before.
func (g *gate) listen(backend string) error {
	address := g.address
	if address == "" {
		address = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.address = l.Addr().String()
	g.listener = l
	g.conns = map[net.Conn]struct{}{}
	g.serving.Go(func() { g.accept(l, backend) })
	return nil
}

func (g *gate) accept(l net.Listener, backend string) {
	for {
		client, err := l.Accept()
		if err != nil {
			return // the listener was closed
		}
		g.serving.Go(func() { g.serve(client, backend) })
	}
}

// close drops all clients and waits until nothing of theirs is under way.
func (g *gate) close() {
	g.thaw()
	g.mu.Lock()
	if g.listener != nil {
		g.listener.Close()
		g.listener = nil
	}
	for conn := range g.conns {
		conn.Close()
	}
	g.conns = nil
	g.mu.Unlock()
	g.serving.Wait()
}

// freeze has requests wait until thaw.
func (g *gate) freeze() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.frozen == nil {
		g.frozen = make(chan struct{})
	}
}

func (g *gate) thaw() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.frozen != nil {
		close(g.frozen)
		g.frozen = nil
	}
}

// awaitThaw waits while the gate is frozen.
func (g *gate) awaitThaw() {
	g.mu.Lock()
	frozen := g.frozen
	g.mu.Unlock()
	if frozen != nil {
		<-frozen
	}
}

// track remembers a connection for close, unless that was called already.
func (g *gate) track(conn net.Conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.conns == nil {
		return false
	}
	g.conns[conn] = struct{}{}
	return true
}

func (g *gate) drop(conn net.Conn) {
	conn.Close()
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.conns, conn)
}

// serve relays one client's commands until either side hangs up.
func (g *gate) serve(client net.Conn, backend string) {
	defer g.drop(client)
	server, err := net.Dial("tcp", backend)
	if err != nil {
		return
	}
	defer g.drop(server)
	if !g.track(client) || !g.track(server) {
		return
	}
	requests, replies := bufio.NewReader(client), bufio.NewReader(server)
	var request, reply message
	for {
		if request, err = readMessage(requests, request); err != nil {
			return
		}
		g.awaitThaw()
		if reply, err = g.exchange(server, replies, request, reply); err != nil {
			return
		}
		if request.wantsNoReply() {
			continue // FerretDB replies nevertheless
		}
		if _, err := client.Write(reply); err != nil {
			return
		}
	}
}

// exchange has FerretDB carry out one request. The gate is free again once
// FerretDB has replied or hung up, whatever has become of the client: a client
// that gave up does not end its command halfway.
func (g *gate) exchange(server net.Conn, replies *bufio.Reader, request, reply message) (message, error) {
	writes := gated[request.command()]
	if writes && !g.open {
		g.write.Lock()
		defer g.write.Unlock()
	}
	if _, err := server.Write(request); err != nil {
		return nil, err
	}
	reply, err := readMessage(replies, reply)
	if err == nil && writes && bytes.Contains(reply, uniqueViolation) {
		return duplicateKey(reply)
	}
	return reply, err
}

// uniqueViolation is how PostgreSQL's error appears in FerretDB's reply.
var uniqueViolation = []byte("(SQLSTATE 23505)")

// duplicateKey turns FerretDB's reply to a command that broke a unique index
// into MongoDB's. FerretDB does so itself for an insert, but calls it an
// internal error when an update does it.
func duplicateKey(reply message) (message, error) {
	doc, err := bson.Marshal(bson.D{
		{Key: "ok", Value: 0.0},
		{Key: "errmsg", Value: "E11000 duplicate key error"},
		{Key: "code", Value: int32(11000)},
		{Key: "codeName", Value: "DuplicateKey"},
	})
	if err != nil {
		return nil, err
	}
	m := slices.Concat(reply[:headerSize], []byte{0, 0, 0, 0, sectionBody}, doc)
	binary.LittleEndian.PutUint32(m, uint32(len(m)))
	return m, nil
}

// message is one message of MongoDB's wire protocol: a header of four
// little-endian int32 (length, request id, id of the request replied to,
// opcode), then what the opcode says.
// https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/
type message []byte

const (
	headerSize     = 16
	maxMessageSize = 48_000_000 // the protocol's limit
	opMsg          = 2013
	moreToCome     = 1 << 1 // flag of an OP_MSG that is not to be replied to
	sectionBody    = 0      // kind of the section with the command itself
	sectionList    = 1      // kind of a section with a list of documents
)

var errWire = errors.New("not a message of MongoDB's wire protocol")

// readMessage reads one message, into buf if that is large enough.
func readMessage(r *bufio.Reader, buf message) (message, error) {
	head, err := r.Peek(headerSize)
	if err != nil {
		return nil, err
	}
	size := int(binary.LittleEndian.Uint32(head))
	if size < headerSize || size > maxMessageSize+headerSize {
		return nil, fmt.Errorf("%w: length %d", errWire, size)
	}
	if size > cap(buf) {
		buf = make(message, size)
	}
	buf = buf[:size]
	_, err = io.ReadFull(r, buf)
	return buf, err
}

// body returns an OP_MSG's flags and sections.
func (m message) body() (flags uint32, sections []byte, ok bool) {
	if len(m) < headerSize+4 || binary.LittleEndian.Uint32(m[12:]) != opMsg {
		return 0, nil, false
	}
	return binary.LittleEndian.Uint32(m[headerSize:]), m[headerSize+4:], true
}

func (m message) wantsNoReply() bool {
	flags, _, ok := m.body()
	return ok && flags&moreToCome != 0
}

// command returns the name of an OP_MSG's command, which is the first key of
// its body section, and "" for all else.
func (m message) command() string {
	_, rest, ok := m.body()
	for ok && len(rest) >= 5 { // the section's kind and a length
		size := uint64(binary.LittleEndian.Uint32(rest[1:]))
		switch {
		case rest[0] == sectionBody:
			return firstKey(rest[1:])
		case rest[0] != sectionList || size < 4 || size > uint64(len(rest)-1):
			return ""
		}
		rest = rest[1+size:]
	}
	return ""
}

// firstKey returns the first key of a BSON document: after its length (four
// bytes) and the element's type (one byte) up to the next zero.
func firstKey(doc []byte) string {
	if len(doc) < 5 {
		return ""
	}
	key, _, ok := bytes.Cut(doc[5:], []byte{0})
	if !ok {
		return ""
	}
	return string(key)
}
