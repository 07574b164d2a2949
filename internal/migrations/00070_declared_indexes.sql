-- +goose Up

-- The indexes that the kinds declare (cutover.Kind), each with ties by id. A
-- statement has one plan for all arguments, so an index on a part of a table
-- would serve none.
DROP INDEX payments_stale_idx;
DROP INDEX payments_unwatched_idx;
DROP INDEX seller_offers_valid_until_idx;
DROP INDEX seller_offers_seller_id_idx;
DROP INDEX seller_offers_seller_idx;
CREATE INDEX payments_status_expires_at_idx ON payments (status, expires_at, id);
CREATE INDEX payments_status_watched_at_idx ON payments (status, watched_at, id);
CREATE INDEX seller_offers_status_idx ON seller_offers (status, id);
CREATE INDEX seller_offers_status_valid_until_idx ON seller_offers (status, valid_until, id);
CREATE INDEX seller_offers_seller_id_idx ON seller_offers (seller_id, id);
CREATE INDEX seller_offers_seller_status_request_idx ON seller_offers (seller_id, status, purchase_request_id, id);

-- An address is found as it is written; that none is used twice, whatever its
-- case, stays with the unique index.
CREATE INDEX derived_destinations_as_written_idx ON derived_destinations (address);

-- +goose Down
DROP INDEX derived_destinations_as_written_idx;
DROP INDEX seller_offers_seller_status_request_idx;
DROP INDEX seller_offers_seller_id_idx;
DROP INDEX seller_offers_status_valid_until_idx;
DROP INDEX seller_offers_status_idx;
DROP INDEX payments_status_watched_at_idx;
DROP INDEX payments_status_expires_at_idx;
CREATE INDEX seller_offers_seller_idx ON seller_offers (seller_id, id);
CREATE INDEX seller_offers_seller_id_idx ON seller_offers (seller_id, status, id);
CREATE INDEX seller_offers_valid_until_idx ON seller_offers (valid_until) WHERE status = 'pending';
CREATE INDEX payments_unwatched_idx ON payments (id) WHERE status = 'pending' AND watched_at IS NULL AND callback_secret <> '';
CREATE INDEX payments_stale_idx ON payments (expires_at, id) WHERE status = 'pending';
