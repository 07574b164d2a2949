package cutover_test

import (
	"strings"
	"testing"

	"github.com/amanat-dev/amanat/cutover"
)

// FuzzParseID: an ID is 24 hex digits and nothing else, and comes back as it
// was but for the case of its letters.
func FuzzParseID(f *testing.F) {
	for _, s := range []string{"", "0123456789abcdef01234567", "0123456789ABCDEF01234567", strings.Repeat("0", 24), strings.Repeat("g", 24), strings.Repeat("a", 23), strings.Repeat("a", 25), "0x0123456789abcdef012345", "é123456789abcdef0123456", "\x00", "template-checkout-123456"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := cutover.ParseID(s)
		hex := len(s) == 24 && strings.Trim(s, "0123456789abcdefABCDEF") == ""
		if hex != (err == nil) || err != nil && !id.IsZero() {
			t.Fatalf("%q: got %s, %v", s, id, err)
		}
		if err == nil && !id.IsZero() && id.String() != strings.ToLower(s) {
			t.Fatalf("%q is read as %s", s, id)
		}
		var u cutover.ID
		text, _ := id.MarshalText()
		if err := u.UnmarshalText(text); err != nil || u != id {
			t.Fatalf("%s is read again as %s, %v", id, u, err)
		}
	})
}
