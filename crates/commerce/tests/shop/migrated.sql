-- The legacy shop (fixtures/legacy/shop/schema.sql) as a migration leaves it, as far as serving queries can tell: context
-- functions, strict policies on the tables they read, the application's login. Then a little data of three merchants.
CREATE FUNCTION bastide.set_tenant(v text) RETURNS void LANGUAGE sql
    RETURN set_config('bastide.tenant', (v::uuid)::text, true)::void;
CREATE FUNCTION bastide.current_tenant() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
    RETURN NULLIF(current_setting('bastide.tenant', true), '');
CREATE VIEW bastide.scoped_tables AS SELECT schema, "table", tenant_column, run_id FROM bastide.scope;
GRANT SELECT ON bastide.scoped_tables TO PUBLIC;

ALTER TABLE public.customers ADD COLUMN tenant_id uuid REFERENCES public.merchants;
CREATE ROLE bastide_app LOGIN PASSWORD 'app' NOSUPERUSER NOBYPASSRLS;

DO $$
DECLARE
    t record;
BEGIN
    FOR t IN SELECT * FROM (VALUES ('merchants', 'id'), ('storefront_configs', 'merchant_id'), ('products', 'merchant_id'),
            ('customers', 'tenant_id'), ('orders', 'merchant_id'), ('team_members', 'merchant_id')) AS v (name, col)
    LOOP
        EXECUTE format('ALTER TABLE public.%I ENABLE ROW LEVEL SECURITY', t.name);
        EXECUTE format('ALTER TABLE public.%I FORCE ROW LEVEL SECURITY', t.name);
        EXECUTE format('CREATE POLICY bastide_tenant ON public.%I USING (%I = (SELECT bastide.current_tenant()::uuid)) '
            'WITH CHECK (%2$I = (SELECT bastide.current_tenant()::uuid))', t.name, t.col);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON public.%I TO bastide_app', t.name);
        EXECUTE format('INSERT INTO bastide.scope VALUES (''public'', %L, %L, gen_random_uuid())', t.name, t.col);
    END LOOP;
END $$;

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
ANALYZE;
