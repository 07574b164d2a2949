package postgresql_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/cutovertest"
	"github.com/amanat-dev/amanat/cutover/postgresql"
	"github.com/amanat-dev/amanat/domain"
	"github.com/amanat-dev/amanat/internal/migrations"
)

// drafted makes a migration of a draft.
func drafted(text string) postgresql.Source {
	return postgresql.Source{Name: "draft", Dir: "sql", Table: "cutover_draft_version",
		Files: fstest.MapFS{"sql/00001_draft.sql": &fstest.MapFile{Data: []byte(text)}}}
}

func wantNoDraft(t *testing.T, db *postgresql.DB, d cutover.Definition) {
	t.Helper()
	if text, err := db.DraftAgainst(t.Context(), d); err != nil || text != "" {
		t.Errorf("%s: error %v, and there is still to do:\n%s", d.Name, err, text)
	}
}

func TestDraft_OfWhatMigrationsMadeIsEmpty(t *testing.T) {
	t.Parallel()
	db, _ := specimens(t)
	for _, d := range append(domain.Definitions(), cutovertest.Definition) {
		wantNoDraft(t, db, d)
	}
}

func TestDraft_MakesWhatTheCodeExpects(t *testing.T) {
	t.Parallel()
	for _, d := range append(domain.Definitions(), cutovertest.Definition) {
		t.Run(d.Name, func(t *testing.T) {
			t.Parallel()
			db, _ := specimens(t)
			for _, table := range postgresql.TableNames(d) {
				execute(t, db, "DROP TABLE "+table+" CASCADE")
			}
			all := drafted(postgresql.Draft(d))
			if _, err := db.Up(t.Context(), all); err != nil {
				t.Fatal(err)
			}
			diffs, err := postgresql.Compare(t.Context(), db, append(domain.Definitions(), cutovertest.Definition), migrations.Source)
			if err != nil || len(diffs) > 0 {
				t.Errorf("%v, differences:\n%s", err, strings.Join(diffs, "\n"))
			}
			wantNoDraft(t, db, d)
			if missing, err := db.Missing(t.Context(), all); err != nil || len(missing) > 0 {
				t.Errorf("not recognised as made: %v, %v", missing, err)
			}
			if err := postgresql.Down(t.Context(), db, all); err != nil {
				t.Fatal(err)
			}
			if again, err := db.DraftAgainst(t.Context(), d); err != nil || again != postgresql.Draft(d) {
				t.Errorf("after the way down the draft is another, %v:\n%s", err, again)
			}
		})
	}
}

func TestDraft_AgainstADatabaseMendsWhatIsMissing(t *testing.T) {
	t.Parallel()
	db, _ := specimens(t)
	execute(t, db,
		"ALTER TABLE specimens DROP COLUMN data, DROP COLUMN name CASCADE, DROP COLUMN flag, DROP COLUMN state",
		"ALTER TABLE specimens ALTER COLUMN units TYPE numeric(38,0), ALTER COLUMN at TYPE timestamptz, ALTER COLUMN price DROP NOT NULL",
		"ALTER TABLE specimen_lines DROP CONSTRAINT specimen_lines_parent_id_fkey",
		"ALTER TABLE specimen_marks DROP CONSTRAINT specimen_marks_pkey",
		"DROP TRIGGER writer_guard ON shelves",
		"DROP TABLE specimen_steps",
		"DROP INDEX shelves_above_id_idx",
		"DROP INDEX specimens_order_idx",
		`CREATE INDEX specimens_order_idx ON specimens ("order" DESC) WHERE units > 0`)
	before, err := db.DraftAgainst(t.Context(), cutovertest.Definition)
	if err != nil {
		t.Fatal(err)
	}
	all := drafted(before)
	for range 2 {
		if _, err := db.Up(t.Context(), all); err != nil {
			t.Fatalf("%v\n%s", err, before)
		}
		wantNoDraft(t, db, cutovertest.Definition)
		if err := postgresql.Down(t.Context(), db, all); err != nil {
			t.Fatalf("%v\n%s", err, before)
		}
		if again, err := db.DraftAgainst(t.Context(), cutovertest.Definition); err != nil || again != before {
			t.Errorf("after the way down, %v:\n%s\nwant\n%s", err, again, before)
		}
	}
}
