-- Version 1 of the platform's schema: what migrating fixtures/legacy/shop leaves. Row security, policies, grants
-- and tenant defaults are not in here: `isolate` says which table gets which. Generated, with `isolate` and down.sql; to do it again:
--   BASTIDE_GENERATE=1 cargo nextest run -p bastide-schema version_one

-- Functions come before the tables they read.
SET LOCAL check_function_bodies = off;

CREATE SCHEMA "Archive";

CREATE TYPE public.order_status AS ENUM (
    'pending',
    'paid',
    'fulfilled',
    'delivered',
    'cancelled',
    'refunded'
);

CREATE FUNCTION public.customer_lifetime_cents(customer bigint) RETURNS bigint
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog'
    AS $$ SELECT coalesce(sum(o.total_cents), 0)::bigint FROM public.orders o WHERE o.customer_id = customer $$;

CREATE FUNCTION public.touch_updated_at() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END $$;

CREATE TABLE "Archive"."Import Batches" (
    "batch no" integer NOT NULL,
    "select" text,
    imported date NOT NULL
);

CREATE TABLE public."OrderNotes" (
    "Id" integer NOT NULL,
    "OrderId" bigint,
    "Body" text NOT NULL,
    "createdAt" timestamp with time zone DEFAULT now() NOT NULL,
    tenant_id uuid NOT NULL
);

ALTER TABLE public."OrderNotes" ALTER COLUMN "Id" ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public."OrderNotes_Id_seq"
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.audit_trail (
    at timestamp with time zone NOT NULL,
    actor text,
    action text NOT NULL,
    order_id bigint,
    payload jsonb,
    tenant_id uuid NOT NULL
);

CREATE TABLE public.categories (
    id bigint NOT NULL,
    merchant_id uuid NOT NULL,
    parent_id bigint,
    name text NOT NULL,
    "position" integer DEFAULT 0 NOT NULL
);

CREATE SEQUENCE public.categories_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.categories_id_seq OWNED BY public.categories.id;

CREATE TABLE public.currencies (
    code character(3) NOT NULL,
    name text NOT NULL,
    exponent smallint DEFAULT 2 NOT NULL
);

CREATE TABLE public.customers (
    id bigint NOT NULL,
    email text NOT NULL,
    name text NOT NULL,
    phone text,
    is_test boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    tenant_id uuid NOT NULL
);

CREATE SEQUENCE public.customers_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.customers_id_seq OWNED BY public.customers.id;

CREATE TABLE public.orders (
    id bigint NOT NULL,
    merchant_id uuid NOT NULL,
    merchant_code text,
    customer_id bigint,
    number text NOT NULL,
    status public.order_status DEFAULT 'pending'::public.order_status NOT NULL,
    total_cents bigint DEFAULT 0 NOT NULL,
    currency character(3) NOT NULL,
    placed_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);
ALTER TABLE ONLY public.orders ALTER COLUMN status SET STATISTICS 500;

CREATE MATERIALIZED VIEW public.daily_sales AS
 SELECT o.merchant_id,
    date_trunc('day'::text, o.placed_at) AS day,
    count(*) AS orders,
    sum(o.total_cents) AS total_cents
   FROM public.orders o
  WHERE (o.status <> 'cancelled'::public.order_status)
  GROUP BY o.merchant_id, (date_trunc('day'::text, o.placed_at))
  WITH NO DATA;

CREATE TABLE public.merchants (
    id uuid NOT NULL,
    slug text NOT NULL,
    name text NOT NULL,
    currency character(3) NOT NULL,
    status text DEFAULT 'active'::text NOT NULL,
    main_config_id bigint,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT merchants_status_check CHECK ((status = ANY (ARRAY['active'::text, 'suspended'::text, 'closed'::text])))
);

COMMENT ON TABLE public.merchants IS 'One row per shop.';

