package postgresql_test

import (
	"context"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/cutovertest"
	"github.com/amanat-dev/amanat/cutover/postgresql"
	"github.com/amanat-dev/amanat/domain"
	"github.com/amanat-dev/amanat/domain/marketplace"
	"github.com/amanat-dev/amanat/domain/user"
	"github.com/amanat-dev/amanat/internal/migrations"
	"github.com/amanat-dev/amanat/internal/storetest"
)

func TestUp_MakesWhatTheCodeExpects(t *testing.T) {
	t.Parallel()
	db := storetest.Postgres(t)
	diffs, err := postgresql.Compare(t.Context(), db, domain.Definitions(), migrations.Source)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range diffs {
		t.Error(d)
	}
}

func TestUp_RunsOnceHoweverManyTry(t *testing.T) {
	t.Parallel()
	db := storetest.EmptyPostgres(t)
	all, err := db.Pending(t.Context(), migrations.Source)
	if err != nil || all == 0 {
		t.Fatalf("Pending gave %d, %v", all, err)
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	ran := 0
	for range 3 {
		wg.Go(func() {
			done, err := db.Up(t.Context(), migrations.Source)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			ran += len(done)
		})
	}
	wg.Wait()
	if ran != all {
		t.Errorf("%d migrations ran, want %d", ran, all)
	}
	if n, err := db.Pending(t.Context(), migrations.Source); err != nil || n != 0 {
		t.Errorf("Pending gave %d, %v; want 0", n, err)
	}
	status, err := db.Status(t.Context(), migrations.Source)
	if err != nil || len(status) != all {
		t.Fatalf("Status gave %d lines, %v; want %d", len(status), err, all)
	}
	for _, m := range status {
		if m.Applied.IsZero() {
			t.Errorf("%s %s is pending", m.Source, m.File)
		}
	}
}

// Lists that became columns in migration 00060 come with what was in them, on
// the way there and back.
func TestUp_KeepsWhatIsInLists(t *testing.T) {
	t.Parallel()
	db := storetest.Postgres(t)
	u, r := new(user.User), new(marketplace.PurchaseRequest)
	cutovertest.Fill(u, 1)
	cutovertest.Fill(r, 2)
	u.Role, u.Status, u.AuthProvider, u.Email, u.Rev = user.Buyer, user.Active, user.ProviderEmail, "a@example.org", 0
	u.RefreshTokens = append(u.RefreshTokens, user.RefreshToken{}, user.RefreshToken{Hash: "é", ExpiresAt: time.UnixMilli(1).UTC()})
	r.Status, r.CategoryID, r.Rev = marketplace.StatusPending, cutover.ID{}, 0
	r.Specifications = []marketplace.Specification{{Key: "a", Value: `"`}, {}, {Label: "c"}}
	save(t, db.Side(user.Definition), u)
	save(t, db.Side(marketplace.Definition), r)
	for range 2 {
		if err := postgresql.DownTo(t.Context(), db, migrations.Source, 50); err != nil {
			t.Fatal(err)
		}
		if _, err := db.Up(t.Context(), migrations.Source); err != nil {
			t.Fatal(err)
		}
	}
	err := db.Side(user.Definition).View(t.Context(), func(ctx context.Context, tx cutover.Tx) error {
		back, err := cutover.Get[user.User](ctx, tx, u.ID)
		if !reflect.DeepEqual(back.RefreshTokens, u.RefreshTokens) {
			t.Errorf("got %+v, want %+v", back.RefreshTokens, u.RefreshTokens)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	err = db.Side(marketplace.Definition).View(t.Context(), func(ctx context.Context, tx cutover.Tx) error {
		back, err := cutover.Get[marketplace.PurchaseRequest](ctx, tx, r.ID)
		if !reflect.DeepEqual(back.Specifications, r.Specifications) {
			t.Errorf("got %+v, want %+v", back.Specifications, r.Specifications)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if missing, err := db.Missing(t.Context(), migrations.Source); err != nil || len(missing) > 0 {
		t.Errorf("missing: %v, %v", missing, err)
	}
}

func save(t *testing.T, side cutover.Side, r cutover.Record) {
	t.Helper()
	err := side.Update(t.Context(), cutover.Guard{}, func(ctx context.Context, tx cutover.Tx) error { return tx.Put(ctx, r) })
	if err != nil {
		t.Fatal(err)
	}
}

func TestCompare_NamesEachDifference(t *testing.T) {
	t.Parallel()
	db, _ := specimens(t)
	domains := append(domain.Definitions(), cutovertest.Definition)
	compare := func() string {
		diffs, err := postgresql.Compare(t.Context(), db, domains, migrations.Source)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(diffs, "\n")
	}
	if diffs := compare(); strings.Contains(diffs, "specimen") {
		t.Errorf("differences without a reason:\n%s", diffs)
	}
	execute(t, db,
		"ALTER TABLE specimens DROP COLUMN data",
		"ALTER TABLE specimens ADD COLUMN colour text",
		"ALTER TABLE specimens ALTER COLUMN units TYPE numeric(38,0)",
		"ALTER TABLE specimens ALTER COLUMN at TYPE timestamptz",
		"ALTER TABLE specimens ALTER COLUMN flag DROP NOT NULL",
		"ALTER TABLE specimen_lines DROP CONSTRAINT specimen_lines_parent_id_fkey",
		"ALTER TABLE specimen_marks DROP CONSTRAINT specimen_marks_pkey",
		"ALTER TABLE shelves DISABLE TRIGGER writer_guard",
		"DROP TABLE specimen_steps",
		"DROP INDEX specimens_name_idx",
		"DROP INDEX specimens_at_idx", "CREATE INDEX specimens_at_idx ON specimens (at, id)",
		"DROP INDEX specimens_flag_idx", "CREATE UNIQUE INDEX specimens_flag_idx ON specimens (flag, id) WHERE flag",
		"CREATE INDEX unasked ON specimens (lower(name))",
		"CREATE INDEX asked ON specimens (lower(name))", "COMMENT ON INDEX asked IS 'an operator looks for names'",
		"CREATE TABLE stray (id int)")
	diffs := compare()
	for _, want := range []string{
		"table specimens: column data is missing: want bytea",
		"table specimens: column colour is not expected",
		"table specimens: column units is numeric(38,0) NOT NULL: want numeric NOT NULL",
		"table specimens: column at is timestamp with time zone: want timestamp(3) with time zone",
		"table specimens: column flag is boolean: want boolean NOT NULL",
		"table specimen_lines: no foreign key parent_id REFERENCES specimens ON DELETE CASCADE",
		"table specimen_marks: primary key is (): want (parent_id,position)",
		"table shelves: nothing keeps other writers out: want CALL cutover_guard('shelves')",
		"table specimen_steps: missing",
		"table specimens: index specimens_name_idx is missing: want (name, id)",
		"table specimens: index specimens_at_idx is (at, id): want (at NULLS FIRST, id)",
		"table specimens: index specimens_flag_idx is UNIQUE (flag, id) WHERE flag: want (flag, id)",
		"table specimens: index unasked: not expected",
		"table stray: not expected",
	} {
		if !strings.Contains(diffs, want) {
			t.Errorf("no line %q in:\n%s", want, diffs)
		}
	}
	if strings.Contains(diffs, "index asked") {
		t.Errorf("an index that says what it is for is not expected:\n%s", diffs)
	}
}
