-- Undoes up.sql. What the old shape cannot hold goes: of each product the variants after its first, options, old slugs, pictures (their files stay), stock with its
-- history and reservations, and the audit log. A product written since keeps what its first variant says; one that has none cannot be
-- held at all, and stops this before anything is changed.

DO $do$
DECLARE
    bare bigint;
BEGIN
    PERFORM pg_catalog.set_config('row_security', 'off', true);
    SELECT count(*) INTO bare FROM public.products p
        WHERE p.sku IS NULL AND NOT EXISTS (SELECT FROM public.variants v WHERE v.tenant_id = p.merchant_id AND v.product_id = p.id);
    IF bare > 0 THEN
        RAISE EXCEPTION 'public.products: % rows have no variant, and so no SKU and no price that version 4 could hold; add one to each, or delete them', bare
            USING ERRCODE = '55000';
    END IF;
END
$do$;

DROP TRIGGER products_reworded ON public.products;
DROP FUNCTION public.product_reworded();
DROP TRIGGER variants_changed ON public.variants;
DROP FUNCTION public.variant_changed();
DROP FUNCTION public.index_product(uuid, bigint);

DO $do$
DECLARE
    made boolean := pg_catalog.obj_description('public.term_similarity(text, text)'::regprocedure, 'pg_proc') = 'pg_trgm was made for this';
BEGIN
    DROP FUNCTION public.term_similarity(text, text);
    IF made THEN
        -- Whoever uses it by now keeps it: this fails then, and says who.
        DROP EXTENSION pg_trgm;
    END IF;
END
$do$;

ALTER TABLE public.products DISABLE TRIGGER products_touch;
ALTER TABLE public.products DROP CONSTRAINT products_slug_key;
UPDATE public.products SET slug = slug_before WHERE slug_before IS NOT NULL;
-- SKUs of two products may have changed places: a unique index checks row by row, so they first leave theirs.
CREATE TEMPORARY TABLE catalogue_first ON COMMIT DROP AS
    SELECT DISTINCT ON (v.tenant_id, v.product_id) v.tenant_id, v.product_id, v.sku, v.price_cents, v.currency
    FROM public.variants v ORDER BY v.tenant_id, v.product_id, v.position, v.id;
UPDATE public.products p SET sku = NULL FROM pg_temp.catalogue_first f
    WHERE f.tenant_id = p.merchant_id AND f.product_id = p.id AND p.sku IS DISTINCT FROM f.sku;
UPDATE public.products p SET sku = f.sku, price_cents = f.price_cents, currency = f.currency FROM pg_temp.catalogue_first f
    WHERE f.tenant_id = p.merchant_id AND f.product_id = p.id
      AND (p.sku, p.price_cents, p.currency) IS DISTINCT FROM (f.sku, f.price_cents, f.currency);
ALTER TABLE public.products ENABLE TRIGGER products_touch;

DROP TABLE public.audit_log;
DROP TABLE public.reservations;
DROP TABLE public.stock_adjustments;
DROP TABLE public.inventory_levels;
DROP TABLE public.terms;
DROP TABLE public.product_terms;
DROP TABLE public.product_media;
DROP TABLE public.product_slugs;
DROP TABLE public.variants;

DROP INDEX public.categories_parent_tenant_idx;
DROP INDEX public.products_category_tenant_idx;
DROP INDEX public.products_name_idx;
DROP INDEX public.products_price_idx;
DROP INDEX public.products_newest_idx;
ALTER TABLE public.categories DROP COLUMN version;
ALTER TABLE public.products
    DROP COLUMN slug_before,
    DROP COLUMN from_currency,
    DROP COLUMN from_cents,
    DROP COLUMN options,
    DROP COLUMN version,
    ALTER COLUMN currency SET NOT NULL,
    ALTER COLUMN price_cents SET NOT NULL,
    ALTER COLUMN sku SET NOT NULL;
