-- Undoes up.sql. Orders stay with what the old shape can hold: number, customer, status, total, lines. Carts, addresses, payment attempts, refunds in
-- part, the timeline, notes and tracking numbers go.

DROP TABLE public.fulfilments;
DROP TABLE public.order_notes;
DROP TABLE public.order_events;
DROP TABLE public.refunds;
DROP TABLE public.payment_attempts;

DROP INDEX public.order_lines_variant_idx;
ALTER TABLE public.order_lines
    DROP COLUMN sku,
    DROP COLUMN variant_id;
ALTER TABLE public.orders
    DROP COLUMN cart_id,
    DROP COLUMN refunded_cents,
    DROP COLUMN paid_cents,
    DROP COLUMN tax_cents,
    DROP COLUMN shipping_cents,
    DROP COLUMN subtotal_cents,
    DROP COLUMN terms,
    DROP COLUMN billing_address,
    DROP COLUMN shipping_address,
    DROP COLUMN email,
    DROP COLUMN version;

DROP TABLE public.cart_lines;
DROP TABLE public.carts;
