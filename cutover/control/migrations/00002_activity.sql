-- +goose Up
ALTER TABLE cutover_settings
    ADD COLUMN copy_rate      int NOT NULL DEFAULT 0,
    ADD COLUMN copy_paused    boolean NOT NULL DEFAULT false,
    ADD COLUMN max_latency_ms int NOT NULL DEFAULT 0,
    ADD CONSTRAINT cutover_settings_copy_rate_check CHECK (copy_rate >= 0),
    ADD CONSTRAINT cutover_settings_max_latency_ms_check CHECK (max_latency_ms >= 0);

-- What the workers of a move are doing.
CREATE TABLE cutover_activities (
    domain text NOT NULL,
    role   text NOT NULL,
    who    text NOT NULL,
    doing  text NOT NULL,
    at     timestamptz NOT NULL,
    PRIMARY KEY (domain, role, who)
);

-- +goose Down
DROP TABLE cutover_activities;
ALTER TABLE cutover_settings DROP COLUMN copy_rate, DROP COLUMN copy_paused, DROP COLUMN max_latency_ms;
