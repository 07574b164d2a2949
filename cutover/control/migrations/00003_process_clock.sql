-- +goose Up

-- By how many milliseconds the process's clock was ahead of this server's when
-- it last renewed its lease.
ALTER TABLE cutover_processes ADD COLUMN clock_ahead_ms double precision NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE cutover_processes DROP COLUMN clock_ahead_ms;
