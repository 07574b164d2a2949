-- +goose Up
ALTER TABLE cutover_tombstones ADD COLUMN at timestamptz NOT NULL DEFAULT now();

-- +goose Down
ALTER TABLE cutover_tombstones DROP COLUMN at;
