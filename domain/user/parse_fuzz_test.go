package user

import (
	"net/http"
	"net/mail"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/internal/limit"
)

// FuzzParseEmail: an address is refused, or it is one address in canonical
// form that cannot add a line to a mail's head.
func FuzzParseEmail(f *testing.F) {
	for _, s := range []string{
		"ann@example.org", " Ann@Example.ORG ", "a+b@x.io", `"a b"@x.io`, `"a@b"@x.io`, `"a\"b"@x.io`, "a@[127.0.0.1]", "ann@localhost", "ünïcode@exämple.org", "İ@x.io", "\u212a@x.io",
		"", "@", "ann", "ann@", "@x.io", "a@b@c", "Ann <ann@example.org>", "<ann@example.org>", "a@b, c@d", "a@b; c@d", "a@b\r\nBcc: c@d", "a@b\n", "a\x00@b", "a@b\x00", "\xff@x.io", "a@\xff",
		"a@x.io (comment)", "(c)a@x.io", "a @x.io", "a@ x.io", "a..b@x.io", ".a@x.io", "a.@x.io", "a@x..io", "=?utf-8?q?a?=@x.io", "a\u202e@x.io", "a\u00a0@x.io", "undisclosed:;", "g:a@x.io;",
		strings.Repeat("a", 242) + "@example.org", strings.Repeat("a", 243) + "@example.org",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := parseEmail(s)
		if err != nil {
			if got != "" || fault.KindOf(err) != fault.Invalid {
				t.Fatalf("%q gave %q and %v", s, got, err)
			}
			return
		}
		if again, err := parseEmail(got); err != nil || again != got || got != CanonicalEmail(got) || got != CanonicalEmail(s) {
			t.Fatalf("%q is read as %q, and that as %q, %v", s, got, again, err)
		}
		if utf8.RuneCountInString(got) > 254 || !utf8.ValidString(got) || strings.ContainsFunc(got, unicode.IsControl) || strings.Count(got, "@") < 1 {
			t.Fatalf("%q counts as an address", got)
		}
		if list, err := mail.ParseAddressList(got); err != nil || len(list) != 1 {
			t.Fatalf("%q is %d addresses: %v", got, len(list), err)
		}
	})
}

// FuzzParseName: a name is refused, or it is its text without the space
// around it.
func FuzzParseName(f *testing.F) {
	for _, s := range []string{
		"Ann", " Ann ", "", " ", "\u00a0", "علی", "O'Neil-Åß", "👩‍👩‍👧", "a\x00b", "a\nb", "a\r\nb", "a\tb", "\x1b[31m", "a\u202eb", "\xff", "a\u0085b", "\u2028",
		strings.Repeat("é", 100), strings.Repeat("é", 101), " " + strings.Repeat("x", 100) + " ", "<script>",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := parseName(s)
		if err != nil {
			if fault.KindOf(err) != fault.Invalid {
				t.Fatalf("%q gave %v", s, err)
			}
			return
		}
		if n := utf8.RuneCountInString(got); n < 1 || n > 100 || got != strings.TrimSpace(s) || !utf8.ValidString(got) || strings.ContainsAny(got, "\x00\r\x1b") {
			t.Fatalf("%q is read as %q", s, got)
		}
		if again, err := parseName(got); err != nil || again != got {
			t.Fatalf("%q is read again as %q, %v", got, again, err)
		}
	})
}

// FuzzCheckLink: what is taken for a link leads to a web server.
func FuzzCheckLink(f *testing.F) {
	for _, s := range []string{
		"", "https://example.org", "HTTP://X", "http://:80", "http://", "https://@", "https://:@:", "javascript:alert(1)", " https://x", "https://x\n", "https://x/\x00", "https://\xff", "//x", "https:x", "https:/x",
		"https://[::1]", "https://[", "https://x/%zz", "https://x/\u202e", "data:text/html,x", "https://" + strings.Repeat("a", 492), "https://" + strings.Repeat("a", 493),
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		err := limit.Check(ProfileFields{Website: &s})
		if err != nil {
			if fault.KindOf(err) != fault.Invalid {
				t.Fatalf("%q gave %v", s, err)
			}
			return
		}
		var kept Profile
		ProfileFields{Website: &s}.apply(&kept)
		if s = kept.Website; s == "" {
			return
		}
		lower := strings.ToLower(s)
		if !strings.HasPrefix(lower, "http://") && !strings.HasPrefix(lower, "https://") || !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
			t.Fatalf("%q counts as a link to the web", s)
		}
		r, err := http.NewRequest(http.MethodGet, s, nil)
		if err != nil || r.URL.Hostname() == "" {
			t.Fatalf("%q counts as a link, but leads to nobody: %v", s, err)
		}
	})
}
