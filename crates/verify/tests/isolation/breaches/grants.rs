//! Privileges on tables, tables made later, and what is no table at all.

use super::{Breach, breach};

pub(super) const BREACHES: &[Breach] = &[
    breach(
        "a copy of rows that default privileges open",
        "BST-042",
        "public.copied",
        true,
        "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO bastide_app;
             CREATE TABLE copied AS SELECT * FROM orders",
    ),
    breach("TRUNCATE granted", "BST-040", "public.orders", true, "GRANT TRUNCATE ON orders TO bastide_app"),
    breach(
        "REFERENCES for PUBLIC",
        "BST-040",
        "public.orders",
        false,
        "GRANT REFERENCES ON orders TO PUBLIC",
    ),
    breach("TRIGGER granted", "BST-040", "public.orders", false, "GRANT TRIGGER ON orders TO bastide_app"),
    breach(
        "default privilege",
        "BST-041",
        "public",
        false,
        "ALTER DEFAULT PRIVILEGES FOR ROLE shop IN SCHEMA public GRANT SELECT ON TABLES TO bastide_app",
    ),
    breach(
        "a new table",
        "BST-042",
        "public.wishes",
        true,
        "CREATE TABLE wishes (id int); GRANT SELECT ON wishes TO bastide_app",
    ),
    breach(
        "a new table that references a scoped one",
        "BST-043",
        "public.refunds",
        true,
        "CREATE TABLE refunds (order_id bigint REFERENCES orders); GRANT SELECT ON refunds TO bastide_app",
    ),
    breach("a closed table granted", "BST-044", "public.secrets", true, "GRANT SELECT ON secrets TO PUBLIC"),
    breach(
        "a column of a closed table granted",
        "BST-044",
        "public.secrets",
        true,
        "GRANT SELECT (what) ON secrets TO bastide_app",
    ),
    breach(
        "shared table writable",
        "BST-045",
        "public.countries",
        false,
        "GRANT UPDATE (name) ON countries TO bastide_app",
    ),
    breach(
        "a foreign table",
        "BST-048",
        "public.far",
        false,
        "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w;
             CREATE FOREIGN TABLE far (id int) SERVER s; GRANT SELECT ON far TO bastide_app",
    ),
    breach(
        "TRUNCATE through a group",
        "BST-040",
        "public.orders",
        true,
        "GRANT TRUNCATE ON orders TO staff; GRANT staff TO bastide_app",
    )
    .undone_by("REVOKE staff FROM bastide_app"),
    breach("MAINTAIN granted", "BST-040", "public.orders", false, "GRANT MAINTAIN ON orders TO bastide_app")
        .since(17),
    breach(
        "default privilege for everybody, everywhere",
        "BST-041",
        "shop",
        false,
        "ALTER DEFAULT PRIVILEGES FOR ROLE shop GRANT SELECT, INSERT ON TABLES TO PUBLIC",
    ),
    breach(
        "default privilege through a group",
        "BST-041",
        "public",
        false,
        "ALTER DEFAULT PRIVILEGES FOR ROLE shop IN SCHEMA public GRANT SELECT ON TABLES TO staff;
             GRANT staff TO bastide_app",
    )
    .undone_by("REVOKE staff FROM bastide_app"),
    breach(
        "default privilege in schema bastide",
        "BST-041",
        "bastide",
        false,
        "ALTER DEFAULT PRIVILEGES FOR ROLE bastide_owner IN SCHEMA bastide GRANT SELECT ON TABLES TO PUBLIC",
    ),
    breach(
        "default privilege of whoever migrates",
        "BST-041",
        "postgres",
        false,
        "ALTER DEFAULT PRIVILEGES FOR ROLE postgres GRANT ALL ON TABLES TO bastide_app",
    ),
    breach(
        "default privilege on schemas",
        "BST-041",
        "shop",
        false,
        "ALTER DEFAULT PRIVILEGES FOR ROLE shop GRANT CREATE ON SCHEMAS TO bastide_app",
    ),
    breach(
        "a copy in another schema",
        "BST-042",
        "backup.orders_old",
        true,
        "CREATE SCHEMA backup; CREATE TABLE backup.orders_old AS SELECT * FROM orders;
             GRANT USAGE ON SCHEMA backup TO bastide_app;
             GRANT SELECT ON backup.orders_old TO PUBLIC",
    ),
    breach(
        "a roll-up",
        "BST-042",
        "public.daily",
        true,
        "CREATE TABLE daily AS SELECT merchant_id, sum(total) AS total FROM orders GROUP BY 1;
             GRANT SELECT ON daily TO bastide_app",
    ),
    breach(
        "a partition that was detached",
        "BST-042",
        "public.events_2027",
        false,
        "CREATE TABLE events_2027 PARTITION OF events FOR VALUES FROM ('2027-01-01') TO ('2028-01-01');
             GRANT SELECT ON events_2027 TO bastide_app;
             ALTER TABLE events DETACH PARTITION events_2027",
    ),
    breach(
        "a new table by column",
        "BST-042",
        "public.wishes",
        false,
        "CREATE TABLE wishes (id int, what text); GRANT SELECT (what) ON wishes TO bastide_app",
    ),
    breach(
        "a closed table through a group",
        "BST-044",
        "public.secrets",
        true,
        "GRANT SELECT ON secrets TO staff; GRANT staff TO bastide_app",
    )
    .undone_by("REVOKE staff FROM bastide_app"),
    breach(
        "a closed table may be written",
        "BST-044",
        "public.secrets",
        false,
        "GRANT INSERT ON secrets TO bastide_app",
    ),
    breach(
        "a shared table emptied by whoever likes",
        "BST-045",
        "public.countries",
        false,
        "GRANT TRUNCATE ON countries TO PUBLIC",
    ),
    breach("what Bastide keeps", "BST-047", "bastide.held", true, "GRANT SELECT ON bastide.held TO PUBLIC"),
    breach(
        "the scope may be written",
        "BST-047",
        "bastide.scoped_tables",
        false,
        "GRANT UPDATE ON bastide.scoped_tables TO bastide_app",
    ),
    breach(
        "a foreign table that inherits from a scoped one",
        "BST-048",
        "public.far",
        false,
        "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w;
             CREATE FOREIGN TABLE far () INHERITS (notes) SERVER s;
             GRANT SELECT ON far TO bastide_app",
    ),
    breach(
        "a large object",
        "BST-050",
        "large object 4711",
        false,
        "SELECT lo_create(4711); GRANT SELECT ON LARGE OBJECT 4711 TO bastide_app",
    ),
    breach(
        "a large object for everybody to write",
        "BST-050",
        "large object 4711",
        false,
        "SELECT lo_create(4711); GRANT UPDATE ON LARGE OBJECT 4711 TO PUBLIC",
    ),
    breach(
        "large objects without privileges",
        "BST-050",
        "lo_compat_privileges",
        false,
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET lo_compat_privileges = on', current_database());
             END $$",
    ),
    breach(
        "a foreign server",
        "BST-051",
        "s",
        false,
        "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w;
             GRANT USAGE ON FOREIGN SERVER s TO bastide_app",
    ),
    breach(
        "a foreign server with somebody's login for everybody",
        "BST-051",
        "s",
        false,
        "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w;
             CREATE USER MAPPING FOR PUBLIC SERVER s; GRANT USAGE ON FOREIGN SERVER s TO PUBLIC",
    ),
    breach(
        "a foreign data wrapper",
        "BST-051",
        "w",
        false,
        "CREATE FOREIGN DATA WRAPPER w; GRANT USAGE ON FOREIGN DATA WRAPPER w TO bastide_app",
    ),
    breach(
        "a privilege to pass on",
        "BST-053",
        "public.orders",
        false,
        "GRANT SELECT ON orders TO bastide_app WITH GRANT OPTION",
    ),
];
