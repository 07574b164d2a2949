-- The peer's tables: as one would make them for PostgreSQL alone. Lists are
-- part of the row.

CREATE TABLE users (
    id    text COLLATE "C" PRIMARY KEY,
    email text NOT NULL UNIQUE,
    role  text NOT NULL
);

CREATE TABLE categories (
    id        text COLLATE "C" PRIMARY KEY,
    name      text    NOT NULL,
    is_active boolean NOT NULL
);

CREATE TABLE purchase_requests (
    id                   text COLLATE "C" PRIMARY KEY,
    rev                  bigint      NOT NULL,
    created_at           timestamptz NOT NULL,
    updated_at           timestamptz NOT NULL,
    buyer_id             text COLLATE "C" NOT NULL,
    title                text        NOT NULL,
    description          text        NOT NULL,
    category_id          text COLLATE "C" REFERENCES categories,
    product_type         text        NOT NULL,
    product_link         text        NOT NULL DEFAULT '',
    size                 text        NOT NULL DEFAULT '',
    color                text        NOT NULL DEFAULT '',
    brand                text        NOT NULL DEFAULT '',
    quantity             bigint      NOT NULL CHECK (quantity > 0),
    budget_min           numeric,
    budget_max           numeric,
    budget_currency      text,
    urgency              text        NOT NULL,
    specifications       jsonb,
    preferred_seller_ids text[],
    delivery_info        jsonb,
    selected_offer_id    text COLLATE "C",
    status               text        NOT NULL
);
CREATE INDEX ON purchase_requests (buyer_id, id);
CREATE INDEX ON purchase_requests (status, id);
CREATE INDEX ON purchase_requests (category_id, id);

CREATE TABLE seller_offers (
    id                   text COLLATE "C" PRIMARY KEY,
    rev                  bigint      NOT NULL,
    created_at           timestamptz NOT NULL,
    updated_at           timestamptz NOT NULL,
    seller_id            text COLLATE "C" NOT NULL,
    purchase_request_id  text COLLATE "C" NOT NULL REFERENCES purchase_requests,
    title                text        NOT NULL DEFAULT '',
    description          text        NOT NULL,
    price_amount         numeric     NOT NULL CHECK (price_amount > 0),
    price_currency       text        NOT NULL,
    delivery_time_amount bigint,
    delivery_time_unit   text,
    notes                text        NOT NULL DEFAULT '',
    status               text        NOT NULL
);
CREATE UNIQUE INDEX ON seller_offers (purchase_request_id, seller_id) WHERE status IN ('pending', 'accepted');
CREATE INDEX ON seller_offers (purchase_request_id, id);
CREATE INDEX ON seller_offers (seller_id, status, purchase_request_id);
