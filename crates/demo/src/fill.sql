-- Fills the legacy shop, the same for the same seed and scale on every machine: every choice is a hash of
-- (seed, tag, number), nothing is random and nothing reads the clock. The true merchant of a row follows from its
-- number, so the dirt below hides something that is known.
--
-- Settings: demo.seed, demo.scale, demo.password_hash (of the demo log-ins). Run as a superuser, triggers quiet.
SET LOCAL session_replication_role = replica;
SET LOCAL jit = off;

CREATE FUNCTION pg_temp.unit(tag text, i bigint) RETURNS double precision LANGUAGE sql STABLE AS $$
    SELECT ('x' || left(md5(current_setting('demo.seed') || ':' || tag || ':' || i), 13))::bit(52)::bigint / 4503599627370496.0
$$;
CREATE FUNCTION pg_temp.below(tag text, i bigint, n bigint) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT floor(pg_temp.unit(tag, i) * n)::bigint
$$;
CREATE FUNCTION pg_temp.one_of(tag text, i bigint, choices text[]) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT choices[1 + pg_temp.below(tag, i, array_length(choices, 1))]
$$;

-- How much of everything. The number of merchants grows with the square root: a bigger platform has bigger shops, too.
CREATE TEMP TABLE size ON COMMIT DROP AS
    SELECT greatest(3, round(12 * sqrt(s)))::bigint AS merchants,
           greatest(60, round(8000 * s))::bigint AS customers,
           greatest(60, round(2400 * s))::bigint AS products,
           greatest(400, round(60000 * s))::bigint AS orders,
           greatest(2, round(7 * s))::bigint AS odd,
           timestamptz '2024-02-01 00:00+00' AS opened,
           interval '660 days' AS open_for
    FROM (SELECT current_setting('demo.scale')::numeric AS s) scale;

INSERT INTO public.currencies VALUES
    ('EUR', 'Euro', 2), ('USD', 'US dollar', 2), ('GBP', 'Pound sterling', 2), ('JPY', 'Yen', 0), ('CHF', 'Swiss franc', 2);

CREATE TEMP TABLE merchant ON COMMIT DROP AS
    SELECT m, md5(current_setting('demo.seed') || ':merchant:' || m)::uuid AS id, names[1 + (m - 1) % 12] || suffix AS name,
           slugs[1 + (m - 1) % 12] || suffix_slug AS slug, trades[1 + (m - 1) % 12] AS trade,
           CASE (m - 1) % 12 WHEN 3 THEN 'GBP' WHEN 7 THEN 'USD' WHEN 9 THEN 'CHF' ELSE 'EUR' END AS currency,
           accents[1 + (m - 1) % 12] AS accent
    FROM size, LATERAL generate_series(1, size.merchants) AS m,
         LATERAL (SELECT CASE WHEN m > 12 THEN ' No. ' || (m - 1) / 12 + 1 ELSE '' END AS suffix,
                         CASE WHEN m > 12 THEN '-' || (m - 1) / 12 + 1 ELSE '' END AS suffix_slug) s,
         (SELECT ARRAY['Atelier Lumière', 'Nordlicht Kaffee', 'Casa Verde', 'Harbour & Hollow', 'Fjord Outdoor', 'Papeterie Colette',
                       'Bike Kitchen', 'Sugarloaf Records', 'Maison du Thé', 'Alpen Werkstatt', 'Little Otter Toys', 'Terra Ceramics'] AS names,
                 ARRAY['atelier-lumiere', 'nordlicht-kaffee', 'casa-verde', 'harbour-hollow', 'fjord-outdoor', 'papeterie-colette',
                       'bike-kitchen', 'sugarloaf-records', 'maison-du-the', 'alpen-werkstatt', 'little-otter-toys', 'terra-ceramics'] AS slugs,
                 ARRAY['Lamp', 'Roast', 'Planter', 'Jacket', 'Tent', 'Notebook', 'Wheel', 'Record', 'Tea', 'Chisel', 'Puzzle', 'Bowl'] AS trades,
                 ARRAY['#b45309', '#1d4ed8', '#15803d', '#0f766e', '#0369a1', '#be185d', '#c2410c', '#7c3aed', '#4d7c0f', '#b91c1c', '#a16207', '#9a3412'] AS accents) a;

INSERT INTO public.merchants (id, slug, name, currency, status, main_config_id, created_at)
    SELECT id, slug, name, currency, CASE WHEN m = 11 THEN 'suspended' ELSE 'active' END, m, opened - interval '30 days' + m * interval '1 day'
    FROM merchant, size;
