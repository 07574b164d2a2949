package tap

import (
	"bytes"
	"encoding/binary"
	"io"
	"strings"
)

// https://www.postgresql.org/docs/current/protocol-message-formats.html
const (
	protocol3 = 3 << 16

	msgQuery   = 'Q'
	msgParse   = 'P'
	msgBind    = 'B'
	msgExecute = 'E'
)

// postgres counts statements: those that are sent as text, and the executions of
// prepared ones.
func (t *Tap) postgres(r io.Reader) {
	for started := false; !started; {
		b, err := body(r, binary.BigEndian)
		if err != nil || len(b) < 4 {
			return
		}
		started = binary.BigEndian.Uint32(b) >= protocol3 && binary.BigEndian.Uint32(b) < protocol3+1<<16
	}
	prepared, bound := map[string]string{}, ""
	for {
		var kind [1]byte
		if _, err := io.ReadFull(r, kind[:]); err != nil {
			return
		}
		b, err := body(r, binary.BigEndian)
		if err != nil {
			return
		}
		switch kind[0] {
		case msgQuery:
			t.count("sql " + words(text(b)))
		case msgParse:
			name := text(b)
			prepared[name] = words(text(b[len(name)+1:]))
		case msgBind:
			bound = prepared[text(b[len(text(b))+1:])]
		case msgExecute:
			t.count("sql " + bound)
		}
	}
}

// text is what comes before the zero byte.
func text(b []byte) string {
	s, _, _ := bytes.Cut(b, []byte{0})
	return string(s)
}

// words puts a statement on one short line.
func words(sql string) string {
	line := strings.Join(strings.Fields(sql), " ")
	return line[:min(len(line), 90)]
}
