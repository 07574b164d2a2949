package web

import (
	"strings"
	"testing"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
)

// FuzzParseCursor: a cursor is one that a page gave, or a fault of the field.
func FuzzParseCursor(f *testing.F) {
	for _, s := range []string{
		"", "0123456789abcdef01234567", "0123456789ABCDEF01234567", strings.Repeat("0", 24), strings.Repeat("f", 24), strings.Repeat("f", 23), strings.Repeat("f", 25),
		"0123456789abcdef0123456g", "0x23456789abcdef01234567", " 123456789abcdef01234567", "0123456789abcdef0123456\n", "\x00", "١٢٣٤٥٦٧٨٩٠١٢", "{\"$gt\":\"\"}", "' OR 1=1 --", "\xff",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := ParseCursor(s)
		hex := len(s) == 24 && strings.Trim(s, "0123456789abcdefABCDEF") == ""
		switch {
		case err != nil && (fault.KindOf(err) != fault.Invalid || hex || !id.IsZero()):
			t.Fatalf("%q: got %s, %v", s, id, err)
		case err == nil && s != "" && (!hex || id != cutover.MustID(s)):
			t.Fatalf("%q is read as %s", s, id)
		case err != nil || id.IsZero():
			return
		}
		page, err := List(Paging{Limit: 1}, func(id cutover.ID) cutover.ID { return id },
			func(cutover.ID, int) ([]cutover.ID, error) { return []cutover.ID{id, {}}, nil })
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ParseCursor(page.NextCursor); err != nil || again != id || page.NextCursor != strings.ToLower(s) {
			t.Fatalf("%q became %q, and %s, %v", s, page.NextCursor, again, err)
		}
	})
}