INSERT INTO public.storefront_configs (id, merchant_id, theme)
    SELECT m, id, jsonb_build_object('accent', accent, 'tagline', 'Good ' || lower(trade) || 's, sent with care.') FROM merchant;
INSERT INTO public.settings (merchant_id, key, value)
    SELECT id, key, value FROM merchant,
    LATERAL (VALUES ('checkout', jsonb_build_object('guest', true, 'currency', currency)),
                    ('mail', jsonb_build_object('from', 'hello@' || slug || '.example'))) AS v(key, value);

-- People: an owner and some staff for each shop; one agency works for many shops; some left long ago.
CREATE TEMP TABLE person ON COMMIT DROP AS
    SELECT m * 10 + k AS n, m, k, md5(current_setting('demo.seed') || ':user:' || m * 10 + k)::uuid AS id FROM merchant, generate_series(0, 4) AS k;
INSERT INTO public.users (id, email, name, password_hash, is_active, last_seen_at, created_at)
    SELECT p.id, CASE WHEN k = 0 THEN 'owner' ELSE 'staff' || k END || '@' || slug || '.example',
           pg_temp.one_of('given', n, ARRAY['Ada', 'Björn', 'Chloé', 'Dario', 'Emre', 'Fatima', 'Goran', 'Hana', 'Ines', 'Jonas'])
           || ' ' || pg_temp.one_of('family', n, ARRAY['Moreau', 'Lind', 'Rossi', 'Okafor', 'Novak', 'Silva', 'Weber', 'O''Neill']),
           current_setting('demo.password_hash'), k < 4, opened + pg_temp.unit('seen', n) * open_for, opened - interval '20 days'
    FROM person p JOIN merchant USING (m), size;
INSERT INTO public.users (id, email, name, password_hash, created_at)
    SELECT md5(current_setting('demo.seed') || ':agency')::uuid, 'agency@pixel-pilots.example', 'Pixel Pilots', current_setting('demo.password_hash'), opened FROM size;
INSERT INTO public.team_members (merchant_id, user_id, role)
    SELECT merchant.id, p.id, CASE k WHEN 0 THEN 'owner' WHEN 1 THEN 'admin' WHEN 4 THEN 'viewer' ELSE 'staff' END FROM person p JOIN merchant USING (m);
INSERT INTO public.team_members (merchant_id, user_id, role)
    SELECT id, md5(current_setting('demo.seed') || ':agency')::uuid, 'admin' FROM merchant WHERE m <= 3;

-- Number n of anything belongs to merchant 1 + (n - 1) % merchants. Half the categories never learnt it.
INSERT INTO public.categories (id, merchant_id, parent_id, name, position)
    SELECT n, CASE WHEN pg_temp.unit('category', n) < 0.5 THEN merchant.id END, CASE WHEN j > 0 THEN m + merchants * ((j - 1) / 3) END,
           (ARRAY['Everything', 'New', 'Classics', 'Gifts', 'For home', 'For travel', 'Small', 'Large', 'Last chance', 'Makers'])[1 + j % 10]
           || CASE WHEN j >= 10 THEN ' II' ELSE '' END, j
    FROM size, LATERAL generate_series(1, 20 * merchants) AS n, LATERAL (SELECT 1 + (n - 1) % merchants AS m, (n - 1) / merchants AS j) a JOIN merchant USING (m);

INSERT INTO public.products (id, merchant_id, category_id, sku, slug, name, description, price_cents, currency, status, attributes, created_at, updated_at)
    SELECT n, CASE WHEN pg_temp.unit('product', n) < 0.6 THEN merchant.id END, CASE WHEN pg_temp.unit('shelf', n) < 0.95 THEN m + merchants * pg_temp.below('shelf2', n, 20) END,
           upper(left(slug, 3)) || '-' || lpad(n::text, 6, '0'), lower(adjective || '-' || trade) || '-' || n, adjective || ' ' || trade || ' ' || n,
           'Made in small numbers. Number ' || n || ' of our ' || lower(trade) || ' series.',
           300 + 100 * pg_temp.below('price', n, 180) + 95, currency,
           CASE WHEN pg_temp.unit('status', n) < 0.9 THEN 'active' WHEN pg_temp.unit('status', n) < 0.95 THEN 'draft' ELSE 'archived' END,
           jsonb_build_object('colour', pg_temp.one_of('colour', n, ARRAY['ochre', 'slate', 'moss', 'rust', 'ivory']), 'grams', 100 + pg_temp.below('grams', n, 2000)),
           opened + pg_temp.unit('made', n) * open_for * 0.5, opened + pg_temp.unit('made', n) * open_for * 0.5
    FROM size, LATERAL generate_series(1, products) AS n, LATERAL (SELECT 1 + (n - 1) % merchants AS m) a JOIN merchant USING (m),
         LATERAL (SELECT pg_temp.one_of('adjective', n, ARRAY['Quiet', 'Bright', 'Sturdy', 'Amber', 'Little', 'Northern', 'Honest', 'Round', 'Folding', 'Velvet']) AS adjective) b;
