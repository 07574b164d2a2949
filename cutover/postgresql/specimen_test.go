package postgresql_test

import (
	"context"
	"testing"
	"testing/fstest"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/cutovertest"
	"github.com/amanat-dev/amanat/cutover/postgresql"
	"github.com/amanat-dev/amanat/internal/storetest"
)

const specimenSQL = `-- +goose Up
CREATE TABLE shelves (
	id object_id PRIMARY KEY, rev bigint NOT NULL, created_at timestamptz(3), updated_at timestamptz(3), extra jsonb,
	label text NOT NULL DEFAULT '' CONSTRAINT shelves_label_check CHECK (label ~ '^[^a-z]+$'),
	above_id object_id REFERENCES shelves
);
CREATE TABLE specimens (
	id object_id PRIMARY KEY, rev bigint NOT NULL, created_at timestamptz(3), updated_at timestamptz(3), extra jsonb,
	shelf_id object_id REFERENCES shelves,
	name text NOT NULL DEFAULT '',
	"order" bigint NOT NULL,
	email text CONSTRAINT specimens_email_key UNIQUE,
	secret_hash text NOT NULL DEFAULT '',
	state text NOT NULL DEFAULT '',
	flag boolean NOT NULL,
	price numeric NOT NULL,
	units numeric NOT NULL,
	at timestamptz(3),
	data bytea,
	maybe_flag boolean,
	maybe_count bigint,
	maybe_amount numeric,
	maybe_units numeric,
	place_city text NOT NULL DEFAULT '',
	place_zip_code text,
	place_zip_valid boolean,
	place_zip_round bigint,
	place_since timestamptz(3),
	budget_amount numeric,
	budget_currency text,
	tags text[],
	refs text[],
	numbers bigint[],
	amounts numeric[],
	sources jsonb,
	origin jsonb,
	links jsonb,
	shout text GENERATED ALWAYS AS (upper(name)) STORED
);
CREATE TABLE specimen_lines (
	parent_id object_id NOT NULL REFERENCES specimens ON DELETE CASCADE, position int NOT NULL,
	key text NOT NULL DEFAULT '', amount numeric NOT NULL, user_id object_id, words text[],
	token_hash text NOT NULL DEFAULT '', until timestamptz(3), "limit" numeric,
	zip_code text, zip_valid boolean, zip_round bigint,
	PRIMARY KEY (parent_id, position)
);
CREATE TABLE specimen_steps (LIKE specimen_lines INCLUDING ALL,
	FOREIGN KEY (parent_id) REFERENCES specimens ON DELETE CASCADE);
CREATE TABLE specimen_marks (
	parent_id object_id NOT NULL REFERENCES specimens ON DELETE CASCADE, position int NOT NULL,
	value object_id,
	PRIMARY KEY (parent_id, position)
);
CREATE INDEX shelves_above_id_idx ON shelves (above_id, id);
CREATE INDEX specimens_shelf_id_idx ON specimens (shelf_id, id);
CREATE INDEX specimens_name_idx ON specimens (name, id);
CREATE INDEX specimens_order_idx ON specimens ("order", id);
CREATE INDEX specimens_at_idx ON specimens (at NULLS FIRST, id);
CREATE INDEX specimens_flag_idx ON specimens (flag, id);
CREATE INDEX specimens_state_idx ON specimens (state, id);
CALL cutover_guard('shelves', 'specimens', 'specimen_lines', 'specimen_steps', 'specimen_marks');
`

var specimenSource = postgresql.Source{Name: "specimen", Dir: "sql", Table: "cutover_specimen_version",
	Files: fstest.MapFS{"sql/00001_specimen.sql": &fstest.MapFile{Data: []byte(specimenSQL)}}}

// specimens returns a database with the specimens' tables, and their side.
func specimens(t testing.TB) (*postgresql.DB, cutover.Side) {
	t.Helper()
	db := storetest.Postgres(t)
	if _, err := db.Up(context.Background(), specimenSource); err != nil {
		t.Fatal(err)
	}
	return db, db.Side(cutovertest.Definition)
}
