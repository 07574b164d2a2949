-- +goose Up

-- In which epoch a domain's move and its phase began is asked for often, and is
-- one row, however long the history.
CREATE INDEX cutover_history_phases ON cutover_history (domain, to_epoch) WHERE from_phase <> to_phase;

-- +goose Down
DROP INDEX cutover_history_phases;
