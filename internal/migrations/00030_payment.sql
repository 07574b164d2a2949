-- +goose Up

-- The status list includes expired and paid, which legacy documents keep.
CREATE TABLE payments (
    id                                object_id PRIMARY KEY,
    rev                               bigint    NOT NULL,
    created_at                        timestamptz(3),
    updated_at                        timestamptz(3),
    extra                             jsonb,
    purchase_request_id               object_id,
    seller_offer_id                   object_id,
    buyer_id                          object_id,
    seller_id                         object_id,
    amount_amount                     numeric   NOT NULL,
    amount_currency                   text      NOT NULL DEFAULT '',
    provider                          text      NOT NULL DEFAULT '',
    direction                         text      NOT NULL DEFAULT '',
    status                            text      NOT NULL DEFAULT '',
    escrow_state                      text      NOT NULL DEFAULT '',
    blockchain_chain_id               bigint,
    blockchain_network                text,
    blockchain_token                  text,
    blockchain_token_address          text,
    blockchain_destination            text,
    blockchain_payment_reference      text,
    blockchain_tx_hash                text,
    blockchain_log_index              bigint,
    blockchain_block_number           bigint,
    blockchain_confirmations          bigint,
    blockchain_confirmations_required bigint,
    expected_units                    numeric,
    received_units                    numeric,
    escrow_balance                    numeric,
    released_units                    numeric,
    payout_kind                       text,
    payout_units                      numeric,
    payout_fee_units                  numeric,
    payout_recipient                  text,
    payout_from                       text,
    payout_requested_by               object_id,
    payout_requested_at               timestamptz(3),
    payout_tx_hash                    text      NOT NULL DEFAULT '',
    legacy_reference                  text      NOT NULL DEFAULT '',
    callback_secret                   text      NOT NULL DEFAULT '',
    salt                              text      NOT NULL DEFAULT '',
    watched_at                        timestamptz(3),
    expires_at                        timestamptz(3),
    CONSTRAINT payments_amount_check CHECK (amount_amount > 0),
    CONSTRAINT payments_units_check CHECK (
        expected_units > 0 AND received_units >= 0 AND escrow_balance >= 0 AND released_units >= 0),
    CONSTRAINT payments_direction_check CHECK (direction IN ('', 'in', 'out', 'refund')),
    CONSTRAINT payments_status_check CHECK (status IN (
        'pending', 'processing', 'confirmed', 'completed', 'failed', 'cancelled', 'refunded', 'expired', 'paid')),
    CONSTRAINT payments_escrow_state_check CHECK (escrow_state IN (
        '', 'funded', 'partial', 'releasable', 'releasing', 'released', 'refunding', 'refunded', 'failed', 'cancelled')),
    CONSTRAINT payments_payout_check CHECK (
        payout_kind IN ('release', 'refund') AND payout_units > 0 AND payout_units <= escrow_balance
        AND payout_fee_units >= 0 AND payout_fee_units <= payout_units)
);
-- One pending payment per buyer, request, provider and direction.
CREATE UNIQUE INDEX payments_pending_key ON payments (buyer_id, purchase_request_id, provider, direction)
    WHERE status = 'pending';
CREATE UNIQUE INDEX payments_reference_key ON payments (blockchain_payment_reference);
CREATE INDEX payments_request_idx ON payments (purchase_request_id, id);
CREATE INDEX payments_buyer_idx ON payments (buyer_id, id);
CREATE INDEX payments_seller_idx ON payments (seller_id, id);
CREATE INDEX payments_stale_idx ON payments (expires_at, id) WHERE status = 'pending';

