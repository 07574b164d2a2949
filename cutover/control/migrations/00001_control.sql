-- +goose Up
CREATE TABLE cutover_domains (
    domain     text PRIMARY KEY,
    phase      text NOT NULL,
    epoch      bigint NOT NULL,
    sealed     boolean NOT NULL,
    updated_at timestamptz(3) NOT NULL DEFAULT now(),
    CONSTRAINT cutover_domains_domain_check CHECK (domain <> ''),
    CONSTRAINT cutover_domains_phase_check CHECK (phase IN ('mongo', 'dual', 'mirror', 'pg')),
    CONSTRAINT cutover_domains_epoch_check CHECK (epoch > 0)
);

CREATE TABLE cutover_history (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    domain      text NOT NULL REFERENCES cutover_domains,
    at          timestamptz(3) NOT NULL DEFAULT now(),
    who         text NOT NULL,
    action      text NOT NULL,
    why         text NOT NULL,
    detail      json,
    from_phase  text NOT NULL,
    from_epoch  bigint NOT NULL,
    from_sealed boolean NOT NULL,
    to_phase    text NOT NULL,
    to_epoch    bigint NOT NULL,
    to_sealed   boolean NOT NULL,
    -- An epoch is left once and reached once.
    CONSTRAINT cutover_history_step_check CHECK (to_epoch = from_epoch + 1),
    UNIQUE (domain, to_epoch)
);

CREATE TABLE cutover_settings (
    domain         text PRIMARY KEY,
    shadow_percent int NOT NULL,
    backfill_rate  int NOT NULL,
    paused         boolean NOT NULL,
    updated_at     timestamptz(3) NOT NULL DEFAULT now(),
    CONSTRAINT cutover_settings_shadow_percent_check CHECK (shadow_percent BETWEEN 0 AND 100),
    CONSTRAINT cutover_settings_backfill_rate_check CHECK (backfill_rate >= 0)
);

-- +goose StatementBegin
CREATE FUNCTION cutover_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('cutover', NEW.domain);
    RETURN NULL;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER cutover_domains_notify AFTER INSERT OR UPDATE ON cutover_domains
    FOR EACH ROW EXECUTE FUNCTION cutover_notify();
CREATE TRIGGER cutover_settings_notify AFTER INSERT OR UPDATE ON cutover_settings
    FOR EACH ROW EXECUTE FUNCTION cutover_notify();

CREATE TABLE cutover_processes (
    id         text PRIMARY KEY,
    host       text NOT NULL,
    pid        int NOT NULL,
    version    text NOT NULL,
    started_at timestamptz(3),
    acks       jsonb NOT NULL,
    seen_at    timestamptz NOT NULL,
    until      timestamptz NOT NULL
);

CREATE TABLE pg_dualwrite_gaps (
    domain        text NOT NULL,
    kind          text NOT NULL,
    id            text NOT NULL,
    reason        text NOT NULL,
    first_seen    timestamptz(3) NOT NULL DEFAULT now(),
    last_seen     timestamptz(3) NOT NULL DEFAULT now(),
    attempts      int NOT NULL DEFAULT 1,
    resolved_at   timestamptz(3),
    waived_by     text,
    waived_reason text,
    PRIMARY KEY (domain, kind, id),
    CONSTRAINT pg_dualwrite_gaps_attempts_check CHECK (attempts > 0),
    CONSTRAINT pg_dualwrite_gaps_waived_check CHECK ((waived_by IS NULL) = (waived_reason IS NULL) AND waived_by <> '')
);
CREATE INDEX pg_dualwrite_gaps_open ON pg_dualwrite_gaps (domain) WHERE resolved_at IS NULL AND waived_by IS NULL;

-- One row per planned kind: a kind without records is planned too, and has no chunks.
CREATE TABLE cutover_chunk_plans (
    domain  text NOT NULL,
    since   bigint NOT NULL,
    kind    text NOT NULL,
    ordinal bigint GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY (domain, since, kind)
);

CREATE TABLE cutover_chunks (
    domain      text NOT NULL,
    since       bigint NOT NULL,
    kind        text NOT NULL,
    seq         bigint NOT NULL,
    after_id    text NOT NULL, -- '' from the beginning
    until_id    text NOT NULL, -- '' to the end
    row_count   bigint NOT NULL DEFAULT 0,
    gap_count   bigint NOT NULL DEFAULT 0,
    done_at     timestamptz(3),
    PRIMARY KEY (domain, since, kind, seq),
    FOREIGN KEY (domain, since, kind) REFERENCES cutover_chunk_plans
);
CREATE INDEX cutover_chunks_left ON cutover_chunks (domain, since, kind, seq) WHERE done_at IS NULL;

CREATE TABLE cutover_shadow_counts (
    domain     text NOT NULL,
    since      bigint NOT NULL,
    query      text NOT NULL,
    compared   bigint NOT NULL DEFAULT 0,
    matched    bigint NOT NULL DEFAULT 0,
    diffs      bigint NOT NULL DEFAULT 0,
    errors     bigint NOT NULL DEFAULT 0,
    dropped    bigint NOT NULL DEFAULT 0,
    first_seen timestamptz(3),
    last_seen  timestamptz(3),
    PRIMARY KEY (domain, since, query)
);

CREATE TABLE cutover_shadow_samples (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    domain    text NOT NULL,
    since     bigint NOT NULL,
    query     text NOT NULL,
    at        timestamptz(3) NOT NULL,
    "primary" text NOT NULL,
    secondary text NOT NULL
);
CREATE INDEX cutover_shadow_samples_query ON cutover_shadow_samples (domain, since, query, id);

CREATE TABLE cutover_documents (
    id     text PRIMARY KEY,
    domain text NOT NULL,
    type   text NOT NULL,
    epoch  bigint NOT NULL,
    at     timestamptz(3) NOT NULL,
    who    text NOT NULL,
    ok     boolean NOT NULL,
    body   json NOT NULL
);
CREATE INDEX cutover_documents_newest ON cutover_documents (domain, type, at DESC, id DESC);

-- Records copied since the last verify.
CREATE TABLE cutover_touched (
    domain text NOT NULL,
    kind   text NOT NULL,
    id     text NOT NULL,
    at     timestamptz NOT NULL,
    PRIMARY KEY (domain, kind, id)
) WITH (fillfactor = 70); -- room to renew "at" in place

-- +goose Down
DROP TABLE cutover_touched, cutover_documents, cutover_shadow_samples, cutover_shadow_counts, cutover_chunks, cutover_chunk_plans,
    pg_dualwrite_gaps, cutover_processes, cutover_settings, cutover_history, cutover_domains;
DROP FUNCTION cutover_notify();
