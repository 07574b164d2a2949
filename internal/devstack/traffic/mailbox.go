package traffic

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"mime/quotedprintable"
	"net/mail"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
)

// mailbox finds codes in the mail that the servers leave in a folder.
type mailbox struct {
	dir   string
	mu    sync.Mutex
	seen  map[string]bool
	codes map[string]string // address → code of the newest mail
}

func newMailbox(dir string) *mailbox {
	return &mailbox{dir: dir, seen: map[string]bool{}, codes: map[string]string{}}
}

var sixDigits = regexp.MustCompile(`\b\d{6}\b`)

// code waits for a mail to the address and takes the code out of it.
func (m *mailbox) code(ctx context.Context, address string) (code string, err error) {
	err = until(ctx, fmt.Sprintf("a mail with a code to %s in %s", address, m.dir), func() (arrived bool, _ error) {
		code, arrived = m.take(strings.ToLower(address))
		return arrived, nil
	})
	return code, err
}

func (m *mailbox) take(address string) (string, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.collect()
	code, ok := m.codes[address]
	delete(m.codes, address)
	return code, ok
}

// collect reads what has arrived. A file that is not whole yet is read again.
func (m *mailbox) collect() {
	entries, err := os.ReadDir(m.dir)
	if err != nil {
		return // it is made with the first mail
	}
	for _, e := range entries {
		if m.seen[e.Name()] || filepath.Ext(e.Name()) != ".eml" {
			continue
		}
		if to, code, ok := readCode(filepath.Join(m.dir, e.Name())); ok {
			m.seen[e.Name()] = true
			m.codes[to] = code
		}
	}
}

// readCode returns the recipient of a mail and the code in its text.
func readCode(file string) (to, code string, ok bool) {
	f, err := os.Open(file)
	if err != nil {
		return "", "", false
	}
	defer f.Close()
	message, err := mail.ReadMessage(f)
	if err != nil {
		return "", "", false
	}
	address, err := mail.ParseAddress(message.Header.Get("To"))
	if err != nil {
		return "", "", false
	}
	text, err := io.ReadAll(decoded(message))
	if err != nil {
		return "", "", false
	}
	code = sixDigits.FindString(string(text))
	return strings.ToLower(address.Address), code, code != ""
}

func decoded(m *mail.Message) io.Reader {
	switch strings.ToLower(m.Header.Get("Content-Transfer-Encoding")) {
	case "base64":
		return base64.NewDecoder(base64.StdEncoding, m.Body)
	case "quoted-printable":
		return quotedprintable.NewReader(m.Body)
	}
	return m.Body
}