CREATE TABLE trezor_accounts (
    id                   object_id PRIMARY KEY,
    rev                  bigint    NOT NULL,
    created_at           timestamptz(3),
    updated_at           timestamptz(3),
    extra                jsonb,
    xpub                 text,
    fingerprint          text      NOT NULL DEFAULT '',
    base_path            text      NOT NULL DEFAULT '',
    registration_address text      NOT NULL DEFAULT '',
    next_address_index   bigint    NOT NULL,
    device_label         text      NOT NULL DEFAULT '',
    CONSTRAINT trezor_accounts_index_check CHECK (next_address_index >= 0),
    CONSTRAINT trezor_accounts_public_check CHECK (xpub NOT LIKE '_prv%')
);
CREATE UNIQUE INDEX trezor_accounts_xpub_key ON trezor_accounts (xpub);

CREATE TABLE payment_quotes (
    id               object_id PRIMARY KEY,
    rev              bigint    NOT NULL,
    created_at       timestamptz(3),
    updated_at       timestamptz(3),
    extra            jsonb,
    payment_id       object_id REFERENCES payments,
    pricing_amount   numeric   NOT NULL,
    pricing_currency text      NOT NULL DEFAULT '',
    token            text      NOT NULL DEFAULT '',
    chain_id         bigint    NOT NULL,
    fx_rate          numeric   NOT NULL,
    token_usd        numeric   NOT NULL,
    settle_amount    numeric   NOT NULL,
    on_chain_units   numeric   NOT NULL,
    spread_bps       bigint    NOT NULL,
    sources          jsonb,
    expires_at       timestamptz(3),
    locked_at        timestamptz(3),
    CONSTRAINT payment_quotes_amounts_check CHECK (
        pricing_amount > 0 AND fx_rate > 0 AND token_usd > 0 AND settle_amount > 0 AND on_chain_units > 0)
);
CREATE UNIQUE INDEX payment_quotes_payment_key ON payment_quotes (payment_id);

CREATE TABLE derived_destinations (
    id                object_id PRIMARY KEY,
    rev               bigint    NOT NULL,
    created_at        timestamptz(3),
    updated_at        timestamptz(3),
    extra             jsonb,
    payment_id        object_id REFERENCES payments,
    address           text,
    chain_id          bigint    NOT NULL,
    derivation_path   text      NOT NULL DEFAULT '',
    derivation_index  bigint    NOT NULL,
    trezor_account_id object_id REFERENCES trezor_accounts,
    status            text      NOT NULL DEFAULT '',
    total_swept       numeric,
    CONSTRAINT derived_destinations_status_check CHECK (status IN ('active', 'swept')),
    CONSTRAINT derived_destinations_swept_check CHECK (total_swept >= 0)
);
-- An address is never used again, whatever its case of letters.
CREATE UNIQUE INDEX derived_destinations_address_key ON derived_destinations (lower(address));
CREATE INDEX derived_destinations_payment_idx ON derived_destinations (payment_id);
CREATE INDEX derived_destinations_account_idx ON derived_destinations (trezor_account_id);

-- reversal_of has no foreign key: a copy brings entries in by id, and a legacy
-- reversal may have a smaller one than what it reverses.
CREATE TABLE funds_ledger_entries (
    id              object_id PRIMARY KEY,
    rev             bigint    NOT NULL,
    created_at      timestamptz(3),
    updated_at      timestamptz(3),
    extra           jsonb,
    idempotency_key text,
    payment_id      object_id REFERENCES payments,
    type            text      NOT NULL DEFAULT '',
    asset_chain_id  bigint    NOT NULL,
    asset_token     text      NOT NULL DEFAULT '',
    reversal_of     object_id,
    tx_hash         text      NOT NULL DEFAULT '',
    CONSTRAINT funds_ledger_entries_key_check CHECK (idempotency_key IS NOT NULL),
    CONSTRAINT funds_ledger_entries_type_check CHECK (type IN (
        'deposit', 'release', 'refund', 'fee', 'sweep', 'adjustment', 'reversal')),
    CONSTRAINT funds_ledger_entries_asset_check CHECK (asset_token <> '')
);
CREATE UNIQUE INDEX funds_ledger_entries_idempotency_key ON funds_ledger_entries (idempotency_key);
CREATE INDEX funds_ledger_entries_payment_idx ON funds_ledger_entries (payment_id, id);

