package cutover_test

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/cutovertest"
	"github.com/amanat-dev/amanat/cutover/shape"
)

// TestRecordsAreAlikeWhenTheirCanonicalFormsAre: alike is a second way to say
// what canonical forms say, so it is held against them for each way in which a
// record can change.
func TestRecordsAreAlikeWhenTheirCanonicalFormsAre(t *testing.T) {
	t.Parallel()
	for _, k := range everyKind() {
		if !cutover.Alike(filled(k, 3), filled(k, 3)) || !cutover.Alike(k.New(), k.New()) {
			t.Errorf("%s: a record is unlike itself", k.Name)
		}
		fields := shape.Of(k.Type)
		for i := range changes(reflect.ValueOf(filled(k, 3)).Elem(), fields, "") {
			a, b := filled(k, 3), filled(k, 3)
			c := changes(reflect.ValueOf(b).Elem(), fields, "")[i]
			c.make()
			same := slices.Equal(cutover.Canonical(a), cutover.Canonical(b))
			if cutover.Alike(a, b) != same || cutover.Alike(b, a) != same {
				t.Errorf("%s: that %s: alike %t, of one canonical form %t", k.Name, c.path, cutover.Alike(a, b), same)
			}
		}
	}
}

func TestRecordsAreAlikeWhateverStandsForNothing(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 6_000_000, time.UTC)
	a, b := new(cutovertest.Specimen), new(cutovertest.Specimen)
	a.Tags, a.Links, a.Data = []string{}, map[string]string{}, []byte{}
	a.CreatedAt, b.CreatedAt = at, at.Add(999_999).In(time.FixedZone("", 3600))
	if !slices.Equal(cutover.Canonical(a), cutover.Canonical(b)) || !cutover.Alike(a, b) {
		t.Error("absent and empty are unlike")
	}
}
