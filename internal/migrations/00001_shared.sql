-- +goose Up
-- What the engine's tables need is its own now: cutover/postgresql/migrations.

-- +goose Down
