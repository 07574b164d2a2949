package devstack

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// opMessage builds an OP_MSG.
func opMessage(t testing.TB, sections ...[]byte) message {
	t.Helper()
	m := message(slices.Concat(append([][]byte{make([]byte, headerSize+4)}, sections...)...))
	binary.LittleEndian.PutUint32(m, uint32(len(m)))
	binary.LittleEndian.PutUint32(m[12:], opMsg)
	return m
}

func section(t testing.TB, kind byte, content any) []byte {
	t.Helper()
	doc, err := bson.Marshal(content)
	if err != nil {
		t.Fatal(err)
	}
	return append([]byte{kind}, doc...)
}

func TestMessage_CommandIsFirstKeyOfBody(t *testing.T) {
	body := section(t, sectionBody, bson.D{{Key: "update", Value: "orders"}, {Key: "find", Value: 1}})
	list := []byte{sectionList, 12, 0, 0, 0, 'u', 'p', 'd', 'a', 't', 'e', 's', 0}
	for name, m := range map[string]message{
		"body first": opMessage(t, body, list),
		"list first": opMessage(t, list, body),
	} {
		if got := m.command(); got != "update" {
			t.Errorf("%s: want update, got %q", name, got)
		}
	}
}

func FuzzMessage_NeverPanics(f *testing.F) {
	f.Add([]byte(opMessage(f, section(f, sectionBody, bson.D{{Key: "delete", Value: "x"}}))))
	f.Add([]byte(opMessage(f, []byte{sectionList, 255, 255, 255, 255})))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := readMessage(bufio.NewReader(bytes.NewReader(data)), nil)
		if err == nil {
			m.command()
			m.wantsNoReply()
		}
	})
}
