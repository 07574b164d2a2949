-- +goose Up

-- The identity of every record: an ObjectID as 24 hex digits in lower case. It
-- sorts by byte, as the application and MongoDB do, whatever the database's
-- locale.
CREATE DOMAIN object_id AS text COLLATE "C"
    CONSTRAINT object_id_check CHECK (VALUE ~ '^[0-9a-f]{24}$');

-- Identities of legacy documents that could not be carried over.
CREATE TABLE id_map (
    kind       text        NOT NULL,
    legacy_id  text        NOT NULL,
    id         object_id   NOT NULL,
    created_at timestamptz(3) NOT NULL DEFAULT now(),
    PRIMARY KEY (kind, legacy_id)
);
CREATE UNIQUE INDEX id_map_id_key ON id_map (kind, id);

-- The journal: a note of each write, made with the write, removed once the
-- other database has it.
CREATE TABLE cutover_notes (
    seq    bigserial   PRIMARY KEY,
    domain text        NOT NULL,
    kind   text        NOT NULL,
    id     object_id   NOT NULL,
    rev    bigint      NOT NULL,
    epoch  bigint      NOT NULL,
    at     timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000); -- a queue: what is gone must not be waded through
CREATE INDEX cutover_notes_domain_idx ON cutover_notes (domain, seq);

-- Which revision of a record was its removal, so that a slow copy does not
-- bring it back.
CREATE TABLE cutover_tombstones (
    kind   text      NOT NULL,
    id     object_id NOT NULL,
    rev    bigint    NOT NULL,
    domain text      NOT NULL,
    PRIMARY KEY (kind, id)
);
CREATE INDEX cutover_tombstones_domain_idx ON cutover_tombstones (domain);

-- +goose Down
DROP TABLE cutover_tombstones, cutover_notes, id_map;
DROP DOMAIN object_id;
