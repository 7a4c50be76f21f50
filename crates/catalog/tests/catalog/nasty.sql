-- A schema made of what trips readers of catalogs. Every object is here for one of the tests beside it.
CREATE SCHEMA "We""ird.Schema";
CREATE SCHEMA empty_schema;
CREATE SCHEMA bastide;
CREATE TABLE bastide.run (id int PRIMARY KEY);
CREATE VIEW bastide.seen AS SELECT id FROM bastide.run;
CREATE FUNCTION bastide.mine() RETURNS int LANGUAGE sql AS 'SELECT 1';

CREATE ROLE "Reader Role";
CREATE ROLE catalog_group;
CREATE ROLE catalog_login LOGIN PASSWORD 'secret' IN ROLE catalog_group;
CREATE ROLE catalog_definer NOLOGIN BYPASSRLS;
CREATE ROLE catalog_bystander;
ALTER ROLE catalog_login SET search_path = "We""ird.Schema", public;

CREATE TYPE "We""ird.Schema"."Mood" AS ENUM ('sad', 'it''s ok', 'HAPPY');
CREATE DOMAIN public.positive AS numeric(12, 2) NOT NULL CHECK (VALUE > 0);
CREATE TYPE public.address AS (street text, "Zip" varchar(10));

-- Names: quotes, dots, mixed case, a key word, 63 bytes in 33 characters.
CREATE TABLE "We""ird.Schema"."Order" (
    "Id" bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    "select" text DEFAULT 'a''b\c',
    "äöüäöüäöüäöüäöüäöüäöüäöüäöüäöüa_z" "We""ird.Schema"."Mood" DEFAULT 'it''s ok',
    amount public.positive,
    seen_at timestamptz DEFAULT '2020-01-01 00:00:00+02',
    gone int,
    doubled numeric GENERATED ALWAYS AS (amount * 2) STORED,
    CONSTRAINT "Amount is ""sane""" CHECK (amount < 1000000)
);
ALTER TABLE "We""ird.Schema"."Order" DROP COLUMN gone;
ALTER TABLE "We""ird.Schema"."Order" ADD CONSTRAINT later CHECK ("select" <> '') NOT VALID;

-- Keys and references of every kind, and a circle.
CREATE TABLE public.parent (
    a int, b text COLLATE "C", c uuid, owner_id int,
    CONSTRAINT parent_pk PRIMARY KEY (b, a),
    CONSTRAINT parent_unique UNIQUE (c, a) DEFERRABLE INITIALLY DEFERRED
);
CREATE UNIQUE INDEX "Plain Unique" ON public.parent (a) INCLUDE (c);
CREATE UNIQUE INDEX parent_partial ON public.parent (a) WHERE c IS NOT NULL;
CREATE UNIQUE INDEX parent_expression ON public.parent (lower(b), a);
CREATE INDEX parent_gin ON public.parent USING gin (to_tsvector('english', b));
CREATE TABLE public.child (
    id serial PRIMARY KEY,
    pa int, pb text, note text, during tstzrange,
    self_id int CONSTRAINT child_self REFERENCES public.child ON DELETE CASCADE,
    CONSTRAINT child_full FOREIGN KEY (pb, pa) REFERENCES public.parent (b, a) MATCH FULL
        ON UPDATE CASCADE ON DELETE RESTRICT DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT child_some FOREIGN KEY (pb, pa) REFERENCES public.parent ON DELETE SET NULL (pa),
    CONSTRAINT child_default FOREIGN KEY (pa) REFERENCES public.parent (a) ON DELETE SET DEFAULT,
    CONSTRAINT child_overlap EXCLUDE USING gist (during WITH &&)
);
ALTER TABLE public.parent ADD CONSTRAINT parent_owner FOREIGN KEY (owner_id) REFERENCES public.child NOT VALID;

-- Partitioned twice, and referenced: the reference has bookkeeping rows for every partition.
CREATE TABLE public.events (
    tenant int NOT NULL, at date NOT NULL, child_id int REFERENCES public.child, body jsonb,
    PRIMARY KEY (tenant, at)
) PARTITION BY LIST (tenant);
CREATE TABLE public.events_1 PARTITION OF public.events FOR VALUES IN (1) PARTITION BY RANGE (at);
CREATE TABLE public.events_1_old PARTITION OF public.events_1 FOR VALUES FROM (MINVALUE) TO ('2020-01-01');
CREATE TABLE public.events_rest PARTITION OF public.events DEFAULT;
ALTER TABLE public.events ADD replaces date, ADD CONSTRAINT events_replaces
    FOREIGN KEY (tenant, replaces) REFERENCES public.events (tenant, at);
CREATE TABLE public.event_notes (
    tenant int, at date, text text,
    CONSTRAINT event_notes_event FOREIGN KEY (tenant, at) REFERENCES public.events
) PARTITION BY RANGE (lower(text), at);
CREATE TABLE public.event_notes_all PARTITION OF public.event_notes DEFAULT;

