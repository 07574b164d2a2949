-- Into the tables as migrations make them.

SET cutover.writer = 'engine';

INSERT INTO users (id, rev, created_at, updated_at, email, role, status, is_email_verified, auth_provider, telegram_verified,
    login_attempts, profile_is_public, preferences_notifications_email, preferences_notifications_sms, preferences_notifications_push)
SELECT id, 1, at, at, email, role, 'active', true, 'email', false, 0, true, true, false, true FROM seed_users;

INSERT INTO categories (id, rev, created_at, updated_at, name, is_active, "order")
SELECT id, 1, at, at, name, true, i FROM seed_categories;

INSERT INTO purchase_requests (id, rev, created_at, updated_at, buyer_id, title, description, category_id, product_type, quantity,
    budget_min, budget_max, budget_currency, urgency, specifications, selected_offer_id, status)
SELECT r.id, 1, r.at, r.at, r.buyer_id, r.title, r.description, r.category_id, r.product_type, r.quantity,
    r.budget_min, r.budget_max, 'USDT', r.urgency,
    jsonb_build_array(jsonb_build_object('key', 'colour', 'value', 'blue', 'label', 'Colour'), jsonb_build_object('key', 'number', 'value', r.i::text)),
    o.id, r.status
FROM seed_requests AS r LEFT JOIN seed_offers AS o ON o.purchase_request_id = r.id AND o.status = 'accepted'
ORDER BY r.i;

INSERT INTO seller_offers (id, rev, created_at, updated_at, seller_id, purchase_request_id, title, description, price_amount,
    price_currency, delivery_time_amount, delivery_time_unit, status, require_aml_check, aml_block_on_failure)
SELECT id, 1, at, at, seller_id, purchase_request_id, title, description, price_amount, 'USDT', delivery_days, 'days', status, false, false
FROM seed_offers ORDER BY i, n;

ANALYZE;
