package mail

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

type mailbox struct{ dir string }

// Mailbox keeps messages as .eml files in a folder of this machine, readable
// by its owner alone. Their names sort by time. Errors: when the folder cannot
// be made.
func Mailbox(dir string) (Sender, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("mailbox: %w", err)
	}
	return mailbox{dir}, nil
}

func (b mailbox) Send(_ context.Context, m Message) error {
	msg, err := compose("no-reply@localhost", m)
	if err != nil {
		return err
	}
	name := time.Now().UTC().Format("20060102T150405.000000000") + "-" + rand.Text()[:8]
	return b.write(filepath.Join(b.dir, name), msg.WriteTo)
}

// write lets a reader see the whole message or none: it is renamed into place.
func (b mailbox) write(path string, writeTo func(io.Writer) (int64, error)) error {
	f, err := os.OpenFile(path+".part", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("mailbox: %w", err)
	}
	_, err = writeTo(f)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("mailbox: %w", err)
	}
	return os.Rename(path+".part", path+".eml")
}
