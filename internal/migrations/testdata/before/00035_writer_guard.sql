-- +goose Up

-- A domain's tables take writes only from a session that says that it is the
-- engine's: it leaves notes and respects the epoch, somebody's psql does neither.
-- Whoever must write by hand says so, and why, and is put on record:
--
--     BEGIN;
--     SET LOCAL amanat.writer = 'by hand: what for';
--     UPDATE …;
--     COMMIT;
--
-- Such a write leaves no note: a move's other database does not hear of it, and
-- "amanat verify" shows it as a difference.
CREATE TABLE cutover_hand_writes (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    relation    text NOT NULL,
    operation   text NOT NULL,
    who         text NOT NULL DEFAULT session_user,
    application text NOT NULL DEFAULT current_setting('application_name'),
    why         text NOT NULL
);

-- Called only for writes that are not the engine's: see the trigger's WHEN.
-- +goose StatementBegin
CREATE FUNCTION cutover_foreign_write() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    why text := btrim(substring(current_setting('amanat.writer', true) FROM '^by hand:(.*)$'));
BEGIN
    IF coalesce(why, '') = '' THEN
        RAISE EXCEPTION 'table % takes writes from amanat alone', TG_TABLE_NAME
            USING ERRCODE = 'insufficient_privilege',
                  HINT = 'To write by hand all the same, and on record: BEGIN; SET LOCAL amanat.writer = ''by hand: what for''; …; COMMIT; and then: amanat verify.';
    END IF;
    INSERT INTO cutover_hand_writes (relation, operation, why) VALUES (TG_TABLE_NAME, TG_OP, why);
    RETURN NULL;
END
$$;
-- +goose StatementEnd

-- Each table of a domain, child tables too, is guarded by the migration that
-- makes it: CALL cutover_guard('table').
-- +goose StatementBegin
CREATE PROCEDURE cutover_guard(VARIADIC tables text[]) LANGUAGE plpgsql AS $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY tables LOOP
        EXECUTE format('CREATE TRIGGER writer_guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON %I FOR EACH STATEMENT
            WHEN (current_setting(''amanat.writer'', true) IS DISTINCT FROM ''engine'')
            EXECUTE FUNCTION cutover_foreign_write()', name);
    END LOOP;
END
$$;
-- +goose StatementEnd

CALL cutover_guard(
    'users', 'user_passkeys', 'user_refresh_tokens', 'addresses', 'temp_verifications', 'user_events',
    'user_handled_events', 'categories', 'purchase_requests', 'purchase_request_specifications',
    'purchase_request_preferred_sellers', 'seller_offers', 'marketplace_events',
    'marketplace_handled_events', 'payments', 'trezor_accounts', 'payment_quotes', 'derived_destinations',
    'funds_ledger_entries', 'funds_ledger_postings', 'release_holds', 'scanner_deliveries', 'payment_events',
    'payment_handled_events');

-- +goose Down
DROP PROCEDURE cutover_guard;
DROP FUNCTION cutover_foreign_write() CASCADE; -- with the triggers
DROP TABLE cutover_hand_writes;