INSERT INTO public.tags VALUES (1, 'new'), (2, 'sale'), (3, 'handmade'), (4, 'vegan'), (5, 'local'), (6, 'limited');
INSERT INTO public.product_tags
    SELECT n, t FROM size, LATERAL generate_series(1, products) AS n, generate_series(1, 6) AS t WHERE pg_temp.unit('tag' || t, n) < 0.2;

-- Customers: some are tests, and a few never ordered.
INSERT INTO public.customers (id, email, name, phone, is_test, created_at, updated_at)
    SELECT n, CASE WHEN test THEN 'test+' || n || '@example.test' ELSE 'customer' || n || '@mail.example' END,
           pg_temp.one_of('cg', n, ARRAY['Ana', 'Bo', 'Cem', 'Dina', 'Eli', 'Fay', 'Gus', 'Hel', 'Ivo', 'Jun', 'Kim', 'Leo']) || ' '
           || pg_temp.one_of('cf', n, ARRAY['Abe', 'Berg', 'Costa', 'Dahl', 'Eco', 'Fabre', 'Gill', 'Haas', 'Ito', 'Jung']),
           CASE WHEN pg_temp.unit('phone', n) < 0.6 THEN '+49 30 ' || 100000 + pg_temp.below('phone2', n, 899999) END, test,
           opened + pg_temp.unit('joined', n) * open_for * 0.3, opened + pg_temp.unit('joined', n) * open_for * 0.3
    FROM size, LATERAL generate_series(1, customers) AS n, LATERAL (SELECT pg_temp.unit('test', n) < 0.01 AS test) a;

-- Orders, in order of time. Bigger shops sell more. Before 2025 nobody wrote the merchant down but as a code, sometimes a wrong one.
CREATE TEMP TABLE sale ON COMMIT DROP AS
    SELECT n, 1 + floor(merchants * pg_temp.unit('seller', n) ^ 1.5)::bigint AS m, opened + open_for * (n::double precision / orders) AS at,
           CASE WHEN n % greatest(1, orders / odd) = 0 THEN 'two sellers'                       -- lines of two shops
                WHEN n % greatest(1, orders / odd) = 1 THEN 'stranger'                          -- a customer of another shop
                WHEN n % greatest(1, orders / (odd * 6)) = 2 THEN 'lost' ELSE 'plain' END AS kind  -- nothing says whose
    FROM size, LATERAL generate_series(1, orders) AS n;
INSERT INTO public.orders (id, merchant_id, merchant_code, customer_id, number, status, currency, placed_at, updated_at)
    SELECT n, CASE WHEN kind IN ('two sellers', 'lost') THEN NULL WHEN kind = 'stranger' OR at >= '2025-01-01 00:00+00' THEN merchant.id END,
           CASE WHEN at < '2025-01-01 00:00+00' THEN 'M-' || lpad((CASE WHEN pg_temp.unit('code', n) < 0.03 THEN 1 + pg_temp.below('code2', n, merchants) ELSE m END)::text, 4, '0') END,
           CASE WHEN kind IN ('two sellers', 'lost') OR (kind = 'plain' AND pg_temp.unit('guest', n) < 0.15) THEN NULL
                WHEN kind = 'stranger' THEN 1 + m % merchants   -- the first customer of the next shop, who reviews and wishes nothing
                ELSE m + merchants * pg_temp.below('buyer', n, customers / merchants) END,
           'S-' || 100000 + n,
           (CASE WHEN pg_temp.unit('state', n) < 0.04 THEN 'cancelled' WHEN pg_temp.unit('state', n) < 0.06 THEN 'refunded'
                 WHEN n > orders * 0.995 THEN 'pending' WHEN n > orders * 0.985 THEN 'paid' WHEN n > orders * 0.97 THEN 'fulfilled' ELSE 'delivered' END)::public.order_status,
           currency, at, at + pg_temp.unit('touched', n) * interval '9 days'
    FROM sale JOIN merchant USING (m), size;

