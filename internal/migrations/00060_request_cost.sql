-- +goose Up

-- Lists that have neither a relation nor a rule of their own are columns of
-- their record, written as cutover/shape has them: what is empty is left out.
ALTER TABLE purchase_requests ADD COLUMN specifications jsonb;
UPDATE purchase_requests SET specifications = list.items FROM (
    SELECT parent_id, jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
        'key', nullif(key, ''), 'value', nullif(value, ''), 'label', nullif(label, ''))) ORDER BY position) AS items
    FROM purchase_request_specifications GROUP BY parent_id) AS list
WHERE list.parent_id = purchase_requests.id;
DROP TABLE purchase_request_specifications;

ALTER TABLE users ADD COLUMN refresh_tokens jsonb;
UPDATE users SET refresh_tokens = list.items FROM (
    SELECT parent_id, jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
        'hash', nullif(hash, ''), 'familyId', nullif(family_id, ''), 'userAgent', nullif(user_agent, ''),
        'issuedAt', to_char(issued_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
        'rotatedAt', to_char(rotated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
        'expiresAt', to_char(expires_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))) ORDER BY position) AS items
    FROM user_refresh_tokens GROUP BY parent_id) AS list
WHERE list.parent_id = users.id;
DROP TABLE user_refresh_tokens;

-- What a list is asked for by, and in which order.
CREATE INDEX payments_unwatched_idx ON payments (id) WHERE status = 'pending' AND watched_at IS NULL AND callback_secret <> '';
CREATE INDEX seller_offers_seller_idx ON seller_offers (seller_id, id);
CREATE INDEX purchase_request_preferred_sellers_value_idx ON purchase_request_preferred_sellers (value, parent_id);

-- +goose Down
DROP INDEX purchase_request_preferred_sellers_value_idx, seller_offers_seller_idx, payments_unwatched_idx;

CREATE TABLE user_refresh_tokens (
    parent_id  object_id NOT NULL REFERENCES users ON DELETE CASCADE,
    position   int       NOT NULL,
    hash       text      NOT NULL DEFAULT '',
    family_id  text      NOT NULL DEFAULT '',
    issued_at  timestamptz(3),
    rotated_at timestamptz(3),
    expires_at timestamptz(3),
    user_agent text      NOT NULL DEFAULT '',
    PRIMARY KEY (parent_id, position)
);
INSERT INTO user_refresh_tokens
SELECT id, n - 1, coalesce(item->>'hash', ''), coalesce(item->>'familyId', ''), (item->>'issuedAt')::timestamptz,
    (item->>'rotatedAt')::timestamptz, (item->>'expiresAt')::timestamptz, coalesce(item->>'userAgent', '')
FROM users, jsonb_array_elements(refresh_tokens) WITH ORDINALITY AS list(item, n);
ALTER TABLE users DROP COLUMN refresh_tokens;

CREATE TABLE purchase_request_specifications (
    parent_id object_id NOT NULL REFERENCES purchase_requests ON DELETE CASCADE,
    position  int       NOT NULL,
    key       text      NOT NULL DEFAULT '',
    value     text      NOT NULL DEFAULT '',
    label     text      NOT NULL DEFAULT '',
    PRIMARY KEY (parent_id, position)
);
INSERT INTO purchase_request_specifications
SELECT id, n - 1, coalesce(item->>'key', ''), coalesce(item->>'value', ''), coalesce(item->>'label', '')
FROM purchase_requests, jsonb_array_elements(specifications) WITH ORDINALITY AS list(item, n);
ALTER TABLE purchase_requests DROP COLUMN specifications;
CALL cutover_guard('user_refresh_tokens', 'purchase_request_specifications');
