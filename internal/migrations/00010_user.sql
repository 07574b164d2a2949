-- +goose Up

-- referred_by has no foreign key: that somebody was referred stays true when
-- a legacy database has lost the one who did.
CREATE TABLE users (
    id                              object_id PRIMARY KEY,
    rev                             bigint    NOT NULL,
    created_at                      timestamptz(3),
    updated_at                      timestamptz(3),
    extra                           jsonb,
    email                           text,
    password_hash                   text      NOT NULL DEFAULT '',
    first_name                      text      NOT NULL DEFAULT '',
    last_name                       text      NOT NULL DEFAULT '',
    role                            text      NOT NULL DEFAULT '',
    status                          text      NOT NULL DEFAULT '',
    is_email_verified               boolean   NOT NULL,
    auth_provider                   text      NOT NULL DEFAULT '',
    telegram_verified               boolean   NOT NULL,
    last_login_at                   timestamptz(3),
    login_attempts                  bigint    NOT NULL,
    locked_until                    timestamptz(3),
    profile_phone                   text      NOT NULL DEFAULT '',
    profile_bio                     text      NOT NULL DEFAULT '',
    profile_website                 text      NOT NULL DEFAULT '',
    profile_avatar                  text      NOT NULL DEFAULT '',
    profile_is_public               boolean   NOT NULL,
    preferences_language            text      NOT NULL DEFAULT '',
    preferences_currency            text      NOT NULL DEFAULT '',
    preferences_notifications_email boolean   NOT NULL,
    preferences_notifications_sms   boolean   NOT NULL,
    preferences_notifications_push  boolean   NOT NULL,
    wallet_address                  text,
    wallet_chain                    text,
    wallet_verified_at              timestamptz(3),
    wallet_challenge_address        text,
    wallet_challenge_chain          text,
    wallet_challenge_message        text,
    wallet_challenge_expires_at     timestamptz(3),
    referral_code                   text,
    referred_by                     object_id,
    CONSTRAINT users_role_check CHECK (role IN ('buyer', 'seller', 'admin', 'resolver')),
    CONSTRAINT users_status_check CHECK (status IN ('active', 'suspended', 'deleted')),
    CONSTRAINT users_auth_provider_check CHECK (auth_provider IN ('email', 'google', 'telegram')),
    CONSTRAINT users_login_attempts_check CHECK (login_attempts >= 0)
);
CREATE UNIQUE INDEX users_email_key ON users (email);
CREATE UNIQUE INDEX users_referral_code_key ON users (referral_code);
CREATE INDEX users_role_idx ON users (role, id);
CREATE INDEX users_status_idx ON users (status, id);

CREATE TABLE user_passkeys (
    parent_id    object_id NOT NULL REFERENCES users ON DELETE CASCADE,
    position     int       NOT NULL,
    id           text      NOT NULL DEFAULT '',
    public_key   bytea,
    sign_count   bigint    NOT NULL,
    transports   text[],
    device_name  text      NOT NULL DEFAULT '',
    backed_up    boolean   NOT NULL,
    created_at   timestamptz(3),
    last_used_at timestamptz(3),
    PRIMARY KEY (parent_id, position)
);

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

-- That a user has one primary address the service sees to. An index could not:
-- the mark moves by two records, which a copy brings over in any order.
CREATE TABLE addresses (
    id          object_id PRIMARY KEY,
    rev         bigint    NOT NULL,
    created_at  timestamptz(3),
    updated_at  timestamptz(3),
    extra       jsonb,
    user_id     object_id REFERENCES users,
    label       text      NOT NULL DEFAULT '',
    full_name   text      NOT NULL DEFAULT '',
    phone       text      NOT NULL DEFAULT '',
    street      text      NOT NULL DEFAULT '',
    city        text      NOT NULL DEFAULT '',
    state       text      NOT NULL DEFAULT '',
    postal_code text      NOT NULL DEFAULT '',
    country     text      NOT NULL DEFAULT '',
    is_primary  boolean   NOT NULL
);
CREATE INDEX addresses_user_id_idx ON addresses (user_id, id);

CREATE TABLE temp_verifications (
    id            object_id PRIMARY KEY,
    rev           bigint    NOT NULL,
    created_at    timestamptz(3),
    updated_at    timestamptz(3),
    extra         jsonb,
    email         text,
    first_name    text      NOT NULL DEFAULT '',
    last_name     text      NOT NULL DEFAULT '',
    role          text      NOT NULL DEFAULT '',
    referral_code text      NOT NULL DEFAULT '',
    code_hash     text      NOT NULL DEFAULT '',
    expires_at    timestamptz(3),
    attempts      bigint    NOT NULL,
    sent_at       timestamptz(3),
    window_start  timestamptz(3),
    sends         bigint    NOT NULL,
    CONSTRAINT temp_verifications_attempts_check CHECK (attempts >= 0 AND sends >= 0)
);
CREATE UNIQUE INDEX temp_verifications_email_key ON temp_verifications (email);

CREATE TABLE user_events (
    id         object_id PRIMARY KEY,
    rev        bigint    NOT NULL,
    created_at timestamptz(3),
    updated_at timestamptz(3),
    extra      jsonb,
    type       text      NOT NULL DEFAULT '',
    subject    object_id,
    data       jsonb
);

CREATE TABLE user_handled_events (
    id         object_id PRIMARY KEY,
    rev        bigint    NOT NULL,
    created_at timestamptz(3),
    updated_at timestamptz(3),
    extra      jsonb,
    type       text      NOT NULL DEFAULT ''
);

-- +goose Down
DROP TABLE user_handled_events, user_events, temp_verifications, addresses, user_refresh_tokens, user_passkeys, users;