-- Inheritance, a typed table, an unlogged one, one without columns, a foreign one.
CREATE TABLE public.animal (name text NOT NULL, CHECK (name <> ''));
CREATE TABLE public.machine (serial_no text);
CREATE TABLE public.robot_dog (bark text) INHERITS (public.machine, public.animal);
CREATE TABLE public.addresses OF public.address (street NOT NULL);
CREATE UNLOGGED TABLE public.scratch (x int);
CREATE TABLE public.nothing ();
CREATE FOREIGN DATA WRAPPER nowhere;
CREATE SERVER nowhere FOREIGN DATA WRAPPER nowhere;
CREATE FOREIGN TABLE public.remote (id int OPTIONS (name 'x')) SERVER nowhere;

-- Functions of every kind, overloaded and with awkward settings.
CREATE FUNCTION public.stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE FUNCTION public.stamp(n int, VARIADIC rest text[] DEFAULT '{}') RETURNS int
    LANGUAGE sql IMMUTABLE LEAKPROOF SECURITY DEFINER
    SET search_path = pg_catalog, "We""ird.Schema" SET work_mem = '5MB' AS 'SELECT n';
CREATE FUNCTION public.atomic() RETURNS bigint LANGUAGE sql STABLE RETURN (SELECT count(*) FROM public.child);
CREATE PROCEDURE public.work(INOUT x int) LANGUAGE sql AS 'SELECT 1';
CREATE AGGREGATE public.total(int) (SFUNC = int4pl, STYPE = int);

-- Views: chained, with options, materialised, written to by rule and by trigger.
CREATE VIEW public.parents AS SELECT p.b, c.id FROM public.parent p JOIN public.child c ON c.pa = p.a;
CREATE VIEW public.invoker WITH (security_invoker = on, security_barrier) AS
    SELECT v.id FROM public.parents v WHERE EXISTS (SELECT FROM "We""ird.Schema"."Order" o WHERE o."Id" = v.id);
CREATE MATERIALIZED VIEW public.totals AS SELECT pa, count(*) AS n FROM public.child GROUP BY pa WITH NO DATA;
CREATE UNIQUE INDEX totals_key ON public.totals (pa);
CREATE MATERIALIZED VIEW public.unkeyed AS SELECT 1 AS one;
CREATE RULE child_redirect AS ON INSERT TO public.parents DO INSTEAD INSERT INTO public.child (id) VALUES (NEW.id);
CREATE RULE "Keep" AS ON DELETE TO public.scratch DO INSTEAD NOTHING;
CREATE TRIGGER instead INSTEAD OF UPDATE ON public.parents FOR EACH ROW EXECUTE FUNCTION public.stamp();
CREATE TRIGGER "Stamp It" BEFORE INSERT OR UPDATE OF note ON public.child
    FOR EACH ROW WHEN (NEW.note <> '') EXECUTE FUNCTION public.stamp();
CREATE TRIGGER after_all AFTER DELETE OR TRUNCATE ON public.child FOR EACH STATEMENT EXECUTE FUNCTION public.stamp();
CREATE TRIGGER on_events BEFORE INSERT ON public.events FOR EACH ROW EXECUTE FUNCTION public.stamp();
ALTER TABLE public.child DISABLE TRIGGER after_all;
ALTER TABLE public.child ENABLE ALWAYS TRIGGER "Stamp It";

-- Row security.
ALTER TABLE public.child ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.child FORCE ROW LEVEL SECURITY;
CREATE POLICY everyone ON public.child USING (note IS NOT NULL);
CREATE POLICY "Some Write" ON public.child AS RESTRICTIVE FOR UPDATE TO "Reader Role", catalog_login
    USING (EXISTS (SELECT FROM public.parent WHERE parent.a = child.pa)) WITH CHECK (pa > 0);
CREATE POLICY adds ON public.child FOR INSERT WITH CHECK (true);

-- Grants, in an order that is not the alphabet's.
GRANT SELECT, INSERT ON public.child TO "Reader Role";
GRANT SELECT ON public.child TO catalog_group WITH GRANT OPTION;
GRANT UPDATE (note), SELECT (id) ON public.child TO PUBLIC;
REVOKE ALL ON public.scratch FROM postgres;
GRANT USAGE ON SCHEMA "We""ird.Schema" TO "Reader Role";
REVOKE EXECUTE ON FUNCTION public.atomic() FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE catalog_definer IN SCHEMA public GRANT SELECT ON TABLES TO "Reader Role";
ALTER DEFAULT PRIVILEGES FOR ROLE catalog_definer REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER TABLE public.scratch OWNER TO catalog_definer;

CREATE SEQUENCE public.free_sequence;
CREATE PUBLICATION everything FOR ALL TABLES;
CREATE PUBLICATION "Some" FOR TABLE public.child, public.events;
CREATE PUBLICATION by_schema FOR TABLES IN SCHEMA "We""ird.Schema";
CREATE FUNCTION public.on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$;
CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION public.on_ddl();
CREATE TEMP TABLE fleeting (x int);
