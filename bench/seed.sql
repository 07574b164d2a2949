-- The data that both servers answer from, the same at every run: members of
-- which every second one buys and every second one sells, requests spread
-- evenly over the buyers, two offers each on average. The tables are temporary;
-- seed_ours.sql and seed_peer.sql put them where each server has them.
-- $members and $requests are replaced by the numbers.

CREATE TEMPORARY TABLE seed_users AS
SELECT i, lpad(to_hex(1735689600 + i), 8, '0') || substr(md5('user' || i), 1, 10) || lpad(to_hex(i), 6, '0') AS id,
    'member' || i || '@bench.example' AS email,
    CASE WHEN i % 2 = 0 THEN 'buyer' ELSE 'seller' END AS role,
    timestamptz '2025-01-01 00:00Z' + i * interval '1 s' AS at
FROM generate_series(0, $members - 1) AS i;

CREATE TEMPORARY TABLE seed_categories AS
SELECT i, lpad(to_hex(1735600000 + i), 8, '0') || substr(md5('category' || i), 1, 10) || lpad(to_hex(i), 6, '0') AS id,
    'Category ' || i AS name, timestamptz '2024-12-31 00:00Z' + i * interval '1 s' AS at
FROM generate_series(0, 15) AS i;

CREATE TEMPORARY TABLE seed_requests AS
SELECT g AS i, lpad(to_hex(1740000000 + g), 8, '0') || substr(md5('request' || g), 1, 10) || lpad(to_hex(g), 6, '0') AS id,
    buyer.id AS buyer_id, category.id AS category_id,
    'Wanted: thing number ' || g AS title,
    'Something that is wanted, in good order, with all that belongs to it, by the end of next month.' AS description,
    (ARRAY['physical_product', 'digital_product', 'service', 'consultation'])[1 + g % 4] AS product_type,
    1 + g % 3 AS quantity, 10 + g % 400 AS budget_min, 500 + g % 700 + 0.25 AS budget_max,
    (ARRAY['low', 'medium', 'high', 'urgent'])[1 + g % 4] AS urgency,
    (ARRAY['pending', 'pending', 'received_offers', 'received_offers', 'received_offers', 'received_offers',
        'processing', 'delivered', 'completed', 'seller_paid'])[1 + g / ($members / 2) % 10] AS status,
    CASE WHEN g / ($members / 2) % 10 < 2 THEN 0 WHEN g / ($members / 2) % 10 < 6 THEN 3 ELSE 2 END AS offers,
    timestamptz '2025-02-20 00:00Z' + g * interval '1 s' AS at
FROM generate_series(0, $requests - 1) AS g
JOIN seed_users AS buyer ON buyer.i = 2 * (g % ($members / 2))
JOIN seed_categories AS category ON category.i = g % 16;

CREATE TEMPORARY TABLE seed_offers AS
SELECT r.i, n, lpad(to_hex(1750000000 + r.i), 8, '0') || substr(md5('offer' || n || '/' || r.i), 1, 10) || lpad(to_hex(r.i * 4 + n), 6, '0') AS id,
    seller.id AS seller_id, r.id AS purchase_request_id,
    'Can do' AS title, 'An offer for exactly what is wanted, delivered to your door.' AS description,
    20 + r.i % 900 + 0.5 AS price_amount, 1 + r.i % 14 AS delivery_days,
    CASE WHEN r.status = 'received_offers' THEN 'pending' WHEN n = 1 THEN 'accepted' ELSE 'rejected' END AS status,
    timestamptz '2025-06-15 00:00Z' + r.i * interval '1 s' AS at
FROM seed_requests AS r
CROSS JOIN LATERAL generate_series(1, r.offers) AS n
JOIN seed_users AS seller ON seller.i = 1 + 2 * ((r.i * 7 + n) % ($members / 2));
