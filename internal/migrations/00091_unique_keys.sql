-- +goose Up

-- What unique rules say is derived by the program, which stores it in a column
-- of its own: what is upper case and what is a blank no longer depends on the
-- database's locale. Here rows get what their old indexes had; "amanat migrate
-- up" goes through them afterwards, and mends what Go sees differently.
ALTER TABLE users ADD COLUMN key_email text COLLATE "C";
UPDATE users SET key_email = nullif(email, '');
DROP INDEX users_email_key;
CREATE UNIQUE INDEX users_email_key ON users (key_email);
CREATE INDEX users_email_idx ON users (email, id);

ALTER TABLE temp_verifications ADD COLUMN key_email text COLLATE "C";
UPDATE temp_verifications SET key_email = nullif(email, '');
DROP INDEX temp_verifications_email_key;
CREATE UNIQUE INDEX temp_verifications_email_key ON temp_verifications (key_email);
CREATE INDEX temp_verifications_email_idx ON temp_verifications (email, id);

ALTER TABLE categories ADD COLUMN key_active_name text COLLATE "C";
UPDATE categories SET key_active_name = nullif(lower(btrim(name)), '') WHERE is_active;
DROP INDEX categories_active_name_key;
CREATE UNIQUE INDEX categories_active_name_key ON categories (key_active_name);

ALTER TABLE seller_offers ADD COLUMN key_live text COLLATE "C";
UPDATE seller_offers SET key_live = purchase_request_id || ':' || seller_id WHERE status IN ('pending', 'accepted');
DROP INDEX seller_offers_live_key;
CREATE UNIQUE INDEX seller_offers_live_key ON seller_offers (key_live);

ALTER TABLE payments ADD COLUMN key_pending text COLLATE "C", ADD COLUMN key_reference text COLLATE "C";
UPDATE payments SET key_reference = nullif(blockchain_payment_reference, ''),
    key_pending = CASE WHEN status = 'pending' THEN buyer_id || ':' || purchase_request_id || ':' || provider || ':' || direction END;
DROP INDEX payments_pending_key;
DROP INDEX payments_reference_key;
CREATE UNIQUE INDEX payments_pending_key ON payments (key_pending);
CREATE UNIQUE INDEX payments_reference_key ON payments (key_reference);
CREATE INDEX payments_blockchain_payment_reference_idx ON payments (blockchain_payment_reference, id);

ALTER TABLE derived_destinations ADD COLUMN key_address text COLLATE "C";
UPDATE derived_destinations SET key_address = nullif(lower(address), '');
DROP INDEX derived_destinations_address_key;
CREATE UNIQUE INDEX derived_destinations_address_key ON derived_destinations (key_address);
DROP INDEX derived_destinations_as_written_idx;
CREATE INDEX derived_destinations_address_idx ON derived_destinations (address, id);

-- The other indexes as the kinds ask for them: under PostgreSQL's own names,
-- with ties by id, and what is absent first where it is sorted by.
CREATE INDEX categories_order_idx ON categories ("order", id);
DROP INDEX seller_offers_status_valid_until_idx;
CREATE INDEX seller_offers_status_valid_until_idx ON seller_offers (status, valid_until NULLS FIRST, id);
ALTER INDEX seller_offers_seller_status_request_idx RENAME TO seller_offers_seller_id_status_purchase_request_id_idx;
ALTER INDEX payments_request_idx RENAME TO payments_purchase_request_id_idx;
ALTER INDEX payments_buyer_idx RENAME TO payments_buyer_id_idx;
ALTER INDEX payments_seller_idx RENAME TO payments_seller_id_idx;
DROP INDEX payments_status_expires_at_idx;
CREATE INDEX payments_status_expires_at_idx ON payments (status, expires_at NULLS FIRST, id);
DROP INDEX payments_status_watched_at_idx;
CREATE INDEX payments_status_watched_at_idx ON payments (status, watched_at NULLS FIRST, id);
ALTER INDEX payment_quotes_payment_key RENAME TO payment_quotes_payment_id_key;
ALTER INDEX funds_ledger_entries_idempotency_key RENAME TO funds_ledger_entries_idempotency_key_key;
ALTER INDEX funds_ledger_entries_payment_idx RENAME TO funds_ledger_entries_payment_id_idx;
ALTER INDEX release_holds_payment_idx RENAME TO release_holds_payment_id_idx;
DROP INDEX derived_destinations_payment_idx;
CREATE INDEX derived_destinations_payment_id_idx ON derived_destinations (payment_id, id);
DROP INDEX scanner_deliveries_payment_idx;
CREATE INDEX scanner_deliveries_payment_id_idx ON scanner_deliveries (payment_id, id);
DROP INDEX user_handled_events_created_at_idx;
CREATE INDEX user_handled_events_created_at_idx ON user_handled_events (created_at NULLS FIRST, id);
DROP INDEX marketplace_handled_events_created_at_idx;
CREATE INDEX marketplace_handled_events_created_at_idx ON marketplace_handled_events (created_at NULLS FIRST, id);
DROP INDEX payment_handled_events_created_at_idx;
CREATE INDEX payment_handled_events_created_at_idx ON payment_handled_events (created_at NULLS FIRST, id);

