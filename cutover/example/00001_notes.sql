-- +goose Up
CREATE TABLE notes (
    id         object_id PRIMARY KEY,
    rev        bigint    NOT NULL,
    created_at timestamptz(3),
    updated_at timestamptz(3),
    extra      jsonb,
    text       text      NOT NULL DEFAULT ''
);
CALL cutover_guard('notes');

-- +goose Down
DROP TABLE notes;
