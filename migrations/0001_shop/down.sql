-- Undoes up.sql, with every row. Generated, as that says.

DROP VIEW "public"."order_summary";
DROP MATERIALIZED VIEW "public"."daily_sales";
DROP TABLE
    "Archive"."Import Batches",
    "public"."OrderNotes",
    "public"."audit_trail",
    "public"."categories",
    "public"."currencies",
    "public"."customers",
    "public"."orders",
    "public"."merchants",
    "public"."newsletter_signups",
    "public"."order_lines",
    "public"."payments",
    "public"."product_tags",
    "public"."products",
    "public"."reviews",
    "public"."settings",
    "public"."storefront_configs",
    "public"."tags",
    "public"."team_members",
    "public"."users",
    "public"."wishlists";
DROP FUNCTION "public".customer_lifetime_cents(bigint);
DROP FUNCTION "public".touch_updated_at();
DROP TYPE "public"."order_status";
DROP SCHEMA "Archive";
