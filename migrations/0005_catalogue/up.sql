-- The catalogue: variants, options, slugs that are unique and remembered, categories with versions, stock and its reservations, and
-- the record of what a team changed. On top of the legacy products and categories, whose rows stay where they are.
--
-- One source of truth: what is sold, at what price and under which SKU, is a row of public.variants. products.sku, price_cents and currency
-- stay as they are for the products there were and are NULL for new ones; down.sql fills them from each product's first variant.
-- For a login that row-level security does not bind: another is refused (42501) before it has changed anything.

ALTER TABLE public.products
    ALTER COLUMN sku DROP NOT NULL,
    ALTER COLUMN price_cents DROP NOT NULL,
    ALTER COLUMN currency DROP NOT NULL,
    ADD COLUMN version bigint NOT NULL DEFAULT 1,
    ADD COLUMN options jsonb NOT NULL DEFAULT '[]',   -- [{"name": "Size", "values": ["S", "M"]}], in the order they are shown
    ADD COLUMN from_cents bigint,                     -- the lowest price of an active variant, kept by a trigger: pages are ordered by it
    ADD COLUMN from_currency char(3),
    ADD COLUMN slug_before text;                      -- what this migration made unique, until somebody gives another

ALTER TABLE public.categories
    ADD COLUMN version bigint NOT NULL DEFAULT 1;

CREATE TABLE public.variants (
    tenant_id    uuid NOT NULL REFERENCES public.merchants (id),
    id           bigint GENERATED ALWAYS AS IDENTITY,
    product_id   bigint NOT NULL,
    sku          text NOT NULL CHECK (sku <> ''),
    title        text NOT NULL DEFAULT '',
    price_cents  bigint NOT NULL CHECK (price_cents >= 0),
    currency     char(3) NOT NULL REFERENCES public.currencies (code),
    position     integer NOT NULL DEFAULT 0,
    options      jsonb NOT NULL DEFAULT '{}',         -- {"Size": "S"}
    status       text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'archived')),
    version      bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT variants_sku_key UNIQUE (tenant_id, sku),
    CONSTRAINT variants_product_fkey FOREIGN KEY (tenant_id, product_id) REFERENCES public.products (merchant_id, id) ON DELETE CASCADE
);
CREATE INDEX variants_product_idx ON public.variants (tenant_id, product_id, position, id);

-- Slugs a product had: whoever comes by one is sent on.
CREATE TABLE public.product_slugs (
    tenant_id   uuid NOT NULL REFERENCES public.merchants (id),
    slug        text NOT NULL,
    product_id  bigint NOT NULL,
    PRIMARY KEY (tenant_id, slug),
    CONSTRAINT product_slugs_product_fkey FOREIGN KEY (tenant_id, product_id) REFERENCES public.products (merchant_id, id) ON DELETE CASCADE
);
CREATE INDEX product_slugs_product_idx ON public.product_slugs (tenant_id, product_id);

CREATE TABLE public.inventory_levels (
    tenant_id   uuid NOT NULL REFERENCES public.merchants (id),
    variant_id  bigint NOT NULL,
    on_hand     bigint NOT NULL DEFAULT 0 CHECK (on_hand >= 0),
    tracked     boolean NOT NULL DEFAULT true,        -- false: sold without counting, as all there was before
    version     bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (tenant_id, variant_id),
    CONSTRAINT inventory_levels_variant_fkey FOREIGN KEY (tenant_id, variant_id) REFERENCES public.variants (tenant_id, id) ON DELETE CASCADE
);

