package config

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// minSecret is the fewest characters that a secret may have.
const minSecret = 32

// badValue says what is wrong with a value; it never shows a secret.
type badValue string

func (b badValue) Error() string { return string(b) }

func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "…"
	}
	return s
}

// Secret is a value that is never shown: whatever prints it prints "(set)".
type Secret struct{ value string }

// NewSecret wraps a value.
func NewSecret(s string) Secret { return Secret{s} }

// Reveal returns the value to what needs it.
func (s Secret) Reveal() string { return s.value }

// IsSet says that there is a value.
func (s Secret) IsSet() bool { return s.value != "" }

func (s Secret) String() string {
	if s.value == "" {
		return "(not set)"
	}
	return "(set)"
}

func (s Secret) GoString() string             { return s.String() }
func (s Secret) LogValue() slog.Value         { return slog.StringValue(s.String()) }
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

func (s *Secret) UnmarshalText(b []byte) error {
	s.value = string(b)
	return nil
}

// DatabaseURL is a connection string. Whatever prints it prints it without its
// password and options, which may be secret.
type DatabaseURL struct {
	raw    Secret
	scheme string
	shown  string
}

// UnmarshalText takes scheme://[user[:password]@]host[,host…][/name][?options].
// It is not parsed as a URL: several hosts are none.
func (u *DatabaseURL) UnmarshalText(b []byte) error {
	scheme, rest, ok := strings.Cut(string(b), "://")
	if !ok || scheme == "" || strings.ContainsAny(string(b), " \t\n") {
		return badValue("is not of the form scheme://user:password@host:port/name")
	}
	rest, _, _ = strings.Cut(rest, "?")
	authority, name, hasName := cutLast(rest)
	user, hosts, hasUser := cutAt(authority)
	shown := scheme + "://"
	if hasUser {
		shown += user + "@"
	}
	shown += hosts
	if hasName {
		shown += "/" + name
	}
	*u = DatabaseURL{NewSecret(string(b)), scheme, shown}
	return nil
}

// cutLast splits authority and name at the first slash after the credentials,
// whose password may hold slashes by mistake.
func cutLast(rest string) (authority, name string, ok bool) {
	at := strings.LastIndex(rest, "@") + 1
	authority, name, ok = strings.Cut(rest[at:], "/")
	return rest[:at] + authority, name, ok
}

// cutAt returns the user without password, and the hosts.
func cutAt(authority string) (user, hosts string, ok bool) {
	at := strings.LastIndex(authority, "@")
	if at < 0 {
		return "", authority, false
	}
	user, _, _ = strings.Cut(authority[:at], ":")
	return user, authority[at+1:], true
}

// Reveal returns the whole connection string to the driver.
func (u DatabaseURL) Reveal() string { return u.raw.Reveal() }

// IsSet says that there is one.
func (u DatabaseURL) IsSet() bool { return u.raw.IsSet() }

// Scheme returns what stands before "://".
func (u DatabaseURL) Scheme() string { return u.scheme }

func (u DatabaseURL) String() string {
	if !u.IsSet() {
		return "(not set)"
	}
	return u.shown
}

func (u DatabaseURL) GoString() string             { return u.String() }
func (u DatabaseURL) LogValue() slog.Value         { return slog.StringValue(u.String()) }
func (u DatabaseURL) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// WebURL is an http or https URL, "" when it is not set.
type WebURL string

func (u *WebURL) UnmarshalText(b []byte) error {
	parsed, err := url.Parse(string(b))
	if err != nil || parsed.Host == "" || parsed.Scheme != "http" && parsed.Scheme != "https" {
		return badValue("is not a URL that begins with http:// or https://")
	}
	if parsed.User != nil {
		return badValue("holds a user or password, which belongs elsewhere")
	}
	*u = WebURL(strings.TrimSuffix(string(b), "/"))
	return nil
}

// Origin returns scheme and host, as a browser names the site of a page.
func (u WebURL) Origin() string {
	parsed, err := url.Parse(string(u))
	if err != nil || parsed.Host == "" {
		return ""
	}
	return strings.ToLower(parsed.Scheme + "://" + parsed.Host)
}

// List is text between commas.
type List []string

func (l *List) UnmarshalText(b []byte) error {
	*l = nil
	for item := range strings.SplitSeq(string(b), ",") {
		if item = strings.TrimSpace(item); item != "" {
			*l = append(*l, item)
		}
	}
	return nil
}

// Sources is a JSON list of price sources. Their URLs may hold keys, so it is
// printed as a Secret is.
type Sources struct {
	Secret
	Count int
}

func (s *Sources) UnmarshalText(b []byte) error {
	var list []struct{ Name, URL, Price string }
	if err := json.Unmarshal(b, &list); err != nil {
		return badValue("is not a JSON list of {name, url, price}")
	}
	seen := map[string]bool{}
	for i, source := range list {
		var u WebURL
		switch {
		case source.Name == "" || source.Price == "" || seen[source.Name]:
			return badValue(fmt.Sprintf("source %d needs a name of its own and a price, the path of it in the answer", i+1))
		case u.UnmarshalText([]byte(strings.NewReplacer("{", "", "}", "").Replace(source.URL))) != nil:
			return badValue(fmt.Sprintf("source %d needs a url that begins with http:// or https://", i+1))
		}
		seen[source.Name] = true
	}
	*s = Sources{NewSecret(string(b)), len(list)}
	return nil
}

// Port is a TCP port; 0 lets the system choose one.
type Port int

func (p *Port) UnmarshalText(b []byte) error {
	n, err := between(b, 0, 65535)
	*p = Port(n)
	return err
}

// BPS is a share in hundredths of a percent.
type BPS int

func (p *BPS) UnmarshalText(b []byte) error {
	n, err := between(b, 0, 10_000)
	*p = BPS(n)
	return err
}

// Seconds is a duration in whole seconds.
type Seconds int

// Duration gives it as one.
func (s Seconds) Duration() time.Duration { return time.Duration(s) * time.Second }

func (s *Seconds) UnmarshalText(b []byte) error {
	n, err := between(b, 0, 1<<31-1)
	*s = Seconds(n)
	return err
}

func between(b []byte, least, most int) (int, error) {
	n, err := strconv.Atoi(string(b))
	if err != nil {
		return 0, badValue(fmt.Sprintf("%q is not a whole number", clip(string(b))))
	}
	if n < least || n > most {
		return 0, badValue(fmt.Sprintf("%d is not between %d and %d", n, least, most))
	}
	return n, nil
}