CREATE TABLE funds_ledger_postings (
    parent_id object_id NOT NULL REFERENCES funds_ledger_entries ON DELETE CASCADE,
    position  int       NOT NULL,
    account   text      NOT NULL DEFAULT '',
    amount    numeric   NOT NULL,
    PRIMARY KEY (parent_id, position),
    CONSTRAINT funds_ledger_postings_amount_check CHECK (amount <> 0 AND amount = trunc(amount)),
    CONSTRAINT funds_ledger_postings_account_check CHECK (
        account IN ('fees', 'suspense') OR account ~ '^(custody|escrow|seller|buyer|in-transit):.+$')
);
CREATE INDEX funds_ledger_postings_account_idx ON funds_ledger_postings (account);

-- The postings of an entry sum to zero whenever a transaction ends.
-- +goose StatementBegin
CREATE FUNCTION funds_ledger_balanced() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    entry object_id := coalesce(NEW.parent_id, OLD.parent_id);
BEGIN
    IF (SELECT coalesce(sum(amount), 0) FROM funds_ledger_postings WHERE parent_id = entry) <> 0 THEN
        RAISE EXCEPTION 'the postings of ledger entry % are off balance', entry
            USING ERRCODE = 'check_violation', TABLE = 'funds_ledger_postings',
                  CONSTRAINT = 'funds_ledger_postings_balance_check';
    END IF;
    RETURN NULL;
END
$$;
-- +goose StatementEnd
CREATE CONSTRAINT TRIGGER funds_ledger_postings_balance
    AFTER INSERT OR UPDATE OR DELETE ON funds_ledger_postings
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION funds_ledger_balanced();

CREATE TABLE release_holds (
    id          object_id PRIMARY KEY,
    rev         bigint    NOT NULL,
    created_at  timestamptz(3),
    updated_at  timestamptz(3),
    extra       jsonb,
    payment_id  object_id REFERENCES payments,
    reason      text      NOT NULL DEFAULT '',
    raised_by   object_id,
    resolved_by object_id,
    resolved_at timestamptz(3)
);
CREATE INDEX release_holds_payment_idx ON release_holds (payment_id, id);

CREATE TABLE scanner_deliveries (
    id            object_id PRIMARY KEY,
    rev           bigint    NOT NULL,
    created_at    timestamptz(3),
    updated_at    timestamptz(3),
    extra         jsonb,
    key           text,
    payment_id    object_id REFERENCES payments,
    tx_hash       text      NOT NULL DEFAULT '',
    log_index     bigint    NOT NULL,
    block_number  bigint    NOT NULL,
    confirmations bigint    NOT NULL,
    amount        numeric   NOT NULL,
    token         text      NOT NULL DEFAULT '',
    chain_id      bigint    NOT NULL,
    status        text      NOT NULL DEFAULT '',
    CONSTRAINT scanner_deliveries_amount_check CHECK (amount > 0)
);
CREATE UNIQUE INDEX scanner_deliveries_key_key ON scanner_deliveries (key);
CREATE INDEX scanner_deliveries_payment_idx ON scanner_deliveries (payment_id);

CREATE TABLE payment_events (
    id         object_id PRIMARY KEY,
    rev        bigint    NOT NULL,
    created_at timestamptz(3),
    updated_at timestamptz(3),
    extra      jsonb,
    type       text      NOT NULL DEFAULT '',
    subject    object_id,
    data       jsonb
);

CREATE TABLE payment_handled_events (
    id         object_id PRIMARY KEY,
    rev        bigint    NOT NULL,
    created_at timestamptz(3),
    updated_at timestamptz(3),
    extra      jsonb,
    type       text      NOT NULL DEFAULT ''
);

-- +goose Down
DROP TABLE payment_handled_events, payment_events, scanner_deliveries, release_holds, funds_ledger_postings,
    funds_ledger_entries, derived_destinations, payment_quotes, trezor_accounts, payments;
DROP FUNCTION funds_ledger_balanced;
