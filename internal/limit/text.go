package limit

import (
	"net/mail"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2/validation"
)

// What is said of a text that is none.
const (
	NotText = "has characters that are no text"
	notLine = "may have one line only"
	notLink = "want a link that begins with http:// or https://"
)

// notMail is what the HTTP layer says of it.
var notMail, _, _ = strings.Cut(validation.MsgExpectedRFC5322Email, ":")

// IsText says that s is one line of text: UTF-8 without control characters,
// which databases and terminals take for more than text, and without those that
// change the order in which the text around them is shown, with which a name
// can pose as another.
func IsText(s string) bool { return isText(s, false) }

// IsLines is IsText for what may have line breaks and tabs.
func IsLines(s string) bool { return isText(s, true) }

func isText(s string, lines bool) bool {
	if !utf8.ValidString(s) { // lone surrogates too
		return false
	}
	if lines {
		s = strings.ReplaceAll(s, "\r\n", "\n") // one break, as some clients write it
	}
	return !strings.ContainsFunc(s, func(r rune) bool { return !(lines && isBreak(r)) && isNoText(r) })
}

func isBreak(r rune) bool { return r == '\n' || r == '\t' }

// isNoText knows control characters, the line and paragraph separators, and
// those that embed, override or isolate a direction of writing. The marks that
// belong into Persian and Arabic texts (U+061C, U+200C to U+200F) are text.
func isNoText(r rune) bool {
	return unicode.IsControl(r) || r >= 0x2028 && r <= 0x202e || r >= 0x2066 && r <= 0x206f
}

// textProblem says what keeps s from being a text; "" when it is one.
func textProblem(s string, lines bool) string {
	switch {
	case isText(s, lines):
		return ""
	case isText(s, true):
		return notLine
	}
	return NotText
}

// Clip makes one line of text, of at most max characters, of what a client says
// of itself: it is cut and cleaned rather than refused.
func Clip(s string, max int) string {
	var b strings.Builder
	for _, r := range s { // what is not UTF-8 becomes U+FFFD
		if max == 0 {
			break
		}
		if !isNoText(r) {
			b.WriteRune(r)
			max--
		}
	}
	return b.String()
}

// isLink says that s is an absolute web address with a host: it ends up in a
// link, where others would run as a script. Blanks around it do not count: who
// keeps it takes them off. No text is no link, and does no harm.
func isLink(s string) bool {
	s = strings.TrimSpace(s)
	if s == "" {
		return true
	}
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != ""
}

// isMail says that s, but for blanks around it, is an address alone.
func isMail(s string) bool {
	s = strings.TrimSpace(s)
	a, err := mail.ParseAddress(s)
	return err == nil && a.Address == s
}
