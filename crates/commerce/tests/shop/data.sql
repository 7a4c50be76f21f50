-- A little data of three merchants, for the platform's schema as `bastide schema up` makes it.
INSERT INTO public.currencies VALUES ('EUR', 'Euro', 2), ('USD', 'US dollar', 2);
INSERT INTO public.merchants (id, slug, name, currency, status) VALUES
    ('aaaaaaaa-0000-4000-8000-000000000001', 'lagoon', 'Lagoon & Sons', 'EUR', 'active'),
    ('bbbbbbbb-0000-4000-8000-000000000002', 'harbour', 'Harbour', 'USD', 'active'),
    ('cccccccc-0000-4000-8000-000000000003', 'shut', 'Shut', 'EUR', 'suspended');
INSERT INTO public.storefront_configs (merchant_id, theme) VALUES
    ('aaaaaaaa-0000-4000-8000-000000000001', '{"accent": "#0a7a5a", "tagline": "From the water, <b>with</b> care"}'),
    ('bbbbbbbb-0000-4000-8000-000000000002', '{"accent": "red;}body{display:none"}');
INSERT INTO public.products (merchant_id, sku, slug, name, description, price_cents, currency, status)
    SELECT 'aaaaaaaa-0000-4000-8000-000000000001', 'A' || n, 'net-' || n, 'Lagoon net ' || n, 'Knotted by hand.', 1000 + n, 'EUR',
           CASE WHEN n % 10 = 0 THEN 'draft' ELSE 'active' END
    FROM generate_series(1, 50) n;
INSERT INTO public.products (merchant_id, sku, slug, name, price_cents, currency)
    SELECT 'bbbbbbbb-0000-4000-8000-000000000002', 'B' || n, 'rope-' || n, 'Harbour rope ' || n, 500 + n, 'USD'
    FROM generate_series(1, 7) n;
INSERT INTO public.products (merchant_id, sku, slug, name, price_cents, currency) VALUES
    ('bbbbbbbb-0000-4000-8000-000000000002', 'X', 'x', '<script>alert(1)</script>"''&', 1, 'USD'),
    ('cccccccc-0000-4000-8000-000000000003', 'S', 's', 'Shut thing', 1, 'EUR');
INSERT INTO public.customers (email, name, tenant_id)
    SELECT 'a' || n || '@example.test', 'Ada ' || n, 'aaaaaaaa-0000-4000-8000-000000000001' FROM generate_series(1, 5) n;
INSERT INTO public.customers (email, name, tenant_id)
    SELECT 'b' || n || '@example.test', 'Ben ' || n, 'bbbbbbbb-0000-4000-8000-000000000002' FROM generate_series(1, 5) n;
-- Two orders a minute, so that the id has to settle the order of a page.
INSERT INTO public.orders (merchant_id, customer_id, number, status, total_cents, currency, placed_at)
    SELECT 'aaaaaaaa-0000-4000-8000-000000000001', 1 + n % 5, 'L-' || n, 'paid', n * 100, 'EUR',
           timestamptz '2025-01-01 00:00+00' + (n / 2) * interval '1 minute'
    FROM generate_series(1, 60) n;
INSERT INTO public.orders (merchant_id, customer_id, number, status, total_cents, currency, placed_at)
    SELECT 'bbbbbbbb-0000-4000-8000-000000000002', 6, 'H-' || n, 'pending', n, 'USD', timestamptz '2025-01-01 00:00+00'
    FROM generate_series(1, 3) n;
INSERT INTO public.users (id, email, name, password_hash, is_active) VALUES
    ('11111111-0000-4000-8000-000000000001', 'ada@lagoon.test', 'Ada', '', true),
    ('22222222-0000-4000-8000-000000000002', 'ben@harbour.test', 'Ben', '', true),
    ('33333333-0000-4000-8000-000000000003', 'gone@lagoon.test', 'Gone', '', false),
    ('44444444-0000-4000-8000-000000000004', 'nobody@nowhere.test', 'Nobody', '', true),
    ('55555555-0000-4000-8000-000000000005', 'view@lagoon.test', 'Viewer', '', true);
INSERT INTO public.team_members (merchant_id, user_id, role) VALUES
    ('aaaaaaaa-0000-4000-8000-000000000001', '11111111-0000-4000-8000-000000000001', 'owner'),
    ('bbbbbbbb-0000-4000-8000-000000000002', '22222222-0000-4000-8000-000000000002', 'admin'),
    ('cccccccc-0000-4000-8000-000000000003', '22222222-0000-4000-8000-000000000002', 'admin'),
    ('aaaaaaaa-0000-4000-8000-000000000001', '33333333-0000-4000-8000-000000000003', 'owner'),
    ('aaaaaaaa-0000-4000-8000-000000000001', '55555555-0000-4000-8000-000000000005', 'viewer');
INSERT INTO bastide.run (id, format, bastide, state, phase, plan)
    VALUES ('99999999-0000-4000-8000-000000000009', 1, '0.1.0', 'cut_over', 'optimisation', '{}');
INSERT INTO bastide.journal (run_id, step, ordinal, phase, state, text, forward, inverse)
    SELECT '99999999-0000-4000-8000-000000000009', 's' || n, n, 'policies', CASE WHEN n < 4 THEN 'done' ELSE 'planned' END, 't', '{}', '{}'
    FROM generate_series(1, 4) n;
