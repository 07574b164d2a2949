-- +goose Up

-- How often an event could not be delivered and why, when it is tried again,
-- and whether that is left to an operator. NULL comes first: an event that was
-- never tried is due at once.
ALTER TABLE user_events
    ADD COLUMN attempts bigint  NOT NULL DEFAULT 0,
    ADD COLUMN next_at  timestamptz(3),
    ADD COLUMN parked   boolean NOT NULL DEFAULT false,
    ADD COLUMN reason   text    NOT NULL DEFAULT '';
ALTER TABLE marketplace_events
    ADD COLUMN attempts bigint  NOT NULL DEFAULT 0,
    ADD COLUMN next_at  timestamptz(3),
    ADD COLUMN parked   boolean NOT NULL DEFAULT false,
    ADD COLUMN reason   text    NOT NULL DEFAULT '';
ALTER TABLE payment_events
    ADD COLUMN attempts bigint  NOT NULL DEFAULT 0,
    ADD COLUMN next_at  timestamptz(3),
    ADD COLUMN parked   boolean NOT NULL DEFAULT false,
    ADD COLUMN reason   text    NOT NULL DEFAULT '';
CREATE INDEX user_events_parked_next_at_idx ON user_events (parked, next_at NULLS FIRST, id);
CREATE INDEX marketplace_events_parked_next_at_idx ON marketplace_events (parked, next_at NULLS FIRST, id);
CREATE INDEX payment_events_parked_next_at_idx ON payment_events (parked, next_at NULLS FIRST, id);

-- What was handled is forgotten after a month.
CREATE INDEX user_handled_events_created_at_idx ON user_handled_events (created_at, id);
CREATE INDEX marketplace_handled_events_created_at_idx ON marketplace_handled_events (created_at, id);
CREATE INDEX payment_handled_events_created_at_idx ON payment_handled_events (created_at, id);

-- +goose Down
DROP INDEX payment_handled_events_created_at_idx, marketplace_handled_events_created_at_idx,
    user_handled_events_created_at_idx, payment_events_parked_next_at_idx, marketplace_events_parked_next_at_idx,
    user_events_parked_next_at_idx;
ALTER TABLE payment_events DROP COLUMN reason, DROP COLUMN parked, DROP COLUMN next_at, DROP COLUMN attempts;
ALTER TABLE marketplace_events DROP COLUMN reason, DROP COLUMN parked, DROP COLUMN next_at, DROP COLUMN attempts;
ALTER TABLE user_events DROP COLUMN reason, DROP COLUMN parked, DROP COLUMN next_at, DROP COLUMN attempts;