-- Why a level is what it is; added to, never changed.
CREATE TABLE public.stock_adjustments (
    tenant_id   uuid NOT NULL REFERENCES public.merchants (id),
    id          bigint GENERATED ALWAYS AS IDENTITY,
    variant_id  bigint NOT NULL,
    delta       bigint NOT NULL,
    on_hand     bigint NOT NULL,                      -- afterwards
    reason      text NOT NULL CHECK (reason IN ('received', 'counted', 'damaged', 'lost', 'returned', 'correction', 'sold', 'other')),
    note        text NOT NULL DEFAULT '',
    actor       uuid,                                 -- NULL: the shop itself, by a sale
    at          timestamptz NOT NULL DEFAULT pg_catalog.now(),
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT stock_adjustments_variant_fkey FOREIGN KEY (tenant_id, variant_id) REFERENCES public.variants (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX stock_adjustments_variant_idx ON public.stock_adjustments (tenant_id, variant_id, id);

-- Stock a cart holds. One that has expired holds nothing: it is left out wherever reservations are counted, and taken away in passing.
CREATE TABLE public.reservations (
    tenant_id   uuid NOT NULL REFERENCES public.merchants (id),
    variant_id  bigint NOT NULL,
    holder      uuid NOT NULL,
    quantity    bigint NOT NULL CHECK (quantity > 0),
    expires_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, variant_id, holder),
    CONSTRAINT reservations_variant_fkey FOREIGN KEY (tenant_id, variant_id) REFERENCES public.variants (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX reservations_holder_idx ON public.reservations (tenant_id, holder);

-- Pictures of a product, in their order. The file lies beneath its tenant under the hash of what is in it; one file may be a picture of many products.
CREATE TABLE public.product_media (
    tenant_id   uuid NOT NULL REFERENCES public.merchants (id),
    id          bigint GENERATED ALWAYS AS IDENTITY,
    product_id  bigint NOT NULL,
    hash        text NOT NULL CHECK (hash ~ '^[0-9a-f]{64}$'),
    extension   text NOT NULL CHECK (extension IN ('gif', 'jpg', 'png', 'webp')),
    bytes       bigint NOT NULL,
    width       integer NOT NULL,
    height      integer NOT NULL,
    alt         text NOT NULL DEFAULT '',
    position    integer NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT product_media_hash_key UNIQUE (tenant_id, product_id, hash),
    CONSTRAINT product_media_product_fkey FOREIGN KEY (tenant_id, product_id) REFERENCES public.products (merchant_id, id) ON DELETE CASCADE
);
CREATE INDEX product_media_hash_idx ON public.product_media (tenant_id, hash);

-- What products are found by: the words of each, as rows led by the tenant. A full-text match is not leakproof, so below a policy no index
-- serves it; equality and order of text are, so these rows are read by index and are never anybody else's.
CREATE TABLE public.product_terms (
    tenant_id   uuid NOT NULL REFERENCES public.merchants (id),
    term        text COLLATE "C" NOT NULL,
    product_id  bigint NOT NULL,
    weight      integer NOT NULL,                     -- a word of the name says more than one of the description
    PRIMARY KEY (tenant_id, term, product_id),
    CONSTRAINT product_terms_product_fkey FOREIGN KEY (tenant_id, product_id) REFERENCES public.products (merchant_id, id) ON DELETE CASCADE
);
CREATE INDEX product_terms_product_idx ON public.product_terms (tenant_id, product_id);

-- Each word once: what a misspelt one is compared with. Some that no product has any more stay, and find nothing.
CREATE TABLE public.terms (
    tenant_id  uuid NOT NULL REFERENCES public.merchants (id) ON DELETE CASCADE,
    term       text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant_id, term)
);

-- What a team changed: who, when, what; of the values, only the names of the fields.
CREATE TABLE public.audit_log (
    tenant_id   uuid NOT NULL REFERENCES public.merchants (id),
    id          bigint GENERATED ALWAYS AS IDENTITY,
    at          timestamptz NOT NULL DEFAULT pg_catalog.now(),
    actor       uuid,
    actor_kind  text NOT NULL,
    action      text NOT NULL,
    entity      text NOT NULL,
    entity_id   text NOT NULL,
    summary     jsonb NOT NULL DEFAULT '{}',
    request_id  text NOT NULL,
    PRIMARY KEY (tenant_id, id)
);

-- How alike two words are, by the extension pg_trgm, wherever it is. Its comment says whether this migration made the extension.
DO $do$
DECLARE
    made boolean := NOT EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname = 'pg_trgm');
    home name;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_available_extensions WHERE name = 'pg_trgm') THEN
        RAISE EXCEPTION 'search needs the extension pg_trgm, which this server does not have'
            USING ERRCODE = '0A000', HINT = 'Install PostgreSQL''s contrib package (Debian: postgresql-contrib), then apply this version again.';
    END IF;
    IF made THEN
        CREATE EXTENSION pg_trgm WITH SCHEMA public;
    END IF;
    SELECT n.nspname INTO home FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pg_trgm';
    EXECUTE format('CREATE FUNCTION public.term_similarity(one text, other text) RETURNS real LANGUAGE sql IMMUTABLE PARALLEL SAFE '
        'RETURN %I.similarity(one, other)', home);
    COMMENT ON FUNCTION public.term_similarity(text, text) IS 'pg_trgm was there before';
    IF made THEN
        COMMENT ON FUNCTION public.term_similarity(text, text) IS 'pg_trgm was made for this';
    END IF;
END
$do$;

CREATE FUNCTION public.index_product(tenant uuid, product bigint) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    indexed public.products;
BEGIN
    SELECT * INTO indexed FROM public.products p WHERE p.merchant_id = tenant AND p.id = product;
    DELETE FROM public.product_terms t WHERE t.tenant_id = tenant AND t.product_id = product;
    IF indexed.id IS NULL THEN
        RETURN;
    END IF;
    INSERT INTO public.product_terms (tenant_id, term, product_id, weight)
        SELECT tenant, w.term, product, max(w.weight) FROM (
            SELECT l.lexeme, 8 FROM unnest(to_tsvector('pg_catalog.simple', indexed.name)) l
            UNION ALL
            SELECT l.lexeme, 4 FROM public.variants v, unnest(to_tsvector('pg_catalog.simple', v.sku || ' ' || v.title)) l
                WHERE v.tenant_id = tenant AND v.product_id = product
            UNION ALL
            SELECT lower(v.sku), 8 FROM public.variants v WHERE v.tenant_id = tenant AND v.product_id = product
            UNION ALL
            SELECT l.lexeme, 1 FROM unnest(to_tsvector('pg_catalog.simple', indexed.description)) l
        ) AS w (term, weight) WHERE length(w.term) <= 100 GROUP BY w.term;
    -- In one order for everybody, so that two writers do not wait for each other.
    INSERT INTO public.terms (tenant_id, term)
        SELECT t.tenant_id, t.term FROM public.product_terms t WHERE t.tenant_id = tenant AND t.product_id = product ORDER BY t.term
        ON CONFLICT DO NOTHING;
