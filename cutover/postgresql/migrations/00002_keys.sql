-- +goose Up

-- The unique rules that derive a key from a record, of which every row is known
-- to have it: see MendKeys.
CREATE TABLE cutover_keys (
    kind text        NOT NULL,
    rule text        NOT NULL,
    at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (kind, rule)
);

-- +goose Down
DROP TABLE cutover_keys;
