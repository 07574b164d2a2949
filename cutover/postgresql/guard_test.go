package postgresql_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/cutovertest"
	"github.com/amanat-dev/amanat/cutover/postgresql"
	"github.com/amanat-dev/amanat/internal/storetest"
)

// stranger is a session that is not the engine's.
func stranger(t testing.TB, db *postgresql.DB) *pgx.Conn {
	t.Helper()
	conn, err := pgx.ConnectConfig(t.Context(), db.Pool().Config().ConnConfig)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

const category = `INSERT INTO categories (id, rev, name, is_active, "order") VALUES ('665f1b2c9a8b7c6d5e4f3a21', 1, 'A', true, 0)`

func TestGuard_RefusesWhoeverIsNotTheEngine(t *testing.T) {
	t.Parallel()
	db := storetest.Postgres(t)
	conn := stranger(t, db)
	for _, sql := range []string{
		category,
		"UPDATE categories SET name = 'B'",
		"DELETE FROM categories",
		"TRUNCATE user_passkeys",
		"COPY user_passkeys FROM STDIN",
		"SET cutover.writer = 'by hand: '; UPDATE users SET rev = 7",
		"SET cutover.writer = 'me'; UPDATE users SET rev = 7",
	} {
		_, err := conn.PgConn().Exec(t.Context(), sql).ReadAll()
		var pg *pgconn.PgError
		if !errors.As(err, &pg) || pg.Code != "42501" || !strings.Contains(pg.Message, "takes writes from its application alone") || !strings.Contains(pg.Hint, "by hand: what for") {
			t.Errorf("%s: %v; want it refused, with a hint", sql, err)
		}
	}
	if n := count(t, db, "SELECT count(*) FROM cutover_hand_writes"); n != 0 {
		t.Errorf("%d writes on record, want none", n)
	}
	execute(t, db, category, "UPDATE categories SET name = 'C'", "DELETE FROM categories")
}

func TestGuard_LetsAnAdministratorWriteOnRecord(t *testing.T) {
	t.Parallel()
	db := storetest.Postgres(t)
	execute(t, db, category)
	conn := stranger(t, db)
	_, err := conn.PgConn().Exec(t.Context(), `BEGIN; SET LOCAL cutover.writer = 'by hand: a typing error'; UPDATE categories SET name = 'B'; COMMIT`).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var line string
	err = db.Pool().QueryRow(t.Context(), "SELECT concat_ws(' ', relation, operation, why) FROM cutover_hand_writes").Scan(&line)
	if want := "categories UPDATE a typing error"; err != nil || line != want {
		t.Errorf("on record is %q (%v), want %q", line, err, want)
	}
	if _, err := conn.Exec(t.Context(), "UPDATE categories SET name = 'C'"); err == nil {
		t.Error("the permission outlived its transaction")
	}
}

// BenchmarkGuard tells what the guard costs: its ratio to "open" is the figure.
func BenchmarkGuard(b *testing.B) {
	for _, state := range []string{"ENABLE", "DISABLE"} {
		db, side := specimens(b)
		for _, table := range []string{"specimens", "specimen_lines", "specimen_steps", "specimen_marks"} {
			if _, err := db.Pool().Exec(b.Context(), "ALTER TABLE "+table+" "+state+" TRIGGER writer_guard"); err != nil {
				b.Fatal(err)
			}
		}
		name := map[string]string{"ENABLE": "guarded", "DISABLE": "open"}[state]
		made := 0
		make1 := func() *cutovertest.Specimen {
			s := new(cutovertest.Specimen)
			made++
			cutovertest.Fill(s, made)
			s.ShelfID = cutover.ID{}
			return s
		}
		b.Run("write/"+name, func(b *testing.B) {
			for b.Loop() {
				s := make1()
				s.Rev = 0
				if err := side.Update(b.Context(), cutover.Guard{Domain: "specimen", Epoch: 1, Journal: true}, func(ctx context.Context, tx cutover.Tx) error {
					return tx.Put(ctx, s)
				}); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("load/"+name, func(b *testing.B) {
			for b.Loop() {
				items := make([]cutover.Item, 5000)
				for i := range items {
					items[i] = itemOf("specimen", make1())
				}
				if err := side.Load(b.Context(), "specimen", items); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