END
$body$;

DO $do$
DECLARE
    doubled record;
    last_merchant uuid;
    last_slug text;
    n bigint;
    renamed bigint := 0;
    made bigint;
BEGIN
    PERFORM pg_catalog.set_config('row_security', 'off', true);
    -- Nobody wrote these rows: updated_at stays.
    ALTER TABLE public.products DISABLE TRIGGER products_touch;

    CREATE INDEX products_slug_meanwhile_idx ON public.products (merchant_id, slug);
    FOR doubled IN
        SELECT merchant_id, slug, id FROM (
            SELECT p.merchant_id, p.slug, p.id, row_number() OVER (PARTITION BY p.merchant_id, p.slug ORDER BY p.id) AS nth
            FROM public.products p) numbered
        WHERE nth > 1 ORDER BY merchant_id, slug, id
    LOOP
        IF (last_merchant, last_slug) IS DISTINCT FROM (doubled.merchant_id, doubled.slug) THEN
            n := 2;
        END IF;
        last_merchant := doubled.merchant_id;
        last_slug := doubled.slug;
        WHILE EXISTS (SELECT FROM public.products p WHERE p.merchant_id = doubled.merchant_id AND p.slug = doubled.slug || '-' || n) LOOP
            n := n + 1;
        END LOOP;
        UPDATE public.products p SET slug = doubled.slug || '-' || n, slug_before = doubled.slug
            WHERE p.merchant_id = doubled.merchant_id AND p.id = doubled.id;
        renamed := renamed + 1;
    END LOOP;
    DROP INDEX public.products_slug_meanwhile_idx;

    INSERT INTO public.variants (tenant_id, product_id, sku, price_cents, currency)
        SELECT p.merchant_id, p.id, p.sku, p.price_cents, p.currency FROM public.products p ORDER BY p.id;
    GET DIAGNOSTICS made = ROW_COUNT;
    INSERT INTO public.inventory_levels (tenant_id, variant_id, tracked) SELECT v.tenant_id, v.id, false FROM public.variants v;
    UPDATE public.products SET from_cents = price_cents, from_currency = currency;
    PERFORM public.index_product(p.merchant_id, p.id) FROM public.products p;

    ALTER TABLE public.products ENABLE TRIGGER products_touch;
    RAISE NOTICE 'catalogue: % products have a variant of their own now, % of their slugs were another''s of the same merchant, too, and got a number',
        made, renamed;
END
$do$;

ALTER TABLE public.products ADD CONSTRAINT products_slug_key UNIQUE (merchant_id, slug);
CREATE INDEX products_newest_idx ON public.products (merchant_id, status, id DESC);
CREATE INDEX products_price_idx ON public.products (merchant_id, status, from_cents, id);
CREATE INDEX products_name_idx ON public.products (merchant_id, status, name COLLATE "C", id);
CREATE INDEX products_category_tenant_idx ON public.products (merchant_id, category_id, id);
CREATE INDEX categories_parent_tenant_idx ON public.categories (merchant_id, parent_id, position, id);

-- A product is one with its variants: when one of them changes, the product has another version, and perhaps another lowest price.
CREATE FUNCTION public.variant_changed() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    variant public.variants := CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
    lowest record;
BEGIN
    SELECT v.price_cents, v.currency INTO lowest FROM public.variants v
        WHERE v.tenant_id = variant.tenant_id AND v.product_id = variant.product_id AND v.status = 'active'
        ORDER BY v.price_cents, v.id LIMIT 1;
    UPDATE public.products p SET version = p.version + 1, from_cents = lowest.price_cents, from_currency = lowest.currency
        WHERE p.merchant_id = variant.tenant_id AND p.id = variant.product_id;
    IF TG_OP <> 'UPDATE' OR (OLD.sku, OLD.title) IS DISTINCT FROM (NEW.sku, NEW.title) THEN
        PERFORM public.index_product(variant.tenant_id, variant.product_id);
    END IF;
    RETURN NULL;
END
$body$;
CREATE TRIGGER variants_changed AFTER INSERT OR UPDATE OR DELETE ON public.variants
    FOR EACH ROW EXECUTE FUNCTION public.variant_changed();

CREATE FUNCTION public.product_reworded() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    PERFORM public.index_product(NEW.merchant_id, NEW.id);
    RETURN NULL;
END
$body$;
CREATE TRIGGER products_reworded AFTER INSERT OR UPDATE OF name, description ON public.products
    FOR EACH ROW EXECUTE FUNCTION public.product_reworded();
