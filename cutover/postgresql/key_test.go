package postgresql_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/postgresql"
	"github.com/amanat-dev/amanat/domain"
	"github.com/amanat-dev/amanat/domain/marketplace"
	"github.com/amanat-dev/amanat/internal/migrations"
	"github.com/amanat-dev/amanat/internal/storetest"
)

func TestUniqueRulesRefuseWhatMemoryRefuses(t *testing.T) {
	t.Parallel()
	storetest.Unique(t, rand.Uint64(), storetest.PostgresSide)
}

func active(name string) *marketplace.Category {
	return &marketplace.Category{Meta: cutover.Meta{ID: cutover.NewID()}, Name: name, IsActive: true}
}

// staleOf lists the rules of which Scan says that another key is stored.
func staleOf(t *testing.T, side cutover.Store, kind string) map[cutover.ID][]string {
	t.Helper()
	items, err := side.Scan(t.Context(), kind, cutover.ID{}, cutover.ID{}, 100)
	if err != nil {
		t.Fatal(err)
	}
	out := map[cutover.ID][]string{}
	for _, i := range items {
		if len(i.Stale) > 0 {
			out[i.Key.ID] = i.Stale
		}
	}
	return out
}

func TestMendKeys_StoresWhatGoDerivesWhereSomethingElseIsStored(t *testing.T) {
	t.Parallel()
	db := storetest.Postgres(t)
	side := db.Side(marketplace.Definition)
	mine, right, swapped := active("Kaffee"), active("Tee"), active("Saft")
	for _, c := range []*marketplace.Category{mine, right, swapped} {
		save(t, side, c)
	}
	// As an older version leaves it; one holds what another is to have.
	execute(t, db, "SET amanat.writer = 'engine'; UPDATE categories SET key_active_name = NULL WHERE name = 'Kaffee'",
		"SET amanat.writer = 'engine'; UPDATE categories SET key_active_name = 'kaffee' WHERE name = 'Saft'")
	want := map[cutover.ID][]string{mine.ID: {"ActiveName"}, swapped.ID: {"ActiveName"}}
	if stale := staleOf(t, side, marketplace.KindCategory); len(stale) != 2 || !slices.Equal(stale[mine.ID], want[mine.ID]) {
		t.Errorf("Scan says that %v have other keys, want %v", stale, want)
	}
	if keys, err := db.StaleKeys(t.Context(), marketplace.Definition); err != nil || len(keys) != 2 {
		t.Errorf("StaleKeys gave %v, %v; want two", keys, err)
	}
	if n, err := db.MendKeys(t.Context(), marketplace.Definition, false); err != nil || n != 2 {
		t.Fatalf("MendKeys changed %d rows, %v; want 2", n, err)
	}
	if stale := staleOf(t, side, marketplace.KindCategory); len(stale) > 0 {
		t.Errorf("%v still have other keys", stale)
	}
	if unmended, err := db.UnmendedKeys(t.Context(), marketplace.Definition); err != nil || len(unmended) > 0 {
		t.Errorf("UnmendedKeys gave %v, %v; want none", unmended, err)
	}
	execute(t, db, "SET amanat.writer = 'engine'; UPDATE categories SET key_active_name = NULL")
	if n, err := db.MendKeys(t.Context(), marketplace.Definition, false); err != nil || n != 0 {
		t.Errorf("a second MendKeys changed %d rows, %v; want it to rest on the record of the first", n, err)
	}
	if n, err := db.MendKeys(t.Context(), marketplace.Definition, true); err != nil || n != 3 {
		t.Errorf("MendKeys of all changed %d rows, %v; want 3", n, err)
	}
}

func TestMendKeys_NamesRecordsThatBreakARuleAndComesBackToIt(t *testing.T) {
	t.Parallel()
	db := storetest.Postgres(t)
	side := db.Side(marketplace.Definition)
	one, two := active("Éclair"), active("other")
	save(t, side, one)
	save(t, side, two)
	execute(t, db, "SET amanat.writer = 'engine'; UPDATE categories SET name = 'ÉCLAIR' WHERE name = 'other'")
	_, err := db.MendKeys(t.Context(), marketplace.Definition, false)
	if err == nil || !strings.Contains(err.Error(), one.ID.String()) || !strings.Contains(err.Error(), two.ID.String()) {
		t.Errorf("got %v, want an error that names %s and %s", err, one.ID, two.ID)
	}
	if unmended, err := db.UnmendedKeys(t.Context(), marketplace.Definition); err != nil || !slices.Contains(unmended, "category active name") {
		t.Errorf("UnmendedKeys gave %v, %v; want the broken rule", unmended, err)
	}
	execute(t, db, "SET amanat.writer = 'engine'; UPDATE categories SET name = 'fine' WHERE name = 'ÉCLAIR'")
	if _, err := db.MendKeys(t.Context(), marketplace.Definition, false); err != nil {
		t.Error(err)
	}
}

func TestMendKeys_GoesThroughALargeTable(t *testing.T) {
	t.Parallel()
	db := storetest.Postgres(t)
	execute(t, db, `SET amanat.writer = 'engine'; INSERT INTO categories (id, rev, name, is_active, "order")
		SELECT lpad(to_hex(i), 24, '0'), 1, 'N' || i, i % 7 > 0, i FROM generate_series(1, 1400) AS i`)
	if n, err := db.MendKeys(t.Context(), marketplace.Definition, false); err != nil || n != 1200 {
		t.Errorf("MendKeys changed %d rows, %v; want 1200", n, err)
	}
	if n := count(t, db, "SELECT count(*) FROM categories WHERE key_active_name = lower(name)"); n != 1200 {
		t.Errorf("%d rows have their key, want the 1200 active ones", n)
	}
}

// Rows that older indexes let in are converted, and mended where Go sees
// another case than SQL did.
func TestUp_ConvertsUniqueRules(t *testing.T) {
	t.Parallel()
	db := storetest.Postgres(t)
	side := db.Side(marketplace.Definition)
	accent, gone := active(" ÀLA CARTE"), active("gone")
	gone.IsActive = false
	save(t, side, accent)
	save(t, side, gone)
	if err := postgresql.DownTo(t.Context(), db, migrations.Source, 80); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Up(t.Context(), migrations.Source); err != nil {
		t.Fatal(err)
	}
	for _, d := range domain.Definitions() {
		if _, err := db.MendKeys(t.Context(), d, false); err != nil {
			t.Error(err)
		}
	}
	var key string
	if err := db.Pool().QueryRow(t.Context(), "SELECT key_active_name FROM categories WHERE key_active_name IS NOT NULL").Scan(&key); err != nil || key != "àla carte" {
		t.Errorf("the key is %q, %v; want what Go derives, of the active category alone", key, err)
	}
	diffs, err := postgresql.Compare(t.Context(), db, domain.Definitions(), migrations.Source)
	if err != nil || len(diffs) > 0 {
		t.Errorf("differences: %v, %v", diffs, err)
	}
	err = side.Update(t.Context(), cutover.Guard{}, func(ctx context.Context, tx cutover.Tx) error { return tx.Put(ctx, active("àla carte ")) })
	if err == nil {
		t.Error("a name was given twice")
	}
}