-- Nobody sums up an account by this index: balances are of a payment.
DROP INDEX funds_ledger_postings_account_idx;

-- What no kind asks for says here what it is for.
COMMENT ON INDEX categories_parent_id_idx IS 'for the foreign key: a category that goes is looked for among the parents';
COMMENT ON INDEX derived_destinations_account_idx IS 'for the foreign key: an account that goes is looked for';
COMMENT ON INDEX purchase_request_preferred_sellers_value_idx IS 'a member finds the open requests that prefer them; on MongoDB the index on the status does';

-- +goose Down
DELETE FROM cutover_keys; -- what is converted again is to be gone through again

COMMENT ON INDEX purchase_request_preferred_sellers_value_idx IS NULL;
COMMENT ON INDEX derived_destinations_account_idx IS NULL;
COMMENT ON INDEX categories_parent_id_idx IS NULL;
CREATE INDEX funds_ledger_postings_account_idx ON funds_ledger_postings (account);
DROP INDEX payment_handled_events_created_at_idx;
CREATE INDEX payment_handled_events_created_at_idx ON payment_handled_events (created_at, id);
DROP INDEX marketplace_handled_events_created_at_idx;
CREATE INDEX marketplace_handled_events_created_at_idx ON marketplace_handled_events (created_at, id);
DROP INDEX user_handled_events_created_at_idx;
CREATE INDEX user_handled_events_created_at_idx ON user_handled_events (created_at, id);
DROP INDEX scanner_deliveries_payment_id_idx;
CREATE INDEX scanner_deliveries_payment_idx ON scanner_deliveries (payment_id);
DROP INDEX derived_destinations_payment_id_idx;
CREATE INDEX derived_destinations_payment_idx ON derived_destinations (payment_id);
ALTER INDEX release_holds_payment_id_idx RENAME TO release_holds_payment_idx;
ALTER INDEX funds_ledger_entries_payment_id_idx RENAME TO funds_ledger_entries_payment_idx;
ALTER INDEX funds_ledger_entries_idempotency_key_key RENAME TO funds_ledger_entries_idempotency_key;
ALTER INDEX payment_quotes_payment_id_key RENAME TO payment_quotes_payment_key;
DROP INDEX payments_status_watched_at_idx;
CREATE INDEX payments_status_watched_at_idx ON payments (status, watched_at, id);
DROP INDEX payments_status_expires_at_idx;
CREATE INDEX payments_status_expires_at_idx ON payments (status, expires_at, id);
ALTER INDEX payments_seller_id_idx RENAME TO payments_seller_idx;
ALTER INDEX payments_buyer_id_idx RENAME TO payments_buyer_idx;
ALTER INDEX payments_purchase_request_id_idx RENAME TO payments_request_idx;
ALTER INDEX seller_offers_seller_id_status_purchase_request_id_idx RENAME TO seller_offers_seller_status_request_idx;
DROP INDEX seller_offers_status_valid_until_idx;
CREATE INDEX seller_offers_status_valid_until_idx ON seller_offers (status, valid_until, id);
DROP INDEX categories_order_idx;

DROP INDEX derived_destinations_address_idx;
CREATE INDEX derived_destinations_as_written_idx ON derived_destinations (address);
ALTER TABLE derived_destinations DROP COLUMN key_address;
CREATE UNIQUE INDEX derived_destinations_address_key ON derived_destinations (lower(address));
DROP INDEX payments_blockchain_payment_reference_idx;
ALTER TABLE payments DROP COLUMN key_reference, DROP COLUMN key_pending;
CREATE UNIQUE INDEX payments_reference_key ON payments (blockchain_payment_reference);
CREATE UNIQUE INDEX payments_pending_key ON payments (buyer_id, purchase_request_id, provider, direction)
    WHERE status = 'pending';
ALTER TABLE seller_offers DROP COLUMN key_live;
CREATE UNIQUE INDEX seller_offers_live_key ON seller_offers (purchase_request_id, seller_id)
    WHERE status IN ('pending', 'accepted');
ALTER TABLE categories DROP COLUMN key_active_name;
CREATE UNIQUE INDEX categories_active_name_key ON categories (lower(btrim(name))) WHERE is_active;
DROP INDEX temp_verifications_email_idx;
ALTER TABLE temp_verifications DROP COLUMN key_email;
CREATE UNIQUE INDEX temp_verifications_email_key ON temp_verifications (email);
DROP INDEX users_email_idx;
ALTER TABLE users DROP COLUMN key_email;
CREATE UNIQUE INDEX users_email_key ON users (email);
