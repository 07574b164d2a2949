-- +goose Up

-- From here on each table of a domain is guarded against writers that are not the
-- engine (cutover/postgresql/migrations), by the migration that makes it.
CALL cutover_guard(
    'users', 'user_passkeys', 'user_refresh_tokens', 'addresses', 'temp_verifications', 'user_events',
    'user_handled_events', 'categories', 'purchase_requests', 'purchase_request_specifications',
    'purchase_request_preferred_sellers', 'seller_offers', 'marketplace_events',
    'marketplace_handled_events', 'payments', 'trezor_accounts', 'payment_quotes', 'derived_destinations',
    'funds_ledger_entries', 'funds_ledger_postings', 'release_holds', 'scanner_deliveries', 'payment_events',
    'payment_handled_events');

-- +goose Down
-- +goose StatementBegin
DO $$
DECLARE
    guarded regclass;
BEGIN
    FOR guarded IN SELECT tgrelid::regclass FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid
        WHERE g.tgname = 'writer_guard' AND c.relnamespace = current_schema()::regnamespace LOOP
        EXECUTE format('DROP TRIGGER writer_guard ON %s', guarded);
    END LOOP;
END
$$;
-- +goose StatementEnd
