package mail

import (
	"context"
	"io"
	"net"
	netmail "net/mail"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// post is a mail server on this machine that keeps what it takes.
type post struct {
	address string
	mu      sync.Mutex
	letters []letter
	logins  int
}

type letter struct {
	from, to, data string
}

func listen(t *testing.T) *post {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &post{address: l.Addr().String()}
	server := smtp.NewServer(p)
	server.AllowInsecureAuth = true
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return p
}

// NewSession begins one conversation.
func (p *post) NewSession(*smtp.Conn) (smtp.Session, error) { return &session{post: p}, nil }

type session struct {
	post *post
	letter
}

func (s *session) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, _, _ string) error {
		s.post.mu.Lock()
		defer s.post.mu.Unlock()
		s.post.logins++
		return nil
	}), nil
}

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	s.from = from
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if strings.HasPrefix(to, "nobody@") {
		return &smtp.SMTPError{Code: 550, Message: "no such mailbox"}
	}
	s.to = to
	return nil
}

func (s *session) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.data = string(b)
	s.post.mu.Lock()
	defer s.post.mu.Unlock()
	s.post.letters = append(s.post.letters, s.letter)
	return nil
}

func (s *session) Reset()        {}
func (s *session) Logout() error { return nil }

func (p *post) taken() ([]letter, int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.letters, p.logins
}

func TestALetterArrivesBySMTP(t *testing.T) {
	t.Parallel()
	p := listen(t)
	sender, err := SMTP("smtp://" + p.address + "?from=help@example.org")
	if err != nil {
		t.Fatal(err)
	}
	if err := sender.Send(t.Context(), Message{To: "ann@example.org", Subject: "رمز", Text: "Your code is 123456.\n"}); err != nil {
		t.Fatal(err)
	}
	letters, _ := p.taken()
	if len(letters) != 1 || letters[0].from != "help@example.org" || letters[0].to != "ann@example.org" {
		t.Fatalf("got %+v", letters)
	}
	msg, err := netmail.ReadMessage(strings.NewReader(letters[0].data))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(msg.Body)
	if err != nil || !strings.Contains(string(body), "123456") || msg.Header.Get("Message-Id") == "" {
		t.Errorf("got %v: %s (%v)", msg.Header, body, err)
	}
}

func TestALetterThatIsNotTakenIsAnError(t *testing.T) {
	t.Parallel()
	p := listen(t)
	sender, err := SMTP("smtp://" + p.address)
	if err != nil {
		t.Fatal(err)
	}
	if err := sender.Send(t.Context(), Message{To: "nobody@example.org", Subject: "x", Text: "x"}); err == nil {
		t.Error("a refused recipient is no error")
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := sender.Send(gone, Message{To: "ann@example.org", Subject: "x", Text: "x"}); err == nil {
		t.Error("an ended context is no error")
	}
	if letters, _ := p.taken(); len(letters) != 0 {
		t.Errorf("got %+v", letters)
	}
}

// The server offers to take it in the clear; whoever listens would have it.
func TestAPasswordIsNotSentInTheClear(t *testing.T) {
	t.Parallel()
	p := listen(t)
	sender, err := SMTP("smtp://user:hunter2@" + p.address)
	if err != nil {
		t.Fatal(err)
	}
	err = sender.Send(t.Context(), Message{To: "ann@example.org", Subject: "x", Text: "x"})
	letters, logins := p.taken()
	if err == nil || strings.Contains(err.Error(), "hunter2") || len(letters) != 0 || logins != 0 {
		t.Errorf("want a refusal, got %v, %d letters, %d logins", err, len(letters), logins)
	}
}