INSERT INTO public.order_lines (order_id, line_no, product_id, title, quantity, price_cents)
    SELECT n, l, CASE WHEN kind = 'lost' OR gone THEN NULL ELSE product END, coalesce(p.name, 'Something we no longer sell'),
           1 + pg_temp.below('quantity' || l, n, 3), coalesce(p.price_cents, 1995)
    FROM sale, size, LATERAL generate_series(1, CASE WHEN kind = 'two sellers' THEN 2 ELSE 1 + pg_temp.below('lines', n, 3) END) AS l,
         LATERAL (SELECT 1 + (m - 1 + CASE WHEN kind = 'two sellers' THEN l - 1 ELSE 0 END) % merchants + merchants * pg_temp.below('item' || l, n, products / merchants) AS product,
                         kind = 'plain' AND l > 1 AND pg_temp.unit('gone' || l, n) < 0.04 AS gone) a
    LEFT JOIN public.products p ON p.id = product;
UPDATE public.orders o SET total_cents = t.total FROM (SELECT order_id, sum(total_cents) AS total FROM public.order_lines GROUP BY 1) t WHERE t.order_id = o.id;

INSERT INTO public.payments (id, order_id, paid_at, amount_cents, provider, reference)
    SELECT id, id, placed_at + interval '3 minutes', total_cents, pg_temp.one_of('provider', id, ARRAY['card', 'paypal', 'transfer', 'cash']), 'pi_' || left(md5(id::text), 16)
    FROM public.orders WHERE status NOT IN ('pending', 'cancelled');

-- What customers say and want. A few want what another shop sells.
INSERT INTO public.wishlists (id, customer_id, product_id, added_at)
    SELECT n, c, 1 + (c - 1 + CASE WHEN n % 900 = 0 THEN 1 ELSE 0 END) % merchants + merchants * pg_temp.below('wish', n, products / merchants), opened + pg_temp.unit('wished', n) * open_for
    FROM size, LATERAL generate_series(1, customers / 3) AS n, LATERAL (SELECT 1 + merchants + pg_temp.below('wisher', n, customers - merchants) AS c) a;
INSERT INTO public.reviews (id, product_id, customer_id, merchant_ref, stars, body)
    SELECT n, p, CASE WHEN pg_temp.unit('known', n) < 0.7 THEN m + merchants * (1 + pg_temp.below('reviewer', n, customers / merchants - 1)) END,
           CASE WHEN pg_temp.unit('ref', n) < 0.5 THEN merchant.id::text END, 1 + pg_temp.below('stars', n, 5),
           pg_temp.one_of('says', n, ARRAY['Lovely.', 'As described.', 'Arrived late, still happy.', 'My dog liked it, too.', ''])
    FROM size, LATERAL generate_series(1, products) AS n, LATERAL (SELECT 1 + pg_temp.below('reviewed', n, products) AS p) a,
         LATERAL (SELECT 1 + (p - 1) % merchants AS m) b JOIN merchant USING (m);

INSERT INTO public."OrderNotes" ("OrderId", "Body", "createdAt")
    SELECT n, pg_temp.one_of('note', n, ARRAY['Gift wrap, please', 'Ring twice', 'Leave with the neighbour', 'VIP', 'Customer called']), at + interval '1 hour'
    FROM sale WHERE pg_temp.unit('noted', n) < 0.03;
INSERT INTO public.audit_trail (at, actor, action, order_id, payload)
    SELECT at, 'system', 'order.placed', n, jsonb_build_object('n', n) FROM sale WHERE pg_temp.unit('audited', n) < 0.08
    UNION ALL SELECT opened + g * interval '11 days', NULL, 'cron.ran', NULL, NULL FROM size, generate_series(1, 12) AS g
    UNION ALL SELECT opened + interval '11 days', NULL, 'cron.ran', NULL, NULL FROM size;   -- one row twice: there is no key
INSERT INTO public.newsletter_signups
    SELECT 'reader' || n || '@mail.example', pg_temp.one_of('src', n, ARRAY['footer', 'popup', 'fair 2024']), opened + n * interval '3 hours' FROM generate_series(1, 300) AS n, size;
INSERT INTO "Archive"."Import Batches" SELECT n, 'batch ' || n, date '2023-12-01' + n FROM generate_series(1, 14) AS n;

-- Sequences go on after the rows.
SELECT setval(pg_get_serial_sequence('public.' || t, 'id'), greatest(1, top)) FROM (
    SELECT 'storefront_configs' AS t, max(id) AS top FROM public.storefront_configs UNION ALL SELECT 'categories', max(id) FROM public.categories
    UNION ALL SELECT 'products', max(id) FROM public.products UNION ALL SELECT 'customers', max(id) FROM public.customers
    UNION ALL SELECT 'orders', max(id) FROM public.orders UNION ALL SELECT 'payments', max(id) FROM public.payments
    UNION ALL SELECT 'wishlists', max(id) FROM public.wishlists UNION ALL SELECT 'reviews', max(id) FROM public.reviews) s;
REFRESH MATERIALIZED VIEW public.daily_sales;
