package storetest

import (
	"context"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/cutover/memdb"
	"github.com/amanat-dev/amanat/domain/marketplace"
	"github.com/amanat-dev/amanat/domain/payment"
	"github.com/amanat-dev/amanat/domain/user"
)

// trickyTexts are alike or not by different ideas of case, blanks, forms and
// order: those of Go, of SQL under some locale, of a collation.
var trickyTexts = []string{
	"kim@example.org", "KIM@EXAMPLE.ORG", "\u212aim@example.org", // the Kelvin sign
	"ali@x", "ALI@X", "al\u0130@x", "al\u0131@x", "ali\u0307@x", // with and without a dot, apart from it
	"οδος", "ΟΔΟΣ", "οδοσ", "ΟΔΟς", // the final sigma
	"strasse", "straße", "STRASSE", "STRAẞE", "ſtrasse",
	"caf\u00e9", "cafe\u0301", "CAF\u00c9", "CAFE\u0301",
	"\u212bngstr\u00f6m", "\u00e5ngstr\u00f6m", "\u2126", "\u03c9", "\u03a9",
	"\ufb01n", "fin", "FIN", "\uff46in", "\uff26IN",
	" fin", "fin ", "\u00a0fin\u00a0", "\u2003fin", "fin\u200b", "\ufefffin", "\tfin", "f in",
	"\u01c4", "\u01c5", "\u01c6", "\u10a0", "\u2d00", "\u13a0", "\uab70",
	"", " ", "\u00a0", "%fin", "f_n", `f\n`, "fin'", `"fin"`, "fin:in", "fin:",
	strings.Repeat("lang", 150), strings.Repeat("LANG", 150), strings.Repeat("lang", 150) + "!",
}

// uniqueTexts make records whose unique value is derived from a text.
var uniqueTexts = []struct {
	domain cutover.Definition
	kind   string
	record func(cutover.Meta, string) cutover.Record
}{
	{user.Definition, user.KindUser, func(m cutover.Meta, text string) cutover.Record {
		return &user.User{Meta: m, Email: text, Role: user.Buyer, Status: user.Active, AuthProvider: user.ProviderEmail}
	}},
	{user.Definition, user.KindVerification, func(m cutover.Meta, text string) cutover.Record {
		return &user.TempVerification{Meta: m, Email: text}
	}},
	{payment.Definition, payment.KindDestination, func(m cutover.Meta, text string) cutover.Record {
		return &payment.Destination{Meta: m, Address: text, Status: payment.DestinationActive}
	}},
	{marketplace.Definition, marketplace.KindCategory, func(m cutover.Meta, text string) cutover.Record {
		return &marketplace.Category{Meta: m, Name: text, IsActive: true}
	}},
}

// Unique shows that a store refuses what memory refuses: records come, change
// and go at random, with texts that are tricky. seed makes a run come again.
func Unique(t *testing.T, seed uint64, open func(testing.TB, cutover.Definition) cutover.Side) {
	for n, u := range uniqueTexts {
		t.Run(u.kind, func(t *testing.T) {
			t.Parallel()
			r := rivals{Rand: rand.New(rand.NewPCG(seed, uint64(n))), record: u.record,
				sides: [2]cutover.Side{memdb.New("memory", u.domain.Kinds), open(t, u.domain)}}
			for range 120 {
				r.step(t)
			}
			if r.refused == 0 || r.accepted == 0 {
				t.Errorf("%d were accepted and %d refused: want some of either", r.accepted, r.refused)
			}
			if t.Failed() {
				t.Logf("seed %d", seed)
			}
		})
	}
}

// rivals are two stores to which the same happens.
type rivals struct {
	*rand.Rand
	sides             [2]cutover.Side
	record            func(cutover.Meta, string) cutover.Record
	there             []cutover.Meta
	accepted, refused int
}

func (r *rivals) step(t *testing.T) {
	t.Helper()
	text, meta, at := trickyTexts[r.IntN(len(trickyTexts))], cutover.Meta{ID: cutover.NewID()}, -1
	if len(r.there) > 0 && r.IntN(3) == 0 {
		at = r.IntN(len(r.there))
		meta = r.there[at]
	}
	goes := at >= 0 && r.IntN(2) == 0
	var errs [2]error
	var after cutover.Meta
	for i, side := range r.sides {
		record := r.record(meta, text)
		errs[i] = side.Update(t.Context(), cutover.Guard{}, func(ctx context.Context, tx cutover.Tx) error {
			if goes {
				return tx.Delete(ctx, record)
			}
			return tx.Put(ctx, record)
		})
		after = *record.RecordMeta()
		if errs[i] != nil && !fault.Is(errs[i], fault.Conflict) {
			t.Fatalf("%s: %q: %v", side.Name(), text, errs[i])
		}
	}
	if (errs[0] == nil) != (errs[1] == nil) {
		t.Fatalf("%q: memory says %v, %s says %v", text, errs[0], r.sides[1].Name(), errs[1])
	}
	switch {
	case errs[0] != nil:
		r.refused++
		return
	case goes:
		r.there = append(r.there[:at], r.there[at+1:]...)
	case at >= 0:
		r.there[at] = after
	default:
		r.there = append(r.there, after)
	}
	r.accepted++
}
