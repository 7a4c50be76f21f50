//! Harmless changes, one at a time to the sound database: none must be mistaken for a breach.

use bastide_verify::Options;

use super::{open, sound, verdict};

/// Changes that break nothing.
const DECOYS: &[(&str, &str)] = &[
    ("a restrictive policy more", "CREATE POLICY narrow ON orders AS RESTRICTIVE USING (total >= 0)"),
    ("the same policy twice", "CREATE POLICY again ON orders USING (merchant_id = (SELECT bastide.current_tenant()::uuid))"),
    ("a WITH CHECK left to USING", "DROP POLICY bastide_tenant ON notes;
      CREATE POLICY bastide_tenant ON notes USING (tenant_id = (SELECT bastide.current_tenant()::uuid))"),
    ("a policy for another role", "CREATE POLICY report ON orders FOR SELECT TO staff USING (total > 0)"),
    ("an invoker view", "CREATE VIEW mine WITH (security_invoker) AS SELECT * FROM orders; GRANT SELECT ON mine TO bastide_app"),
    ("a definer view over shared tables", "CREATE VIEW names AS SELECT name FROM countries; GRANT SELECT ON names TO bastide_app"),
    ("a definer view out of reach", "CREATE VIEW inside AS SELECT * FROM orders"),
    ("an index", "CREATE INDEX ON orders (merchant_id, total)"),
    ("a new table out of reach", "CREATE TABLE wishes (id int)"),
    ("a new partition, protected", "CREATE TABLE events_2027 PARTITION OF events FOR VALUES FROM ('2027-01-01') TO ('2028-01-01');
      ALTER TABLE events_2027 ENABLE ROW LEVEL SECURITY; ALTER TABLE events_2027 FORCE ROW LEVEL SECURITY;
      CREATE POLICY bastide_tenant ON events_2027 USING (tenant_id = (SELECT bastide.current_tenant()::uuid))"),
    ("an IMMUTABLE helper without the context", "CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT n * 2'"),
    ("an enum, a domain, a sequence", "CREATE TYPE mood AS ENUM ('ok'); CREATE DOMAIN qty AS int; CREATE SEQUENCE s;
      GRANT USAGE ON SEQUENCE s TO bastide_app"),
    ("CREATE for PUBLIC, as before PostgreSQL 15", "GRANT CREATE ON SCHEMA public TO PUBLIC"),
    (
        "a rule among scoped tables",
        "CREATE RULE routed AS ON INSERT TO notes WHERE NEW.body = 'old' DO INSTEAD
             INSERT INTO notes_archive VALUES (NEW.id, NEW.tenant_id, NEW.body)",
    ),
    ("a unique index that holds the primary key", "CREATE UNIQUE INDEX ON drafts (id, lower(tenant_id::text))"),
    ("a partial unique index led by the tenant", "CREATE UNIQUE INDEX ON notes (tenant_id, body) WHERE body <> 'note'"),
    (
        "keys the operator accepted",
        "ALTER TABLE drafts ADD email text, ADD CONSTRAINT \"Mail\" UNIQUE (email); CREATE UNIQUE INDEX lower_mail ON drafts (lower(email));
         ALTER TABLE drafts ADD other bigint, ADD CONSTRAINT simple FOREIGN KEY (other) REFERENCES orders;
         UPDATE bastide.run SET plan = plan || '{\"config\": {\"answers\": {\"key:public.drafts.\\\"Mail\\\"\": \"keep\",
             \"key:public.drafts.lower_mail\": \"keep\", \"key:public.drafts.simple\": \"keep\"}}}'",
    ),
    ("a publication", "CREATE PUBLICATION feed FOR TABLE orders"),
    ("default privileges for somebody else", "ALTER DEFAULT PRIVILEGES FOR ROLE shop GRANT SELECT ON TABLES TO staff"),
    ("a harmless setting", "ALTER DATABASE current SET bastide.note = 'x'"),
    ("a row-level trigger", "CREATE TRIGGER again BEFORE UPDATE ON notes FOR EACH ROW EXECUTE FUNCTION touch()"),
    (
        "a definer trigger of an owner whom FORCE binds",
        "ALTER FUNCTION touch() SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp",
    ),
    ("a definer function out of reach, without a search_path", "ALTER FUNCTION all_orders() STABLE"),
    (
        "a definer trigger on a table out of reach",
        "CREATE TRIGGER kept BEFORE INSERT ON secrets FOR EACH ROW EXECUTE FUNCTION kept(); ALTER FUNCTION kept() RESET search_path;
         DROP TRIGGER kept ON notes",
    ),
    (
        "an invoker view over a definer view out of reach",
        "CREATE VIEW inner_view AS SELECT * FROM secrets; CREATE VIEW outer_view WITH (security_invoker) AS SELECT * FROM inner_view;
         GRANT SELECT ON outer_view TO bastide_app",
    ),
    ("a materialised view over a function, out of reach", "CREATE MATERIALIZED VIEW inside AS SELECT all_orders() AS n"),
    (
        "a materialised view of shared rows through what is IMMUTABLE",
        "CREATE FUNCTION twice(n text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT n || n';
         CREATE MATERIALIZED VIEW doubled AS SELECT twice(name) AS name FROM countries; GRANT SELECT ON doubled TO bastide_app",
    ),
    ("a cast that no policy uses", "CREATE FUNCTION one(boolean) RETURNS uuid LANGUAGE sql STABLE AS 'SELECT gen_random_uuid()';
      CREATE CAST (boolean AS uuid) WITH FUNCTION one(boolean)"),
    ("a policy of another role's that calls a function", "CREATE POLICY report ON orders FOR SELECT TO staff USING (whoami() IS NOT NULL)"),
    ("a foreign key switched off between shared tables", "ALTER TABLE countries ADD part_of text REFERENCES countries;
      ALTER TABLE countries DISABLE TRIGGER ALL"),
    ("a trigger of the shop's own that is off", "ALTER TABLE orders DISABLE TRIGGER touch"),
    ("a key not valid between shared tables", "ALTER TABLE countries ADD part_of text, ADD FOREIGN KEY (part_of) REFERENCES countries NOT VALID"),
    ("a sequence that may be read", "GRANT SELECT ON SEQUENCE orders_id_seq TO bastide_app"),
    ("a sequence of nobody's that may be reset", "CREATE SEQUENCE tickets; GRANT UPDATE ON SEQUENCE tickets TO bastide_app"),
    ("a parameter that only logs", "GRANT SET ON PARAMETER deadlock_timeout TO bastide_app"),
    ("a large object of somebody else's", "SELECT lo_create(4711); GRANT SELECT ON LARGE OBJECT 4711 TO staff"),
    ("a foreign server for somebody else", "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w;
      GRANT USAGE ON FOREIGN SERVER s TO staff"),
    ("NOTIFY from a shared table", "CREATE FUNCTION told() RETURNS trigger LANGUAGE plpgsql AS
          'BEGIN PERFORM pg_notify(''countries'', NEW.code); RETURN NEW; END';
      CREATE TRIGGER told AFTER INSERT ON countries FOR EACH ROW EXECUTE FUNCTION told()"),
    ("statistics for whom it may concern", "GRANT SELECT ON pg_statistic TO staff; GRANT EXECUTE ON FUNCTION pg_read_file(text) TO staff"),
    ("statistics on an expression, where the server's views ask who looks", "CREATE STATISTICS by_number ON (lower(number)) FROM orders"),
    (
        "views of statistics of old that ask about row security, which has all there is",
        r"CREATE STATISTICS by_number ON (lower(number)) FROM orders; CREATE STATISTICS by_name ON (lower(name)) FROM countries;
          DO $$ BEGIN EXECUTE 'CREATE OR REPLACE VIEW pg_catalog.pg_stats_ext WITH (security_barrier) AS '
              || regexp_replace(pg_get_viewdef('pg_stats_ext'::regclass), 'pg_has_role\([^)]*\)', 'true'); END $$",
    ),
    (
        "views of statistics of old, with nothing but columns to show",
        r"CREATE STATISTICS by_both (mcv) ON number, total FROM orders;
          DO $$ BEGIN EXECUTE 'CREATE OR REPLACE VIEW pg_catalog.pg_stats_ext_exprs WITH (security_barrier) AS '
              || regexp_replace(pg_get_viewdef('pg_stats_ext_exprs'::regclass), '\s+WHERE \(?pg_has_role.*$', ''); END $$",
    ),
    ("what the server gives to everybody, given again", "GRANT SELECT ON pg_class TO bastide_app; GRANT EXECUTE ON FUNCTION lower(text) TO bastide_app"),
    ("default privileges on sequences", "ALTER DEFAULT PRIVILEGES FOR ROLE shop GRANT USAGE ON SEQUENCES TO bastide_app"),
    ("a rule on a view that nobody reaches", "CREATE VIEW inside AS SELECT * FROM notes;
      CREATE RULE put AS ON INSERT TO inside DO INSTEAD INSERT INTO secrets VALUES (1, 'x')"),
    ("a function with settings that decide nothing", "ALTER FUNCTION whoami() SET work_mem = '8MB'"),
    ("a composite key more", "ALTER TABLE notes ADD order_id bigint, ADD FOREIGN KEY (tenant_id, order_id) REFERENCES orders (merchant_id, id)"),
    ("a tenant more", "INSERT INTO merchants VALUES (gen_random_uuid(), 'new')"),
    // The last one: a membership belongs to the whole server.
    ("a group that has nothing", "GRANT staff TO bastide_app; REVOKE ALL ON orders FROM staff"),
];

#[tokio::test]
async fn harmless_changes_find_nothing() {
    let (server, original) = sound().await;
    let mut mistaken = Vec::new();
    for (number, (name, sql)) in DECOYS.iter().enumerate() {
        let database = format!("decoy_{number}");
        let db = server.copy_of(&original, &database).await;
        db.execute(&sql.replace("DATABASE current", &format!("DATABASE {database}"))).await;
        let verdict = verdict(&db, Options::default()).await;
        if !verdict.isolated() {
            let breaches: Vec<_> = verdict.breaches().collect();
            mistaken.push(format!("{name}:\n  {:?}\n  {breaches:?}", open(&verdict)));
        }
    }
    assert!(mistaken.is_empty(), "{}", mistaken.join("\n"));
}
