package marketplace

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/amanat-dev/amanat/cutover/fault"
)

// linkSeeds are texts that some reader of URLs takes for a link.
var linkSeeds = []string{
	"", "http://example.org", "https://example.org/a?b=c#d", "HTTPS://EXAMPLE.ORG", "https://example.org:8080/", "https://[::1]/", "https://[::1", "https://user:pw@example.org/",
	"javascript:alert(1)", "JaVaScRiPt:alert(1)", " javascript:alert(1)", "java\tscript:alert(1)", "data:text/html,x", "vbscript:x", "file:///etc/passwd", "ftp://example.org",
	"//example.org", "/relative", "example.org", "http:", "http://", "http:///path", "http://:80", "http://?x", "http:example.org", "https:\\\\example.org", "http://exa mple.org",
	"http://example.org/\x00", "http://example.org/\n", "http://example.org/\u202e", "http://\xff.org", "http://example.org/\xff", "http://مثال.إيران/", "http://xn--mgbh0fb.xn--kgbechtv", "http://0x7f.1",
	"https://example.org/%zz", "https://example.org/%00", "https://" + strings.Repeat("a", 1992), "https://" + strings.Repeat("a", 1993), "https://" + strings.Repeat("é", 1992), "https://example.org/\"><script>",
}

// FuzzProductLink: what is taken for a link leads to a web server, whoever
// reads it, and is a text that both databases can keep.
func FuzzProductLink(f *testing.F) {
	for _, s := range linkSeeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		draft := goodRequest()
		draft.ProductLink = s
		if err := draft.check(buyerID); err != nil {
			if fault.KindOf(err) != fault.Invalid {
				t.Fatalf("%q gave %v", s, err)
			}
			return
		}
		link := newRequest(otherID, buyerID, draft).ProductLink
		if link == "" {
			return
		}
		if !utf8.ValidString(link) || strings.ContainsRune(link, 0) || utf8.RuneCountInString(link) > 2000 || link != strings.TrimSpace(s) {
			t.Fatalf("%q was kept as %q", s, link)
		}
		if lower := strings.ToLower(link); !strings.HasPrefix(lower, "http://") && !strings.HasPrefix(lower, "https://") {
			t.Fatalf("%q counts as a link to the web", link)
		}
		u, err := url.Parse(link)
		if err != nil || u.Hostname() == "" {
			t.Fatalf("%q counts as a link: %v", link, err)
		}
		if _, err := http.NewRequest(http.MethodGet, link, nil); err != nil {
			t.Fatalf("%q cannot be asked for: %v", link, err)
		}
	})
}

// FuzzRequestTexts: what the buyer writes is kept as it is, but for the space
// around it, or refused by the field's name.
func FuzzRequestTexts(f *testing.F) {
	for _, s := range []string{"", " ", "\u00a0", "Shoes", "\x00", "a\x00b", "\xff", "a\u202eb", strings.Repeat("é", 200), strings.Repeat("é", 201), strings.Repeat("x", 2001), "low", "USD", "🧦"} {
		f.Add(s, 1)
		f.Add(s, -1)
	}
	f.Fuzz(func(t *testing.T, s string, quantity int) {
		draft := goodRequest()
		draft.Title, draft.Description, draft.Size, draft.Quantity = s, s, s, quantity
		draft.Specifications = []Specification{{Key: s, Value: s, Label: s}}
		if err := draft.check(buyerID); err != nil {
			if fault.KindOf(err) != fault.Invalid {
				t.Fatalf("%q gave %v", s, err)
			}
			return
		}
		r := newRequest(otherID, buyerID, draft)
		for _, text := range []string{r.Title, r.Description, r.Size, r.Specifications[0].Key} {
			if !utf8.ValidString(text) || strings.ContainsAny(text, "\x00\u202e") || utf8.RuneCountInString(text) > 200 {
				t.Fatalf("%q was accepted", text)
			}
		}
		if r.Title != strings.TrimSpace(s) || r.Title == "" || r.Quantity < 1 || r.Quantity > 1_000_000 {
			t.Fatalf("%q and %d became %q and %d", s, quantity, r.Title, r.Quantity)
		}
	})
}
