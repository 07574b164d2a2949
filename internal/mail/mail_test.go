package mail

import (
	"context"
	"io"
	netmail "net/mail"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMailboxKeepsMessagesForItsOwnerAlone(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "mail")
	box, err := Mailbox(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := box.Send(context.Background(), Message{To: "ann@example.org", Subject: "Hello", Text: "Your code is 123456.\n"}); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*.eml"))
	if len(files) != 1 {
		t.Fatalf("want one file, got %v", files)
	}
	if info, _ := os.Stat(files[0]); info.Mode().Perm() != 0o600 {
		t.Errorf("want 0600, got %v", info.Mode())
	}
	f, _ := os.Open(files[0])
	defer f.Close()
	msg, err := netmail.ReadMessage(f)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(msg.Body)
	if msg.Header.Get("Subject") != "Hello" || !strings.Contains(msg.Header.Get("To"), "ann@example.org") || !strings.Contains(string(body), "123456") {
		t.Errorf("got %v: %s", msg.Header, body)
	}
}

func TestNothingIsSmuggledIntoHeaders(t *testing.T) {
	t.Parallel()
	box, err := Mailbox(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{"", "ann", "ann@example.org\r\nBcc: eve@example.org", "a@example.org, b@example.org"} {
		if err := box.Send(context.Background(), Message{To: to, Subject: "x", Text: "x"}); err == nil {
			t.Errorf("%q: want an error", to)
		}
	}
}

func TestSMTPRefusesWhatIsNoMailServerWithoutRepeatingIt(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{"", "smtp://", "http://u:hunter2@host", "smtp://u:hunter2@host:port", "smtp://u:hunter2@%zz"} {
		_, err := SMTP(raw)
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: want an error without the password, got %v", raw, err)
		}
	}
	if _, err := SMTP("smtps://u:p@mail.example.org"); err != nil {
		t.Error(err)
	}
}

func TestSenderAddress(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"smtp://mail.example.org":                       "no-reply@mail.example.org",
		"smtp://post%40example.org:x@mail.example.org":  "post@example.org",
		"smtp://mail.example.org?from=help@example.org": "help@example.org",
		"smtp://127.0.0.1:25":                           "no-reply@localhost",
	} {
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		if got := senderAddress(u); got != want {
			t.Errorf("%s: want %s, got %s", raw, want, got)
		}
	}
}
