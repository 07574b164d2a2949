-- +goose Up

CREATE TABLE categories (
    id          object_id PRIMARY KEY,
    rev         bigint    NOT NULL,
    created_at  timestamptz(3),
    updated_at  timestamptz(3),
    extra       jsonb,
    name        text      NOT NULL DEFAULT '',
    name_en     text,
    description text      NOT NULL DEFAULT '',
    icon        text      NOT NULL DEFAULT '',
    is_active   boolean   NOT NULL,
    parent_id   object_id REFERENCES categories,
    "order"     bigint    NOT NULL
);
CREATE UNIQUE INDEX categories_active_name_key ON categories (lower(btrim(name))) WHERE is_active;
CREATE UNIQUE INDEX categories_name_en_key ON categories (name_en);
CREATE INDEX categories_parent_id_idx ON categories (parent_id);

-- selected_offer_id has no foreign key: an offer refers to its request, and a
-- copy brings in all requests before the first offer.
CREATE TABLE purchase_requests (
    id                                     object_id PRIMARY KEY,
    rev                                    bigint    NOT NULL,
    created_at                             timestamptz(3),
    updated_at                             timestamptz(3),
    extra                                  jsonb,
    buyer_id                               object_id,
    title                                  text      NOT NULL DEFAULT '',
    description                            text      NOT NULL DEFAULT '',
    category_id                            object_id REFERENCES categories,
    product_type                           text      NOT NULL DEFAULT '',
    product_link                           text      NOT NULL DEFAULT '',
    size                                   text      NOT NULL DEFAULT '',
    color                                  text      NOT NULL DEFAULT '',
    brand                                  text      NOT NULL DEFAULT '',
    quantity                               bigint    NOT NULL,
    budget_min                             numeric,
    budget_max                             numeric,
    budget_currency                        text,
    urgency                                text      NOT NULL DEFAULT '',
    delivery_info_delivery_type            text,
    delivery_info_recipient_name           text,
    delivery_info_phone                    text,
    delivery_info_email                    text,
    delivery_info_address                  text,
    delivery_info_city                     text,
    delivery_info_state                    text,
    delivery_info_country                  text,
    delivery_info_postal_code              text,
    delivery_info_shipped_at               timestamptz(3),
    delivery_info_tracking_number          text,
    delivery_info_delivery_code_hash       text,
    delivery_info_delivery_code_expires_at timestamptz(3),
    delivery_info_delivery_code_used_at    timestamptz(3),
    delivery_info_delivery_code_tries      bigint,
    selected_offer_id                      object_id,
    status                                 text      NOT NULL DEFAULT '',
    CONSTRAINT purchase_requests_status_check CHECK (status IN (
        'pending_payment', 'pending', 'active', 'received_offers', 'payment',
        'processing', 'delivery', 'delivered', 'completed', 'seller_paid', 'cancelled')),
    CONSTRAINT purchase_requests_budget_check CHECK (budget_min >= 0 AND budget_max > 0),
    -- Old requests may have none.
    CONSTRAINT purchase_requests_quantity_check CHECK (quantity >= 0)
);
CREATE INDEX purchase_requests_buyer_id_idx ON purchase_requests (buyer_id, id);
CREATE INDEX purchase_requests_status_idx ON purchase_requests (status, id);
CREATE INDEX purchase_requests_category_id_idx ON purchase_requests (category_id, id);

CREATE TABLE purchase_request_specifications (
    parent_id object_id NOT NULL REFERENCES purchase_requests ON DELETE CASCADE,
    position  int       NOT NULL,
    key       text      NOT NULL DEFAULT '',
    value     text      NOT NULL DEFAULT '',
    label     text      NOT NULL DEFAULT '',
    PRIMARY KEY (parent_id, position)
);

CREATE TABLE purchase_request_preferred_sellers (
    parent_id object_id NOT NULL REFERENCES purchase_requests ON DELETE CASCADE,
    position  int       NOT NULL,
    value     object_id,
    PRIMARY KEY (parent_id, position)
);

CREATE TABLE seller_offers (
    id                   object_id PRIMARY KEY,
    rev                  bigint    NOT NULL,
    created_at           timestamptz(3),
    updated_at           timestamptz(3),
    extra                jsonb,
    seller_id            object_id,
    purchase_request_id  object_id REFERENCES purchase_requests,
    title                text      NOT NULL DEFAULT '',
    description          text      NOT NULL DEFAULT '',
    price_amount         numeric   NOT NULL,
    price_currency       text      NOT NULL DEFAULT '',
    delivery_time_amount bigint,
    delivery_time_unit   text,
    status               text      NOT NULL DEFAULT '',
    attachments          text[],
    notes                text      NOT NULL DEFAULT '',
    valid_until          timestamptz(3),
    require_aml_check    boolean   NOT NULL,
    aml_block_on_failure boolean   NOT NULL,
    CONSTRAINT seller_offers_status_check CHECK (status IN ('pending', 'accepted', 'rejected', 'withdrawn')),
    CONSTRAINT seller_offers_price_check CHECK (price_amount > 0)
);
-- One live offer per seller and request.
CREATE UNIQUE INDEX seller_offers_live_key ON seller_offers (purchase_request_id, seller_id)
    WHERE status IN ('pending', 'accepted');
CREATE INDEX seller_offers_purchase_request_id_idx ON seller_offers (purchase_request_id, id);
CREATE INDEX seller_offers_seller_id_idx ON seller_offers (seller_id, status, id);
CREATE INDEX seller_offers_valid_until_idx ON seller_offers (valid_until) WHERE status = 'pending';

CREATE TABLE marketplace_events (
    id         object_id PRIMARY KEY,
    rev        bigint    NOT NULL,
    created_at timestamptz(3),
    updated_at timestamptz(3),
    extra      jsonb,
    type       text      NOT NULL DEFAULT '',
    subject    object_id,
    data       jsonb
);

CREATE TABLE marketplace_handled_events (
    id         object_id PRIMARY KEY,
    rev        bigint    NOT NULL,
    created_at timestamptz(3),
    updated_at timestamptz(3),
    extra      jsonb,
    type       text      NOT NULL DEFAULT ''
);

-- +goose Down
DROP TABLE marketplace_handled_events, marketplace_events, seller_offers,
    purchase_request_preferred_sellers, purchase_request_specifications, purchase_requests, categories;
