-- +goose Up

-- What the store keeps beside an application's tables. Amanat's first databases
-- have made some of this among the application's own migrations: what is there
-- stays as it is.
-- +goose StatementBegin
DO $$
BEGIN
    -- The identity of every record: an ObjectID as 24 hex digits in lower case.
    -- It sorts by byte, as the application and MongoDB do, whatever the
    -- database's locale.
    IF to_regtype('object_id') IS NULL THEN
        CREATE DOMAIN object_id AS text COLLATE "C"
            CONSTRAINT object_id_check CHECK (VALUE ~ '^[0-9a-f]{24}$');
    END IF;

    -- Identities of legacy documents that could not be carried over.
    IF to_regclass('id_map') IS NULL THEN
        CREATE TABLE id_map (
            kind       text        NOT NULL,
            legacy_id  text        NOT NULL,
            id         object_id   NOT NULL,
            created_at timestamptz(3) NOT NULL DEFAULT now(),
            PRIMARY KEY (kind, legacy_id)
        );
        CREATE UNIQUE INDEX id_map_id_key ON id_map (kind, id);
    END IF;

    -- The journal: a note of each write, made with the write, removed once the
    -- other database has it. A queue: what is gone must not be waded through.
    IF to_regclass('cutover_notes') IS NULL THEN
        CREATE TABLE cutover_notes (
            seq    bigserial   PRIMARY KEY,
            domain text        NOT NULL,
            kind   text        NOT NULL,
            id     object_id   NOT NULL,
            rev    bigint      NOT NULL,
            epoch  bigint      NOT NULL,
            at     timestamptz NOT NULL DEFAULT clock_timestamp()
        ) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
        CREATE INDEX cutover_notes_domain_idx ON cutover_notes (domain, seq);
    END IF;

    -- Which revision of a record was its removal, so that a slow copy does not
    -- bring it back.
    IF to_regclass('cutover_tombstones') IS NULL THEN
        CREATE TABLE cutover_tombstones (
            kind   text      NOT NULL,
            id     object_id NOT NULL,
            rev    bigint    NOT NULL,
            domain text      NOT NULL,
            PRIMARY KEY (kind, id)
        );
        CREATE INDEX cutover_tombstones_domain_idx ON cutover_tombstones (domain);
    END IF;
    ALTER TABLE cutover_tombstones ADD COLUMN IF NOT EXISTS at timestamptz NOT NULL DEFAULT now();

    -- Who wrote to a domain's table past the engine, and why.
    IF to_regclass('cutover_hand_writes') IS NULL THEN
        CREATE TABLE cutover_hand_writes (
            id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            at          timestamptz NOT NULL DEFAULT clock_timestamp(),
            relation    text NOT NULL,
            operation   text NOT NULL,
            who         text NOT NULL DEFAULT session_user,
            application text NOT NULL DEFAULT current_setting('application_name'),
            why         text NOT NULL
        );
    END IF;
END
$$;
-- +goose StatementEnd

-- Fails a write that met another revision of its record than it names, or none.
-- The server must say so itself: the writes of an Update are sent together with
-- their COMMIT, which a failure makes it leave out.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION cutover_stale(kind text, id text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%/% has another revision', kind, id
        USING ERRCODE = 'AM001', TABLE = kind, DETAIL = id;
END
$$;
-- +goose StatementEnd

-- A domain's tables take writes only from a session that says that it is the
-- engine's: it leaves notes and respects the epoch, somebody's psql does neither.
-- Whoever must write by hand says so, and why, and is put on record:
--
--     BEGIN;
--     SET LOCAL cutover.writer = 'by hand: what for';
--     UPDATE …;
--     COMMIT;
--
-- Such a write leaves no note: a move's other database does not hear of it, and
-- a verify shows it as a difference. amanat.writer is what the setting was called
-- first: a session that sets that one alone is heard as well.
--
-- Called only for writes that are not the engine's: see the trigger's WHEN.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION cutover_foreign_write() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    writer text := coalesce(nullif(current_setting('cutover.writer', true), ''), current_setting('amanat.writer', true));
    why text := btrim(substring(writer FROM '^by hand:(.*)$'));
BEGIN
    IF writer = 'engine' THEN
        RETURN NULL;
    END IF;
    IF coalesce(why, '') = '' THEN
        RAISE EXCEPTION 'table % takes writes from its application alone', TG_TABLE_NAME
            USING ERRCODE = 'insufficient_privilege',
                  HINT = 'To write by hand all the same, and on record: BEGIN; SET LOCAL cutover.writer = ''by hand: what for''; …; COMMIT; and then verify the domain.';
    END IF;
    INSERT INTO cutover_hand_writes (relation, operation, why) VALUES (TG_TABLE_NAME, TG_OP, why);
    RETURN NULL;
END
$$;
-- +goose StatementEnd

-- Each table of a domain, child tables too, is guarded by the migration that
-- makes it: CALL cutover_guard('table').
-- +goose StatementBegin
CREATE OR REPLACE PROCEDURE cutover_guard(VARIADIC tables text[]) LANGUAGE plpgsql AS $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY tables LOOP
        EXECUTE format('CREATE OR REPLACE TRIGGER writer_guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON %I FOR EACH STATEMENT
            WHEN (current_setting(''cutover.writer'', true) IS DISTINCT FROM ''engine'')
            EXECUTE FUNCTION cutover_foreign_write()', name);
    END LOOP;
END
$$;
-- +goose StatementEnd

-- Tables that are guarded already ask for the new setting from now on.
-- +goose StatementBegin
DO $$
DECLARE
    name text;
BEGIN
    FOR name IN SELECT c.relname FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid
        WHERE g.tgname = 'writer_guard' AND c.relnamespace = current_schema()::regnamespace LOOP
        CALL cutover_guard(name);
    END LOOP;
END
$$;
-- +goose StatementEnd

-- +goose Down
-- After the application's own tables, which are of type object_id.
DROP PROCEDURE cutover_guard;
DROP FUNCTION cutover_foreign_write() CASCADE; -- with the triggers
DROP FUNCTION cutover_stale;
DROP TABLE cutover_hand_writes, cutover_tombstones, cutover_notes, id_map;
DROP DOMAIN object_id;
