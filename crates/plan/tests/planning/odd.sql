-- Whatever a rule of planning is about, once: quoted names, keys of every shape, partitions, inheritance, views, a definer.
CREATE ROLE keeper LOGIN;
CREATE ROLE clerk LOGIN;
CREATE ROLE auditor LOGIN;
CREATE SCHEMA "The Shop" AUTHORIZATION keeper;
SET ROLE keeper;
SET search_path = "The Shop";

CREATE TABLE "Merchants" (code varchar(12) PRIMARY KEY, slug text NOT NULL UNIQUE, name text NOT NULL, since date NOT NULL);
CREATE TABLE customers (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, merchant varchar(12) REFERENCES "Merchants" ON UPDATE CASCADE,
    email text UNIQUE, referred_by bigint REFERENCES customers ON DELETE SET NULL);
CREATE TABLE products (id serial PRIMARY KEY, name text NOT NULL);
CREATE SEQUENCE order_numbers;
CREATE TABLE orders (
    id bigint PRIMARY KEY DEFAULT nextval('order_numbers'), customer_id bigint REFERENCES customers, number text UNIQUE,
    tenant_id text, last_event bigint);
CREATE TABLE order_lines (
    order_id bigint REFERENCES orders ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED, line int, product_id int REFERENCES products,
    PRIMARY KEY (order_id, line));
CREATE TABLE refunds (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), order_id bigint, line int, reference text,
    UNIQUE (reference) DEFERRABLE,
    FOREIGN KEY (order_id, line) REFERENCES order_lines MATCH FULL);
CREATE TABLE events (id bigint, at date, order_id bigint REFERENCES orders, token text, PRIMARY KEY (id, at), UNIQUE (token, at))
    PARTITION BY RANGE (at);
CREATE TABLE events_2024 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE "events 2025" PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE event_notes (
    id int PRIMARY KEY, event bigint, at date, FOREIGN KEY (event, at) REFERENCES events);
CREATE TABLE notes (id int PRIMARY KEY, order_id bigint REFERENCES orders);
CREATE TABLE long_notes (body text) INHERITS (notes);
ALTER TABLE long_notes ADD FOREIGN KEY (order_id) REFERENCES orders;
CREATE TABLE log (order_id bigint REFERENCES orders, line text);
CREATE UNIQUE INDEX log_once ON log (order_id) WHERE line = 'once';
CREATE TABLE coupons ("Code" text PRIMARY KEY, customer_id bigint REFERENCES customers, alias text);
CREATE UNIQUE INDEX coupons_alias ON coupons (alias);
CREATE TABLE redemptions (id int PRIMARY KEY, alias text REFERENCES coupons (alias));
CREATE TABLE transfers (id int PRIMARY KEY, giver varchar(12) REFERENCES "Merchants", taker varchar(12) REFERENCES "Merchants");
ALTER TABLE orders ADD FOREIGN KEY (last_event, id) REFERENCES order_lines (order_id, line) NOT VALID;

CREATE VIEW order_list AS SELECT o.id, c.email FROM orders o JOIN customers c ON c.id = o.customer_id;
CREATE VIEW clerks_view WITH (security_barrier = true) AS SELECT id FROM order_list;
CREATE MATERIALIZED VIEW emails AS SELECT email FROM order_list;
CREATE MATERIALIZED VIEW totals AS SELECT customer_id, count(*) FROM orders GROUP BY 1;
CREATE FUNCTION all_orders() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM "The Shop".orders';
GRANT USAGE ON SCHEMA "The Shop" TO clerk, auditor;
GRANT SELECT, INSERT ON orders, customers TO clerk;
GRANT SELECT (id) ON products TO PUBLIC;
GRANT SELECT ON order_list, clerks_view TO auditor;

INSERT INTO "Merchants" SELECT 'm' || n, 's' || n, 'Shop ' || n, '2020-01-01' FROM generate_series(1, 3) n;
INSERT INTO customers (merchant, email) SELECT 'm' || n % 3 + 1, n || '@x' FROM generate_series(1, 90) n;
INSERT INTO products (name) SELECT n::text FROM generate_series(1, 30) n;
INSERT INTO orders (customer_id, number) SELECT n % 90 + 1, n::text FROM generate_series(1, 600) n;
INSERT INTO orders (number) SELECT 'lost ' || n FROM generate_series(1, 3) n;
INSERT INTO order_lines SELECT id, 1, id % 30 + 1 FROM orders WHERE customer_id IS NOT NULL;
INSERT INTO events SELECT n, date '2024-12-01' + n % 60, n, 't' || n FROM generate_series(1, 300) n;
INSERT INTO long_notes SELECT n, n, 'long' FROM generate_series(1, 50) n;
INSERT INTO notes SELECT n, n FROM generate_series(51, 80) n;
INSERT INTO log SELECT n, 'line' FROM generate_series(1, 20) n, generate_series(1, 2);
INSERT INTO coupons SELECT 'c' || n, n, 'a' || n FROM generate_series(1, 30) n;
INSERT INTO redemptions SELECT n, 'a' || n FROM generate_series(1, 30) n;
RESET ROLE;
