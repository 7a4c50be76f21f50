-- A small shop, isolated as a run that was cut over leaves it.
ALTER SCHEMA public OWNER TO shop;
GRANT USAGE ON SCHEMA public TO bastide_app;
SET ROLE shop;

CREATE TABLE merchants (id uuid PRIMARY KEY, slug text NOT NULL UNIQUE);
CREATE TABLE orders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    merchant_id uuid NOT NULL REFERENCES merchants,
    number text NOT NULL,
    total numeric(10, 2) NOT NULL,
    taxed numeric GENERATED ALWAYS AS (total * 1.2) STORED,
    UNIQUE (merchant_id, number),
    UNIQUE (merchant_id, id)
);
CREATE TABLE "Order Lines" (
    order_id bigint NOT NULL,
    line int NOT NULL,
    tenant_id uuid NOT NULL DEFAULT bastide.current_tenant()::uuid REFERENCES merchants,
    PRIMARY KEY (order_id, line),
    FOREIGN KEY (tenant_id, order_id) REFERENCES orders (merchant_id, id)
);
CREATE TABLE events (
    id bigint NOT NULL,
    at date NOT NULL,
    tenant_id uuid NOT NULL REFERENCES merchants,
    PRIMARY KEY (id, at)
) PARTITION BY RANGE (at);
CREATE TABLE events_2025 PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE events_2026 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE notes (id bigint PRIMARY KEY, tenant_id uuid NOT NULL REFERENCES merchants, body text);
CREATE TABLE notes_archive () INHERITS (notes);
CREATE TABLE drafts (id bigint PRIMARY KEY, tenant_id uuid NOT NULL REFERENCES merchants);
CREATE TABLE countries (code text PRIMARY KEY, name text NOT NULL);
CREATE TABLE secrets (id bigint PRIMARY KEY, what text);

CREATE VIEW totals WITH (security_invoker = true) AS SELECT merchant_id, sum(total) AS total FROM orders GROUP BY 1;
CREATE VIEW turnover WITH (security_invoker = true) AS SELECT coalesce(sum(total), 0) AS total FROM totals;
CREATE MATERIALIZED VIEW sales AS SELECT merchant_id, sum(total) AS total FROM orders GROUP BY 1;
CREATE FUNCTION all_orders() RETURNS bigint LANGUAGE sql SECURITY DEFINER STABLE AS 'SELECT count(*) FROM public.orders';
REVOKE EXECUTE ON FUNCTION all_orders() FROM PUBLIC;
CREATE FUNCTION whoami() RETURNS uuid LANGUAGE sql STABLE AS 'SELECT bastide.current_tenant()::uuid';
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER touch BEFORE INSERT OR UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION touch();

INSERT INTO merchants SELECT ('00000000-0000-4000-8000-00000000000' || n)::uuid, 'shop-' || n FROM generate_series(1, 3) AS n;
INSERT INTO orders (merchant_id, number, total)
    SELECT id, 'N' || n, n FROM merchants, generate_series(1, 4) AS n ORDER BY n, id;
INSERT INTO "Order Lines" SELECT o.id, n, o.merchant_id FROM orders AS o, generate_series(1, 2) AS n;
INSERT INTO events SELECT n, date '2025-06-01' + n * 100, ('00000000-0000-4000-8000-00000000000' || 1 + n % 3)::uuid
    FROM generate_series(1, 5) AS n;
INSERT INTO notes SELECT n, ('00000000-0000-4000-8000-000000000001')::uuid, 'note' FROM generate_series(1, 2) AS n;
INSERT INTO notes_archive SELECT n, ('00000000-0000-4000-8000-000000000002')::uuid, 'old' FROM generate_series(3, 4) AS n;
INSERT INTO countries VALUES ('FR', 'France'), ('PT', 'Portugal');
INSERT INTO secrets VALUES (1, 'everybody''s');
REFRESH MATERIALIZED VIEW sales;
RESET ROLE;

DO $$
DECLARE t record;
BEGIN
    FOR t IN SELECT * FROM (VALUES ('merchants', 'id'), ('orders', 'merchant_id'), ('Order Lines', 'tenant_id'),
        ('events', 'tenant_id'), ('events_2025', 'tenant_id'), ('events_2026', 'tenant_id'), ('notes', 'tenant_id'),
        ('notes_archive', 'tenant_id'), ('drafts', 'tenant_id')) AS t(name, col)
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t.name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t.name);
        EXECUTE format('CREATE POLICY bastide_tenant ON %I USING (%I = (SELECT bastide.current_tenant()::uuid))
            WITH CHECK (%2$I = (SELECT bastide.current_tenant()::uuid))', t.name, t.col);
        INSERT INTO bastide.scope VALUES ('public', t.name, t.col, '00000000-0000-4000-8000-0000000000aa');
    END LOOP;
END $$;
GRANT SELECT, INSERT, UPDATE, DELETE ON orders, "Order Lines", events, notes, drafts TO bastide_app;
GRANT SELECT, UPDATE ON merchants TO bastide_app;
GRANT SELECT ON countries, totals, turnover TO bastide_app;

INSERT INTO bastide.run (id, format, bastide, state, phase, plan)
SELECT '00000000-0000-4000-8000-0000000000aa', 1, '0', 'cut_over', 'cutover', jsonb_build_object('tables', jsonb_object_agg(
    'public.' || CASE relname WHEN 'Order Lines' THEN '"Order Lines"' ELSE relname END,
    jsonb_build_object('class', CASE relname WHEN 'countries' THEN 'shared' WHEN 'secrets' THEN 'closed' ELSE 'scoped' END)))
FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p');

-- Harmless, and not to be mistaken: a look-up before the tenant is known, a policy that only narrows, a trigger that runs as an
-- owner whom FORCE binds, a view over shared rows and a materialised one, numbers to draw, a key that a role of its own may read.
CREATE FUNCTION bastide.merchant_by_slug(wanted text) RETURNS uuid LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp AS 'SELECT id FROM public.merchants WHERE slug = wanted';
ALTER FUNCTION bastide.merchant_by_slug(text) OWNER TO bastide_owner;
GRANT USAGE ON SCHEMA public TO bastide_owner;
GRANT SELECT ON merchants TO bastide_owner;
CREATE POLICY not_negative ON orders AS RESTRICTIVE USING (total >= 0);
SET ROLE shop;
CREATE FUNCTION kept() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER kept BEFORE INSERT ON notes FOR EACH ROW EXECUTE FUNCTION kept();
CREATE VIEW country_names AS SELECT name FROM countries;
CREATE MATERIALIZED VIEW initials AS SELECT DISTINCT left(name, 1) AS initial FROM countries;
GRANT SELECT ON country_names, initials TO bastide_app;
GRANT USAGE ON SEQUENCE orders_id_seq TO bastide_app;
GRANT SELECT ON orders TO staff WITH GRANT OPTION;
RESET ROLE;
