-- What the watch of a running server needs: two tenants that belong to nobody (the canaries), with a row each in the tables of a
-- shop, and the record of refused crossings. On top of 0002_lookups, whose look-up of a merchant learns to pass the canaries over.
--
-- Their merchants are closed, with a slug that no shop can have; their products are archived, their customers marked as tests, their orders
-- cancelled. For a login that row-level security does not bind: another is refused (42501) before it has changed anything.
-- EXECUTE goes to the role that bastide.app_role names, as in 0002.

CREATE TABLE bastide.canary (
    name    text PRIMARY KEY CHECK (name IN ('a', 'b')),
    tenant  text NOT NULL UNIQUE
);

-- Requests whose parts named different merchants. No payload: who and where, not what was asked for.
CREATE TABLE bastide.crossing (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at          timestamptz NOT NULL,
    kind        text NOT NULL,             -- credential, session_scope, header
    who         uuid,                      -- the user of the credential; NULL: anonymous
    method      text NOT NULL,
    route       text NOT NULL,             -- the template, never the path
    merchant    uuid,                      -- that the path named
    request_id  text NOT NULL,
    login       text NOT NULL DEFAULT session_user,
    recorded_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
CREATE INDEX crossing_at_idx ON bastide.crossing (at);

ALTER TABLE bastide.canary OWNER TO bastide_owner;
ALTER TABLE bastide.crossing OWNER TO bastide_owner;

DO $do$
DECLARE
    canary record;
    tenant uuid;
    currency text := (SELECT c.code FROM public.currencies c ORDER BY c.code LIMIT 1);
    category bigint;
    product bigint;
    customer bigint;
    placed bigint;
    -- Of each table, its tenant column; NULL where the table is not scoped and gets no row.
    col jsonb := (SELECT pg_catalog.jsonb_object_agg(s."table", s.tenant_column) FROM bastide.scoped_tables s WHERE s.schema = 'public');
BEGIN
    PERFORM pg_catalog.set_config('row_security', 'off', true);
    IF currency IS NULL THEN
        -- A new platform has none yet, and a merchant needs one: ISO 4217's code for no currency.
        INSERT INTO public.currencies (code, name, exponent) VALUES ('XXX', 'None, of the canaries', 0) RETURNING code INTO currency;
    END IF;
    FOR canary IN SELECT * FROM (VALUES ('a'), ('b')) AS v (name) LOOP
        tenant := pg_catalog.gen_random_uuid();
        INSERT INTO bastide.canary VALUES (canary.name, tenant::text);
        INSERT INTO public.merchants (id, slug, name, currency, status)
            VALUES (tenant, 'canary/' || tenant, 'Canary ' || canary.name || ' of the watch', currency, 'closed');
        IF col ? 'storefront_configs' THEN
            EXECUTE format('INSERT INTO public.storefront_configs (%I, published) VALUES ($1, false)', col ->> 'storefront_configs') USING tenant;
        END IF;
        IF col ? 'categories' THEN
            EXECUTE format('INSERT INTO public.categories (%I, name) VALUES ($1, ''Canary'') RETURNING id', col ->> 'categories')
                INTO category USING tenant;
        END IF;
        IF col ? 'products' THEN
            EXECUTE format('INSERT INTO public.products (%I, category_id, sku, slug, name, price_cents, currency, status) '
                'VALUES ($1, $2, ''canary/'' || $1, ''canary/'' || $1, ''Canary'', 0, $3, ''archived'') RETURNING id', col ->> 'products')
                INTO product USING tenant, category, currency;
        END IF;
        IF col ? 'customers' THEN
            EXECUTE format('INSERT INTO public.customers (%I, email, name, is_test) VALUES ($1, $1 || ''@canary.invalid'', ''Canary'', true) RETURNING id',
                col ->> 'customers') INTO customer USING tenant;
        END IF;
        IF col ? 'orders' THEN
            EXECUTE format('INSERT INTO public.orders (%I, customer_id, number, status, currency) VALUES ($1, $2, ''canary/'' || $1, ''cancelled'', $3) RETURNING id',
                col ->> 'orders') INTO placed USING tenant, customer, currency;
        END IF;
        IF col ? 'order_lines' AND placed IS NOT NULL THEN
            EXECUTE format('INSERT INTO public.order_lines (%I, order_id, line_no, product_id, title, quantity, price_cents) VALUES ($1, $2, 1, $3, ''Canary'', 1, 0)',
                col ->> 'order_lines') USING tenant, placed, product;
        END IF;
        IF col ? 'payments' AND placed IS NOT NULL THEN
            EXECUTE format('INSERT INTO public.payments (%I, order_id, paid_at, amount_cents, provider) VALUES ($1, $2, pg_catalog.now(), 0, ''canary'')',
                col ->> 'payments') USING tenant, placed;
        END IF;
        IF col ? 'wishlists' AND customer IS NOT NULL AND product IS NOT NULL THEN
            EXECUTE format('INSERT INTO public.wishlists (%I, customer_id, product_id) VALUES ($1, $2, $3)', col ->> 'wishlists')
                USING tenant, customer, product;
        END IF;
        IF col ? 'reviews' AND product IS NOT NULL THEN
            EXECUTE format('INSERT INTO public.reviews (%I, product_id, customer_id, stars) VALUES ($1, $2, $3, 5)', col ->> 'reviews')
                USING tenant, product, customer;
        END IF;
        IF col ? 'settings' THEN
            EXECUTE format('INSERT INTO public.settings (%I, key) VALUES ($1, ''canary'')', col ->> 'settings') USING tenant;
        END IF;
    END LOOP;
    PERFORM pg_catalog.set_config('row_security', 'on', true);
END
$do$;

CREATE FUNCTION bastide.canaries() RETURNS TABLE (name text, tenant text)
    LANGUAGE sql STABLE SECURITY DEFINER PARALLEL RESTRICTED ROWS 2
    SET search_path = pg_catalog, pg_temp
AS $body$ SELECT c.name, c.tenant FROM bastide.canary c $body$;

-- A batch at a time: an array of objects. Says how many were recorded; what is too long is cut, what is beyond 500 is left.
CREATE FUNCTION bastide.audit_crossings(batch jsonb) RETURNS integer
    LANGUAGE sql VOLATILE SECURITY DEFINER PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $body$
    WITH recorded AS (
        INSERT INTO bastide.crossing (at, kind, who, method, route, merchant, request_id)
        SELECT c.at, left(c.kind, 40), c.who, left(c.method, 20), left(c.route, 200), c.merchant, left(c.request_id, 64)
        FROM jsonb_to_recordset(batch) AS c (at timestamptz, kind text, who uuid, method text, route text, merchant uuid, request_id text)
        LIMIT 500
        RETURNING 1
    ) SELECT count(*)::integer FROM recorded
$body$;

CREATE OR REPLACE FUNCTION bastide.merchant_by_slug(wanted text)
    RETURNS TABLE (id uuid, slug text, name text, currency text, status text)
    LANGUAGE sql STABLE SECURITY DEFINER PARALLEL RESTRICTED ROWS 1
    SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT m.id, m.slug::text, m.name::text, m.currency::text, m.status::text
    FROM public.merchants m
    WHERE m.slug = wanted
      -- The quarantine tenant is nobody's shop. (Its plan is only looked at for its slug: plans are large.)
      AND (wanted <> 'quarantine' OR NOT EXISTS (
          SELECT FROM bastide.run r WHERE r.plan -> 'quarantine' ->> 'id' = m.id::text))
      AND NOT EXISTS (SELECT FROM bastide.canary c WHERE c.tenant = m.id::text)
$body$;

ALTER FUNCTION bastide.canaries() OWNER TO bastide_owner;
ALTER FUNCTION bastide.audit_crossings(jsonb) OWNER TO bastide_owner;

REVOKE ALL ON FUNCTION bastide.canaries(), bastide.audit_crossings(jsonb) FROM PUBLIC;

DO $do$
DECLARE
    app_role text := coalesce(nullif(current_setting('bastide.app_role', true), ''), 'bastide_app');
BEGIN
    EXECUTE format('GRANT EXECUTE ON FUNCTION bastide.canaries(), bastide.audit_crossings(jsonb) TO %I', app_role);
END
$do$;
