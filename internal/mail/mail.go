// Package mail sends the few letters that Amanat writes: by SMTP, or into a
// local mailbox when no mail server is configured.
package mail

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
)

// Message is a letter of plain text to one address.
type Message struct {
	To      string
	Subject string
	Text    string
}

// Sender sends messages. An error means that the message did not go out.
type Sender interface {
	Send(ctx context.Context, m Message) error
}

// sendTimeout bounds a conversation with a mail server.
const sendTimeout = 10 * time.Second

type smtpSender struct {
	from   string
	client *gomail.Client
}

// SMTP sends through a mail server: smtp://user:password@host:port (STARTTLS
// when the server offers it, and always before a password is sent) or
// smtps://… (TLS from the start). The sender's address is the url's parameter
// "from", else user when that is an address, else no-reply@host. Errors: when
// the url is none of that; they do not repeat it, for it may hold a password.
func SMTP(rawURL string) (Sender, error) {
	u, err := url.Parse(rawURL)
	if err != nil || u.Hostname() == "" || (u.Scheme != "smtp" && u.Scheme != "smtps") {
		return nil, fmt.Errorf("mail server: want smtp://user:password@host:port or smtps://…")
	}
	opts, err := smtpOptions(u)
	if err != nil {
		return nil, err
	}
	client, err := gomail.NewClient(u.Hostname(), opts...)
	if err != nil {
		return nil, fmt.Errorf("mail server %s: %w", u.Host, err)
	}
	return &smtpSender{from: senderAddress(u), client: client}, nil
}

func smtpOptions(u *url.URL) ([]gomail.Option, error) {
	opts := []gomail.Option{gomail.WithTimeout(sendTimeout), gomail.WithTLSPolicy(gomail.TLSOpportunistic)}
	password, secret := u.User.Password()
	if secret {
		opts = append(opts, gomail.WithTLSPolicy(gomail.TLSMandatory),
			gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover),
			gomail.WithUsername(u.User.Username()), gomail.WithPassword(password))
	}
	if u.Scheme == "smtps" {
		opts = append(opts, gomail.WithSSL(), gomail.WithPort(465))
	}
	if u.Port() == "" {
		return opts, nil
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		return nil, fmt.Errorf("mail server %s: the port is no number", u.Host)
	}
	return append(opts, gomail.WithPort(port)), nil
}

func senderAddress(u *url.URL) string {
	if from := u.Query().Get("from"); from != "" {
		return from
	}
	if strings.Contains(u.User.Username(), "@") {
		return u.User.Username()
	}
	if net.ParseIP(u.Hostname()) != nil {
		return "no-reply@localhost"
	}
	return "no-reply@" + u.Hostname()
}

func (s *smtpSender) Send(ctx context.Context, m Message) error {
	msg, err := compose(s.from, m)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	return s.client.DialAndSendWithContext(ctx, msg)
}

// compose refuses addresses that are not exactly one, so that nothing can be
// smuggled into the headers.
func compose(from string, m Message) (*gomail.Msg, error) {
	msg := gomail.NewMsg()
	if err := msg.From(from); err != nil {
		return nil, fmt.Errorf("mail: sender: %w", err)
	}
	if err := msg.To(m.To); err != nil {
		return nil, fmt.Errorf("mail: recipient: %w", err)
	}
	msg.Subject(m.Subject)
	msg.SetDate()
	msg.SetMessageID()
	msg.SetBodyString(gomail.TypeTextPlain, m.Text)
	return msg, nil
}
