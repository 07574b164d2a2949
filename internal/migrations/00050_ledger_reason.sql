-- +goose Up

-- Why an adjustment was made, and who made it; empty for what the server books
-- by itself.
ALTER TABLE funds_ledger_entries
    ADD COLUMN reason    text NOT NULL DEFAULT '',
    ADD COLUMN posted_by object_id;

-- +goose Down
ALTER TABLE funds_ledger_entries
    DROP COLUMN posted_by,
    DROP COLUMN reason;