CREATE TABLE public.newsletter_signups (
    email text NOT NULL,
    source text,
    signed_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.order_lines (
    order_id bigint NOT NULL,
    line_no integer NOT NULL,
    product_id bigint,
    title text NOT NULL,
    quantity integer NOT NULL,
    price_cents bigint NOT NULL,
    total_cents bigint GENERATED ALWAYS AS ((quantity * price_cents)) STORED,
    tenant_id uuid NOT NULL,
    CONSTRAINT order_lines_quantity_check CHECK ((quantity > 0))
);

CREATE VIEW public.order_summary AS
SELECT
    NULL::bigint AS id,
    NULL::text AS number,
    NULL::public.order_status AS status,
    NULL::timestamp with time zone AS placed_at,
    NULL::text AS customer,
    NULL::bigint AS lines,
    NULL::bigint AS total_cents;

CREATE SEQUENCE public.orders_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.orders_id_seq OWNED BY public.orders.id;

CREATE TABLE public.payments (
    id bigint NOT NULL,
    order_id bigint NOT NULL,
    paid_at timestamp with time zone NOT NULL,
    amount_cents bigint NOT NULL,
    provider text NOT NULL,
    reference text,
    tenant_id uuid NOT NULL
)
PARTITION BY RANGE (paid_at);

CREATE TABLE public.payments_2024 (
    id bigint NOT NULL,
    order_id bigint NOT NULL,
    paid_at timestamp with time zone NOT NULL,
    amount_cents bigint NOT NULL,
    provider text NOT NULL,
    reference text,
    tenant_id uuid NOT NULL
);

CREATE TABLE public.payments_2025 (
    id bigint NOT NULL,
    order_id bigint NOT NULL,
    paid_at timestamp with time zone NOT NULL,
    amount_cents bigint NOT NULL,
    provider text NOT NULL,
    reference text,
    tenant_id uuid NOT NULL
);

ALTER TABLE public.payments ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.payments_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.payments_rest (
    id bigint NOT NULL,
    order_id bigint NOT NULL,
    paid_at timestamp with time zone NOT NULL,
    amount_cents bigint NOT NULL,
    provider text NOT NULL,
    reference text,
    tenant_id uuid NOT NULL
);

CREATE TABLE public.product_tags (
    product_id bigint NOT NULL,
    tag_id integer NOT NULL,
    tenant_id uuid NOT NULL
);

CREATE TABLE public.products (
    id bigint NOT NULL,
    merchant_id uuid NOT NULL,
    category_id bigint,
    sku text NOT NULL,
    slug text NOT NULL,
    name text NOT NULL,
    description text DEFAULT ''::text NOT NULL,
    price_cents bigint NOT NULL,
    currency character(3) NOT NULL,
    status text DEFAULT 'active'::text NOT NULL,
    attributes jsonb DEFAULT '{}'::jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT products_price_cents_check CHECK ((price_cents >= 0)),
    CONSTRAINT products_status_check CHECK ((status = ANY (ARRAY['draft'::text, 'active'::text, 'archived'::text])))
);

CREATE SEQUENCE public.products_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.products_id_seq OWNED BY public.products.id;

CREATE TABLE public.reviews (
    id bigint NOT NULL,
    product_id bigint NOT NULL,
    customer_id bigint,
    merchant_ref text,
    stars smallint NOT NULL,
    body text DEFAULT ''::text NOT NULL,
    tenant_id uuid NOT NULL,
    CONSTRAINT reviews_stars_check CHECK (((stars >= 1) AND (stars <= 5)))
);

CREATE SEQUENCE public.reviews_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.reviews_id_seq OWNED BY public.reviews.id;

CREATE TABLE public.settings (
    merchant_id uuid NOT NULL,
    key text NOT NULL,
    value jsonb DEFAULT '{}'::jsonb NOT NULL
);

CREATE TABLE public.storefront_configs (
    id bigint NOT NULL,
    merchant_id uuid NOT NULL,
    theme jsonb DEFAULT '{}'::jsonb NOT NULL,
    published boolean DEFAULT true NOT NULL
);

CREATE SEQUENCE public.storefront_configs_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.storefront_configs_id_seq OWNED BY public.storefront_configs.id;

CREATE TABLE public.tags (
    id integer NOT NULL,
    name text NOT NULL
);

CREATE TABLE public.team_members (
    id bigint NOT NULL,
    merchant_id uuid NOT NULL,
    user_id uuid NOT NULL,
    role text DEFAULT 'staff'::text NOT NULL,
    CONSTRAINT team_members_role_check CHECK ((role = ANY (ARRAY['owner'::text, 'admin'::text, 'staff'::text, 'viewer'::text])))
);

ALTER TABLE public.team_members ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.team_members_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.users (
    id uuid NOT NULL,
    email text NOT NULL,
    name text NOT NULL,
    password_hash text NOT NULL,
    is_active boolean DEFAULT true NOT NULL,
    last_seen_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.wishlists (
    id bigint NOT NULL,
    customer_id bigint NOT NULL,
    product_id bigint NOT NULL,
    added_at timestamp with time zone DEFAULT now() NOT NULL,
    tenant_id uuid NOT NULL
);

CREATE SEQUENCE public.wishlists_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.wishlists_id_seq OWNED BY public.wishlists.id;

ALTER TABLE ONLY public.payments ATTACH PARTITION public.payments_2024 FOR VALUES FROM ('2024-01-01 00:00:00+00') TO ('2025-01-01 00:00:00+00');

ALTER TABLE ONLY public.payments ATTACH PARTITION public.payments_2025 FOR VALUES FROM ('2025-01-01 00:00:00+00') TO ('2026-01-01 00:00:00+00');

ALTER TABLE ONLY public.payments ATTACH PARTITION public.payments_rest DEFAULT;

ALTER TABLE ONLY public.categories ALTER COLUMN id SET DEFAULT nextval('public.categories_id_seq'::regclass);

ALTER TABLE ONLY public.customers ALTER COLUMN id SET DEFAULT nextval('public.customers_id_seq'::regclass);

ALTER TABLE ONLY public.orders ALTER COLUMN id SET DEFAULT nextval('public.orders_id_seq'::regclass);

ALTER TABLE ONLY public.products ALTER COLUMN id SET DEFAULT nextval('public.products_id_seq'::regclass);

ALTER TABLE ONLY public.reviews ALTER COLUMN id SET DEFAULT nextval('public.reviews_id_seq'::regclass);

ALTER TABLE ONLY public.storefront_configs ALTER COLUMN id SET DEFAULT nextval('public.storefront_configs_id_seq'::regclass);

ALTER TABLE ONLY public.wishlists ALTER COLUMN id SET DEFAULT nextval('public.wishlists_id_seq'::regclass);

ALTER TABLE ONLY "Archive"."Import Batches"
    ADD CONSTRAINT "Import Batches_pkey" PRIMARY KEY ("batch no");

ALTER TABLE ONLY public."OrderNotes"
    ADD CONSTRAINT "OrderNotes_pkey" PRIMARY KEY ("Id");

ALTER TABLE ONLY public.categories
    ADD CONSTRAINT categories_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.currencies
    ADD CONSTRAINT currencies_pkey PRIMARY KEY (code);

ALTER TABLE ONLY public.customers
    ADD CONSTRAINT customers_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.merchants
    ADD CONSTRAINT merchants_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.merchants
    ADD CONSTRAINT merchants_slug_key UNIQUE (slug);

ALTER TABLE ONLY public.newsletter_signups
    ADD CONSTRAINT newsletter_signups_pkey PRIMARY KEY (email);

ALTER TABLE ONLY public.order_lines
    ADD CONSTRAINT order_lines_pkey PRIMARY KEY (order_id, line_no);

ALTER TABLE ONLY public.orders
    ADD CONSTRAINT orders_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.payments
    ADD CONSTRAINT payments_pkey PRIMARY KEY (id, paid_at);

ALTER TABLE ONLY public.payments_2024
    ADD CONSTRAINT payments_2024_pkey PRIMARY KEY (id, paid_at);

ALTER TABLE ONLY public.payments_2025
    ADD CONSTRAINT payments_2025_pkey PRIMARY KEY (id, paid_at);

ALTER TABLE ONLY public.payments_rest
    ADD CONSTRAINT payments_rest_pkey PRIMARY KEY (id, paid_at);

ALTER TABLE ONLY public.product_tags
    ADD CONSTRAINT product_tags_pkey PRIMARY KEY (product_id, tag_id);

ALTER TABLE ONLY public.products
    ADD CONSTRAINT products_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.reviews
    ADD CONSTRAINT reviews_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.settings
    ADD CONSTRAINT settings_pkey PRIMARY KEY (merchant_id, key);

ALTER TABLE ONLY public.storefront_configs
    ADD CONSTRAINT storefront_configs_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.tags
    ADD CONSTRAINT tags_name_key UNIQUE (name);

ALTER TABLE ONLY public.tags
    ADD CONSTRAINT tags_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.team_members
    ADD CONSTRAINT team_members_merchant_id_user_id_key UNIQUE (merchant_id, user_id);

ALTER TABLE ONLY public.team_members
    ADD CONSTRAINT team_members_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_email_key UNIQUE (email);

ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.wishlists
    ADD CONSTRAINT wishlists_pkey PRIMARY KEY (id);

CREATE INDEX "OrderNotes_tenant_idx" ON public."OrderNotes" USING btree (tenant_id, "Id");

CREATE INDEX audit_trail_at_idx ON public.audit_trail USING btree (at);

CREATE INDEX audit_trail_tenant_idx ON public.audit_trail USING btree (tenant_id);

CREATE UNIQUE INDEX categories_id_tenant_key ON public.categories USING btree (merchant_id, id);

CREATE UNIQUE INDEX customers_email_key_tenant_key ON public.customers USING btree (tenant_id, email);

CREATE UNIQUE INDEX customers_id_tenant_key ON public.customers USING btree (tenant_id, id);

CREATE UNIQUE INDEX daily_sales_key ON public.daily_sales USING btree (merchant_id, day);

CREATE INDEX order_lines_product_idx ON public.order_lines USING btree (product_id);

CREATE INDEX order_lines_tenant_idx ON public.order_lines USING btree (tenant_id, order_id, line_no);

CREATE INDEX orders_customer_idx ON public.orders USING btree (customer_id);

CREATE UNIQUE INDEX orders_id_tenant_key ON public.orders USING btree (merchant_id, id);

CREATE UNIQUE INDEX orders_number_key_tenant_key ON public.orders USING btree (merchant_id, number);

CREATE INDEX orders_placed_idx ON public.orders USING btree (placed_at DESC);

CREATE INDEX payments_order_idx ON ONLY public.payments USING btree (order_id);

CREATE INDEX payments_2024_order_id_idx ON public.payments_2024 USING btree (order_id);

CREATE INDEX payments_tenant_idx ON ONLY public.payments USING btree (tenant_id, id, paid_at);

CREATE INDEX payments_2024_tenant_idx ON public.payments_2024 USING btree (tenant_id, id, paid_at);

CREATE INDEX payments_2025_order_id_idx ON public.payments_2025 USING btree (order_id);

CREATE INDEX payments_2025_tenant_idx ON public.payments_2025 USING btree (tenant_id, id, paid_at);

CREATE INDEX payments_rest_order_id_idx ON public.payments_rest USING btree (order_id);

CREATE INDEX payments_rest_tenant_idx ON public.payments_rest USING btree (tenant_id, id, paid_at);

CREATE INDEX product_tags_tenant_idx ON public.product_tags USING btree (tenant_id, product_id, tag_id);

CREATE INDEX products_attributes_idx ON public.products USING gin (attributes);

CREATE INDEX products_category_idx ON public.products USING btree (category_id);

CREATE UNIQUE INDEX products_id_tenant_key ON public.products USING btree (merchant_id, id);

CREATE INDEX products_merchant_idx ON public.products USING btree (merchant_id, created_at DESC);

CREATE UNIQUE INDEX products_sku_key_tenant_key ON public.products USING btree (merchant_id, sku);

CREATE INDEX reviews_tenant_idx ON public.reviews USING btree (tenant_id, id);

CREATE UNIQUE INDEX storefront_configs_id_tenant_key ON public.storefront_configs USING btree (merchant_id, id);

CREATE INDEX wishlists_tenant_idx ON public.wishlists USING btree (tenant_id, id);

ALTER INDEX public.payments_order_idx ATTACH PARTITION public.payments_2024_order_id_idx;

ALTER INDEX public.payments_pkey ATTACH PARTITION public.payments_2024_pkey;

ALTER INDEX public.payments_tenant_idx ATTACH PARTITION public.payments_2024_tenant_idx;

ALTER INDEX public.payments_order_idx ATTACH PARTITION public.payments_2025_order_id_idx;

ALTER INDEX public.payments_pkey ATTACH PARTITION public.payments_2025_pkey;

ALTER INDEX public.payments_tenant_idx ATTACH PARTITION public.payments_2025_tenant_idx;

ALTER INDEX public.payments_order_idx ATTACH PARTITION public.payments_rest_order_id_idx;

ALTER INDEX public.payments_pkey ATTACH PARTITION public.payments_rest_pkey;

ALTER INDEX public.payments_tenant_idx ATTACH PARTITION public.payments_rest_tenant_idx;

CREATE OR REPLACE VIEW public.order_summary WITH (security_invoker='true') AS
 SELECT o.id,
    o.number,
    o.status,
    o.placed_at,
    c.name AS customer,
    count(l.line_no) AS lines,
    o.total_cents
   FROM ((public.orders o
     LEFT JOIN public.customers c ON ((c.id = o.customer_id)))
     LEFT JOIN public.order_lines l ON ((l.order_id = o.id)))
  GROUP BY o.id, c.name;

CREATE TRIGGER customers_touch BEFORE UPDATE ON public.customers FOR EACH ROW EXECUTE FUNCTION public.touch_updated_at();

CREATE TRIGGER orders_touch BEFORE UPDATE ON public.orders FOR EACH ROW EXECUTE FUNCTION public.touch_updated_at();

CREATE TRIGGER products_touch BEFORE UPDATE ON public.products FOR EACH ROW EXECUTE FUNCTION public.touch_updated_at();

ALTER TABLE public.payments_2024
    ADD CONSTRAINT payments_order_id_fkey_tenant_leaf FOREIGN KEY (tenant_id, order_id) REFERENCES public.orders(merchant_id, id);

ALTER TABLE public.payments_2024
    ADD CONSTRAINT payments_tenant_fkey_leaf FOREIGN KEY (tenant_id) REFERENCES public.merchants(id);

ALTER TABLE public.payments_2025
    ADD CONSTRAINT payments_order_id_fkey_tenant_leaf FOREIGN KEY (tenant_id, order_id) REFERENCES public.orders(merchant_id, id);

ALTER TABLE public.payments_2025
    ADD CONSTRAINT payments_tenant_fkey_leaf FOREIGN KEY (tenant_id) REFERENCES public.merchants(id);

ALTER TABLE public.payments_rest
    ADD CONSTRAINT payments_order_id_fkey_tenant_leaf FOREIGN KEY (tenant_id, order_id) REFERENCES public.orders(merchant_id, id);

ALTER TABLE public.payments_rest
    ADD CONSTRAINT payments_tenant_fkey_leaf FOREIGN KEY (tenant_id) REFERENCES public.merchants(id);

ALTER TABLE ONLY public."OrderNotes"
    ADD CONSTRAINT "OrderNotes_OrderId_fkey_tenant" FOREIGN KEY (tenant_id, "OrderId") REFERENCES public.orders(merchant_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY public."OrderNotes"
    ADD CONSTRAINT "OrderNotes_tenant_fkey" FOREIGN KEY (tenant_id) REFERENCES public.merchants(id);

ALTER TABLE ONLY public.audit_trail
    ADD CONSTRAINT audit_trail_order_id_fkey_tenant FOREIGN KEY (tenant_id, order_id) REFERENCES public.orders(merchant_id, id);

ALTER TABLE ONLY public.audit_trail
    ADD CONSTRAINT audit_trail_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES public.merchants(id);

ALTER TABLE ONLY public.categories
    ADD CONSTRAINT categories_merchant_id_fkey FOREIGN KEY (merchant_id) REFERENCES public.merchants(id);

ALTER TABLE ONLY public.categories
    ADD CONSTRAINT categories_parent_id_fkey_tenant FOREIGN KEY (merchant_id, parent_id) REFERENCES public.categories(merchant_id, id) ON DELETE SET NULL (parent_id);

ALTER TABLE ONLY public.customers
    ADD CONSTRAINT customers_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES public.merchants(id);

ALTER TABLE ONLY public.merchants
    ADD CONSTRAINT merchants_currency_fkey FOREIGN KEY (currency) REFERENCES public.currencies(code);

ALTER TABLE ONLY public.merchants
    ADD CONSTRAINT merchants_main_config_fkey_tenant FOREIGN KEY (id, main_config_id) REFERENCES public.storefront_configs(merchant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.order_lines
    ADD CONSTRAINT order_lines_order_id_fkey_tenant FOREIGN KEY (tenant_id, order_id) REFERENCES public.orders(merchant_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY public.order_lines
    ADD CONSTRAINT order_lines_product_id_fkey_tenant FOREIGN KEY (tenant_id, product_id) REFERENCES public.products(merchant_id, id) ON DELETE SET NULL (product_id);

ALTER TABLE ONLY public.order_lines
    ADD CONSTRAINT order_lines_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES public.merchants(id);

ALTER TABLE ONLY public.orders
    ADD CONSTRAINT orders_currency_fkey FOREIGN KEY (currency) REFERENCES public.currencies(code);

ALTER TABLE ONLY public.orders
    ADD CONSTRAINT orders_customer_id_fkey_tenant FOREIGN KEY (merchant_id, customer_id) REFERENCES public.customers(tenant_id, id) ON DELETE SET NULL (customer_id);

ALTER TABLE ONLY public.orders
    ADD CONSTRAINT orders_merchant_id_fkey FOREIGN KEY (merchant_id) REFERENCES public.merchants(id);

ALTER TABLE public.payments
    ADD CONSTRAINT payments_order_id_fkey_tenant FOREIGN KEY (tenant_id, order_id) REFERENCES public.orders(merchant_id, id);

ALTER TABLE public.payments
    ADD CONSTRAINT payments_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES public.merchants(id);

ALTER TABLE ONLY public.product_tags
    ADD CONSTRAINT product_tags_product_id_fkey_tenant FOREIGN KEY (tenant_id, product_id) REFERENCES public.products(merchant_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY public.product_tags
    ADD CONSTRAINT product_tags_tag_id_fkey FOREIGN KEY (tag_id) REFERENCES public.tags(id);

ALTER TABLE ONLY public.product_tags
    ADD CONSTRAINT product_tags_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES public.merchants(id);

ALTER TABLE ONLY public.products
    ADD CONSTRAINT products_category_id_fkey_tenant FOREIGN KEY (merchant_id, category_id) REFERENCES public.categories(merchant_id, id);

ALTER TABLE ONLY public.products
    ADD CONSTRAINT products_currency_fkey FOREIGN KEY (currency) REFERENCES public.currencies(code);

ALTER TABLE ONLY public.products
    ADD CONSTRAINT products_merchant_id_fkey FOREIGN KEY (merchant_id) REFERENCES public.merchants(id);

ALTER TABLE ONLY public.reviews
    ADD CONSTRAINT reviews_customer_id_fkey_tenant FOREIGN KEY (tenant_id, customer_id) REFERENCES public.customers(tenant_id, id) ON DELETE SET NULL (customer_id);

ALTER TABLE ONLY public.reviews
    ADD CONSTRAINT reviews_product_id_fkey_tenant FOREIGN KEY (tenant_id, product_id) REFERENCES public.products(merchant_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY public.reviews
    ADD CONSTRAINT reviews_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES public.merchants(id);

ALTER TABLE ONLY public.settings
    ADD CONSTRAINT settings_merchant_id_fkey FOREIGN KEY (merchant_id) REFERENCES public.merchants(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.storefront_configs
    ADD CONSTRAINT storefront_configs_merchant_id_fkey FOREIGN KEY (merchant_id) REFERENCES public.merchants(id);

ALTER TABLE ONLY public.team_members
    ADD CONSTRAINT team_members_merchant_id_fkey FOREIGN KEY (merchant_id) REFERENCES public.merchants(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.team_members
    ADD CONSTRAINT team_members_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.wishlists
    ADD CONSTRAINT wishlists_customer_id_fkey_tenant FOREIGN KEY (tenant_id, customer_id) REFERENCES public.customers(tenant_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY public.wishlists
    ADD CONSTRAINT wishlists_product_id_fkey_tenant FOREIGN KEY (tenant_id, product_id) REFERENCES public.products(merchant_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY public.wishlists
    ADD CONSTRAINT wishlists_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES public.merchants(id);
